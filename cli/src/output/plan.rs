//! Plans of queries for people: the coordinator's operators, then each leaf with its stages in the cluster.
//!
//! ```text
//! project ?who
//!   leaf 0
//!
//! leaf 0: ?a ?who
//!   about 120 rows
//!   start at every node
//!     match ?a :parent ?who in the default graph, by subject  about 120 rows
//!     node 88c6d617141050e9: 0 rows in, 118 out, 2.0 KiB sent in 3 messages, 1.2 ms  (with --profile)
//! ```

use crate::units::{bytes, count, counted, seconds};
use serde_json::Value;
use std::io::{self, Write};

/// How deep a plan is drawn.
const DEPTH_MAX: usize = 100;

/// Writes a plan as an indented outline; one that is nested too deep for that, as it came.
pub fn write(json: &str, out: &mut dyn Write) -> io::Result<()> {
    match serde_json::from_str(json) {
        Ok(plan) => outline(&plan, out),
        Err(_) => writeln!(out, "{json}"),
    }
}

fn outline(plan: &Value, out: &mut dyn Write) -> io::Result<()> {
    operator(&plan["coordinator"], 0, out)?;
    items(&plan["leaves"]).try_for_each(|leaf| self::leaf(leaf, out))
}

fn operator(tree: &Value, depth: usize, out: &mut dyn Write) -> io::Result<()> {
    let indent = "  ".repeat(depth);
    if depth > DEPTH_MAX {
        return writeln!(out, "{indent}…");
    }
    let detail = text(&tree["detail"]);
    let number = tree["leaf"].as_u64().map_or_else(String::new, |leaf| leaf.to_string());
    let words = [text(&tree["op"]), number, detail];
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    writeln!(out, "{indent}{}", words.join(" "))?;
    items(&tree["inputs"]).try_for_each(|input| operator(input, depth + 1, out))
}

fn leaf(leaf: &Value, out: &mut dyn Write) -> io::Result<()> {
    let variables: Vec<String> = items(&leaf["variables"]).map(text).collect();
    let distinct = if leaf["distinct"] == true { ", distinct" } else { "" };
    writeln!(out, "\nleaf {}: {}{distinct}", leaf["leaf"], variables.join(" "))?;
    for (index, branch) in items(&leaf["branches"]).enumerate() {
        if index > 0 {
            writeln!(out, "  or")?;
        }
        writeln!(out, "  {}", about(&branch["estimate"]))?;
        items(&branch["stages"]).try_for_each(|stage| self::stage(stage, out))?;
    }
    Ok(())
}

fn stage(stage: &Value, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  {}", text(&stage["route"]))?;
    for op in items(&stage["ops"]) {
        writeln!(out, "    {}  {}", text(&op["op"]), about(&op["estimate"]))?;
    }
    items(&stage["nodes"]).try_for_each(|node| self::node(node, out))
}

/// What a stage really did at a node.
fn node(node: &Value, out: &mut dyn Write) -> io::Result<()> {
    let number = |key: &str| node[key].as_u64().unwrap_or(0);
    writeln!(
        out,
        "    node {}: {} in, {} out, {} sent in {}, {}",
        // As in the status of the cluster.
        node["node"].as_u64().map_or_else(String::new, |id| format!("{id:016x}")),
        counted(number("rows_in"), "row"),
        count(number("rows_out")),
        bytes(number("bytes_sent")),
        counted(number("messages_sent"), "message"),
        seconds(node["seconds"].as_f64().unwrap_or(0.0)),
    )
}

fn about(estimate: &Value) -> String {
    match estimate.as_f64() {
        Some(rows) if rows < 10.0 && rows.fract() != 0.0 => format!("about {rows} rows"),
        Some(rows) => format!("about {}", counted(rows as u64, "row")),
        None => String::new(),
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A value in one line.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plan_is_an_outline() {
        let node = json!({ "node": 7, "rows_in": 0, "rows_out": 1180, "bytes_sent": 2048, "messages_sent": 1, "seconds": 0.0012 });
        let op = json!({ "op": "match ?a <p> ?who in the default graph, by subject", "estimate": 0.5 });
        let stage = json!({ "route": "start at every node", "ops": [op], "nodes": [node] });
        let branch = json!({ "stages": [stage], "estimate": 1200.0, "fixed": 0 });
        let plan = json!({
            "variables": ["who"],
            "coordinator": { "op": "sort", "detail": null, "inputs": [{ "op": "leaf", "leaf": 0 }] },
            "leaves": [{ "leaf": 0, "variables": ["?a", "?who"], "distinct": true, "branches": [branch] }],
        });
        let mut out = Vec::new();
        outline(&plan, &mut out).unwrap();
        let expected = "\
sort
  leaf 0

leaf 0: ?a ?who, distinct
  about 1,200 rows
  start at every node
    match ?a <p> ?who in the default graph, by subject  about 0.5 rows
    node 0000000000000007: 0 rows in, 1,180 out, 2.0 KiB sent in 1 message, 1.2 ms
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_plan_that_is_none_is_harmless() {
        let mut deep = json!({ "op": "filter", "inputs": [] });
        for _ in 0..300 {
            deep = json!({ "op": "filter", "inputs": [deep] });
        }
        for plan in [json!(null), json!([1]), json!({ "coordinator": deep })] {
            outline(&plan, &mut Vec::new()).unwrap();
            write(&plan.to_string(), &mut Vec::new()).unwrap();
        }
    }
}
