//! `entail update`: changes facts with SPARQL Update.

use crate::command::Text;
use crate::failure::Failure;
use crate::output::{Form, change};
use crate::progress::Moving;
use crate::session::Session;
use crate::traced::Shown;
use clap::Args;
use entail_client::v1::UpdateRequest;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  entail update 'INSERT DATA { <urn:a> <urn:p> <urn:b> }'
  entail update -f change.ru
  generate | entail update -";

/// Applies a SPARQL update as one epoch, with all that follows from it.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The update, or `-` for the standard input
    #[arg(value_name = "UPDATE", required_unless_present = "file")]
    update: Option<String>,

    /// A file with the update
    #[arg(long, short, value_name = "FILE", conflicts_with = "update")]
    file: Option<PathBuf>,

    /// What relative IRIs are relative to
    #[arg(long, value_name = "IRI", default_value = "", hide_default_value = true)]
    base: String,

    /// Makes it harmless to run this very command again; made up if none is given
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,

    /// Shows afterwards, on the standard error, where the time went: in which process, and when
    #[arg(long)]
    pub trace: bool,

    /// How the answer is shown
    #[arg(long, value_enum, value_name = "FORM", env = "ENTAIL_OUTPUT", default_value = "table")]
    output: Form,
}

pub async fn run(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    let shown = Shown::of(arguments.trace, arguments.output == Form::Table);
    session.traced("update", shown, change(arguments, session)).await
}

async fn change(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    let Arguments { update, file, base, request_id, output, .. } = arguments;
    let text = Text::of(update, file.as_deref(), "update")?.knowing(session.prefixes());
    let request = UpdateRequest { update: text.whole(), request_id, base_iri: base };
    let wheel = Moving::wheel(session, "updating");
    let response = session.working()?.update(request).await;
    drop(wheel);
    let change = response.map_err(|error| text.failure(error))?.change.unwrap_or_default();
    session.summarize(output, &change::line(&change), &change::json(&change))
}
