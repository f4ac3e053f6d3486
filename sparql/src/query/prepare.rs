//! From a parsed or prepared query to a plan that can run: rewritten, its leaves compiled.
//!
//! When the whole pattern is one leaf under DISTINCT, LIMIT and a projection, its rows go
//! [straight](crate::evaluate::answer::Direct) to the client; otherwise operators evaluate the residual algebra over the
//! leaves.

use crate::algebra::{constants, template, unfold::unfold};
use crate::cluster::Interrupt;
use crate::evaluate::answer::{self, Direct, Operators};
use crate::evaluate::compile::compile;
use crate::evaluate::counted::Counted;
use crate::evaluate::lookups::Lookups;
use crate::evaluate::run::Run;
use crate::plan::explain;
use crate::plan::leaf::LeafPlan;
use crate::plan::profile::Profiles;
use crate::plan::union::UnionPlan;
use crate::rewrite::analysis::{self, Needs};
use crate::rewrite::body::Body;
use crate::rewrite::fold::Repetitions;
use crate::rewrite::modifiers::{self, Duplicates, Modifiers};
use crate::rewrite::prepared::PreparedQuery;
use crate::rewrite::query::QueryForm;
use crate::rewrite::{Form, Leaf, Rewriter};
use crate::session::{Session, lock};
use entail_syntax::algebra::GraphPattern;
use entail_syntax::algebra::Query;
use entail_syntax::algebra::TriplePattern;
use oxiri::Iri;
use oxrdf::{NamedNode, Variable};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// The use of the solutions.
pub(crate) enum Kind {
    Select,
    Ask,
    Construct(Vec<TriplePattern>),
    Describe,
}

/// The source of the solutions.
pub(crate) enum Root {
    Direct(Direct),
    Counted(Counted),
    Operators(Operators),
}

/// A query that is ready to run at one epoch.
pub(crate) struct QueryPlan {
    pub session: Arc<Session>,
    pub kind: Kind,
    pub variables: Vec<Variable>,
    pub root: Root,
    pub lookups: Arc<Lookups>,
    leaves: Arc<Vec<LeafPlan>>,
    profiles: Arc<Mutex<Profiles>>,
}

/// The plan of a parsed query.
///
/// # Errors
/// `Unsupported` and `LimitExceeded` for the query; errors of the cluster.
pub(crate) fn plan(session: Session, query: Query) -> Result<QueryPlan, Interrupt> {
    let (kind, pattern, base, shown) = match query {
        Query::Select { pattern, base_iri, .. } => (Kind::Select, pattern, base_iri, None),
        Query::Ask { pattern, base_iri, .. } => (Kind::Ask, pattern, base_iri, Some(Vec::new())),
        Query::Describe { pattern, base_iri, .. } => (Kind::Describe, pattern, base_iri, None),
        Query::Construct { template, pattern, base_iri, .. } => {
            let shown = template::triple_variables(&template);
            (Kind::Construct(template), pattern, base_iri, Some(shown))
        }
    };
    Planner { session, base }.solutions(kind, pattern, shown)
}

/// The plan of a prepared query, with values for its parameters.
///
/// # Errors
/// As for [`plan`].
pub(crate) fn plan_prepared(
    session: Session,
    query: &PreparedQuery,
    parameters: &[NamedNode],
) -> Result<QueryPlan, Interrupt> {
    let planner = Planner { session, base: None };
    let (kind, shown) = if query.is_ask { (Kind::Ask, Some(Vec::new())) } else { (Kind::Select, None) };
    planner.direct(kind, &query.bodies(parameters), query.modifiers.clone(), shown)
}

/// The plan of the solutions of a pattern over some variables, for an update.
///
/// # Errors
/// As for [`plan`].
pub(crate) fn plan_pattern(
    session: Session,
    pattern: GraphPattern,
    base: Option<Iri<String>>,
    variables: Vec<Variable>,
) -> Result<QueryPlan, Interrupt> {
    Planner { session, base }.solutions(Kind::Select, pattern, Some(variables))
}

struct Planner {
    session: Session,
    base: Option<Iri<String>>,
}

impl Planner {
    /// The plan of a pattern; `shown` replaces the variables of its projection.
    fn solutions(
        self,
        kind: Kind,
        pattern: GraphPattern,
        shown: Option<Vec<Variable>>,
    ) -> Result<QueryPlan, Interrupt> {
        let pattern = unfold(pattern);
        let mut found = Vec::new();
        constants::constants(&pattern, &mut found);
        self.session.learn(&found)?;
        found.iter().try_for_each(|term| self.session.name(term))?;
        let mut rewriter = Rewriter::new(&self.session);
        let form = match kind {
            Kind::Select if shown.is_none() => rewriter.select(pattern)?,
            _ => rewriter.solutions(pattern)?,
        };
        let pattern = match form {
            QueryForm::Bodies(bodies, modifiers) if can_stream(&modifiers, shown.as_deref()) => {
                return self.direct(kind, &bodies, modifiers, shown);
            }
            QueryForm::Bodies(bodies, modifiers) => modifiers.around(rewriter.settle(Form::Bodies(bodies)).0),
            QueryForm::Count(bodies, variable) => return self.counted(&bodies, variable),
            QueryForm::Residual(pattern) => pattern,
        };
        let leaves = rewriter.leaves;
        let pattern = match shown {
            Some(variables) if !matches!(kind, Kind::Ask) => {
                GraphPattern::Project { inner: Box::new(pattern), variables }
            }
            _ => pattern,
        };
        self.residual(kind, pattern, &leaves)
    }

    /// The plan of bodies whose rows are the solutions.
    fn direct(
        self,
        kind: Kind,
        bodies: &[Body],
        modifiers: Modifiers,
        shown: Option<Vec<Variable>>,
    ) -> Result<QueryPlan, Interrupt> {
        let Modifiers { start, mut length, duplicates, variables } = modifiers;
        if matches!(kind, Kind::Ask) {
            length = Some(length.unwrap_or(1).min(1));
        }
        let variables = shown.or(variables).unwrap_or_default();
        let distinct = duplicates != Duplicates::Kept;
        let repetitions = if distinct { Repetitions::Counted } else { Repetitions::All };
        let union = Arc::new(UnionPlan::compile(&self.session, bodies, variables.clone(), repetitions)?);
        let leaf = LeafPlan::of(&union);
        let direct = Direct { union, distinct, start, length };
        Ok(self.planned(kind, variables, Root::Direct(direct), vec![leaf]))
    }

    fn counted(self, bodies: &[Body], variable: Variable) -> Result<QueryPlan, Interrupt> {
        let union = Arc::new(UnionPlan::compile(&self.session, bodies, Vec::new(), Repetitions::All)?);
        let leaf = LeafPlan::of(&union);
        Ok(self.planned(Kind::Select, vec![variable], Root::Counted(Counted { union }), vec![leaf]))
    }

    /// The plan of algebra over leaves.
    fn residual(mut self, kind: Kind, pattern: GraphPattern, leaves: &[Leaf]) -> Result<QueryPlan, Interrupt> {
        let needs = analysis::needs(&pattern);
        let plans = (0..leaves.len()).map(|number| leaf_plan(&self.session, leaves, number, &needs));
        let plans = plans.collect::<Result<Vec<_>, _>>()?;
        self.session.compares_computed = needs.compares_computed;
        self.session.base = self.base.take();
        let compiled = compile(&self.session, &plans, &pattern)?;
        self.session.seal();
        let variables = modifiers::shown(&pattern).to_vec();
        let root = Root::Operators(Operators { root: compiled.root, count: compiled.operators });
        Ok(self.planned(kind, variables, root, plans))
    }

    fn planned(self, kind: Kind, variables: Vec<Variable>, root: Root, leaves: Vec<LeafPlan>) -> QueryPlan {
        let session = Arc::new(self.session);
        QueryPlan {
            lookups: Arc::new(Lookups::new(Arc::clone(&session))),
            session,
            kind,
            variables,
            root,
            leaves: Arc::new(leaves),
            profiles: Arc::default(),
        }
    }
}

/// Can rows of bodies be projected to `shown` instead of the query's own variables? DISTINCT applies to the query's
/// projection, before a template selects from it.
fn can_stream(modifiers: &Modifiers, shown: Option<&[Variable]>) -> bool {
    modifiers.duplicates == Duplicates::Kept || shown.is_none_or(|shown| modifiers.variables.as_deref() == Some(shown))
}

/// The plan of a leaf, with the columns that are used.
fn leaf_plan(session: &Session, leaves: &[Leaf], number: usize, needs: &Needs) -> Result<LeafPlan, Interrupt> {
    let leaf = &leaves[number];
    let estimate = leaf.estimate;
    if let Some(fold) = &leaf.fold {
        let union = UnionPlan::compile(session, &leaf.bodies, fold.inputs(), fold.repetitions())?;
        let variables = leaf.variables.clone().into();
        let nodes = vec![false; leaf.variables.len()];
        return Ok(LeafPlan { union: union.into(), variables, fold: Some(fold.clone()), estimate, nodes });
    }
    let others: HashSet<&Variable> =
        leaves.iter().enumerate().filter(|(other, _)| *other != number).flat_map(|(_, leaf)| &leaf.variables).collect();
    let is_used = |variable: &&Variable| {
        leaf.distinct || needs.whole_solutions || needs.used.contains(*variable) || others.contains(variable)
    };
    let variables: Vec<Variable> = leaf.variables.iter().filter(is_used).cloned().collect();
    let repetitions = if leaf.distinct { Repetitions::Dropped } else { Repetitions::All };
    let union = UnionPlan::compile(session, &leaf.bodies, variables.clone(), repetitions)?;
    let is_node = |variable: &Variable| leaf.bodies.iter().all(|body| body.has_node(variable));
    let nodes = variables.iter().map(is_node).collect();
    Ok(LeafPlan { union: union.into(), variables: variables.into(), fold: None, estimate, nodes })
}

impl QueryPlan {
    /// Evaluates the query; its solutions go to `sink`.
    pub fn solutions(&self, sink: answer::Sink<'_>) -> Result<(), Interrupt> {
        match &self.root {
            Root::Direct(direct) => direct.run(&self.session, &self.profiles, sink),
            Root::Counted(counted) => sink(counted.run(&self.session, &self.profiles)?).map(|_| ()),
            Root::Operators(operators) => operators.run(self.run(operators.count), sink),
        }
    }

    fn run(&self, operators: usize) -> Run {
        let (session, leaves) = (Arc::clone(&self.session), Arc::clone(&self.leaves));
        Run::new(session, leaves, Arc::clone(&self.lookups), Arc::clone(&self.profiles), operators)
    }

    /// The plan as JSON, with the measured work of its operators if the session profiles.
    pub fn explain(&self) -> Value {
        let profiles = lock(&self.profiles);
        let measured = self.session.profile.then_some(&*profiles);
        let leaf = |(number, leaf): (usize, &LeafPlan)| explain::leaf(&self.session, number, &leaf.union, measured);
        let leaves: Vec<Value> = self.leaves.iter().enumerate().map(leaf).collect();
        let tree = match &self.root {
            Root::Direct(direct) => json!({
                "op": "stream", "leaf": 0, "distinct": direct.distinct, "start": direct.start, "length": direct.length,
            }),
            Root::Counted(_) => json!({ "op": "count", "leaf": 0 }),
            Root::Operators(operators) => {
                let tree = profiles.coordinator.clone().unwrap_or_else(|| explain::tree(&operators.root, None));
                explain::with_folds(tree, &self.leaves, &|leaf| measured.map(|profiles| profiles.rows_of(leaf)))
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
