//! A request's spans as a waterfall: nesting, process, start and duration of each.
//!
//! ```text
//! spans, from all processes ──► tree ──► rows: client and server span of a call are merged, many siblings are folded
//! ```

use crate::output::grid::{Align, Grid};
use crate::units;
use entail_telemetry::trace::{Span, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::{self, Write};
use std::time::Duration;

/// The number of siblings with the same name that are shown: the longest, and of those with a failed span the first.
/// One row stands for the others.
const SIBLINGS_SHOWN: usize = 3;
const FAILURES_SHOWN: usize = 10;
/// The number of siblings with the same name from which they are folded.
const SIBLINGS_FOLDED: usize = 7;
/// The largest number of rows.
const ROWS_MAX: usize = 250;
/// The width of the bar for the duration of the request, in characters; in a terminal that is narrower than this.
const BAR: usize = 24;
const BAR_NARROW: usize = 10;
const NARROW: usize = 110;

/// The network time of a call is shown from this time on.
const WAY_TOLD: Duration = Duration::from_micros(300);

/// Calls that are a node's share of the work: the slowest of each group is marked.
const SHARES: [&str; 3] = ["Execute", "Reason", "Seal"];

/// The attributes that a row shows, in this order.
const TOLD: [&str; 17] = [
    "entail.round",
    "entail.epoch",
    "entail.rounds",
    "entail.delta",
    "entail.asserted",
    "entail.derived",
    "entail.triples",
    "entail.terms",
    "entail.runs",
    "entail.rows",
    "db.response.returned_rows",
    "entail.bytes",
    "entail.messages",
    "entail.sent",
    "entail.received",
    "entail.busy_us",
    "entail.shards",
];

/// The spans of one trace, as a tree.
pub struct Tree {
    spans: Vec<Span>,
    /// The children of each span, in the order of their start.
    children: HashMap<[u8; 8], Vec<usize>>,
    /// Spans without a parent, or whose parent is missing.
    roots: Vec<usize>,
    /// The names of the processes, by their addresses.
    names: HashMap<String, String>,
}

/// One line of the waterfall.
struct Row {
    cells: Vec<String>,
}

impl Tree {
    /// Builds the tree of spans, which may contain duplicates.
    pub fn new(mut spans: Vec<Span>) -> Self {
        let mut known = HashSet::new();
        spans.retain(|span| known.insert(span.id));
        spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        let mut tree = Self { spans, children: HashMap::new(), roots: Vec::new(), names: HashMap::new() };
        for (index, span) in tree.spans.iter().enumerate() {
            match span.parent.filter(|parent| known.contains(parent)) {
                Some(parent) => tree.children.entry(parent).or_default().push(index),
                None => tree.roots.push(index),
            }
        }
        let calls = (0..tree.spans.len())
            .filter_map(|index| Some((address(&tree.spans[index])?, tree.process_of_call(index)?)));
        tree.names = calls.map(|(address, process)| (address, process.to_owned())).collect();
        tree
    }

    /// Is every span below the one root, and are there spans of processes other than the client?
    pub fn is_whole(&self) -> bool {
        self.roots.len() == 1 && self.spans.iter().any(|span| span.kind == "server")
    }

    fn children(&self, index: usize) -> &[usize] {
        self.children.get(&self.spans[index].id).map_or(&[], Vec::as_slice)
    }

    /// The server span of a call.
    fn answering(&self, index: usize) -> Option<usize> {
        match (self.spans[index].kind, self.children(index)) {
            ("client", [only])
                if self.spans[*only].kind == "server" && self.spans[*only].name == self.spans[index].name =>
            {
                Some(*only)
            }
            _ => None,
        }
    }

    /// The work of a span: for a round its busy time, since the nodes of a round wait for each other.
    fn weight(&self, index: usize) -> Duration {
        let busy = |index: usize| self.spans[index].number("entail.busy_us").map(|us| Duration::from_micros(us as u64));
        let inner = self.answering(index).map_or(&[][..], |inner| self.children(inner));
        inner.iter().find_map(|child| busy(*child)).unwrap_or_else(|| self.spans[index].duration())
    }

    /// Writes the waterfall as text, in lines no wider than `width`.
    pub fn write(&self, width: Option<usize>, out: &mut dyn Write) -> io::Result<()> {
        let Some(root) = self.roots.first().map(|root| &self.spans[*root]) else {
            return writeln!(out, "no spans of this trace are stored");
        };
        let bar = if width.is_some_and(|width| width < NARROW) { BAR_NARROW } else { BAR };
        let (from, whole) = (root.start, root.duration());
        let mut drawing = Drawing { tree: self, from, whole, bar, rows: Vec::new(), hidden: 0 };
        self.roots.iter().for_each(|root| drawing.add(*root, 0, "client", false));
        let (rows, hidden) = (drawing.rows, drawing.hidden);
        writeln!(
            out,
            "trace {}: {}, {}",
            hex(&root.trace),
            time(root.duration()),
            units::counted(self.spans.len() as u64, "span")
        )?;
        let columns = [
            ("span", Align::Left),
            ("process", Align::Left),
            ("start", Align::Right),
            ("time", Align::Right),
            ("", Align::Left),
            ("", Align::Left),
        ];
        Grid::new(columns).write_within(width, &rows.into_iter().map(|row| row.cells).collect::<Vec<_>>(), out)?;
        match hidden {
            0 => Ok(()),
            more => writeln!(out, "and {} more", units::count(more)),
        }
    }

    /// The spans as JSON: times in nanoseconds, from the start of the first.
    pub fn json(&self) -> Json {
        let from = self.roots.first().map_or(0, |root| self.spans[*root].start);
        let mut processes: HashMap<[u8; 8], &str> = HashMap::new();
        let mut all = Vec::new();
        for span in &self.spans {
            let inherited = span.parent.and_then(|parent| processes.get(&parent).copied()).unwrap_or("client");
            let process = span.text("entail.process").unwrap_or(inherited);
            processes.insert(span.id, process);
            let attributes: Map<String, Json> =
                span.attributes.iter().map(|(key, value)| (key.clone(), value_json(value))).collect();
            all.push(json!({
                "span_id": hex(&span.id),
                "parent_span_id": span.parent.map(|parent| hex(&parent)),
                "name": span.name,
                "kind": span.kind,
                "process": process,
                "start_seconds": (span.start as i64 - from as i64) as f64 / 1e9,
                "duration_seconds": span.end.saturating_sub(span.start) as f64 / 1e9,
                "error": span.error,
                "attributes": attributes,
            }));
        }
        json!({ "trace_id": self.spans.first().map(|span| hex(&span.trace)), "spans": all })
    }
}

/// The conversion of a tree to rows.
struct Drawing<'t> {
    tree: &'t Tree,
    from: u64,
    whole: Duration,
    /// The width of its bar.
    bar: usize,
    rows: Vec<Row>,
    hidden: u64,
}

impl<'t> Drawing<'t> {
    fn add(&mut self, index: usize, depth: usize, process: &'t str, is_slowest: bool) {
        let tree = self.tree;
        if self.rows.len() >= ROWS_MAX {
            self.hidden += tree.size(index);
            return;
        }
        let span = &tree.spans[index];
        let answering = tree.answering(index);
        let inner = answering.unwrap_or(index);
        let process = tree.process(index).unwrap_or(process);
        let mut notes = told(span);
        if let Some(answering) = answering {
            notes.extend(told(&tree.spans[answering]));
            let way = span.duration().saturating_sub(tree.spans[answering].duration());
            if way >= WAY_TOLD {
                notes.push(format!("way {}", time(way)));
            }
        } else if let Some(address) = address(span).filter(|_| depth > 0) {
            notes.insert(0, format!("to {}", tree.names.get(&address).unwrap_or(&address)));
        }
        if let Some(error) = &span.error {
            notes.push(format!("failed: {} {error}", span.text("error.type").unwrap_or_default()));
        }
        if is_slowest {
            notes.push("<- slowest".to_owned());
        }
        self.row(depth, short(&span.name), process, (span.start, span.end), span.duration(), notes.join(", "));
        self.add_all(tree.children(inner), depth + 1, process);
    }

    /// Adds siblings, in the order of their start; of many with the same name only the longest, and failed ones.
    fn add_all(&mut self, siblings: &'t [usize], depth: usize, process: &'t str) {
        let tree = self.tree;
        let mut alike: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for index in siblings {
            alike.entry(&tree.spans[*index].name).or_default().push(*index);
        }
        let mut folded: HashMap<usize, Vec<usize>> = HashMap::new();
        let mut slowest = HashSet::new();
        for group in alike.values_mut() {
            group.sort_by_key(|index| std::cmp::Reverse(tree.weight(*index)));
            let processes: HashSet<&str> = group.iter().filter_map(|index| tree.process_of_call(*index)).collect();
            if processes.len() > 1 && SHARES.contains(&short(&tree.spans[group[0]].name)) {
                slowest.insert(group[0]);
            }
            if group.len() >= SIBLINGS_FOLDED {
                let mut rest = group.split_off(SIBLINGS_SHOWN);
                rest.sort_unstable();
                let mut shown = 0;
                rest.retain(|index| {
                    let is_shown = shown < FAILURES_SHOWN && tree.has_failed(*index);
                    shown += usize::from(is_shown);
                    !is_shown
                });
                if let Some(first) = rest.first() {
                    folded.insert(*first, rest);
                }
            }
        }
        let hidden: HashSet<usize> = folded.values().flatten().copied().collect();
        for index in siblings {
            match folded.get(index) {
                Some(rest) => self.fold(rest, depth, process),
                None if hidden.contains(index) => {}
                None => self.add(*index, depth, process, slowest.contains(index)),
            }
        }
    }

    fn fold(&mut self, rest: &[usize], depth: usize, process: &str) {
        let spans = rest.iter().map(|index| &self.tree.spans[*index]);
        let start = spans.clone().map(|span| span.start).min().unwrap_or(self.from);
        let end = spans.clone().map(|span| span.end).max().unwrap_or(start);
        let total = spans.clone().map(Span::duration).sum();
        let longest = spans.clone().map(Span::duration).max().unwrap_or_default();
        let name = format!("{} x{}", short(&self.tree.spans[rest[0]].name), rest.len());
        let processes: BTreeSet<&str> = rest.iter().map(|index| self.tree.process(*index).unwrap_or(process)).collect();
        let process = match processes.first() {
            Some(only) if processes.len() == 1 => (*only).to_owned(),
            _ => format!("{} processes", processes.len()),
        };
        let mut notes = format!("together, {} at most", time(longest));
        match rest.iter().filter(|index| self.tree.has_failed(**index)).count() {
            0 => {}
            failed => notes += &format!(", {} failed", units::count(failed as u64)),
        }
        self.row(depth, &name, &process, (start, end), total, notes);
    }

    fn row(
        &mut self,
        depth: usize,
        name: &str,
        process: &str,
        (start, end): (u64, u64),
        took: Duration,
        notes: String,
    ) {
        let offset = start.saturating_sub(self.from);
        let cells = vec![
            format!("{}{name}", "  ".repeat(depth)),
            process.to_owned(),
            time(Duration::from_nanos(offset)),
            time(took),
            self.bar(offset, end.saturating_sub(self.from)),
            notes,
        ];
        self.rows.push(Row { cells });
    }

    fn bar(&self, start: u64, end: u64) -> String {
        let (whole, width) = ((self.whole.as_nanos() as u64).max(1) as f64, self.bar);
        let cell = |at: u64| (at as f64 / whole * width as f64) as usize;
        let first = cell(start).min(width - 1);
        let last = (end as f64 / whole * width as f64).ceil() as usize;
        let last = last.clamp(first + 1, width);
        format!("|{}{}{}|", " ".repeat(first), "=".repeat(last - first), " ".repeat(width - last))
    }
}

impl Tree {
    fn process_of_call(&self, index: usize) -> Option<&str> {
        self.spans[self.answering(index)?].text("entail.process")
    }

    /// The process that did a span's work, if recorded: for a call, the server.
    fn process(&self, index: usize) -> Option<&str> {
        self.spans[self.answering(index).unwrap_or(index)].text("entail.process")
    }

    /// Has a span or one of its descendants failed?
    fn has_failed(&self, index: usize) -> bool {
        self.spans[index].error.is_some() || self.children(index).iter().any(|child| self.has_failed(*child))
    }

    /// The number of spans in a subtree.
    fn size(&self, index: usize) -> u64 {
        1 + self.children(index).iter().map(|child| self.size(*child)).sum::<u64>()
    }
}

/// The name of a method without its service.
fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The destination of a span's call or exchange.
fn address(span: &Span) -> Option<String> {
    Some(format!("{}:{}", span.text("server.address")?, span.number("server.port")?))
}

fn told(span: &Span) -> Vec<String> {
    let tell = |key: &&str| {
        let value = span.attributes.get(*key)?;
        let label = key.rsplit('.').next().unwrap_or(key);
        Some(match (label, value) {
            // A count of zero is not shown.
            (_, Value::Number(0)) => return None,
            ("bytes", Value::Number(number)) => units::bytes(*number as u64),
            ("busy_us", Value::Number(number)) => format!("busy {}", time(Duration::from_micros(*number as u64))),
            ("returned_rows", Value::Number(number)) => units::counted(*number as u64, "row"),
            (label, Value::Number(number)) => format!("{label} {}", units::count(*number as u64)),
            (label, Value::Text(text)) => format!("{label} {text}"),
            _ => return None,
        })
    };
    TOLD.iter().filter_map(tell).collect()
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::from(text.as_str()),
        Value::Number(number) => Json::from(*number),
        Value::Fraction(number) => Json::from(*number),
        Value::Truth(truth) => Json::from(*truth),
    }
}

fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{:.2} ms", seconds * 1e3),
        seconds => units::seconds(seconds),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
