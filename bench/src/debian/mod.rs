//! Debian's package graph: the transitive needs of packages, through alternatives and virtual packages; packages that
//! exclude each other; the maintainers on which a package depends. The vocabulary is that of `examples/debian`.
//!
//! ```text
//! package ─dependsOn─► need ─alternative─► package or virtual package ◄─provides─ package
//!         ─maintainer─►     ├─────────────► versioned name ─metBy─► package
//!         ─conflictsWith─►  └─onlyChoice─► package
//!         ─breaks─►
//! ```
//! Two sources: the triples that `debian-to-rdf` creates from the archive's own indexes, without the texts that no rule
//! reads; or packages generated (`drawn`) by the archive's profile.

mod drawn;

use crate::ntriples::TYPE;
use crate::workload::Query;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

/// The rules of `examples/debian` that the benchmark uses, in one text.
pub const RULES: &str = include_str!("../../rules/debian.srl");

/// Queries about the packages.
pub const QUERIES: [Query; 3] = [
    Query::rows("cycles", include_str!("../../queries/debian/cycles.rq")),
    Query::rows("excluded", include_str!("../../queries/debian/excluded.rq")),
    Query::count("trusts", include_str!("../../queries/debian/trusts.rq")),
];

/// Packages of Debian 12 with its updates, main, amd64, in November 2026.
pub const PACKAGES: u64 = 63_666;

/// The properties that relate resources. The rest of the converter's output is texts, recommendations and suggestions.
const RELATIONS: [&str; 10] = [
    "dependsOn",
    "alternative",
    "onlyChoice",
    "metBy",
    "of",
    "provides",
    "conflictsWith",
    "breaks",
    "maintainer",
    "source",
];

/// Where the packages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Debian {
    Drawn {
        packages: u64,
        seed: u64,
    },
    /// N-Triples of `debian-to-rdf`.
    Converted(PathBuf),
}

impl Debian {
    /// Writes the graph as N-Triples and gives its lines.
    ///
    /// # Errors
    /// What the output, or a file that is read, fails with.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<u64> {
        match self {
            Self::Drawn { packages, seed } => drawn::write(*packages, *seed, out),
            Self::Converted(path) => copy_relations(path, out),
        }
    }
}

/// A class or property of the vocabulary.
pub(crate) fn term(name: &str) -> String {
    format!("urn:debian:v:{name}")
}

/// Copies the lines that rules may read.
fn copy_relations(path: &Path, out: &mut dyn Write) -> io::Result<u64> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let kept: Vec<String> =
        RELATIONS.iter().map(|name| term(name)).chain([TYPE.to_owned()]).map(|iri| format!("<{iri}>")).collect();
    let mut lines = 0;
    for line in BufReader::with_capacity(1 << 20, File::open(path).map_err(named)?).lines() {
        let line = line.map_err(named)?;
        if line.split(' ').nth(1).is_some_and(|predicate| kept.iter().any(|kept| kept == predicate)) {
            writeln!(out, "{line}")?;
            lines += 1;
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
