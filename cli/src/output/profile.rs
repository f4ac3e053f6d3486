//! The measured work of a plan: a table of the operators, one of the shards, one of the nodes.
//!
//! ```text
//! #  about   rows    time   bytes  messages  operator
//! ─  ─────  ─────  ──────  ──────  ────────  ────────
//!                                            start at every node
//! 1    120    118  1.2 ms                    match ?a :parent ?who in the default graph, by subject
//! 2           118  0.1 ms  1.8 KiB        3  to the coordinator
//!
//! shard  node               1                        2
//! ─────  ──────  ────────────  ───────────────────────
//!     0  node-0  80 in 1.0 ms  80 in 0.1 ms, 1.2 KiB
//! ```

use super::grid::{Align, Grid, fold};
use super::plan::{items, rows_of, text};
use crate::units::{bytes, count, seconds};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// The note above figures that do not include all of the work.
const STOPPED: &str = "stopped early, as there were enough rows: nodes that had not finished are not in the figures";

const INDENT: &str = "  ";

/// A measured operator: a line of the table.
struct Operator<'a> {
    words: String,
    estimate: Option<f64>,
    measured: &'a Value,
}

/// Writes the measurements of a branch, in lines no wider than `width`; `holders` are the names of the nodes that hold the
/// shards.
pub fn write(branch: &Value, holders: &Value, width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
    let mut tables = Vec::new();
    // Tables are indented below their leaf.
    let width = width.map(|width| width.saturating_sub(INDENT.len()));
    if branch["stopped"] == true {
        writeln!(tables, "{}", width.map_or_else(|| STOPPED.to_owned(), |width| fold(STOPPED, width, 2)))?;
    }
    operators_table(branch, width, &mut tables)?;
    shards_table(branch, holders, width, &mut tables)?;
    nodes_table(&branch["nodes"], width, &mut tables)?;
    let tables = String::from_utf8_lossy(&tables);
    tables.lines().try_for_each(|line| match line.is_empty() {
        true => writeln!(out),
        false => writeln!(out, "{INDENT}{line}"),
    })
}

/// The operators of a branch in order, each with its measurements: those of each stage, and the one that sends the rows
/// on.
fn operators(branch: &Value) -> Vec<Operator<'_>> {
    let stages: Vec<&Value> = items(&branch["stages"]).collect();
    let mut operators = Vec::new();
    for (number, stage) in stages.iter().enumerate() {
        let ops = items(&stage["ops"]);
        operators.extend(ops.map(|op| Operator {
            words: text(&op["op"]),
            estimate: op["estimate"].as_f64(),
            measured: &op["measured"],
        }));
        let words = stages.get(number + 1).map_or_else(|| "to the coordinator".to_owned(), |next| text(&next["route"]));
        operators.push(Operator { words, estimate: None, measured: &stage["handed_on"] });
    }
    operators
}

fn operators_table(branch: &Value, width: Option<usize>, out: &mut Vec<u8>) -> io::Result<()> {
    let right = ["#", "about", "rows", "time", "bytes", "messages"].map(|title| (title, Align::Right));
    let start = items(&branch["stages"]).next().map(|stage| text(&stage["route"])).unwrap_or_default();
    let blanks = ["", "", "", "", "", ""].map(str::to_owned);
    let start = blanks.into_iter().chain([start]).collect();
    let rows = operators(branch).into_iter().zip(1..).map(|(operator, number)| {
        let measured = operator.measured;
        let some = |number: u64, shown: String| if number > 0 { shown } else { String::new() };
        let (sent, messages) = (number_of(measured, "bytes"), number_of(measured, "messages"));
        vec![
            number.to_string(),
            operator.estimate.map_or_else(String::new, rows_of),
            count(number_of(measured, "rows")),
            time_of(measured, "seconds"),
            some(sent, bytes(sent)),
            some(messages, count(messages)),
            operator.words,
        ]
    });
    let rows: Vec<Vec<String>> = [start].into_iter().chain(rows).collect();
    Grid::new(right.into_iter().chain([("operator", Align::Left)])).write_within(width, &rows, out)
}

/// Writes a row for each shard, and one for the rows that belong to none, with a cell for each operator.
fn shards_table(branch: &Value, holders: &Value, width: Option<usize>, out: &mut Vec<u8>) -> io::Result<()> {
    let operators = operators(branch);
    let of_operator = |operator: &Operator<'_>| {
        items(&operator.measured["shards"]).map(|work| work["shard"].as_u64()).collect::<Vec<_>>()
    };
    // Numbered shards first, then the rows without a shard.
    let shards: BTreeSet<(bool, Option<u64>)> =
        operators.iter().flat_map(of_operator).map(|shard| (shard.is_none(), shard)).collect();
    let rows: Vec<Vec<String>> = shards
        .into_iter()
        .map(|(_, shard)| {
            let name = shard.map_or_else(|| "none".to_owned(), |shard| shard.to_string());
            let holder = shard.and_then(|shard| holders.get(shard as usize)).map(text).unwrap_or_default();
            let cells = operators.iter().map(|operator| cell(operator.measured, shard));
            [name, holder].into_iter().chain(cells).collect()
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let numbers: Vec<String> = (1..=operators.len()).map(|number| number.to_string()).collect();
    let left = [("shard", Align::Right), ("node", Align::Left)];
    let columns = left.into_iter().chain(numbers.iter().map(|number| (number.as_str(), Align::Right)));
    writeln!(out)?;
    Grid::new(columns).write_within(width, &rows, out)
}

/// The work of an operator for a shard.
fn cell(measured: &Value, shard: Option<u64>) -> String {
    let Some(work) = items(&measured["shards"]).find(|work| work["shard"].as_u64() == shard) else {
        return String::new();
    };
    let mut cell = format!("{} in {}", count(number_of(work, "rows")), time_of(work, "seconds"));
    let sent = number_of(work, "bytes");
    if sent > 0 {
        cell.push_str(&format!(", {}", bytes(sent)));
    }
    cell
}

fn nodes_table(nodes: &Value, width: Option<usize>, out: &mut Vec<u8>) -> io::Result<()> {
    let row = |node: &Value| {
        let rows = count(number_of(node, "rows"));
        vec![text(&node["name"]), rows, time_of(node, "seconds_at_work"), time_of(node, "seconds")]
    };
    let rows: Vec<Vec<String>> = items(nodes).map(row).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let right = ["rows given", "at work", "until done"].map(|title| (title, Align::Right));
    writeln!(out)?;
    Grid::new([("node", Align::Left)].into_iter().chain(right)).write_within(width, &rows, out)
}

fn number_of(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or(0)
}

fn time_of(value: &Value, key: &str) -> String {
    seconds(value[key].as_f64().unwrap_or(0.0))
}
