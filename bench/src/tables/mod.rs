//! Results as Markdown: one section for each command, and one table that compares all.
//!
//! ```text
//! lines of JSON ──► Results (machine, cluster, values of each step over all runs, ratios) ──► tables
//! ```
//! Fields are read by name, so lines of other programs with the same fields can be used as well.

mod format;
mod results;

use crate::Error;
use format::{Number, bytes, count, micros, millis, per, ratio, seconds};
use results::{Results, Step};
use std::fmt::Write;

/// Columns of the table of steps: title, field, format. A column with nothing but zeros is left out.
const STEP_COLUMNS: [(&str, &str, Number); 9] = [
    ("facts", "facts", count),
    ("rounds", "rounds", count),
    ("seconds", "seconds", seconds),
    ("CPU seconds", "cpu_seconds", seconds),
    ("peak MB", "peak_rss_bytes", bytes),
    ("resident MB", "rss_bytes", bytes),
    ("disk MB", "disk_bytes", bytes),
    ("MB between nodes", "bytes_exchanged", bytes),
    ("messages", "messages", count),
];
const QUERY_COLUMNS: [(&str, &str, Number); 7] = [
    ("rows", "rows", count),
    ("ms", "seconds", millis),
    ("server ms", "server_seconds", millis),
    ("first ms", "first_seconds", millis),
    ("CPU ms", "cpu_seconds", millis),
    ("MB between nodes", "bytes_exchanged", bytes),
    ("messages", "messages", count),
];
const CHANGE_COLUMNS: [(&str, &str, Number); 7] = [
    ("changes", "calls", count),
    ("asserted", "asserted", count),
    ("derived", "derived", count),
    ("p50 ms", "seconds", millis),
    ("p90 ms", "p90_seconds", millis),
    ("server p50 ms", "server_seconds", millis),
    ("µs a fact", "seconds_per_fact", micros),
];
/// Columns of the table that compares changes: title, step.
const CHANGES_TOGETHER: [(&str, &str); 9] = [
    ("1 out", "delete_1"),
    ("1 in", "insert_1"),
    ("100 out", "delete_100"),
    ("100 in", "insert_100"),
    ("10,000 out", "delete_10000"),
    ("10,000 in", "insert_10000"),
    ("cut", "cut"),
    ("joined", "join"),
    ("recomputing", "recompute"),
];
const POINT_COLUMNS: [(&str, &str, Number); 7] = [
    ("clients", "clients", count),
    ("calls", "calls", count),
    ("p50 ms", "seconds", millis),
    ("server p50 ms", "server_seconds", millis),
    ("p99 ms", "p99_seconds", millis),
    ("a second", "per_second", count),
    ("epochs", "epochs", count),
];

/// The tables of some files, given by name and contents.
///
/// # Errors
/// [`Error::Input`] for a line that is not a result, and for a file without results.
pub fn markdown(files: &[(String, String)]) -> Result<String, Error> {
    let mut all = Vec::new();
    for (name, text) in files {
        all.extend(Results::read(name, text)?);
    }
    let mut out = String::new();
    for results in &all {
        section(results, &mut out);
    }
    let has = |step: &str| all.iter().filter(|results| results.step(step).is_some()).count();
    if has("total") > 1 {
        together(&all, &mut out);
    }
    if has("recompute") > 1 {
        changes_together(&all, &mut out);
    }
    Ok(out)
}

fn section(results: &Results, out: &mut String) {
    let plural = if results.runs == 1 { "" } else { "s" };
    line(out, &format!("### {}, {} run{plural}\n\n{}\n", results.workload, results.runs, results.circumstances()));
    let is_query = |step: &Step| step.has("rows");
    let is_change = |step: &Step| step.has("p90_seconds");
    let is_point = |step: &Step| step.has("calls") && !is_change(step);
    let is_step = |step: &&Step| !is_query(step) && !is_point(step) && !is_change(step);
    let steps: Vec<&Step> = results.steps.iter().filter(is_step).collect();
    table("subject, step", &STEP_COLUMNS, &steps, Step::full_name, out);
    let changes: Vec<&Step> = results.steps.iter().filter(|step| is_change(step)).collect();
    table("change", &CHANGE_COLUMNS, &changes, Step::short_name, out);
    ratios(results, out);
    let queries: Vec<&Step> = results.steps.iter().filter(|step| is_query(step)).collect();
    table("query", &QUERY_COLUMNS, &queries, Step::short_name, out);
    let points: Vec<&Step> = results.steps.iter().filter(|step| is_point(step)).collect();
    table("request", &POINT_COLUMNS, &points, Step::short_name, out);
}

/// A row for each step, with the minimum, the median and the maximum of its runs; nothing if there are no steps.
fn table(title: &str, columns: &[(&str, &str, Number)], steps: &[&Step], name: fn(&Step) -> String, out: &mut String) {
    if steps.is_empty() {
        return;
    }
    let columns: Vec<_> = columns.iter().filter(|(_, field, _)| steps.iter().any(|step| step.tells(field))).collect();
    let titles: Vec<&str> = columns.iter().map(|(title, ..)| *title).collect();
    line(out, &format!("| {title} | {} |\n|---|{}", titles.join(" | "), "---:|".repeat(columns.len())));
    for step in steps {
        let cells: Vec<String> = columns.iter().map(|(_, field, number)| step.cell(field, *number)).collect();
        line(out, &format!("| {} | {} |", name(step), cells.join(" | ")));
    }
    line(out, "");
}

fn ratios(results: &Results, out: &mut String) {
    for against in results.against() {
        let title = match against.as_str() {
            "facts" => "bytes a fact".to_owned(),
            "recomputing" => "p50 over that of recomputing".to_owned(),
            "guard" => "p90 over 1.3 times recomputing and 20 ms".to_owned(),
            "deriving" => "time for a fact over that of recomputing".to_owned(),
            "inserting" => "p50 over that of the insert".to_owned(),
            peer => format!("Entail over {peer}"),
        };
        line(out, &format!("| {title} | least | median | largest |\n|---|---:|---:|---:|"));
        for one in results.ratios.iter().filter(|ratio| ratio.against == against) {
            let [min, median, max] = one.values.map(ratio);
            line(out, &format!("| `{}` | {min} | **{median}** | {max} |", one.of));
        }
        line(out, "");
    }
}

/// The cost of a fact in each section, to compare workloads and clusters.
fn together(all: &[Results], out: &mut String) {
    line(out, "### Together\n");
    line(out, "Per fact: time in microseconds, space in bytes.\n");
    line(out, "| workload | cluster | facts | seconds | time | CPU time | peak | at rest | added | disk |");
    line(out, "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for results in all {
        let Some(total) = results.step("total") else { continue };
        let resident = |name: &str| results.step(name)?.median("rss_bytes");
        let rest = resident("rest");
        let added = rest.zip(resident("start")).map(|(rest, start)| rest - start);
        let facts = total.median("facts").unwrap_or_default();
        let of = |field: &str, factor: f64| per(total.median(field).map(|value| value * factor), facts);
        let cells = [
            results.workload.clone(),
            results.cluster.clone(),
            count(facts),
            total.median("seconds").map_or_else(String::new, seconds),
            of("seconds", 1e6),
            of("cpu_seconds", 1e6),
            of("peak_rss_bytes", 1.0),
            per(rest, facts),
            per(added, facts),
            of("disk_bytes", 1.0),
        ];
        line(out, &format!("| {} |", cells.join(" | ")));
    }
}

/// The time of each change in each section.
fn changes_together(all: &[Results], out: &mut String) {
    line(out, "### Changes together\n");
    line(out, "Milliseconds, the median of each step; facts that go and come, and everything derived again.\n");
    let titles = CHANGES_TOGETHER.map(|(title, _)| title).join(" | ");
    line(out, &format!("| workload | cluster | {titles} |\n|---|---|{}", "---:|".repeat(CHANGES_TOGETHER.len())));
    for results in all.iter().filter(|results| results.step("recompute").is_some()) {
        let median = |step: &str| results.step(step)?.median("seconds");
        let cells = CHANGES_TOGETHER.map(|(_, step)| median(step).map_or_else(String::new, millis)).join(" | ");
        line(out, &format!("| {} | {} | {cells} |", results.workload, results.cluster));
    }
    line(out, "");
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string takes all that is written");
}

#[cfg(test)]
mod tests;
