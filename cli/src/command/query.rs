//! `entail query`: runs a query and streams its answer.
//!
//! ```text
//! answer ──► copied as it is (JSON, CSV, TSV, XML, Turtle, N-Triples)
//!        └─► a few chunks ──► thread: parser ──► table
//! ```

use crate::command::Text;
use crate::failure::Failure;
use crate::output::lines::Lines;
use crate::output::solutions::{self, Chunks};
use crate::output::term::Prefixes;
use crate::output::{self, plan};
use crate::prefixes;
use crate::session::Session;
use crate::traced::Shown;
use crate::units::{counted, seconds};
use clap::{Args, ValueEnum};
use entail_client::Answer;
use entail_client::v1::{QueryMode, QueryRequest, QueryResponse, QuerySummary, ResultFormat};
use entail_model::Fault;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

const EXAMPLES: &str = "\
Examples:
  entail query 'SELECT * { ?s ?p ?o } LIMIT 10'
  entail query -f question.rq --output csv > answer.csv
  entail query 'ASK { <urn:a> <urn:p> <urn:b> }'
  entail query --explain -f question.rq
  entail query --trace -f question.rq                 which process took how long";

/// The largest number of buffered chunks for the table.
const CHUNKS_WAITING: usize = 4;

/// Runs a SPARQL query over asserted and derived facts.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The query, or `-` for the standard input
    #[arg(value_name = "QUERY", required_unless_present = "file")]
    query: Option<String>,

    /// A file with the query
    #[arg(long, short, value_name = "FILE", conflicts_with = "query")]
    file: Option<PathBuf>,

    /// The format of the answer
    #[arg(long, value_enum, value_name = "FORM", env = "ENTAIL_OUTPUT", default_value = "table")]
    output: Output,

    /// Shows the plan with its estimates and does not run it
    #[arg(long, conflicts_with = "profile")]
    explain: bool,

    /// Runs the query, and then prints the measured work of each part of the plan to the standard error
    #[arg(long)]
    profile: bool,

    /// Prints a trace to the standard error afterwards: the time spent in each process
    #[arg(long)]
    pub trace: bool,

    /// Answers at this epoch or a later one
    #[arg(long, value_name = "EPOCH")]
    at_least_epoch: Option<u64>,

    /// Answers at exactly this epoch, if it is still kept: for a minute after the next one, and at most 64 [default: the latest]
    #[arg(long, value_name = "EPOCH")]
    epoch: Option<u64>,

    /// A graph that is part of the default graph; may be given several times
    #[arg(long, value_name = "IRI")]
    default_graph: Vec<String>,

    /// A graph that GRAPH can name; may be given several times
    #[arg(long, value_name = "IRI")]
    named_graph: Vec<String>,

    /// Uses the union of all graphs as the default graph
    #[arg(long)]
    union_default_graph: bool,

    /// Fails if the answer has more rows [default: the server's limit]
    #[arg(long, value_name = "COUNT")]
    rows_max: Option<u64>,

    /// The base IRI for relative IRIs
    #[arg(long, value_name = "IRI", default_value = "", hide_default_value = true)]
    base: String,
}

/// The formats of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table; graphs as N-Triples
    Table,
    Json,
    Csv,
    Tsv,
    Xml,
    /// Graphs only
    Ntriples,
    /// Graphs only
    Turtle,
}

impl Output {
    fn format(self) -> ResultFormat {
        match self {
            Self::Table => ResultFormat::Unspecified,
            Self::Json => ResultFormat::Json,
            Self::Csv => ResultFormat::Csv,
            Self::Tsv => ResultFormat::Tsv,
            Self::Xml => ResultFormat::Xml,
            Self::Ntriples => ResultFormat::Ntriples,
            Self::Turtle => ResultFormat::Turtle,
        }
    }
}

impl Arguments {
    fn mode(&self) -> QueryMode {
        match (self.explain, self.profile) {
            (true, _) => QueryMode::Explain,
            (_, true) => QueryMode::Profile,
            _ => QueryMode::Unspecified,
        }
    }

    fn request(self, query: String) -> QueryRequest {
        QueryRequest {
            query,
            format: self.output.format().into(),
            mode: self.mode().into(),
            at_least_epoch: self.at_least_epoch,
            epoch: self.epoch,
            default_graphs: self.default_graph,
            named_graphs: self.named_graph,
            rows_max: self.rows_max,
            base_iri: self.base,
            union_default_graph: self.union_default_graph,
        }
    }
}

pub async fn run(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    let shown = Shown::of(arguments.trace, arguments.output == Output::Table);
    session.traced("query", shown, ask(arguments, session)).await
}

async fn ask(arguments: Arguments, session: &Session) -> Result<(), Failure> {
    let text = Text::of(arguments.query.clone(), arguments.file.as_deref(), "query")?.knowing(session.prefixes());
    let (output, mode) = (arguments.output, arguments.mode());
    let request = arguments.request(text.whole());
    let prefixes = Prefixes::new(prefixes::declared(&text.content), session.prefixes());
    let mut answer = session.asking()?.query(request).await.map_err(|error| text.failure(error))?;
    match (mode, output, is_json(&answer)) {
        (QueryMode::Explain, ..) => while answer.next().await?.is_some() {},
        (_, Output::Table, true) => table(&mut answer, prefixes.clone(), session).await?,
        _ => copy(&mut answer).await?,
    }
    let summary = answer.summary().cloned().unwrap_or_default();
    match mode {
        QueryMode::Explain => show_plan(&summary, output, &prefixes, output::width(), &mut io::stdout().lock())?,
        QueryMode::Profile => show_plan(&summary, output, &prefixes, output::error_width(), &mut io::stderr().lock())?,
        QueryMode::Unspecified => {}
    }
    if mode != QueryMode::Explain {
        let rows = counted(summary.rows, "row");
        session.note(format!("{rows}, epoch {}, {}", summary.epoch, seconds(summary.seconds)));
    }
    Ok(())
}

/// Can the answer be shown as a table?
fn is_json(answer: &Answer<QueryResponse>) -> bool {
    answer.header().is_some_and(|header| header.media_type.starts_with("application/sparql-results+json"))
}

/// Copies the answer to the standard output, chunk by chunk.
async fn copy(answer: &mut Answer<QueryResponse>) -> Result<(), Failure> {
    let mut out = Lines::new(BufWriter::new(io::stdout()));
    while let Some(data) = answer.next().await? {
        out.write(&data).map_err(Failure::Output)?;
        out.flush().map_err(Failure::Output)?;
    }
    out.finish().map_err(Failure::Output)
}

/// Writes the answer as a table, on a separate thread since the parser blocks for its input.
async fn table(answer: &mut Answer<QueryResponse>, prefixes: Prefixes, session: &Session) -> Result<(), Failure> {
    let width = output::width();
    let (sender, chunks) = mpsc::channel(CHUNKS_WAITING);
    let writer = spawn_blocking(move || {
        let mut out = BufWriter::new(io::stdout());
        solutions::write(Chunks::new(chunks), &prefixes, width, &mut out)
    });
    while let Some(data) = answer.next().await? {
        if sender.send(data).await.is_err() {
            break;
        }
    }
    drop(sender);
    let written = writer.await;
    let is_cut = written.unwrap_or_else(|error| Err(Fault::internal(format!("the table failed: {error}")).into()))?;
    if is_cut {
        session.note("cut to the width of the terminal (…): --output csv, or a pipe, shows everything");
    }
    Ok(())
}

/// Writes the plan of an answer.
fn show_plan(
    summary: &QuerySummary,
    output: Output,
    prefixes: &Prefixes,
    width: Option<usize>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let written = match output {
        Output::Table => plan::write(&summary.plan_json, prefixes, width, out),
        _ => writeln!(out, "{}", summary.plan_json),
    };
    written.and_then(|()| out.flush()).map_err(Failure::Output)
}
