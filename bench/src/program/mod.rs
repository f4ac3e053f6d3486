//! The command line of the benchmark: `entail-bench lubm`, or `entail bench lubm`, which becomes this program.
//!
//! Options, units, failures and the configuration file are those of `entail`; a cluster's servers are processes of that
//! program.

mod arguments;
mod graph;
mod maintain;

use crate::Error;
use crate::ask;
use crate::measurement::Line;
use crate::peer;
use crate::run::{Listener, Measured};
use crate::workload::Workload;
use arguments::{DebianArguments, KindName, LubmArguments, PeerName};
use clap::{Args, Parser, Subcommand};
use entail_cli::arguments::Globals;
use entail_cli::command::told_to_end;
use entail_cli::config;
use entail_cli::failure::Failure;
use entail_cli::session::Session;
use entail_cli::units::{self, counted};
use entail_model::{Fault, Reason};
use graph::GraphArguments;
use maintain::MaintainArguments;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Runtime;

const EXAMPLES: &str = "\
Examples:
  entail bench lubm --universities 10 --points --runs 5 --against ascent
  entail bench closure --graph grid --side 100 --nodes 4 --processes many > results.jsonl
  entail bench same-generation --write generation.nt
  entail bench maintain --universities 50 --runs 3 > changes.jsonl
  entail bench tables lubm-1.jsonl lubm-10.jsonl > tables.md
  entail bench ask 'SELECT (COUNT(*) AS ?n) { ?s ?p ?o }' --for 10m > answers.jsonl";

/// The global options; named like those of `entail bench`, so that messages and the configuration file fit both.
#[derive(Parser, Clone, Debug)]
#[command(name = "entail", bin_name = "entail", version, propagate_version = true)]
struct Arguments {
    #[command(flatten)]
    globals: Globals,

    /// The program to measure [default: `entail` beside this program, or on the PATH]
    #[arg(long, global = true, value_name = "FILE", env = "ENTAIL")]
    program: Option<PathBuf>,

    #[command(subcommand)]
    top: Top,
}

#[derive(Subcommand, Clone, Debug)]
enum Top {
    #[command(subcommand)]
    Bench(Command),
}

/// Measures loading, rules, queries and changes on clusters that it starts itself, and compares with other programs.
///
/// The input is generated from a seed. `ask` queries a cluster that runs already. Each line of the output is a JSON
/// object.
#[derive(Subcommand, Clone, Debug)]
#[command(after_help = EXAMPLES)]
enum Command {
    /// Universities, their ontology as rules, and the 14 queries (the Lehigh University Benchmark)
    Lubm(LubmArguments),
    /// All paths of a graph
    Closure(GraphArguments),
    /// All pairs of vertices at the same distance from a common ancestor
    SameGeneration(GraphArguments),
    /// Transitive dependencies, conflicts and trusted maintainers of Debian's packages
    Debian(DebianArguments),
    /// Changes under rules: 1, 100 and 10,000 facts deleted and inserted again, beside deriving everything again
    ///
    /// The facts are at random positions of the input. Each change is one update, measured until it is committed, synced to
    /// disk. A chain is also cut in the middle, and a random graph at the only edge to some vertex; 64 clients write one
    /// fact each, again and again. A change of more facts than the input has is left out.
    Maintain(MaintainArguments),
    /// Sends the same query to a running cluster repeatedly, and records each outcome
    Ask(AskArguments),
    /// Creates Markdown tables of results
    Tables(TablesArguments),
    /// Solves a workload with a peer in this process, and prints its report
    #[command(hide = true)]
    Peer(PeerArguments),
}

#[derive(Args, Clone, Debug)]
struct AskArguments {
    /// A SPARQL query with a small answer
    query: String,

    /// The number of concurrent clients
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    clients: u16,

    /// The pause of each client between a response and its next request
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = units::time)]
    every: Duration,

    /// The duration [default: until Ctrl-C or SIGTERM]
    #[arg(long = "for", value_name = "TIME", value_parser = units::time)]
    time: Option<Duration>,
}

#[derive(Args, Clone, Debug)]
struct TablesArguments {
    /// Outputs of `entail bench`, one file for each command; several files are also compared side by side
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Args, Clone, Debug)]
struct PeerArguments {
    #[arg(value_enum)]
    peer: PeerName,
    #[arg(value_enum)]
    workload: KindName,
    file: PathBuf,
}

/// Runs the program with the arguments of the process, and exits.
pub fn main() -> ! {
    let code = program().unwrap_or_else(Failure::report);
    // Errors of the standard output have been reported already.
    _ = io::stdout().flush();
    std::process::exit(code.into())
}

fn program() -> Result<u8, Failure> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    words.insert(1.min(words.len()), "bench".into());
    let (arguments, config) = config::load(words, |table| table == "bench")?;
    let Arguments { globals, program, top: Top::Bench(command) } = arguments;
    let program = program.map_or_else(beside, Ok)?;
    let session = Session::new(globals, config);
    let runtime = Runtime::new().map_err(|error| Failure::input("the threads of this process", error))?;
    // Dropping the command ends the processes that it has started.
    let result = runtime.block_on(async {
        tokio::select! {
            result = run(command, program, &session) => result,
            told = told_to_end() => told.and(Err(Failure::Interrupted)),
        }
    });
    runtime.shutdown_background();
    result.map(|()| 0)
}

/// The program `entail` in the directory of this one; a name without a directory is looked up on the PATH.
fn beside() -> Result<PathBuf, Failure> {
    const NAME: &str = "entail";
    let this = crate::process::this_program().map_err(failure)?;
    let beside = this.with_file_name(NAME);
    Ok(if beside.exists() { beside } else { PathBuf::from(NAME) })
}

async fn run(command: Command, program: PathBuf, session: &Session) -> Result<(), Failure> {
    let (workload, measured, common) = match command {
        Command::Lubm(arguments) => (arguments.workload(), arguments.measured(), arguments.common),
        Command::Closure(arguments) => (arguments.closure()?, Measured::Queries, arguments.common),
        Command::SameGeneration(arguments) => (arguments.same_generation()?, Measured::Queries, arguments.common),
        Command::Debian(arguments) => (arguments.workload(), Measured::Queries, arguments.common),
        Command::Maintain(arguments) => return maintain(arguments, &program, session).await,
        Command::Ask(arguments) => return ask(arguments, session).await,
        Command::Tables(arguments) => return tables(&arguments),
        Command::Peer(arguments) => return solve(&arguments),
    };
    match &common.write {
        Some(path) => write(workload, path, session).await,
        None => {
            let request = common.request(workload, measured, program);
            let mut shown = Shown { session };
            within(session.working_max(), crate::run::run(&request, &mut shown)).await
        }
    }
}

/// Measures changes of each workload.
async fn maintain(arguments: MaintainArguments, program: &Path, session: &Session) -> Result<(), Failure> {
    let requests = arguments.requests(program)?;
    let mut shown = Shown { session };
    let all = async {
        for request in &requests {
            crate::run::run(request, &mut shown).await?;
        }
        Ok(())
    };
    within(session.working_max(), all).await
}

/// Writes the input without measuring.
async fn write(workload: Workload, path: &Path, session: &Session) -> Result<(), Failure> {
    let lines = crate::run::create(workload, path).await.map_err(failure)?;
    session.note(format!("{} in {}", counted(lines, "line"), path.display()));
    Ok(())
}

/// Sends requests until the duration is over. Each request is sent once; its deadline is that of queries.
async fn ask(arguments: AskArguments, session: &Session) -> Result<(), Failure> {
    let AskArguments { query, clients, every, time } = arguments;
    let client = session.polling(session.ask_max())?;
    let request = ask::Request { query, clients: clients.into(), pause: every, time };
    ask::run(&client, &request, show).await.map_err(failure)
}

/// Ends endless work after the given duration, if there is one.
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
    let text = crate::tables::markdown(&files).map_err(failure)?;
    io::stdout().write_all(text.as_bytes()).map_err(Failure::Output)
}

fn solve(arguments: &PeerArguments) -> Result<(), Failure> {
    let report = peer::solve(arguments.peer.into(), arguments.workload.into(), &arguments.file).map_err(failure)?;
    print(&report).map_err(Failure::Output)
}

/// Writes and flushes one line of JSON.
fn print(value: &impl serde::Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn show(value: &impl serde::Serialize) -> Result<(), Error> {
    print(value).map_err(|error| Error::Io { name: OUTPUT.to_owned(), error })
}

/// Writes results to the standard output, notes to the standard error.
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    const PAGE: &str = include_str!("../../../docs/cli.md");

    fn check(command: &clap::Command, path: &str) {
        for argument in command.get_arguments() {
            if let Some(flag) = argument.get_long() {
                assert!(PAGE.contains(&format!("`--{flag}")), "docs/cli.md does not tell of {path} --{flag}");
            }
        }
        for inner in command.get_subcommands() {
            let path = format!("{path} {}", inner.get_name());
            assert!(PAGE.contains(&path), "docs/cli.md does not tell of {path}");
            check(inner, &path);
        }
    }

    #[test]
    fn every_flag_is_described() {
        Arguments::command().debug_assert();
        check(&Arguments::command(), "entail");
    }
}
