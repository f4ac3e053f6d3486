//! `entail update`: changes facts with a SPARQL update.

use crate::command::Text;
use crate::failure::Failure;
use crate::output::{Form, change};
use crate::progress::Moving;
use crate::session::Session;
use crate::traced::Shown;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use entail_client::v1::UpdateRequest;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  entail update 'INSERT DATA { <urn:a> <urn:p> <urn:b> }'
  entail update 'DELETE WHERE { ?s <urn:p> ?o }' --dry-run
  entail update -f change.ru
  generate | entail update -";

/// Applies a SPARQL update as one epoch: the facts that it adds and removes, and all that rules derive from them.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The update, or `-` for the standard input
    #[arg(value_name = "UPDATE", required_unless_present = "file")]
    update: Option<String>,

    /// A file with the update
    #[arg(long, short, value_name = "FILE", conflicts_with = "update")]
    file: Option<PathBuf>,

    /// The base IRI for relative IRIs
    #[arg(long, value_name = "IRI", default_value = "", hide_default_value = true)]
    base: String,

    /// Only says what would change: nothing is committed
    #[arg(long)]
    dry_run: bool,

    /// Makes retries of this command safe: a change with this id is applied once [default: a random id]
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    request_id: Option<String>,

    /// Prints a trace to the standard error afterwards: the time spent in each process
    #[arg(long)]
    pub trace: bool,

    /// The format of the output
    #[arg(long, value_enum, value_name = "FORM", env = "ENTAIL_OUTPUT", default_value = "table")]
    output: Form,
}

pub async fn run(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    let shown = Shown::of(arguments.trace, arguments.output == Form::Table);
    session.traced("update", shown, change(arguments, session)).await
}

async fn change(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    let Arguments { update, file, base, dry_run, request_id, output, .. } = arguments;
    let request_id = request_id.unwrap_or_default();
    let text = Text::of(update, file.as_deref(), "update")?.knowing(session.prefixes());
    let request = UpdateRequest { update: text.whole(), request_id, base_iri: base, dry_run };
    let wheel = Moving::wheel(session, "updating");
    let response = session.working()?.update(request).await;
    drop(wheel);
    let change = response.map_err(|error| text.failure(error))?.change.unwrap_or_default();
    session.summarize(output, &change::told(&change), &change::json(&change))
}
