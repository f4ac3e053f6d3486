//! Explanations of plans: a JSON object with the coordinator's operators and, for each leaf, its stages in words.

use crate::evaluate::operator::{Kind, Operator};
use crate::evaluate::run::Measure;
use crate::plan::estimate;
use crate::plan::leaf::LeafPlan;
use crate::plan::profile::Profiles;
use crate::plan::union::{Branch, Cell, UnionPlan};
use crate::rewrite::fold::Repetitions;
use crate::session::Session;
use entail_logic::plan::{Arg, Atom, GraphScope, Op, Route};
use entail_model::{Direction, TermId};
use serde_json::{Value, json};

/// A leaf: its branches, with their measured work if there is any.
pub fn leaf(session: &Session, number: usize, piece: &UnionPlan, profiles: Option<&Profiles>) -> Value {
    let branches =
        piece.branches.iter().enumerate().map(|(index, branch)| self::branch(session, number, index, branch, profiles));
    json!({
        "leaf": number,
        "variables": piece.variables.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "distinct": piece.repetitions == Repetitions::Dropped,
        "branches": branches.collect::<Vec<_>>(),
    })
}

fn branch(session: &Session, leaf: usize, index: usize, branch: &Branch, profiles: Option<&Profiles>) -> Value {
    let Some(plan) = &branch.plan else { return json!({ "stages": [], "estimate": 1.0 }) };
    let estimates = estimate::of_plan(&session.context, plan);
    let measured = |place| profiles.map(|profiles| profiles.of_operator((leaf, index), place));
    let words = Words { session, branch };
    let stages = plan.stages.iter().zip(&estimates).enumerate().map(|(number, (stage, rows))| {
        let ops = stage.ops.iter().zip(rows).enumerate().map(|(position, (op, rows))| {
            with(json!({ "op": words.op(op), "estimate": rounded(*rows) }), "measured", measured((number, position)))
        });
        let value = json!({ "route": words.route(&stage.route), "ops": ops.collect::<Vec<_>>() });
        with(value, "handed_on", measured((number, stage.ops.len())))
    });
    let fixed = branch.cells.iter().filter(|cell| matches!(cell, Cell::Fixed(_))).count();
    let last = estimates.iter().flatten().last().copied().unwrap_or(1.0);
    let value = json!({ "stages": stages.collect::<Vec<_>>(), "estimate": rounded(last), "fixed": fixed });
    let value = with(value, "stopped", profiles.map(|profiles| profiles.is_stopped((leaf, index)).into()));
    with(value, "nodes", profiles.map(|profiles| profiles.of_nodes((leaf, index))))
}

/// An object with one more field, if there is one.
fn with(mut object: Value, name: &str, field: Option<Value>) -> Value {
    if let Some(field) = field {
        object[name] = field;
    }
    object
}

fn rounded(rows: f64) -> f64 {
    if rows >= 10.0 { rows.round() } else { (rows * 100.0).round() / 100.0 }
}

/// The words for the parts of a branch: names as the query has them, and no ids.
struct Words<'w> {
    session: &'w Session,
    branch: &'w Branch,
}

impl Words<'_> {
    fn op(&self, op: &Op) -> String {
        match op {
            Op::Match { atom, copy, .. } => self.atom(atom, *copy),
            Op::Intersect { slot, sides } => {
                let sides: Vec<String> = sides.iter().map(|side| self.atom(&side.atom, side.copy)).collect();
                format!("intersect for {}: {}", self.name(*slot), sides.join("; "))
            }
            Op::Resolve { slot } => format!("read the texts of {}", self.name(*slot)),
            Op::Filter(condition) => format!("keep if {}", condition.program.text(&|slot| self.name(slot as usize))),
            Op::AntiMatch { sides, conditions } => {
                let sides = sides.iter().map(|side| self.atom(&side.atom, side.copy));
                let conditions = conditions.iter().map(|of| of.program.text(&|slot| self.name(slot as usize)));
                format!("keep unless {}", sides.chain(conditions).collect::<Vec<_>>().join("; "))
            }
        }
    }

    fn atom(&self, atom: &Atom, copy: Direction) -> String {
        let [subject, predicate, object] = [atom.subject, atom.predicate, atom.object].map(|arg| self.arg(arg));
        let graph = match &atom.graph {
            GraphScope::One(TermId::DEFAULT_GRAPH) => "the default graph".to_owned(),
            GraphScope::One(graph) => format!("graph {}", self.arg(Arg::Const(*graph))),
            GraphScope::Union(graphs) => format!("the merge of {} graphs", graphs.len()),
            GraphScope::UnionOfAll => "the merge of all graphs".to_owned(),
            GraphScope::Each(slot, None) => format!("each graph {}", self.name(*slot)),
            GraphScope::Each(slot, Some(graphs)) => format!("each graph {} of {}", self.name(*slot), graphs.len()),
        };
        let by = match copy {
            Direction::Forward => "by subject",
            Direction::Inverse => "by object",
        };
        format!("match {subject} {predicate} {object} in {graph}, {by}")
    }

    fn arg(&self, arg: Arg) -> String {
        match arg {
            Arg::Slot(slot) => self.name(slot),
            Arg::Const(id) => match self.branch.constants.get(&id) {
                Some(term) => term.to_string(),
                None => self.session.term(id).map_or_else(|_| "a term".to_owned(), |term| term.to_string()),
            },
        }
    }

    fn name(&self, slot: usize) -> String {
        self.branch.names.get(slot).map_or_else(|| format!("?#{slot}"), ToString::to_string)
    }

    fn route(&self, route: &Route) -> String {
        match route {
            Route::Everywhere => "start at every node".to_owned(),
            Route::Shard(shard) => format!("start at shard {shard}"),
            Route::Subject(slot) => format!("to the home of subject {}", self.name(*slot)),
            Route::Object(slot) => format!("to the home of object {}", self.name(*slot)),
            Route::Texts(slot) => format!("to the texts of {}", self.name(*slot)),
            Route::Broadcast => "to every node".to_owned(),
            Route::Next => "to the next node".to_owned(),
        }
    }
}

/// The coordinator's operators over the leaves, with their measured rows and times if there are any.
pub fn tree(operator: &Operator, measures: Option<&[Measure]>) -> Value {
    let value = match &operator.kind {
        Kind::Leaf(leaf) => json!({ "op": "leaf", "leaf": leaf }),
        _ => json!({ "op": operator.name(), "detail": operator.detail }),
    };
    let inputs: Vec<Value> = operator.inputs().into_iter().map(|input| tree(input, measures)).collect();
    let value = with(value, "inputs", Some(json!(inputs)));
    let Some(measure) = measures.and_then(|measures| measures.get(operator.number)) else { return value };
    let (rows, seconds) = measure.read();
    with(with(value, "rows", Some(json!(rows))), "seconds", Some(json!(seconds)))
}

/// The tree with the folds of leaves inserted above the leaves; `rows` returns the number of output rows of a leaf.
pub fn with_folds(mut tree: Value, leaves: &[LeafPlan], rows: &dyn Fn(usize) -> Option<u64>) -> Value {
    if let Some(inputs) = tree["inputs"].as_array_mut() {
        let above = std::mem::take(inputs);
        *inputs = above.into_iter().map(|input| with_folds(input, leaves, rows)).collect();
    }
    let leaf = tree["leaf"].as_u64().map(|leaf| leaf as usize);
    let Some((leaf, fold)) = leaf.and_then(|leaf| Some((leaf, leaves.get(leaf)?.fold.as_ref()?))) else { return tree };
    let input = with(json!({ "op": "leaf", "leaf": leaf }), "rows", rows(leaf).map(Value::from));
    let folded = with(fold.explain(), "inputs", Some(json!([input])));
    let folded = with(folded, "rows", tree.get("rows").cloned());
    with(folded, "seconds", tree.get("seconds").cloned())
}
