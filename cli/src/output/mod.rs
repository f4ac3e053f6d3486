//! The standard output of commands: tables for reading, JSON and result formats for programs.

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
use std::os::fd::AsFd;

/// The output format of a command, except for queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A table
    #[default]
    Table,
    /// One JSON object
    Json,
}

/// The width of the terminal that the standard output goes to, in columns; `None` for files and pipes.
pub fn width() -> Option<usize> {
    width_of(&io::stdout())
}

/// The width of the terminal that the standard error goes to.
pub fn error_width() -> Option<usize> {
    width_of(&io::stderr())
}

fn width_of(stream: &(impl AsFd + IsTerminal)) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok().filter(|_| stream.is_terminal())?;
    // A terminal that does not report its width has the width 0.
    Some(usize::from(size.ws_col)).filter(|width| *width > 0)
}

/// Writes a JSON object, on several lines.
pub fn json(object: &Value) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{object:#}").and_then(|()| out.flush()).map_err(Failure::Output)
}

/// Writes an answer in its format.
pub fn show(form: Form, table: impl FnOnce(&mut dyn Write) -> io::Result<()>, json: &Value) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = match form {
        Form::Table => table(&mut out),
        Form::Json => writeln!(out, "{json:#}"),
    };
    written.and_then(|()| out.flush()).map_err(Failure::Output)
}
