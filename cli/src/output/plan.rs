//! Query plans as text: the coordinator's operators, then each leaf with its stages in the cluster.
//!
//! ```text
//! project ?who
//!   leaf 0
//!
//! leaf 0: ?a ?who
//!   about 120 rows
//!   start at every node
//!     match ?a :parent ?who in the default graph, by subject  about 120 rows
//! ```
//!
//! For measured queries, tables of the [measurements](super::profile) replace the stages.

use super::grid::fold;
use super::profile;
use super::term::Prefixes;
use crate::units::{count, counted, seconds};
use serde_json::Value;
use std::io::{self, Write};

/// The largest depth to which a plan is drawn.
const DEPTH_MAX: usize = 100;

/// Writes a plan as an indented outline with shortened IRIs, in lines no wider than `width`; a plan that is nested too deeply is
/// written as JSON.
pub fn write(json: &str, prefixes: &Prefixes, width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    match serde_json::from_str(json) {
        Ok(mut plan) => {
            shorten(&mut plan, prefixes);
            Outline { width }.plan(&plan, out)
        }
        Err(_) => writeln!(out, "{json}"),
    }
}

fn shorten(value: &mut Value, prefixes: &Prefixes) {
    match value {
        Value::String(text) => *text = prefixes.shorten(text),
        Value::Array(values) => values.iter_mut().for_each(|value| shorten(value, prefixes)),
        Value::Object(fields) => fields.values_mut().for_each(|value| shorten(value, prefixes)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Writes outlines, folded between words.
struct Outline {
    width: Option<usize>,
}

impl Outline {
    fn plan(&self, plan: &Value, out: &mut dyn Write) -> io::Result<()> {
        self.operator(&plan["coordinator"], 0, out)?;
        items(&plan["leaves"]).try_for_each(|leaf| self.leaf(leaf, &plan["shards"], out))
    }

    /// Writes a line. What does not fit goes on below it, further to the right.
    fn line(&self, depth: usize, words: &str, out: &mut dyn Write) -> io::Result<()> {
        let line = format!("{}{words}", "  ".repeat(depth));
        match self.width {
            Some(width) => writeln!(out, "{}", fold(&line, width, (2 * depth + 4).min(width / 2))),
            None => writeln!(out, "{line}"),
        }
    }

    fn operator(&self, tree: &Value, depth: usize, out: &mut dyn Write) -> io::Result<()> {
        if depth > DEPTH_MAX {
            return self.line(depth, "…", out);
        }
        if tree["op"] == "stream" {
            return self.line(depth, &streamed(tree), out);
        }
        let detail = text(&tree["detail"]);
        let number = tree["leaf"].as_u64().map_or_else(String::new, |leaf| leaf.to_string());
        let words = [text(&tree["op"]), number, detail];
        let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let took = match (tree["rows"].as_u64(), tree["seconds"].as_f64()) {
            (Some(rows), Some(time)) => format!("  {} in {}", counted(rows, "row"), seconds(time)),
            _ => String::new(),
        };
        self.line(depth, &format!("{}{took}", words.join(" ")), out)?;
        items(&tree["inputs"]).try_for_each(|input| self.operator(input, depth + 1, out))
    }

    fn leaf(&self, leaf: &Value, holders: &Value, out: &mut dyn Write) -> io::Result<()> {
        let variables: Vec<String> = items(&leaf["variables"]).map(text).collect();
        let distinct = if leaf["distinct"] == true { ", distinct" } else { "" };
        writeln!(out)?;
        self.line(0, &format!("leaf {}: {}{distinct}", leaf["leaf"], variables.join(" ")), out)?;
        for (index, branch) in items(&leaf["branches"]).enumerate() {
            if index > 0 {
                self.line(1, "or", out)?;
            }
            self.line(1, &about(&branch["estimate"]), out)?;
            match branch["nodes"].is_array() {
                true => profile::write(branch, holders, self.width, out)?,
                false => items(&branch["stages"]).try_for_each(|stage| self.stage(stage, out))?,
            }
        }
        Ok(())
    }

    fn stage(&self, stage: &Value, out: &mut dyn Write) -> io::Result<()> {
        self.line(1, &text(&stage["route"]), out)?;
        let words = |op: &Value| format!("{}  {}", text(&op["op"]), about(&op["estimate"]));
        items(&stage["ops"]).try_for_each(|op| self.line(2, &words(op), out))
    }
}

/// The coordinator's operator for a query that is one leaf: it streams the rows.
fn streamed(tree: &Value) -> String {
    let mut words = format!("the rows of leaf {}, as they come", tree["leaf"]);
    if tree["distinct"] == true {
        words.push_str(", each once");
    }
    if let Some(start) = tree["start"].as_u64().filter(|start| *start > 0) {
        words.push_str(&format!(", without the first {}", count(start)));
    }
    if let Some(length) = tree["length"].as_u64() {
        words.push_str(&format!(", {} at most", count(length)));
    }
    words
}

fn about(estimate: &Value) -> String {
    match estimate.as_f64() {
        Some(rows) if is_few(rows) => format!("about {rows} rows"),
        Some(rows) => format!("about {}", counted(rows as u64, "row")),
        None => String::new(),
    }
}

/// An estimated number of rows.
pub fn rows_of(estimate: f64) -> String {
    if is_few(estimate) { estimate.to_string() } else { count(estimate as u64) }
}

/// Is the number so small that its fraction matters?
fn is_few(estimate: f64) -> bool {
    estimate < 10.0 && estimate.fract() != 0.0
}

/// The items of a list; none if the value is not a list.
pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A value in one line.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefixes::Known;
    use serde_json::json;

    #[test]
    fn a_plan_is_an_outline() {
        let op = json!({ "op": "match ?a <p> ?who in the default graph, by subject", "estimate": 0.5 });
        let stage = json!({ "route": "start at every node", "ops": [op] });
        let branch = json!({ "stages": [stage], "estimate": 1200.0, "fixed": 0 });
        let expected = "\
sort
  leaf 0  7 rows in 2.0 ms

leaf 0: ?a ?who, distinct
  about 1,200 rows
  start at every node
    match ?a <p> ?who in the default graph, by subject  about 0.5 rows
";
        assert_eq!(shown(branch), expected);
    }

    #[test]
    fn what_was_measured_is_in_tables() {
        let work = |rows: u64, seconds: f64, bytes: u64, messages: u64| json!({ "rows": rows, "seconds": seconds, "bytes": bytes, "messages": messages });
        let measured = |mut sum: Value, shards: &[(Option<u16>, Value)]| {
            let of_shard = |(shard, work): &(Option<u16>, Value)| {
                let mut work = work.clone();
                work["shard"] = json!(shard);
                work
            };
            sum["shards"] = shards.iter().map(of_shard).collect();
            sum
        };
        let matched = [(Some(0), work(1_100, 0.001, 0, 0)), (Some(1), work(80, 0.0002, 0, 0))];
        let given =
            [(None, work(0, 0.0, 0, 2)), (Some(0), work(1_100, 0.0, 8_800, 0)), (Some(1), work(80, 0.0, 640, 0))];
        let op = json!({
            "op": "match ?a <p> ?who", "estimate": 1200.0, "measured": measured(work(1_180, 0.0012, 0, 0), &matched),
        });
        let stage = json!({
            "route": "start at every node", "ops": [op], "handed_on": measured(work(1_180, 0.0001, 9_440, 2), &given),
        });
        let node =
            json!({ "node_id": "07", "name": "node-0", "rows": 1180, "seconds": 0.005, "seconds_at_work": 0.0013 });
        let branch = json!({ "stages": [stage], "estimate": 1200.0, "fixed": 0, "nodes": [node] });
        let expected = "\
sort
  leaf 0  7 rows in 2.0 ms

leaf 0: ?a ?who, distinct
  about 1,200 rows
  #  about   rows    time    bytes  messages  operator
  ─  ─────  ─────  ──────  ───────  ────────  ───────────────────
                                              start at every node
  1  1,200  1,180  1.2 ms                     match ?a <p> ?who
  2         1,180  0.1 ms  9.2 KiB         2  to the coordinator

  shard  node                  1                         2
  ─────  ──────  ───────────────  ────────────────────────
      0  node-0  1,100 in 1.0 ms  1,100 in 0.0 ms, 8.6 KiB
      1  node-1     80 in 0.2 ms       80 in 0.0 ms, 640 B
   none                                        0 in 0.0 ms

  node    rows given  at work  until done
  ──────  ──────────  ───────  ──────────
  node-0       1,180   1.3 ms      5.0 ms
";
        assert_eq!(shown(branch.clone()), expected);
        for width in [80, 60, 40] {
            let narrow = shown_within(Some(width), branch.clone());
            let widest = narrow.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width, "{widest} in {width}:\n{narrow}");
            assert!(narrow.contains("leaf 0: ?a ?who, distinct") && narrow.contains("1,180"), "{narrow}");
        }
    }

    /// The outline of a plan with one branch.
    fn shown(branch: Value) -> String {
        shown_within(None, branch)
    }

    fn shown_within(width: Option<usize>, branch: Value) -> String {
        let plan = json!({
            "variables": ["who"],
            "coordinator": { "op": "sort", "detail": null, "inputs": [{ "op": "leaf", "leaf": 0, "rows": 7, "seconds": 0.002 }] },
            "leaves": [{ "leaf": 0, "variables": ["?a", "?who"], "distinct": true, "branches": [branch] }],
            "shards": ["node-0", "node-1"],
        });
        let mut out = Vec::new();
        Outline { width }.plan(&plan, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_stream_is_told_in_words() {
        let stream = |distinct, start, length: Option<u64>| {
            streamed(&json!({ "op": "stream", "leaf": 0, "distinct": distinct, "start": start, "length": length }))
        };
        assert_eq!(stream(false, 0, None), "the rows of leaf 0, as they come");
        let expected = "the rows of leaf 0, as they come, each once, without the first 5, 1,000 at most";
        assert_eq!(stream(true, 5, Some(1000)), expected);
    }

    #[test]
    fn a_plan_that_is_none_is_harmless() {
        let mut deep = json!({ "op": "filter", "inputs": [] });
        for _ in 0..300 {
            deep = json!({ "op": "filter", "inputs": [deep] });
        }
        for plan in [json!(null), json!([1]), json!({ "coordinator": deep })] {
            Outline { width: Some(40) }.plan(&plan, &mut Vec::new()).unwrap();
            write(&plan.to_string(), &Prefixes::new(Vec::new(), &Known::default()), None, &mut Vec::new()).unwrap();
        }
    }
}
