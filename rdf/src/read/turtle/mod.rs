//! Turtle and TriG: the scan cuts the text into whole statements, from which the parser makes quads.

mod scan;

use crate::batch::blank::{BlankNames, random_label};
use crate::format::Format;
use crate::read::outlet::{Job, Outlet};
use crate::read::position::{count_line_ends, earlier};
use crate::read::source::Bytes;
use entail_model::{Fault, Reason};
use oxrdf::{GraphName, Quad};
use oxttl::trig::LowLevelTriGParser;
use oxttl::turtle::LowLevelTurtleParser;
use oxttl::{TriGParser, TurtleParser, TurtleSyntaxError};
use scan::Scan;

/// A statement longer than this is passed to the parser in parts.
const HELD_BYTES: usize = 1 << 20;

/// Parses Turtle or TriG to its end.
///
/// # Errors
/// Errors that cannot be skipped: a limit, an error of the input or the sink. Malformed places go to the job's log.
pub(crate) fn parse(job: &Job<'_>, bytes: &mut dyn Bytes) -> Result<(), Fault> {
    let mut reader = Reader::new(job)?;
    let mut is_end = false;
    while !is_end {
        is_end = bytes.read_into(&mut reader.held)? == 0;
        reader.scan(is_end)?;
        if !reader.feed_statements()? {
            return Ok(());
        }
        if is_end {
            reader.parser.end_after(&reader.held);
            if !reader.drain()? {
                return Ok(());
            }
        }
    }
    reader.outlet.finish()
}

struct Reader<'j, 'a> {
    job: &'j Job<'a>,
    outlet: Outlet<'j, 'a>,
    parser: Statements,
    scan: Scan,
    /// Text that was read and not yet passed to the parser.
    held: Vec<u8>,
    /// The position of the first byte of `held`, counted from zero.
    line: u64,
    column: u64,
    /// The label of the last quad's graph, if it looks random.
    graph: Option<u128>,
    /// Is the text well-formed so far, so that the scan is reliable?
    in_step: bool,
}

impl<'j, 'a> Reader<'j, 'a> {
    fn new(job: &'j Job<'a>) -> Result<Self, Fault> {
        Ok(Self {
            job,
            outlet: Outlet::new(job, BlankNames::with_anonymous(job.request.blank_scope)),
            parser: Statements::new(job)?,
            scan: Scan::new(job.request.limits.term_bytes),
            held: Vec::new(),
            line: 0,
            column: 0,
            graph: None,
            in_step: true,
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
            if self.in_step {
                self.outlet.names().forget_but(self.graph);
            }
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
        (self.line, self.column) = place_after(&self.held[..count], self.line, self.column);
        self.held.drain(..count);
        self.scan.discard(count);
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
                    self.job.syntax(start.line + 1, start.column + 1, error.message())
                }
            };
            self.in_step = false;
            if fault.reason != Reason::Syntax {
                return Err(fault);
            }
            if !self.job.log.malformed(1, fault) {
                return Ok(false);
            }
        }
        self.outlet.settle()?;
        Ok(true)
    }
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

/// The parser, fed piece by piece.
struct Statements {
    parser: Parser,
    /// The item after an error, read ahead to compare its position.
    ahead: Option<Result<Quad, TurtleSyntaxError>>,
}

/// The parser of either format.
enum Parser {
    Turtle(LowLevelTurtleParser),
    TriG(LowLevelTriGParser),
}

impl Statements {
    fn new(job: &Job<'_>) -> Result<Self, Fault> {
        let base = job.request.base_iri.as_deref();
        let bad_base = |error| Fault::new(Reason::InvalidRequest, format!("the base is not an absolute IRI: {error}"));
        let parser = if job.request.format == Format::TriG {
            let parser = TriGParser::new();
            Parser::TriG(match base {
                Some(base) => parser.with_base_iri(base).map_err(bad_base)?.low_level(),
                None => parser.low_level(),
            })
        } else {
            let parser = TurtleParser::new();
            Parser::Turtle(match base {
                Some(base) => parser.with_base_iri(base).map_err(bad_base)?.low_level(),
                None => parser.low_level(),
            })
        };
        Ok(Self { parser, ahead: None })
    }

    fn extend(&mut self, text: &[u8]) {
        match &mut self.parser {
            Parser::Turtle(parser) => parser.extend_from_slice(text),
            Parser::TriG(parser) => parser.extend_from_slice(text),
        }
    }

    fn end_after(&mut self, text: &[u8]) {
        self.extend(text);
        match &mut self.parser {
            Parser::Turtle(parser) => parser.end(),
            Parser::TriG(parser) => parser.end(),
        }
    }

    /// The next quad or error, of which there is one per place.
    fn next(&mut self) -> Option<Result<Quad, TurtleSyntaxError>> {
        let mut error = match self.ahead.take().or_else(|| self.next_of_any()) {
            Some(Err(error)) => error,
            other => return other,
        };
        loop {
            match self.next_of_any() {
                Some(Err(next)) if next.location().start == error.location().start => error = earlier(error, next),
                other => {
                    self.ahead = other;
                    return Some(Err(error));
                }
            }
        }
    }

    fn next_of_any(&mut self) -> Option<Result<Quad, TurtleSyntaxError>> {
        match &mut self.parser {
            Parser::Turtle(parser) => Some(parser.parse_next()?.map(|triple| triple.in_graph(GraphName::DefaultGraph))),
            Parser::TriG(parser) => parser.parse_next(),
        }
    }
}
