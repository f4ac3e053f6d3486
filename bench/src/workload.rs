//! A workload: a reproducible input, rules, and queries.

use crate::debian::{self, Debian};
use crate::graphs::{Form, Graph};
use crate::lubm::{self, Lubm};
use crate::{Error, closure, generation};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// The default seed: with it LUBM-1 has 15 departments, as in UBA's files, and LUBM-10 has 191 to UBA's 189, so that
/// figures can be compared with published ones.
pub const SEED: u64 = 7;

/// A SPARQL query and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    pub name: &'static str,
    pub text: &'static str,
    pub answer: Answer,
}

/// How the answer of a query is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// By its number of rows.
    Rows,
    /// By its only value, since the query itself counts.
    Count,
}

impl Query {
    /// A query whose rows are counted.
    pub const fn rows(name: &'static str, text: &'static str) -> Self {
        Self { name, text, answer: Answer::Rows }
    }

    /// A query that counts itself.
    pub const fn count(name: &'static str, text: &'static str) -> Self {
        Self { name, text, answer: Answer::Count }
    }
}

/// A workload with its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workload {
    Lubm(Lubm),
    Closure(Graph),
    SameGeneration(Graph),
    Debian(Debian),
}

/// A workload of any size, which determines the rules and the queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Lubm,
    Closure,
    SameGeneration,
    Debian,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lubm => "lubm",
            Self::Closure => "closure",
            Self::SameGeneration => "same-generation",
            Self::Debian => "debian",
        }
    }

    /// The rules, in SPARQL-RL.
    pub const fn rules(self) -> &'static str {
        match self {
            Self::Lubm => lubm::RULES,
            Self::Closure => closure::RULES,
            Self::SameGeneration => generation::RULES,
            Self::Debian => debian::RULES,
        }
    }

    pub const fn queries(self) -> &'static [Query] {
        match self {
            Self::Lubm => &lubm::QUERIES,
            Self::Closure => &closure::QUERIES,
            Self::SameGeneration => &generation::QUERIES,
            Self::Debian => &debian::QUERIES,
        }
    }
}

impl Workload {
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Lubm(_) => Kind::Lubm,
            Self::Closure(_) => Kind::Closure,
            Self::SameGeneration(_) => Kind::SameGeneration,
            Self::Debian(_) => Kind::Debian,
        }
    }

    /// Its kind and size.
    pub fn name(&self) -> String {
        let kind = self.kind().name();
        match self {
            Self::Lubm(lubm) => format!("{kind}-{}", lubm.universities),
            Self::Closure(graph) | Self::SameGeneration(graph) => format!("{kind}-{}", graph.form),
            Self::Debian(Debian::Drawn { packages, .. }) => format!("{kind}-{packages}"),
            Self::Debian(Debian::Converted(_)) => format!("{kind}-archive"),
        }
    }

    /// Writes the input to a file and returns the number of lines.
    ///
    /// # Errors
    /// [`Error::Input`] for an impossible size, [`Error::Io`].
    pub fn create(&self, path: &Path) -> Result<u64, Error> {
        match self {
            Self::Closure(graph) | Self::SameGeneration(graph) if !graph.is_possible() => {
                return Err(impossible(graph));
            }
            Self::Debian(Debian::Converted(archive)) => {
                std::fs::metadata(archive).map_err(|error| Error::io(archive.display(), error))?;
            }
            _ => {}
        }
        let create = || -> io::Result<u64> {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
            let lines = self.write(&mut file)?;
            file.flush()?;
            Ok(lines)
        };
        create().map_err(|error| Error::io(path.display(), error))
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<u64> {
        match self {
            Self::Lubm(lubm) => lubm.write(out),
            Self::Closure(graph) | Self::SameGeneration(graph) => graph.write(out),
            Self::Debian(debian) => debian.write(out),
        }
    }
}

fn impossible(graph: &Graph) -> Error {
    match graph.form {
        Form::Random { vertices, edges } => {
            Error::Input(format!("{vertices} vertices cannot have {edges} different edges"))
        }
        Form::Grid { .. } | Form::Chain { .. } => Error::Input(format!("there is no graph {}", graph.form)),
    }
}
