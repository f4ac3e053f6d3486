//! `entail queries`: lists and cancels running queries and changes.

use crate::failure::Failure;
use crate::output::grid::{Align, Grid};
use crate::output::{self, Form};
use crate::session::Session;
use crate::units::{count, seconds};
use clap::{Args, Subcommand};
use entail_client::v1::{CancelQueryRequest, ListQueriesResponse, RunningQuery};
use serde_json::{Value, json};
use std::io::{self, Write};

const EXAMPLES: &str = "\
Examples:
  entail queries
  entail queries cancel 17
  entail queries --output json | jq -r '.queries[] | select(.seconds > 60) | .id'";

/// The largest number of characters of a text in the table.
const TEXT_CHARS_MAX: usize = 60;

/// Lists the queries and changes that are running.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,

    /// The format of the output
    #[arg(long, value_enum, value_name = "FORM", env = "ENTAIL_OUTPUT", default_value = "table")]
    output: Form,
}

/// What to do with a running query.
#[derive(Subcommand, Clone, Debug)]
enum Action {
    Cancel(Cancel),
}

/// Cancels a running query or change: its own command fails with `CANCELLED`.
#[derive(Args, Clone, Debug)]
struct Cancel {
    /// The query's id, as `entail queries` shows it
    #[arg(value_name = "ID")]
    id: String,
}

pub async fn run(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    match arguments.action {
        None => list(arguments.output, session).await,
        Some(Action::Cancel(Cancel { id })) => {
            session.asking()?.cancel_query(CancelQueryRequest { id: id.clone() }).await?;
            session.note(format!("cancellation of {id} requested"));
            Ok(())
        }
    }
}

async fn list(form: Form, session: &Session) -> Result<(), Failure> {
    let running = session.asking()?.list_queries().await?;
    output::show(form, |out| table(&running, out), &json(&running))
}

fn table(running: &ListQueriesResponse, out: &mut dyn Write) -> io::Result<()> {
    if running.queries.is_empty() {
        return writeln!(out, "no queries are running");
    }
    let row = |query: &RunningQuery| {
        vec![
            query.id.clone(),
            query.kind.clone(),
            query.principal.clone(),
            seconds(query.seconds),
            if query.epoch == 0 { "-".to_owned() } else { query.epoch.to_string() },
            count(query.rows),
            shortened(&query.text),
        ]
    };
    let columns = [
        ("id", Align::Right),
        ("kind", Align::Left),
        ("principal", Align::Left),
        ("time", Align::Right),
        ("epoch", Align::Right),
        ("rows", Align::Right),
        ("text", Align::Left),
    ];
    Grid::new(columns).write_within(output::width(), &running.queries.iter().map(row).collect::<Vec<_>>(), out)
}

/// The beginning of a text, without control characters.
fn shortened(text: &str) -> String {
    let printable = |character: char| if character.is_control() { '\u{FFFD}' } else { character };
    let beginning: String = text.chars().take(TEXT_CHARS_MAX).map(printable).collect();
    if text.chars().nth(TEXT_CHARS_MAX).is_some() { beginning + "…" } else { beginning }
}

fn json(running: &ListQueriesResponse) -> Value {
    let object = |query: &RunningQuery| {
        json!({
            "id": query.id, "kind": query.kind, "text": query.text, "principal": query.principal,
            "started_unix_ms": query.started_unix_ms, "epoch": query.epoch, "rows": query.rows,
            "seconds": query.seconds,
        })
    };
    json!({ "queries": running.queries.iter().map(object).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_queries_are_shown() {
        let query = RunningQuery {
            id: "17".to_owned(),
            kind: "query".to_owned(),
            text: "SELECT * { ?s ?p ?o }".to_owned(),
            principal: "anonymous".to_owned(),
            epoch: 7,
            rows: 1_200,
            seconds: 2.0,
            ..RunningQuery::default()
        };
        let mut out = Vec::new();
        table(&ListQueriesResponse { queries: vec![query] }, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        let row = out.lines().last().unwrap();
        assert!(row.starts_with("17  query  anonymous") && row.ends_with("7  1,200  SELECT * { ?s ?p ?o }"), "{out}");
    }

    #[test]
    fn a_text_cannot_drive_the_terminal() {
        assert_eq!(shortened("a\u{1b}[2J"), "a\u{FFFD}[2J");
        assert_eq!(shortened(&"ü".repeat(TEXT_CHARS_MAX + 1)).chars().count(), TEXT_CHARS_MAX + 1);
    }
}
