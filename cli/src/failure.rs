//! Failures of commands: the message on the standard error, and the exit code.
//!
//! ```text
//! 1 failure   2 usage error   3 unavailable: a retry may succeed   4 timeout   130 interrupted
//! ```
//! A closed pipe on the standard output (`| head`) is not a failure.

use crate::excerpt;
use entail_client::Error;
use entail_model::{Fault, Reason};
use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal};
use std::path::Path;

/// The reason why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The command line is invalid.
    Usage(String),
    /// Clap's message; help and version are included.
    Clap(Box<clap::Error>),
    /// The cluster, the connection to it, or a role of this process failed.
    Fault(Box<Fault>),
    /// The cluster rejected a text; the text is available, to show the position of the error.
    Text {
        fault: Box<Fault>,
        name: String,
        text: String,
    },
    /// A local file cannot be read.
    Input {
        name: String,
        error: io::Error,
    },
    /// The output cannot be written.
    Output(io::Error),
    Interrupted,
}

impl Failure {
    /// An input of this machine that cannot be read.
    pub fn input(name: impl Into<String>, error: io::Error) -> Self {
        Self::Input { name: name.into(), error }
    }

    /// The cluster's error about a text that was sent with `lines_before` lines in front that the user did not write.
    pub fn about_text(error: Error, name: &str, text: &str, lines_before: u64) -> Self {
        let mut fault = Fault::from(error);
        match &mut fault.position {
            Some(position) => {
                position.line = position.line.saturating_sub(lines_before);
                Self::Text { fault: Box::new(fault), name: name.to_owned(), text: text.to_owned() }
            }
            None => fault.into(),
        }
    }

    /// The exit code of the process.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Clap(error) => error.exit_code() as u8,
            Self::Fault(fault) | Self::Text { fault, .. } => match fault.reason {
                Reason::DeadlineExceeded | Reason::Cancelled | Reason::AnswerUnread => 4,
                reason if reason.is_retryable() => 3,
                _ => 1,
            },
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => 0,
            Self::Input { .. } | Self::Output(_) => 1,
            Self::Interrupted => 130,
        }
    }

    /// The kind of the failure, as a word for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Usage(_) | Self::Clap(_) => "USAGE",
            Self::Fault(fault) | Self::Text { fault, .. } => fault.reason.name(),
            Self::Input { .. } => "INPUT",
            Self::Output(_) => "OUTPUT",
            Self::Interrupted => "INTERRUPTED",
        }
    }

    /// Prints the message and returns the exit code.
    pub fn report(self) -> u8 {
        let code = self.exit_code();
        if let Self::Clap(error) = self {
            // If the terminal is gone, there is no place to report that.
            let _ = error.print();
        } else if let Some(message) = self.message() {
            eprintln!("{} {message}", mark());
        }
        code
    }

    /// The message without `error:` in front; `None` if there is nothing to report.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Usage(message) => Some(format!("{message}\n\nFor more information, try '--help'.")),
            Self::Clap(error) => Some(error.to_string()),
            Self::Fault(fault) => Some(with_line(described(fault), fault)),
            Self::Text { fault, name, text } => Some(placed(fault, name, text)),
            Self::Input { name, error } => Some(format!("{name}: {}", said(error))),
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => None,
            Self::Output(error) => Some(format!("cannot write: {}", said(error))),
            Self::Interrupted => Some("interrupted".to_owned()),
        }
    }
}

/// `error:`, in red on a terminal.
fn mark() -> &'static str {
    let has_colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if has_colours { "\u{1b}[1;31merror:\u{1b}[0m" } else { "error:" }
}

/// The operating system's message without the error number.
fn said(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// A message in one line; parsers may return several.
fn line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// A fault in one line: its position if it has one; otherwise the reason, the shards, and whether a retry may succeed.
fn described(fault: &Fault) -> String {
    let said = line(&fault.to_string());
    if fault.position.is_some() {
        return said;
    }
    let mut text = format!("{said} ({}", fault.reason.name());
    if !fault.shards.is_empty() {
        let shards: Vec<String> = fault.shards.iter().map(ToString::to_string).collect();
        let _ = write!(text, "; shards {}", shards.join(","));
    }
    if fault.is_retryable() {
        text.push_str("; safe to retry");
    }
    text + ")"
}

/// A message with the line of the local file that the fault is about, if there is one.
fn with_line(message: String, fault: &Fault) -> String {
    let shown = fault.position.as_ref().and_then(|position| {
        let file = position.file.as_ref()?;
        excerpt::of_file(Path::new(file), position.line, position.column)
    });
    match shown {
        Some(line) => format!("{message}\n{line}"),
        None => message,
    }
}

/// A fault with the source line that it refers to.
fn placed(fault: &Fault, name: &str, text: &str) -> String {
    let position = fault.position.clone().unwrap_or_default();
    let (line, column) = (position.line, position.column);
    let file = position.file.unwrap_or_else(|| name.to_owned());
    let message = self::line(&fault.message);
    match excerpt::of(text, line, column) {
        Some(excerpt) => format!("{file}:{line}:{column}: {message}\n{excerpt}"),
        None if line > 0 => format!("{file}:{line}:{column}: {message}"),
        None => format!("{file}: {message}"),
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Source { name, error } => Self::Input { name, error },
            Error::Address { .. } => Self::Usage(error.to_string()),
            error => Fault::from(error).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::ShardId;

    fn fault(reason: Reason) -> Fault {
        Fault::new(reason, "what happened")
    }

    #[test]
    fn failures_are_told_and_numbered() {
        let nothing = || io::Error::from(ErrorKind::NotFound);
        let text = "RULE { ?s ex:p ?o }\nWHERE { ?s ?p ?o }";
        let unknown = Fault::new(Reason::Syntax, "the prefix ex is not known").at(1, 11);
        let moved = Fault::new(Reason::Syntax, "no").at(3, 1);
        let cases: Vec<(Failure, u8, Option<&str>)> = vec![
            (
                Failure::about_text(Error::Failed(moved), "query", text, 1),
                1,
                Some("query:2:1: no\n  2 | WHERE { ?s ?p ?o }\n    | ^"),
            ),
            (fault(Reason::Internal).into(), 1, Some("what happened (INTERNAL)")),
            (
                fault(Reason::ShardsUnavailable).with_shards(vec![ShardId(3), ShardId(5)]).into(),
                3,
                Some("what happened (SHARDS_UNAVAILABLE; shards 3,5; safe to retry)"),
            ),
            (fault(Reason::DeadlineExceeded).into(), 4, Some("what happened (DEADLINE_EXCEEDED)")),
            (fault(Reason::Syntax).at(3, 9).in_file("a.nt").into(), 1, Some("a.nt:3:9: what happened")),
            (
                Failure::about_text(Error::Failed(unknown), "family.srl", text, 0),
                1,
                Some("family.srl:1:11: the prefix ex is not known\n  1 | RULE { ?s ex:p ?o }\n    |           ^"),
            ),
            (
                Error::Interrupted { fault: fault(Reason::NotReady), bytes: 5 }.into(),
                3,
                Some("the answer broke off after 5 bytes: what happened (NOT_READY; safe to retry)"),
            ),
            (Error::Source { name: "a.ttl".to_owned(), error: nothing() }.into(), 1, Some("a.ttl: entity not found")),
            (Failure::Output(ErrorKind::BrokenPipe.into()), 0, None),
            (Failure::Output(ErrorKind::StorageFull.into()), 1, Some("cannot write: no storage space")),
            (Failure::Interrupted, 130, Some("interrupted")),
        ];
        for (failure, code, message) in cases {
            assert_eq!(failure.message().as_deref(), message);
            assert_eq!(failure.exit_code(), code);
        }
        assert_eq!(Failure::Usage("no".to_owned()).exit_code(), 2);
    }
}
