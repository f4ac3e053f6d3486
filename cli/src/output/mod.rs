//! What commands write to the standard output: tables for people, JSON and result formats for programs.

pub mod change;
pub mod grid;
pub mod lines;
pub mod plan;
pub mod profile;
pub mod solutions;
pub mod term;
pub mod trace;

use crate::failure::Failure;
use clap::ValueEnum;
use serde_json::Value;
use std::io::{self, IsTerminal, Write};

/// How a command shows its answer, unless the answer is that of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    #[default]
    Table,
    /// One JSON object
    Json,
}

/// The columns of the terminal that the standard output goes to. Files and pipes have no width.
pub fn width() -> Option<usize> {
    let out = io::stdout();
    let size = rustix::termios::tcgetwinsize(&out).ok().filter(|_| out.is_terminal())?;
    // A terminal that does not say how wide it is.
    Some(usize::from(size.ws_col)).filter(|width| *width > 0)
}

/// Writes a JSON object, on several lines.
pub fn json(object: &Value) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{object:#}").and_then(|()| out.flush()).map_err(Failure::Output)
}

/// Writes an answer in its form.
pub fn show(form: Form, table: impl FnOnce(&mut dyn Write) -> io::Result<()>, json: &Value) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = match form {
        Form::Table => table(&mut out),
        Form::Json => writeln!(out, "{json:#}"),
    };
    written.and_then(|()| out.flush()).map_err(Failure::Output)
}
