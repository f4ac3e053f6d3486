//! Estimated numbers of rows, from the sizes of relations, as in the compiler of plans.

use crate::plan::union::UnionPlan;
use crate::rewrite::body::Body;
use crate::rewrite::catalog::{Catalog, Tuning};
use crate::rewrite::fold::Repetitions;
use crate::session::Session;
use entail_logic::plan::compile::{Context, RelationStats};
use entail_logic::plan::{Arg, Atom, GraphScope, Op, Plan, Slot};
use entail_model::{Fault, TermId};
use oxrdf::NamedNode;
use std::collections::BTreeSet;

/// The estimated selectivity of a filter.
const FILTER_SHARE: f64 = 0.5;

/// The expected rows after each operator, stage by stage.
pub fn of_plan(context: &Context, plan: &Plan) -> Vec<Vec<f64>> {
    let mut bound = BTreeSet::new();
    let mut rows = 1.0;
    let mut after = |op: &Op| {
        match op {
            Op::Match { atom, .. } => {
                rows *= matches(context, atom, &bound);
                bound.extend(atom.slots());
            }
            Op::Intersect { sides, .. } => {
                for side in sides {
                    rows *= matches(context, &side.atom, &bound);
                    bound.extend(side.atom.slots());
                }
            }
            Op::Filter(_) | Op::AntiMatch { .. } => rows *= FILTER_SHARE,
            Op::Resolve { .. } => {}
        }
        rows
    };
    plan.stages.iter().map(|stage| stage.ops.iter().map(&mut after).collect()).collect()
}

/// The expected rows of a body; zero for a body that cannot be planned, whose error is reported elsewhere.
fn rows(session: &Session, body: &Body) -> f64 {
    let Ok(piece) = UnionPlan::compile(session, std::slice::from_ref(body), Vec::new(), Repetitions::All) else {
        return 0.0;
    };
    let of_branch = |plan: &Plan| of_plan(&session.context, plan).into_iter().flatten().last().unwrap_or(1.0);
    piece.branches.iter().map(|branch| branch.plan.as_deref().map_or(1.0, of_branch)).sum()
}

impl Catalog for Session {
    fn rows(&self, body: &Body) -> f64 {
        rows(self, body)
    }

    fn check(&self) -> Result<(), Fault> {
        Session::check(self)
    }

    fn tuning(&self) -> Tuning {
        self.tuning
    }

    fn named_graphs(&self) -> Result<Vec<TermId>, Fault> {
        Session::named_graphs(self)
    }

    fn graph_node(&self, graph: TermId) -> Result<NamedNode, Fault> {
        Session::graph_node(self, graph)
    }
}

/// Expected matches of an atom per row.
fn matches(context: &Context, atom: &Atom, bound: &BTreeSet<Slot>) -> f64 {
    let is_bound = |arg: Arg| arg.slot().is_none_or(|slot| bound.contains(&slot));
    let stats = stats_of(context, atom, is_bound(atom.predicate));
    let (facts, subjects, objects) = (stats.facts as f64, stats.subjects.max(1) as f64, stats.objects.max(1) as f64);
    if let Some(facts) = context.facts_of_object(atom) {
        let facts = facts as f64;
        return if is_bound(atom.subject) { (facts / subjects).min(1.0) } else { facts };
    }
    match (is_bound(atom.subject), is_bound(atom.object)) {
        (true, true) => (facts / subjects / objects).min(1.0),
        (true, false) => facts / subjects,
        (false, true) => facts / objects,
        (false, false) => facts,
    }
}

fn stats_of(context: &Context, atom: &Atom, is_predicate_bound: bool) -> RelationStats {
    if let Some(relation) = atom.relation() {
        return context.stats.get(&relation).copied().unwrap_or_default();
    }
    let in_graph = |graph: TermId| match &atom.graph {
        GraphScope::One(one) => *one == graph,
        GraphScope::Union(graphs) | GraphScope::Each(_, Some(graphs)) => graphs.contains(&graph),
        GraphScope::UnionOfAll => true,
        GraphScope::Each(_, None) => graph != TermId::DEFAULT_GRAPH,
    };
    let of_predicate = |predicate: TermId| match atom.predicate {
        Arg::Const(constant) => constant == predicate,
        Arg::Slot(_) => true,
    };
    let matching =
        context.stats.iter().filter(|(relation, _)| in_graph(relation.graph) && of_predicate(relation.predicate));
    let mut sum = RelationStats::default();
    for (_, stats) in matching {
        sum.facts += stats.facts;
        sum.subjects = sum.subjects.max(stats.subjects);
        sum.objects = sum.objects.max(stats.objects);
    }
    if atom.predicate.slot().is_some() && is_predicate_bound {
        sum.facts = sum.facts.div_ceil(context.stats.len().max(1) as u64);
    }
    sum
}
