//! Running a query: parse, rewrite, plan, evaluate, write.

use super::analysis::{self, Needs};
use super::answer::{self, Block, Direct};
use super::body::{Body, Graph};
use super::cluster::Cluster;
use super::dataset::ClusterDataset;
use super::describe::Describer;
use super::estimate::Tuning;
use super::lookups::Lookups;
use super::output::{Format, GraphWriter, Output, SolutionWriter, write_boolean};
use super::piece::Piece;
use super::profile::Profiles;
use super::rewrite::{Form, Leaf, Rewriter, leaf_number};
use super::service::{Leaves, Source};
use super::session::{Session, Stop, lock};
use super::template::{self, Filling};
use super::term::EvalTerm;
use super::{DatasetClause, DefaultGraph, explain, guard, parse};
use entail_model::{Fault, Reason};
use oxrdf::{NamedNode, Triple, Variable};
use serde_json::{Value, json};
use spargebra::Query;
use spargebra::algebra::{GraphPattern, QueryDataset};
use spargebra::term::{NamedNodePattern, TriplePattern};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

/// Bytes of rows that the coordinator's own operators may get from the cluster in one query, unless told otherwise.
pub const FED_BYTES_MAX: u64 = 4 << 30;
/// Bytes of triples that CONSTRUCT remembers in order to give each once.
const CONSTRUCTED_BYTES_MAX: usize = 256 << 20;

/// What to do with a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Run,
    /// Only the plan, with estimates.
    Explain,
    /// Run it, and give the plan with what its stages did.
    Profile,
}

/// A query and all that it may use.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub text: String,
    pub base: Option<String>,
    pub format: Format,
    pub mode: Mode,
    /// The dataset of the request; where it names a graph, it replaces the query's own FROM and FROM NAMED.
    pub default_graphs: Vec<String>,
    pub named_graphs: Vec<String>,
    /// The default graph is the merge of all graphs.
    pub union_default_graph: bool,
    /// An answer of more rows is refused.
    pub rows_max: Option<u64>,
    /// Bytes of rows that the coordinator's operators may get. 0: [`FED_BYTES_MAX`].
    pub fed_bytes_max: u64,
    pub stop: Stop,
}

/// What came of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Solutions or triples; of an ASK, one.
    pub rows: u64,
    /// The plan, where it was asked for.
    pub plan: Option<Value>,
}

/// Runs a query on a thread of its own with a large stack, blocking; its parts go to `output`.
///
/// # Errors
/// `Syntax`, `Unsupported`, `LimitExceeded`, `InvalidRequest` for the query; `Cancelled` and `DeadlineExceeded`; what the
/// cluster and `output` give. After an error the parts so far are no answer.
pub fn run(request: Request, cluster: Arc<dyn Cluster>, output: Output<'_>) -> Result<Summary, Fault> {
    run_tuned(request, Tuning::default(), cluster, output)
}

/// As [`run`], with thresholds of one's own.
pub fn run_tuned(
    request: Request,
    tuning: Tuning,
    cluster: Arc<dyn Cluster>,
    output: Output<'_>,
) -> Result<Summary, Fault> {
    guard::run_on_big_stack(move || run_on_this_thread(&request, tuning, cluster, output))
}

fn run_on_this_thread(
    request: &Request,
    tuning: Tuning,
    cluster: Arc<dyn Cluster>,
    output: Output<'_>,
) -> Result<Summary, Fault> {
    let query = parse::parse_query(&request.text, request.base.as_deref())?;
    check_format(&query, request.format)?;
    let dataset = dataset_clause(request, query.dataset())?;
    let fed_max = if request.fed_bytes_max == 0 { FED_BYTES_MAX } else { request.fed_bytes_max };
    let mut session = Session::new(cluster, &dataset, request.stop.clone(), fed_max)?;
    session.tuning = tuning;
    let query = prepare(session, query)?;
    if request.mode == Mode::Explain {
        return Ok(Summary { rows: 0, plan: Some(query.explain(None)) });
    }
    let rows = query.write(request, output)?;
    let plan = (request.mode == Mode::Profile).then(|| query.explain(Some(&*lock(&query.profiles))));
    Ok(Summary { rows, plan })
}

fn check_format(query: &Query, format: Format) -> Result<(), Fault> {
    match query {
        Query::Select { .. } | Query::Ask { .. } => format.of_solutions().map(|_| ()),
        Query::Construct { .. } | Query::Describe { .. } => format.is_turtle().map(|_| ()),
    }
}

fn dataset_clause(request: &Request, own: Option<&QueryDataset>) -> Result<DatasetClause, Fault> {
    let nodes = |names: &[String]| {
        let node = |name: &String| {
            NamedNode::new(name)
                .map_err(|error| Fault::new(Reason::InvalidRequest, format!("the graph {name} is not an IRI: {error}")))
        };
        names.iter().map(node).collect::<Result<Vec<_>, _>>()
    };
    let is_told = !request.default_graphs.is_empty() || !request.named_graphs.is_empty();
    let mut clause = match own {
        _ if is_told => DatasetClause {
            default: DefaultGraph::Merge(nodes(&request.default_graphs)?),
            named: Some(nodes(&request.named_graphs)?),
        },
        Some(own) => DatasetClause { default: DefaultGraph::Merge(own.default.clone()), named: own.named.clone() },
        None => DatasetClause { default: DefaultGraph::Own, named: None },
    };
    if request.union_default_graph {
        clause.default = DefaultGraph::UnionOfAll;
    }
    Ok(clause)
}

/// What becomes of the solutions.
enum Kind {
    Select,
    Ask,
    Construct(Vec<TriplePattern>),
    Describe,
}

/// Where the solutions come from.
enum Root {
    Direct(Direct),
    /// The rewritten query, and the pattern in it.
    Algebra(Box<Query>, GraphPattern),
}

/// A query that is ready to run.
pub(super) struct Prepared {
    pub session: Arc<Session>,
    kind: Kind,
    pub variables: Vec<Variable>,
    root: Root,
    sources: Arc<Vec<Source>>,
    compares_computed: bool,
    profiles: Arc<Mutex<Profiles>>,
    lookups: Arc<Lookups>,
}

fn prepare(session: Session, query: Query) -> Result<Prepared, Fault> {
    match query {
        Query::Select { pattern, base_iri, .. } => {
            Preparation { session, base: base_iri }.solutions(Kind::Select, pattern, None)
        }
        Query::Ask { pattern, base_iri, .. } => {
            Preparation { session, base: base_iri }.solutions(Kind::Ask, pattern, Some(Vec::new()))
        }
        Query::Describe { pattern, base_iri, .. } => {
            Preparation { session, base: base_iri }.solutions(Kind::Describe, pattern, None)
        }
        Query::Construct { template, pattern, base_iri, .. } => {
            let variables = template::triple_variables(&template);
            Preparation { session, base: base_iri }.solutions(Kind::Construct(template), pattern, Some(variables))
        }
    }
}

/// Prepares the solutions of a pattern over some variables, for an update.
pub(super) fn prepare_pattern(
    session: Session,
    pattern: GraphPattern,
    base: Option<String>,
    variables: Vec<Variable>,
) -> Result<Prepared, Fault> {
    let base = base.and_then(|base| oxiri::Iri::parse(base).ok());
    Preparation { session, base }.solutions(Kind::Select, pattern, Some(variables))
}

/// The operators around the body of a query that need no evaluator.
#[derive(Default)]
struct Shell {
    start: usize,
    length: Option<usize>,
    distinct: bool,
    variables: Option<Vec<Variable>>,
}

impl Shell {
    /// Takes the outer operators off a pattern, as far as they come in the usual order.
    fn peel(pattern: &GraphPattern) -> (Self, &GraphPattern) {
        let mut shell = Self::default();
        let mut inner = pattern;
        if let GraphPattern::Slice { inner: below, start, length } = inner {
            (shell.start, shell.length, inner) = (*start, *length, below);
        }
        if let GraphPattern::Distinct { inner: below } | GraphPattern::Reduced { inner: below } = inner {
            (shell.distinct, inner) = (true, below);
        }
        if let GraphPattern::Project { inner: below, variables } = inner {
            (shell.variables, inner) = (Some(variables.clone()), below);
        }
        (shell, inner)
    }
}

struct Preparation {
    session: Session,
    base: Option<oxiri::Iri<String>>,
}

impl Preparation {
    /// Prepares a pattern; `shown` replaces the variables that it shows.
    fn solutions(self, kind: Kind, pattern: GraphPattern, shown: Option<Vec<Variable>>) -> Result<Prepared, Fault> {
        let mut constants = Vec::new();
        parse::constants(&pattern, &mut constants);
        self.session.learn(&constants)?;
        if let Some((bodies, direct)) = self.direct(&kind, &pattern, shown.as_deref())? {
            return self.prepared_direct(kind, &bodies, direct);
        }
        let pattern = match shown {
            Some(variables) if !matches!(kind, Kind::Ask) => {
                GraphPattern::Project { inner: Box::new(pattern), variables }
            }
            _ => pattern,
        };
        self.prepared_algebra(kind, pattern)
    }

    /// The bodies, if the whole pattern is a union of bodies under a shell.
    fn direct(
        &self,
        kind: &Kind,
        pattern: &GraphPattern,
        shown: Option<&[Variable]>,
    ) -> Result<Option<(Vec<Body>, Shell)>, Fault> {
        let (mut shell, inner) = Shell::peel(pattern);
        let Some(variables) = shell.variables.clone() else { return Ok(None) };
        // DISTINCT is over what the pattern shows, before a template picks from it.
        let shows_other = shown.is_some_and(|shown| shown != variables);
        if shows_other && shell.distinct {
            return Ok(None);
        }
        let mut rewriter = Rewriter::new(&self.session);
        let Form::Pushed(bodies) = rewriter.rewrite(inner.clone(), &Graph::Default)? else { return Ok(None) };
        if !rewriter.leaves.is_empty() {
            return Ok(None);
        }
        shell.variables = Some(shown.map_or(variables, <[Variable]>::to_vec));
        if matches!(kind, Kind::Ask) {
            shell.length = Some(shell.length.unwrap_or(1).min(1));
        }
        Ok(Some((bodies, shell)))
    }

    fn prepared_direct(self, kind: Kind, bodies: &[Body], shell: Shell) -> Result<Prepared, Fault> {
        let variables = shell.variables.unwrap_or_default();
        let piece = Arc::new(Piece::compile(&self.session, bodies, variables.clone(), false)?);
        let source = Source { piece: Arc::clone(&piece), texts: vec![false; variables.len()] };
        let direct = Direct { piece, distinct: shell.distinct, start: shell.start, length: shell.length };
        Ok(self.prepared(kind, variables, Root::Direct(direct), vec![source], false))
    }

    fn prepared_algebra(self, kind: Kind, pattern: GraphPattern) -> Result<Prepared, Fault> {
        let mut rewriter = Rewriter::new(&self.session);
        let (pattern, _) = rewriter.rest(pattern, &Graph::Default)?;
        let leaves = rewriter.leaves;
        let bound = |pattern: &GraphPattern| bound_by_leaf(pattern, &leaves);
        let needs = analysis::needs(&pattern, &bound);
        let sources = (0..leaves.len()).map(|number| source(&self.session, &leaves, number, &needs));
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let base_iri = self.base.clone();
        let query = match kind {
            Kind::Ask => Query::Ask { dataset: None, pattern: pattern.clone(), base_iri },
            _ => Query::Select { dataset: None, pattern: pattern.clone(), base_iri },
        };
        let variables = shown_variables(&pattern);
        let root = Root::Algebra(Box::new(query), pattern);
        Ok(self.prepared(kind, variables, root, sources, needs.compares_computed))
    }

    fn prepared(
        self,
        kind: Kind,
        variables: Vec<Variable>,
        root: Root,
        sources: Vec<Source>,
        compares_computed: bool,
    ) -> Prepared {
        let session = Arc::new(self.session);
        Prepared {
            lookups: Arc::new(Lookups::new(Arc::clone(&session))),
            session,
            kind,
            variables,
            root,
            sources: Arc::new(sources),
            compares_computed,
            profiles: Arc::default(),
        }
    }
}

fn shown_variables(pattern: &GraphPattern) -> Vec<Variable> {
    Shell::peel(pattern).0.variables.unwrap_or_default()
}

fn bound_by_leaf(pattern: &GraphPattern, leaves: &[Leaf]) -> Option<Vec<Variable>> {
    let GraphPattern::Service { name: NamedNodePattern::NamedNode(name), .. } = pattern else { return None };
    leaf_number(name.as_str()).and_then(|number| leaves.get(number)).map(|leaf| leaf.variables.clone())
}

/// A leaf with the columns that somebody uses.
fn source(session: &Session, leaves: &[Leaf], number: usize, needs: &Needs) -> Result<Source, Fault> {
    let leaf = &leaves[number];
    let others: HashSet<&Variable> =
        leaves.iter().enumerate().filter(|(other, _)| *other != number).flat_map(|(_, leaf)| &leaf.variables).collect();
    let is_used = |variable: &&Variable| {
        leaf.distinct || needs.whole_solutions || needs.used.contains(*variable) || others.contains(variable)
    };
    let variables: Vec<Variable> = leaf.variables.iter().filter(is_used).cloned().collect();
    let texts = variables.iter().map(|variable| needs.texts.contains(variable)).collect();
    let piece = Piece::compile(session, &leaf.bodies, variables, leaf.distinct)?;
    Ok(Source { piece: Arc::new(piece), texts })
}

impl Prepared {
    /// Evaluates the query; its solutions go to `sink`.
    pub fn solutions(&self, sink: answer::Sink<'_>) -> Result<(), Fault> {
        match &self.root {
            Root::Direct(direct) => direct.run(&self.session, &self.profiles, sink),
            Root::Algebra(query, _) => answer::evaluate(query, self.dataset(), self.leaves(), sink),
        }
    }

    fn dataset(&self) -> ClusterDataset {
        ClusterDataset {
            session: Arc::clone(&self.session),
            lookups: Arc::clone(&self.lookups),
            compares_computed: self.compares_computed,
        }
    }

    fn leaves(&self) -> Leaves {
        Leaves {
            session: Arc::clone(&self.session),
            sources: Arc::clone(&self.sources),
            profiles: Arc::clone(&self.profiles),
        }
    }

    fn write(&self, request: &Request, output: Output<'_>) -> Result<u64, Fault> {
        let rows_max = request.rows_max.filter(|max| *max > 0).unwrap_or(u64::MAX);
        match &self.kind {
            Kind::Select => self.write_solutions(request.format, rows_max, output),
            Kind::Ask => self.write_ask(request.format, output),
            Kind::Construct(template) => self.write_constructed(request.format, rows_max, template, output),
            Kind::Describe => self.write_described(request.format, rows_max, output),
        }
    }

    fn write_solutions(&self, format: Format, rows_max: u64, output: Output<'_>) -> Result<u64, Fault> {
        let mut writer = SolutionWriter::new(format, self.variables.clone(), output)?;
        let mut rows = 0;
        self.solutions(&mut |block| {
            rows = count(rows, block.rows, rows_max)?;
            if block.width == 0 {
                writer.write_empty(block.rows, output)?;
            } else {
                writer.write(&answer::decode(&self.session, block)?, output)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.session.check()?;
        writer.finish(output)?;
        Ok(rows)
    }

    fn write_ask(&self, format: Format, output: Output<'_>) -> Result<u64, Fault> {
        let value = match &self.root {
            Root::Direct(_) => {
                let mut found = false;
                self.solutions(&mut |block| {
                    found |= block.rows > 0;
                    Ok(if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
                })?;
                found
            }
            Root::Algebra(query, _) => answer::ask(query, self.dataset(), self.leaves())?,
        };
        write_boolean(format, value, output)?;
        Ok(1)
    }

    fn write_constructed(
        &self,
        format: Format,
        rows_max: u64,
        template: &[TriplePattern],
        output: Output<'_>,
    ) -> Result<u64, Fault> {
        let mut writer = GraphWriter::new(format, output)?;
        let mut given = Given::default();
        let mut rows = 0;
        self.solutions(&mut |block| {
            let (width, count_of_rows) = (block.width, block.rows);
            let cells = answer::decode(&self.session, block)?;
            let mut triples = Vec::new();
            for row in 0..count_of_rows {
                let mut filling = Filling::new(&self.variables, &cells[row * width..(row + 1) * width]);
                triples.extend(
                    template.iter().filter_map(|pattern| filling.triple(pattern)).filter(|triple| given.is_new(triple)),
                );
            }
            rows = count(rows, triples.len(), rows_max)?;
            writer.write(&triples, output)?;
            Ok(ControlFlow::Continue(()))
        })?;
        self.session.check()?;
        writer.finish(output)?;
        Ok(rows)
    }

    fn write_described(&self, format: Format, rows_max: u64, output: Output<'_>) -> Result<u64, Fault> {
        let mut writer = GraphWriter::new(format, output)?;
        let mut describer = Describer::new(&self.session, &self.lookups);
        let mut rows = 0;
        let mut write = |triples: Vec<Triple>| {
            rows = count(rows, triples.len(), rows_max)?;
            writer.write(&triples, output)?;
            Ok(ControlFlow::Continue(()))
        };
        self.solutions(&mut |block: Block| {
            for cell in block.cells.into_iter().flatten() {
                let id = match cell {
                    EvalTerm::Id(id) => Some(id),
                    EvalTerm::Computed(term) => self.session.id_of(&term)?,
                };
                if let Some(id) = id
                    && describer.describe(id, &mut write)?.is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
            }
            describer.flush(&mut write)
        })?;
        self.session.check()?;
        writer.finish(output)?;
        Ok(rows)
    }

    /// The plan as JSON, with what its stages did, if that is known.
    fn explain(&self, profiles: Option<&Profiles>) -> Value {
        let leaves = self
            .sources
            .iter()
            .enumerate()
            .map(|(number, source)| explain::leaf(&self.session, number, &source.piece, profiles));
        let tree = match &self.root {
            Root::Direct(direct) => json!({
                "op": "stream", "leaf": 0, "distinct": direct.distinct, "start": direct.start, "length": direct.length,
            }),
            Root::Algebra(_, pattern) => explain::tree(pattern),
        };
        json!({
            "variables": self.variables.iter().map(|variable| variable.as_str()).collect::<Vec<_>>(),
            "coordinator": tree,
            "leaves": leaves.collect::<Vec<_>>(),
        })
    }
}

/// The triples that were given, as far as they are remembered: a graph has each once, and giving one again is no error.
#[derive(Default)]
struct Given {
    triples: HashSet<Triple>,
    bytes: usize,
}

impl Given {
    fn is_new(&mut self, triple: &Triple) -> bool {
        if self.bytes > CONSTRUCTED_BYTES_MAX {
            return !self.triples.contains(triple);
        }
        let is_new = self.triples.insert(triple.clone());
        if is_new {
            let object = match &triple.object {
                oxrdf::Term::Literal(literal) => literal.value().len(),
                _ => 64,
            };
            self.bytes += 256 + object;
        }
        is_new
    }
}

fn count(rows: u64, more: usize, rows_max: u64) -> Result<u64, Fault> {
    let rows = rows + more as u64;
    if rows > rows_max {
        return Err(Fault::new(Reason::LimitExceeded, format!("the answer has more than {rows_max} rows")));
    }
    Ok(rows)
}
