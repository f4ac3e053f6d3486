//! LUBM, the Lehigh University Benchmark: universities by the published profile, its ontology as rules, its queries.
//!
//! ```text
//! seed, university ──► departments ──► faculty, students ──► publications, courses, assistants ──► N-Triples
//! ```
//! Invariant: a university depends only on the seed and its own number, so LUBM-1 is the beginning of LUBM-10. The
//! numbers come from a different generator than Java's, so counts differ a little from those of UBA's files. As in
//! UBA's files, the type of a university is written with every degree from it, so some lines occur twice.

mod department;
pub mod profile;

use crate::ntriples::{TYPE, Writer};
use crate::workload::Query;
use department::Department;
use entail_model::random::Random;
use std::io::{self, Write};

/// The namespace of the ontology.
pub const NAMESPACE: &str = "http://swat.cse.lehigh.edu/onto/univ-bench.owl#";

/// The entailments of the ontology, as far as rules without new resources in their heads can express them.
pub const RULES: &str = include_str!("../../rules/lubm.srl");

macro_rules! queries {
    ($($name:literal),*) => {
        [$(Query::rows($name, include_str!(concat!("../../queries/lubm/", $name, ".rq")))),*]
    };
}

/// The queries of the benchmark, in its order.
pub const QUERIES: [Query; 14] =
    queries!("q01", "q02", "q03", "q04", "q05", "q06", "q07", "q08", "q09", "q10", "q11", "q12", "q13", "q14");

/// Some universities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lubm {
    pub universities: u32,
    pub seed: u64,
}

impl Lubm {
    /// Writes the universities as N-Triples and returns the number of lines.
    ///
    /// # Errors
    /// The errors of the output.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<u64> {
        let mut writer = Writer::new(out);
        for number in 0..self.universities {
            let mut random = Random::stream(self.seed, u64::from(number));
            let university = university(u64::from(number));
            kind(&mut writer, &university, "University")?;
            writer.text(&university, &term("name"), &format!("University{number}"))?;
            for index in 0..random.among(profile::DEPARTMENTS) {
                Department::new(u64::from(number), index, &mut random).write(&mut random, &mut writer)?;
            }
        }
        Ok(writer.triples())
    }
}

/// A name of the ontology.
pub(crate) fn term(name: &str) -> String {
    format!("{NAMESPACE}{name}")
}

fn university(number: u64) -> String {
    format!("http://www.University{number}.edu")
}

fn kind(writer: &mut Writer<'_>, thing: &str, class: &str) -> io::Result<()> {
    writer.link(thing, TYPE, &term(class))
}

#[cfg(test)]
mod tests;
