//! Preparing a query: rewritten, its leaves planned, ready to run.
//!
//! When the whole pattern is one leaf under DISTINCT, LIMIT and a projection, its rows go [straight](crate::evaluate::answer::Direct)
//! to whoever wants them; otherwise spareval evaluates the rest over the leaves.

use crate::evaluate::answer::{self, Direct};
use crate::evaluate::dataset::ClusterDataset;
use crate::evaluate::holding::holds_rows;
use crate::evaluate::lookups::Lookups;
use crate::evaluate::service::{Leaves, Source};
use crate::evaluate::session::{Session, lock};
use crate::plan::explain;
use crate::plan::piece::{Piece, Repetitions};
use crate::plan::profile::Profiles;
use crate::rewrite::analysis::{self, Needs};
use crate::rewrite::body::{Body, Graph};
use crate::rewrite::counting::{self, Counted};
use crate::rewrite::leaf::leaf_number;
use crate::rewrite::{Form, Leaf, Rewriter};
use crate::text::parse;
use crate::text::plan_cache::Template;
use crate::text::template;
use entail_model::Fault;
use oxrdf::{NamedNode, Variable};
use serde_json::{Value, json};
use spargebra::Query;
use spargebra::algebra::GraphPattern;
use spargebra::term::{NamedNodePattern, TriplePattern};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// What becomes of the solutions.
pub(crate) enum Kind {
    Select,
    Ask,
    Construct(Vec<TriplePattern>),
    Describe,
}

/// Where the solutions come from.
pub(crate) enum Root {
    Direct(Direct),
    Counted(Counted),
    /// The rewritten query, and the pattern in it.
    Algebra(Box<Query>, GraphPattern),
}

/// A query that is ready to run.
pub(crate) struct Prepared {
    pub session: Arc<Session>,
    pub(crate) kind: Kind,
    pub variables: Vec<Variable>,
    pub(crate) root: Root,
    sources: Arc<Vec<Source>>,
    compares_computed: bool,
    profiles: Arc<Mutex<Profiles>>,
    pub(crate) lookups: Arc<Lookups>,
}

/// Prepares a query.
pub(crate) fn prepare(session: Session, query: Query) -> Result<Prepared, Fault> {
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

/// Prepares a query whose template is known, with terms in its holes.
pub(crate) fn prepare_template(session: Session, template: &Template, holes: &[NamedNode]) -> Result<Prepared, Fault> {
    let preparation = Preparation { session, base: None };
    preparation.prepared_direct(template.kind(), &template.bodies(holes), template.shell().clone())
}

/// The template of a query that was parsed with stand-ins for the terms that `query` has there.
pub(crate) fn template(session: &Session, query: &Query, open: &Query, holes: &[NamedNode]) -> Option<Template> {
    let parts = |query: &Query| {
        let (kind, pattern, shown) = match query {
            Query::Select { pattern, dataset: None, .. } => (Kind::Select, pattern, None),
            Query::Ask { pattern, dataset: None, .. } => (Kind::Ask, pattern, Some(&[][..])),
            _ => return None,
        };
        // Nothing of what such a pattern becomes depends on data.
        if !is_plain(Shell::peel(pattern).1) {
            return None;
        }
        let (bodies, shell) = direct(session, &kind, pattern, shown).ok()??;
        Some((kind, bodies, shell))
    };
    let (kind, bodies, shell) = parts(open)?;
    let (_, wanted, shell_wanted) = parts(query)?;
    let template = Template::new(&kind, bodies, shell)?;
    (template.bodies(holes) == wanted && *template.shell() == shell_wanted).then_some(template)
}

/// Is there nothing in the pattern but basic graph patterns, joins and unions?
fn is_plain(pattern: &GraphPattern) -> bool {
    match pattern {
        GraphPattern::Bgp { .. } => true,
        GraphPattern::Join { left, right } | GraphPattern::Union { left, right } => is_plain(left) && is_plain(right),
        _ => false,
    }
}

/// Prepares the solutions of a pattern over some variables, for an update.
pub(crate) fn prepare_pattern(
    session: Session,
    pattern: GraphPattern,
    base: Option<String>,
    variables: Vec<Variable>,
) -> Result<Prepared, Fault> {
    let base = base.and_then(|base| oxiri::Iri::parse(base).ok());
    Preparation { session, base }.solutions(Kind::Select, pattern, Some(variables))
}

/// The operators around the body of a query that need no evaluator.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Shell {
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

/// The bodies, if the whole pattern is a union of bodies under a shell; `shown` replaces the variables that it shows.
fn direct(
    session: &Session,
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
    let mut rewriter = Rewriter::new(session);
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
        if let Some((bodies, shell)) = direct(&self.session, &kind, &pattern, shown.as_deref())? {
            return self.prepared_direct(kind, &bodies, shell);
        }
        if matches!(kind, Kind::Select)
            && let Some((bodies, variable)) = counting::counted(&self.session, &pattern)?
        {
            return self.prepared_counted(&bodies, variable);
        }
        let pattern = match shown {
            Some(variables) if !matches!(kind, Kind::Ask) => {
                GraphPattern::Project { inner: Box::new(pattern), variables }
            }
            _ => pattern,
        };
        self.prepared_algebra(kind, pattern)
    }

    fn prepared_direct(self, kind: Kind, bodies: &[Body], shell: Shell) -> Result<Prepared, Fault> {
        let variables = shell.variables.unwrap_or_default();
        let repetitions = if shell.distinct { Repetitions::Counted } else { Repetitions::All };
        let piece = Arc::new(Piece::compile(&self.session, bodies, variables.clone(), repetitions)?);
        let source = Source::of(&piece);
        let direct = Direct { piece, distinct: shell.distinct, start: shell.start, length: shell.length };
        Ok(self.prepared(kind, variables, Root::Direct(direct), vec![source], false))
    }

    fn prepared_counted(self, bodies: &[Body], variable: Variable) -> Result<Prepared, Fault> {
        let piece = Arc::new(Piece::compile(&self.session, bodies, Vec::new(), Repetitions::All)?);
        let source = Source::of(&piece);
        Ok(self.prepared(Kind::Select, vec![variable], Root::Counted(Counted { piece }), vec![source], false))
    }

    fn prepared_algebra(mut self, kind: Kind, pattern: GraphPattern) -> Result<Prepared, Fault> {
        let mut rewriter = Rewriter::new(&self.session);
        let (pattern, _) = rewriter.rest(pattern, &Graph::Default)?;
        let leaves = rewriter.leaves;
        let bound = |pattern: &GraphPattern| bound_by_leaf(pattern, &leaves);
        let needs = analysis::needs(&pattern, &bound);
        let sources = (0..leaves.len()).map(|number| source(&self.session, &leaves, number, &needs));
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        if !holds_rows(&pattern, &|pattern| bound(pattern).is_some()) {
            self.session.feed_without_limit();
        }
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
    if let Some(fold) = &leaf.fold {
        let texts = leaf.variables.iter().map(|variable| needs.texts.contains(variable)).collect();
        let piece = Piece::compile(session, &leaf.bodies, fold.inputs(), fold.repetitions())?;
        let variables = leaf.variables.clone().into();
        return Ok(Source { piece: Arc::new(piece), variables, texts, fold: Some(fold.clone()) });
    }
    let others: HashSet<&Variable> =
        leaves.iter().enumerate().filter(|(other, _)| *other != number).flat_map(|(_, leaf)| &leaf.variables).collect();
    let is_used = |variable: &&Variable| {
        leaf.distinct || needs.whole_solutions || needs.used.contains(*variable) || others.contains(variable)
    };
    let variables: Vec<Variable> = leaf.variables.iter().filter(is_used).cloned().collect();
    let texts = variables.iter().map(|variable| needs.texts.contains(variable)).collect();
    let repetitions = if leaf.distinct { Repetitions::Dropped } else { Repetitions::All };
    let piece = Piece::compile(session, &leaf.bodies, variables.clone(), repetitions)?;
    Ok(Source { piece: Arc::new(piece), variables: variables.into(), texts, fold: None })
}

impl Prepared {
    /// Evaluates the query; its solutions go to `sink`.
    pub fn solutions(&self, sink: answer::Sink<'_>) -> Result<(), Fault> {
        match &self.root {
            Root::Direct(direct) => direct.run(&self.session, &self.profiles, sink),
            Root::Counted(counted) => sink(counted.run(&self.session, &self.profiles)?).map(|_| ()),
            Root::Algebra(query, _) => answer::evaluate(query, self.dataset(), self.leaves(), sink),
        }
    }

    pub(crate) fn dataset(&self) -> ClusterDataset {
        ClusterDataset {
            session: Arc::clone(&self.session),
            lookups: Arc::clone(&self.lookups),
            compares_computed: self.compares_computed,
        }
    }

    pub(crate) fn leaves(&self) -> Leaves {
        Leaves {
            session: Arc::clone(&self.session),
            sources: Arc::clone(&self.sources),
            profiles: Arc::clone(&self.profiles),
        }
    }

    /// The plan as JSON, with what its operators did, if that was measured.
    pub(crate) fn explain(&self) -> Value {
        let profiles = lock(&self.profiles);
        let measured = self.session.profile.then_some(&*profiles);
        let leaf = |(number, source): (usize, &Source)| explain::leaf(&self.session, number, &source.piece, measured);
        let leaves: Vec<Value> = self.sources.iter().enumerate().map(leaf).collect();
        let tree = match &self.root {
            Root::Direct(direct) => json!({
                "op": "stream", "leaf": 0, "distinct": direct.distinct, "start": direct.start, "length": direct.length,
            }),
            Root::Counted(_) => json!({ "op": "count", "leaf": 0 }),
            Root::Algebra(_, pattern) => {
                let tree = profiles.coordinator.clone().unwrap_or_else(|| explain::tree(pattern));
                explain::with_folds(tree, &self.sources, &|leaf| measured.map(|profiles| profiles.rows_of(leaf)))
            }
        };
        json!({
            "variables": self.variables.iter().map(|variable| variable.as_str()).collect::<Vec<_>>(),
            "coordinator": tree,
            "leaves": leaves,
            "shards": self.session.cluster.holders(),
        })
    }
}
