//! The commands, one file each. Each has `Arguments` for clap, and `run`.

pub mod bench;
pub mod completions;
pub mod config;
pub mod convert;
pub mod coordinator;
pub mod dump;
pub mod load;
pub mod man;
pub mod node;
pub mod queries;
pub mod query;
pub mod rules;
pub mod serve;
pub mod status;
pub mod update;

use crate::arguments::Command;
use crate::failure::Failure;
use crate::place;
use crate::prefixes::Known;
use crate::session::Session;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use tokio::signal::unix::{SignalKind, signal};

/// Runs a command. Ctrl-C or SIGTERM drops it, which stops its work on every node; roles and `--watch` handle the
/// signals themselves.
pub async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let ends_itself = command.role().is_some() || matches!(&command, Command::Status(status) if status.watch);
    tokio::select! {
        result = dispatch(command, session) => result,
        told = told_to_end(), if !ends_itself => told.and(Err(Failure::Interrupted)),
    }
}

/// Completes at Ctrl-C or SIGTERM.
pub async fn told_to_end() -> Result<(), Failure> {
    let catch = |kind| signal(kind).map_err(|error| Failure::input("the signals of this process", error));
    let (mut terminate, mut interrupt) = (catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

async fn dispatch(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Coordinator(arguments) => coordinator::run(arguments).await,
        Command::Node(arguments) => node::run(arguments).await,
        Command::Load(arguments) => load::run(arguments, session).await,
        Command::Dump(arguments) => dump::run(arguments, session).await,
        Command::Query(arguments) => query::run(arguments, session).await,
        Command::Queries(arguments) => queries::run(arguments, session).await,
        Command::Update(arguments) => update::run(arguments, session).await,
        Command::Rules(command) => rules::run(command, session).await,
        Command::Status(arguments) => status::run(arguments, session).await,
        Command::Convert(arguments) => convert::run(arguments, session).await,
        Command::Config(command) => config::run(command, session),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments, session),
        Command::Bench(arguments) => bench::run(arguments, session.globals()),
    }
}

/// A text from the user, with its name for messages.
pub struct Text {
    pub name: String,
    pub content: String,
    /// The line of missing prefix declarations that is sent before the text. May be empty.
    prologue: String,
}

impl Text {
    /// Reads a text from a file; `-` is the standard input. `pipe` is the command that reads the standard input.
    pub fn read(path: &Path, pipe: &str) -> Result<Self, Failure> {
        let path = &place::local(path, pipe)?;
        if path == Path::new("-") {
            return Self::read_input();
        }
        let name = path.display().to_string();
        let content = fs::read_to_string(path).map_err(|error| Failure::input(name.clone(), error))?;
        Ok(Self { name, content, prologue: String::new() })
    }

    /// A text from the command line, or from a file; `-` is the standard input.
    pub fn of(text: Option<String>, file: Option<&Path>, what: &str) -> Result<Self, Failure> {
        match (text, file) {
            (_, Some(path)) => Self::read(path, &format!("entail {what} -")),
            (Some(text), None) if text == "-" => Self::read_input(),
            (Some(name), None) if Path::new(&name).is_file() => {
                Err(Failure::Usage(format!("{name} is a file: use --file {name}")))
            }
            (Some(content), None) => Ok(Self { name: what.to_owned(), content, prologue: String::new() }),
            (None, None) => Err(Failure::Usage(format!("no {what} is given"))),
        }
    }

    fn read_input() -> Result<Self, Failure> {
        let mut content = String::new();
        let read = io::stdin().lock().read_to_string(&mut content);
        read.map_err(|error| Failure::input("standard input", error))?;
        Ok(Self { name: "standard input".to_owned(), content, prologue: String::new() })
    }

    /// The text, preceded by declarations for the known prefixes that it uses.
    #[must_use]
    pub fn knowing(self, prefixes: &Known) -> Self {
        let prologue = prefixes.prologue(&self.content);
        Self { prologue, ..self }
    }

    /// The text that is sent to the cluster.
    pub fn whole(&self) -> String {
        format!("{}{}", self.prologue, self.content)
    }

    /// The failure for the cluster's error about this text.
    pub fn failure(&self, error: entail_client::Error) -> Failure {
        let lines_before = self.prologue.lines().count() as u64;
        Failure::about_text(error, &self.name, &self.content, lines_before)
    }
}
