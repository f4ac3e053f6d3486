//! `entail convert`: makes RDF of other data.

use crate::debian;
use crate::failure::Failure;
use clap::Subcommand;
use entail_model::Fault;

/// Makes RDF of other data.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    Debian(debian::ConvertArgs),
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let Command::Debian(arguments) = command;
    let converted = tokio::task::spawn_blocking(move || debian::run(arguments)).await;
    converted
        .unwrap_or_else(|error| Err(Fault::internal(format!("the conversion failed: {error}"))))
        .map_err(Failure::from)
}
