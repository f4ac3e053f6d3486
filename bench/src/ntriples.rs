//! Writes N-Triples line by line. All texts come from generators and need no escapes.

use std::io::{self, Write};

/// The type of things.
pub const TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";

/// Writes triples and counts them.
pub struct Writer<'a> {
    out: &'a mut dyn Write,
    triples: u64,
}

impl<'a> Writer<'a> {
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out, triples: 0 }
    }

    /// The number of lines written so far; a triple that is written twice counts twice.
    pub fn triples(&self) -> u64 {
        self.triples
    }

    /// A triple whose object is an IRI.
    pub fn link(&mut self, subject: &str, predicate: &str, object: &str) -> io::Result<()> {
        self.triples += 1;
        writeln!(self.out, "<{subject}> <{predicate}> <{object}> .")
    }

    /// A triple whose object is a plain literal.
    pub fn text(&mut self, subject: &str, predicate: &str, object: &str) -> io::Result<()> {
        self.triples += 1;
        writeln!(self.out, "<{subject}> <{predicate}> \"{object}\" .")
    }
}
