//! `entail bench`: measures clusters of this program, beside others, and asks those that run already.

use crate::failure::Failure;
use crate::session::Session;
use crate::units;
use clap::{Args, Subcommand, ValueEnum};
use entail_bench::Error;
use entail_bench::ask;
use entail_bench::cluster::Shape;
use entail_bench::graphs::Graph;
use entail_bench::lubm::Lubm;
use entail_bench::measurement::Line;
use entail_bench::peer::{self, Peer};
use entail_bench::run::{Listener, Request};
use entail_bench::workload::{Kind, SEED, Workload};
use entail_model::{Fault, Reason};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

const EXAMPLES: &str = "\
Examples:
  entail bench lubm --universities 10 --runs 5 --against ascent
  entail bench closure --edges 12000 --vertices 3500 --nodes 3 > results.jsonl
  entail bench ask 'SELECT (COUNT(*) AS ?n) { ?s ?p ?o }' --for 10m > answers.jsonl";

/// Measures loading, rules and queries on clusters that it starts itself, beside other programs.
///
/// The input is made anew from a seed. `ask` asks a cluster that runs already. Each line of the output is a JSON object.
#[derive(Subcommand, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub enum Command {
    /// Universities, their ontology as rules, and the 14 queries (the Lehigh University Benchmark)
    Lubm(LubmArguments),
    /// All paths of a random graph
    Closure(ClosureArguments),
    /// Asks a cluster the same question again and again, and tells what came of each
    Ask(AskArguments),
    /// Solves a workload with a peer in this process, and prints its report
    #[command(hide = true)]
    Peer(PeerArguments),
}

#[derive(Args, Clone, Debug)]
pub struct LubmArguments {
    /// Universities; each has about 130,000 triples
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    universities: u32,

    #[command(flatten)]
    common: Common,
}

#[derive(Args, Clone, Debug)]
pub struct ClosureArguments {
    /// Edges, all different
    #[arg(long, value_name = "COUNT", default_value_t = 12_000)]
    edges: u64,

    /// Vertices
    #[arg(long, value_name = "COUNT", default_value_t = 3_500, value_parser = clap::value_parser!(u64).range(1..))]
    vertices: u64,

    #[command(flatten)]
    common: Common,
}

#[derive(Args, Clone, Debug)]
struct Common {
    /// What the input is made from; the same seed gives the same bytes
    #[arg(long, value_name = "NUMBER", default_value_t = SEED)]
    seed: u64,

    /// Nodes of the cluster
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    nodes: u16,

    /// Shards of the cluster
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    shards: u32,

    /// Memory of each node, as `entail serve` takes it
    #[arg(long, value_name = "SIZE", value_parser = checked_size)]
    memory: Option<String>,

    /// Threads of each node for evaluation [default: the processors, shared out]
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,

    /// How often everything is done, each time on a new cluster
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Measures this one too, in turns, checks that it finds the same facts, and tells the ratios
    #[arg(long, value_enum, value_name = "PEER")]
    against: Option<PeerName>,

    /// Keeps the input, the data and the logs in this directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
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
pub struct PeerArguments {
    #[arg(value_enum)]
    peer: PeerName,
    #[arg(value_enum)]
    workload: KindName,
    file: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PeerName {
    /// Rules compiled into the program; one thread, everything in memory
    Ascent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KindName {
    Lubm,
    Closure,
}

impl From<PeerName> for Peer {
    fn from(name: PeerName) -> Self {
        match name {
            PeerName::Ascent => Self::Ascent,
        }
    }
}

pub async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Lubm(LubmArguments { universities, common }) => {
            let seed = common.seed;
            measure(common.request(Workload::Lubm(Lubm { universities, seed })), session).await
        }
        Command::Closure(ClosureArguments { edges, vertices, common }) => {
            let seed = common.seed;
            measure(common.request(Workload::Closure(Graph { vertices, edges, seed })), session).await
        }
        Command::Ask(arguments) => ask(arguments, session).await,
        Command::Peer(arguments) => solve(&arguments),
    }
}

impl Common {
    fn request(self, workload: Workload) -> Request {
        let Self { seed: _, nodes, shards, memory, threads, runs, against, keep } = self;
        let shape = Shape { nodes, shards, memory, threads };
        Request { workload, shape, runs, against: against.map(Peer::from), keep }
    }
}

/// Measures until it is done.
async fn measure(request: Request, session: &Session) -> Result<(), Failure> {
    let mut shown = Shown { session };
    until_told(entail_bench::run::run(&request, &mut shown)).await
}

/// Asks until the time is over. Each question is sent once, and may take as long as a query may.
async fn ask(arguments: AskArguments, session: &Session) -> Result<(), Failure> {
    let AskArguments { query, clients, every, time } = arguments;
    let client = session.polling(session.ask_max())?;
    let request = ask::Request { query, clients: clients.into(), pause: every, time };
    until_told(ask::run(&client, &request, show)).await
}

/// SIGTERM ends the work as Ctrl-C does, so that no process of ours is left behind.
async fn until_told(work: impl Future<Output = Result<(), Error>>) -> Result<(), Failure> {
    let told = signal(SignalKind::terminate());
    let mut told = told.map_err(|error| Failure::input("the signals of this process", error))?;
    tokio::select! {
        result = work => result.map_err(failure),
        _ = told.recv() => Err(Failure::Interrupted),
    }
}

fn solve(arguments: &PeerArguments) -> Result<(), Failure> {
    let kind = match arguments.workload {
        KindName::Lubm => Kind::Lubm,
        KindName::Closure => Kind::Closure,
    };
    let report = peer::solve(arguments.peer.into(), kind, &arguments.file).map_err(failure)?;
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

/// A size that `entail serve` will take, as it was written.
fn checked_size(text: &str) -> Result<String, String> {
    units::size(text).map(|_| text.to_owned())
}
