//! Explanations of plans: a JSON object with the coordinator's operators and, for each leaf, its stages in words.

use crate::algebra::order;
use crate::plan::estimate;
use crate::plan::leaf::LeafPlan;
use crate::plan::profile::Profiles;
use crate::plan::union::{Branch, Cell, UnionPlan};
use crate::rewrite::fold::Repetitions;
use crate::rewrite::leaf::leaf_number;
use crate::session::Session;
use entail_logic::plan::{Arg, Atom, GraphScope, Op, Route};
use entail_model::{Direction, TermId, term};
use serde_json::{Value, json};
use spareval::QueryExplanation;
use spargebra::algebra::GraphPattern;
use spargebra::term::NamedNodePattern;

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
    let stages = plan.stages.iter().zip(&estimates).enumerate().map(|(number, (stage, rows))| {
        let ops = stage.ops.iter().zip(rows).enumerate().map(|(position, (op, rows))| {
            with(
                json!({ "op": words_of(branch, op), "estimate": rounded(*rows) }),
                "measured",
                measured((number, position)),
            )
        });
        let value = json!({ "route": words_of_route(branch, &stage.route), "ops": ops.collect::<Vec<_>>() });
        with(value, "handed_on", measured((number, stage.ops.len())))
    });
    let fixed = branch.cells.iter().filter(|cell| matches!(cell, Cell::Fixed(_) | Cell::Unknown(_))).count();
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

fn words_of(branch: &Branch, op: &Op) -> String {
    match op {
        Op::Match { atom, copy, .. } => words_of_atom(branch, atom, *copy),
        Op::Intersect { slot, sides } => {
            let sides: Vec<String> = sides.iter().map(|side| words_of_atom(branch, &side.atom, side.copy)).collect();
            format!("intersect for {}: {}", name(branch, *slot), sides.join("; "))
        }
        Op::Resolve { slot } => format!("read the texts of {}", name(branch, *slot)),
        Op::Filter(condition) => {
            format!("keep if {}", condition.program.text(&|slot| name(branch, slot as usize)))
        }
    }
}

fn words_of_atom(branch: &Branch, atom: &Atom, copy: Direction) -> String {
    let [subject, predicate, object] = [atom.subject, atom.predicate, atom.object].map(|arg| words_of_arg(branch, arg));
    let graph = match &atom.graph {
        GraphScope::One(TermId::DEFAULT_GRAPH) => "the default graph".to_owned(),
        GraphScope::One(graph) => format!("graph {}", words_of_arg(branch, Arg::Const(*graph))),
        GraphScope::Union(graphs) => format!("the merge of {} graphs", graphs.len()),
        GraphScope::UnionOfAll => "the merge of all graphs".to_owned(),
        GraphScope::Each(slot, None) => format!("each graph {}", name(branch, *slot)),
        GraphScope::Each(slot, Some(graphs)) => format!("each graph {} of {}", name(branch, *slot), graphs.len()),
    };
    let by = match copy {
        Direction::Forward => "by subject",
        Direction::Inverse => "by object",
    };
    format!("match {subject} {predicate} {object} in {graph}, {by}")
}

fn words_of_arg(branch: &Branch, arg: Arg) -> String {
    match arg {
        Arg::Slot(slot) => name(branch, slot),
        Arg::Const(id) => match branch.constants.get(&id).cloned().or_else(|| term::inline_term(id)) {
            Some(term) => term.to_string(),
            None => format!("{id:?}"),
        },
    }
}

fn name(branch: &Branch, slot: usize) -> String {
    branch.names.get(slot).map_or_else(|| format!("?#{slot}"), ToString::to_string)
}

fn words_of_route(branch: &Branch, route: &Route) -> String {
    match route {
        Route::Everywhere => "start at every node".to_owned(),
        Route::Shard(shard) => format!("start at shard {shard}"),
        Route::Subject(slot) => format!("to the home of subject {}", name(branch, *slot)),
        Route::Object(slot) => format!("to the home of object {}", name(branch, *slot)),
        Route::Texts(slot) => format!("to the texts of {}", name(branch, *slot)),
        Route::Broadcast => "to every node".to_owned(),
    }
}

/// The coordinator's operators over the leaves.
pub fn tree(pattern: &GraphPattern) -> Value {
    if let GraphPattern::Service { name: NamedNodePattern::NamedNode(name), .. } = pattern
        && let Some(leaf) = leaf_number(name.as_str())
    {
        return json!({ "op": "leaf", "leaf": leaf });
    }
    let detail = match pattern {
        GraphPattern::Bgp { .. } | GraphPattern::Path { .. } => Some(pattern.to_string()),
        GraphPattern::Values { bindings, .. } => Some(format!("{} rows", bindings.len())),
        GraphPattern::Graph { name, .. } => Some(name.to_string()),
        GraphPattern::Filter { expr, .. } => Some(expr.to_string()),
        GraphPattern::Extend { variable, expression, .. } => Some(match order::keyed(expression) {
            Some(by) => by.to_string(),
            None => format!("{variable} := {expression}"),
        }),
        GraphPattern::LeftJoin { expression, .. } => expression.as_ref().map(ToString::to_string),
        GraphPattern::Slice { start, length, .. } => Some(format!("from {start}, {length:?}")),
        GraphPattern::Project { variables, .. } => {
            Some(variables.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        }
        GraphPattern::Group { variables, .. } => {
            Some(variables.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        }
        _ => None,
    };
    let inputs: Vec<Value> = crate::algebra::children(pattern).into_iter().map(tree).collect();
    json!({ "op": operator(pattern), "detail": detail, "inputs": inputs })
}

/// The coordinator's operators as they were evaluated, with the output rows and the time of each, including its inputs;
/// `None` if they nest too deep to be shown.
pub fn measured_tree(explanation: &QueryExplanation) -> Option<Value> {
    let mut json = Vec::new();
    explanation.write_in_json(&mut json).ok()?;
    let explanation: Value = serde_json::from_slice(&json).ok()?;
    Some(measured_operator(&explanation["plan"]))
}

fn measured_operator(node: &Value) -> Value {
    let name = node["name"].as_str().unwrap_or_default();
    let leaf = name.strip_prefix("Service(<").and_then(|name| leaf_number(name.strip_suffix(">)")?));
    let operator = match leaf {
        Some(leaf) => json!({ "op": "leaf", "leaf": leaf }),
        None => {
            let (op, detail) = name.split_once('(').unwrap_or((name, ""));
            json!({ "op": op, "detail": detail.strip_suffix(')').unwrap_or(detail) })
        }
    };
    let children = node["children"].as_array().into_iter().flatten();
    let inputs: Vec<Value> = if leaf.is_some() { Vec::new() } else { children.map(measured_operator).collect() };
    let operator = with(operator, "inputs", Some(json!(inputs)));
    let operator = with(operator, "rows", Some(node["number of results"].clone()));
    with(operator, "seconds", Some(node["duration in seconds"].clone()))
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

fn operator(pattern: &GraphPattern) -> &'static str {
    match pattern {
        GraphPattern::Bgp { .. } => "look up",
        GraphPattern::Path { .. } => "path",
        GraphPattern::Join { .. } => "join",
        GraphPattern::LeftJoin { .. } => "optional",
        GraphPattern::Filter { .. } => "filter",
        GraphPattern::Union { .. } => "union",
        GraphPattern::Graph { .. } => "graph",
        GraphPattern::Extend { expression, .. } if order::keyed(expression).is_some() => "sort key",
        GraphPattern::Extend { .. } => "bind",
        GraphPattern::Minus { .. } => "minus",
        GraphPattern::Values { .. } => "table",
        GraphPattern::OrderBy { .. } => "sort",
        GraphPattern::Project { .. } => "project",
        GraphPattern::Distinct { .. } | GraphPattern::Reduced { .. } => "distinct",
        GraphPattern::Slice { .. } => "slice",
        GraphPattern::Group { .. } => "group",
        GraphPattern::Service { .. } => "service",
    }
}
