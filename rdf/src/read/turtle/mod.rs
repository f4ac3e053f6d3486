//! Turtle and TriG: the scan cuts the text into whole statements, from which the parser makes quads.
//!
//! A load that stops at its first error uses one parser from beginning to end; a load that leaves out malformed
//! statements has to keep them apart, which is [`skip`].

mod parser;
mod place;
mod recovery;
mod scan;
mod skip;

use crate::batch::blank::{BlankNames, random_label};
use crate::read::outlet::{Job, Outlet};
use crate::read::position::count_line_ends;
use crate::read::relative::explained;
use crate::read::source::Bytes;
use entail_model::{Fault, Reason};
use oxrdf::GraphName;
use oxttl::TurtleSyntaxError;
use parser::{Context, Statements};
use scan::Scan;

/// A statement longer than this is passed to the parser in parts.
const HELD_BYTES: usize = 1 << 20;

/// Parses Turtle or TriG to its end.
///
/// # Errors
/// Errors that cannot be skipped: a limit, an error of the input or the sink. Malformed places go to the job's log.
pub(crate) fn parse(job: &Job<'_>, bytes: &mut dyn Bytes) -> Result<(), Fault> {
    if !job.log.stops_at_first() {
        return skip::parse(job, bytes);
    }
    let mut reader = Reader::new(job)?;
    let mut is_end = false;
    while !is_end {
        is_end = bytes.read_into(&mut reader.held)? == 0;
        reader.scan(is_end)?;
        if !reader.feed_statements()? {
            return Ok(());
        }
        if is_end && !reader.end()? {
            return Ok(());
        }
    }
    reader.outlet.finish()
}

struct Reader<'j, 'a> {
    job: &'j Job<'a>,
    outlet: Outlet<'j, 'a>,
    parser: Statements,
    scan: Scan,
    /// Text that was read and not yet parsed.
    held: Vec<u8>,
    /// The position of the first byte of `held`, counted from zero.
    line: u64,
    column: u64,
    offset: u64,
    /// The label of the last quad's graph, if it looks random.
    graph: Option<u128>,
}

impl<'j, 'a> Reader<'j, 'a> {
    fn new(job: &'j Job<'a>) -> Result<Self, Fault> {
        Ok(Self {
            job,
            outlet: Outlet::new(job, BlankNames::with_anonymous(job.request.blank_scope)),
            parser: Statements::in_context(job.request.format, &Context::of(&job.request))?,
            scan: Scan::new(job.request.limits.term_bytes),
            held: Vec::new(),
            line: 0,
            column: 0,
            offset: 0,
            graph: None,
        })
    }

    fn scan(&mut self, is_end: bool) -> Result<(), Fault> {
        self.scan.advance(&self.held, is_end).map_err(|(offset, fault)| {
            let (line, column) = place_after(&self.held[..offset], self.line, self.column);
            fault.at(line + 1, column + 1).in_file(&self.job.request.file)
        })
    }

    /// Passes the complete statements to the parser; returns whether to continue.
    fn feed_statements(&mut self) -> Result<bool, Fault> {
        if self.scan.statement_end() > 0 {
            if !self.feed(self.scan.statement_end())? {
                return Ok(false);
            }
            // No statement is open, so no anonymous node can be referenced again, except the name of an open graph.
            self.outlet.names().forget_but(self.graph);
        }
        if self.held.len() > HELD_BYTES && self.scan.token_end() > 0 {
            return self.feed(self.scan.token_end());
        }
        Ok(true)
    }

    fn feed(&mut self, count: usize) -> Result<bool, Fault> {
        for label in self.scan.take_labels(count) {
            self.outlet.names().declare(label);
        }
        self.parser.extend(&self.held[..count]);
        let go_on = self.drain()?;
        (self.line, self.column) = place_after(&self.held[..count], self.line, self.column);
        self.offset += count as u64;
        self.held.drain(..count);
        self.scan.discard(count);
        Ok(go_on)
    }

    /// Passes the rest of the text to the parser; returns whether it was well-formed.
    fn end(&mut self) -> Result<bool, Fault> {
        for label in self.scan.take_labels(self.held.len()) {
            self.outlet.names().declare(label);
        }
        self.parser.end_after(&self.held);
        self.drain()
    }

    /// Takes the quads that are ready from the parser; returns whether to continue.
    fn drain(&mut self) -> Result<bool, Fault> {
        while let Some(result) = self.parser.next() {
            let fault = match result {
                Ok(quad) => {
                    self.graph = graph_label(&quad.graph_name);
                    match self.outlet.push(quad.as_ref()) {
                        Ok(()) => continue,
                        Err(fault) => fault.in_file(&self.job.request.file),
                    }
                }
                Err(error) => {
                    let start = error.location().start;
                    let token = token_of(&error, &self.held, self.offset);
                    let message = explained(self.job.request.format, error.message(), token);
                    self.job.syntax(start.line + 1, start.column + 1, message)
                }
            };
            if fault.reason != Reason::Syntax {
                return Err(fault);
            }
            self.job.log.malformed(1, fault);
            return Ok(false);
        }
        self.outlet.settle()?;
        Ok(true)
    }
}

/// The token that an error is about, in a text that begins at this offset of what the parser read.
fn token_of<'t>(error: &TurtleSyntaxError, text: &'t [u8], offset: u64) -> Option<&'t [u8]> {
    let place = error.location();
    let within = |at: u64| at.checked_sub(offset).and_then(|at| usize::try_from(at).ok());
    text.get(within(place.start.offset)?..within(place.end.offset)?)
}

fn graph_label(graph: &GraphName) -> Option<u128> {
    match graph {
        GraphName::BlankNode(node) => random_label(node.as_str()),
        _ => None,
    }
}

/// The position after `text` if it begins at this position; columns count characters, as in the parser.
fn place_after(text: &[u8], line: u64, column: u64) -> (u64, u64) {
    let last_line = text.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')).map_or(text, |at| &text[at + 1..]);
    let characters = last_line.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64;
    match count_line_ends(text) {
        0 => (line, column + characters),
        ends => (line + ends, characters),
    }
}
