//! `entail bench`: measures clusters of this program, beside others, and asks those that run already.

mod arguments;
mod graph;

use crate::failure::Failure;
use crate::session::Session;
use crate::units::{self, counted};
use arguments::{DebianArguments, KindName, LubmArguments, PeerName};
use clap::{Args, Subcommand};
use entail_bench::Error;
use entail_bench::ask;
use entail_bench::measurement::Line;
use entail_bench::peer;
use entail_bench::run::{Listener, Request};
use entail_bench::workload::Workload;
use entail_model::{Fault, Reason};
use graph::GraphArguments;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  entail bench lubm --universities 10 --points --runs 5 --against ascent
  entail bench closure --graph grid --side 100 --nodes 4 --processes many > results.jsonl
  entail bench same-generation --write generation.nt
  entail bench tables lubm-1.jsonl lubm-10.jsonl > tables.md
  entail bench ask 'SELECT (COUNT(*) AS ?n) { ?s ?p ?o }' --for 10m > answers.jsonl";

/// Measures loading, rules and queries on clusters that it starts itself, beside other programs.
///
/// The input is made anew from a seed. `ask` asks a cluster that runs already. Each line of the output is a JSON object.
#[derive(Subcommand, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Universities, their ontology as rules, and the 14 queries (the Lehigh University Benchmark)
    Lubm(LubmArguments),
    /// All paths of a graph
    Closure(GraphArguments),
    /// All pairs of vertices that are as far from a common ancestor
    SameGeneration(GraphArguments),
    /// What Debian's packages need, exclude and trust in the end
    Debian(DebianArguments),
    /// Asks a cluster the same question again and again, and tells what came of each
    Ask(AskArguments),
    /// Makes Markdown tables of what was measured
    Tables(TablesArguments),
    /// Solves a workload with a peer in this process, and prints its report
    #[command(hide = true)]
    Peer(PeerArguments),
}

#[derive(Args, Clone, Debug)]
pub struct AskArguments {
    /// A SPARQL query whose answer is small
    query: String,

    /// How many ask at the same time
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    clients: u16,

    /// How long each waits between an answer and its next question
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = units::time)]
    every: Duration,

    /// When to stop [default: on Ctrl-C or SIGTERM]
    #[arg(long = "for", value_name = "TIME", value_parser = units::time)]
    time: Option<Duration>,
}

#[derive(Args, Clone, Debug)]
pub struct TablesArguments {
    /// What `entail bench` has printed, one file for each command; several are also put side by side
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub struct PeerArguments {
    #[arg(value_enum)]
    peer: PeerName,
    #[arg(value_enum)]
    workload: KindName,
    file: PathBuf,
}

pub async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let (workload, common, points) = match command {
        Command::Lubm(arguments) => (arguments.workload(), arguments.common, arguments.points),
        Command::Closure(arguments) => (arguments.closure()?, arguments.common, false),
        Command::SameGeneration(arguments) => (arguments.same_generation()?, arguments.common, false),
        Command::Debian(arguments) => (arguments.workload(), arguments.common, false),
        Command::Ask(arguments) => return ask(arguments, session).await,
        Command::Tables(arguments) => return tables(&arguments),
        Command::Peer(arguments) => return solve(&arguments),
    };
    match &common.write {
        Some(path) => write(workload, path, session).await,
        None => {
            let request = Request { points, ..common.request(workload) };
            let mut shown = Shown { session };
            within(session.working_max(), entail_bench::run::run(&request, &mut shown)).await
        }
    }
}

/// Only writes the input.
async fn write(workload: Workload, path: &Path, session: &Session) -> Result<(), Failure> {
    let lines = entail_bench::run::create(workload, path).await.map_err(failure)?;
    session.note(format!("{} in {}", counted(lines, "line"), path.display()));
    Ok(())
}

/// Asks until the time is over. Each question is sent once, and may take as long as a query may.
async fn ask(arguments: AskArguments, session: &Session) -> Result<(), Failure> {
    let AskArguments { query, clients, every, time } = arguments;
    let client = session.polling(session.ask_max())?;
    let request = ask::Request { query, clients: clients.into(), pause: every, time };
    ask::run(&client, &request, show).await.map_err(failure)
}

/// Work that has no end ends with the time that was given, if any was.
async fn within(time: Option<Duration>, work: impl Future<Output = Result<(), Error>>) -> Result<(), Failure> {
    let Some(time) = time else { return work.await.map_err(failure) };
    match tokio::time::timeout(time, work).await {
        Ok(result) => result.map_err(failure),
        Err(_) => {
            let why = format!("not done after --timeout ({} s)", time.as_secs_f64());
            Err(Fault::new(Reason::DeadlineExceeded, why).into())
        }
    }
}

fn tables(arguments: &TablesArguments) -> Result<(), Failure> {
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| Failure::Input { name: name.clone(), error })?;
        Ok((name, text))
    };
    let files = arguments.files.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    let text = entail_bench::tables::markdown(&files).map_err(failure)?;
    io::stdout().write_all(text.as_bytes()).map_err(Failure::Output)
}

fn solve(arguments: &PeerArguments) -> Result<(), Failure> {
    let report = peer::solve(arguments.peer.into(), arguments.workload.into(), &arguments.file).map_err(failure)?;
    print(&report).map_err(Failure::Output)
}

/// One line of JSON, at once.
fn print(value: &impl serde::Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn show(value: &impl serde::Serialize) -> Result<(), Error> {
    print(value).map_err(|error| Error::Io { name: OUTPUT.to_owned(), error })
}

/// Results go to the standard output, the rest to the standard error.
struct Shown<'a> {
    session: &'a Session,
}

impl Listener for Shown<'_> {
    fn line(&mut self, line: &Line) -> Result<(), Error> {
        show(line)
    }

    fn note(&mut self, text: &str) {
        self.session.note(text);
    }
}

const OUTPUT: &str = "standard output";

fn failure(error: Error) -> Failure {
    match error {
        Error::Io { name, error } if name == OUTPUT => Failure::Output(error),
        Error::Io { name, error } => Failure::Input { name, error },
        Error::Client(error) => error.into(),
        Error::Input(message) => Fault::new(Reason::InvalidRequest, message).into(),
        error @ (Error::Child { .. } | Error::Mismatch { .. }) => Fault::internal(error.to_string()).into(),
    }
}
