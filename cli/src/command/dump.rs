//! `entail dump`: streams a graph as RDF.

use crate::command::load::Format;
use crate::failure::Failure;
use crate::output::lines::Lines;
use crate::prefixes::Known;
use crate::session::Session;
use crate::units::counted;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use entail_client::v1::{DumpContent, DumpRequest, Prefix};
use std::io::{self, BufWriter};

const EXAMPLES: &str = "\
Examples:
  entail dump > graph.nt
  entail dump --all-graphs --content all | zstd > everything.nq.zst
  entail dump --graph http://example.org/g --format turtle";

/// Writes a graph to the standard output as RDF.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The format [default: ntriples, with --all-graphs nquads]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,

    /// The facts to write
    #[arg(long, value_enum, value_name = "WHICH", default_value = "asserted")]
    content: Content,

    /// The graph [default: the default graph]
    #[arg(long, value_name = "IRI", value_parser = NonEmptyStringValueParser::new(), conflicts_with = "all_graphs")]
    graph: Option<String>,

    /// Every graph
    #[arg(long)]
    all_graphs: bool,

    /// The facts of exactly this epoch, if it is still kept: for a minute after the next one, and at most 64 [default: the latest]
    #[arg(long, value_name = "EPOCH")]
    epoch: Option<u64>,
}

/// Which facts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Content {
    /// Facts that were loaded or inserted
    Asserted,
    /// Facts that rules derived
    Derived,
    All,
}

pub async fn run(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    let mut answer = session.working()?.dump(request(arguments, session.prefixes())).await?;
    let mut out = Lines::new(BufWriter::new(io::stdout()));
    while let Some(data) = answer.next().await? {
        out.write(&data).map_err(Failure::Output)?;
    }
    out.finish().map_err(Failure::Output)?;
    let summary = answer.summary().copied().unwrap_or_default();
    session.note(format!("{}, epoch {}", counted(summary.facts, "fact"), summary.epoch));
    Ok(())
}

fn request(arguments: Arguments, prefixes: &Known) -> DumpRequest {
    let Arguments { format, content, graph, all_graphs, epoch } = arguments;
    let content = match content {
        Content::Asserted => DumpContent::Asserted,
        Content::Derived => DumpContent::Derived,
        Content::All => DumpContent::All,
    };
    let default = if all_graphs { Format::Nquads } else { Format::Ntriples };
    let format = format.unwrap_or(default);
    let prefix = |(name, iri): &(String, String)| Prefix { name: name.clone(), iri: iri.clone() };
    let prefixes = match format {
        Format::Turtle | Format::Trig => prefixes.all().iter().map(prefix).collect(),
        _ => Vec::new(),
    };
    DumpRequest {
        format: format.name().to_owned(),
        content: content.into(),
        graph: graph.unwrap_or_default(),
        all_graphs,
        epoch,
        prefixes,
    }
}
