//! A reader between the input and the XML parser: enforces limits, tracks positions, and detects errors that the parser
//! does not.
//!
//! The reader returns one piece per read: the text up to a tag with the tag's `<`, then the rest of the tag. So the
//! parser fails in the piece that it read last, whose position is the position of the error; the parser itself reports
//! none. Nor does it report documents that end inside an element.

use crate::batch::blank::random_label;
use crate::read::outlet::Job;
use crate::read::source::Bytes;
use crate::read::xml::markup::{Entities, attribute_values};
use entail_model::{Fault, Reason};
use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

/// The deepest nesting of elements: each level costs the parser some state, and nested triple terms are nested
/// elements.
const DEPTH_MAX: usize = 2_000;
const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

/// The state of the scan, shared between the reader and the caller of the parser.
#[derive(Default)]
pub(crate) struct Seen {
    /// An exceeded limit; the parser only sees a failed read.
    pub(crate) fault: Option<Fault>,
    /// The position of the last piece, counted from one.
    pub(crate) line: u64,
    pub(crate) column: u64,
    /// Labels of blank nodes that only look random.
    pub(crate) labels: Vec<u128>,
    /// Was no node element open at some point, so that earlier anonymous nodes cannot be referenced again?
    pub(crate) between_nodes: bool,
}

/// The kinds of piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    /// Text and the `<` after it.
    Text,
    /// The rest of a tag, comment, instruction or declaration, with the `>` that ends it.
    Markup,
}

pub(crate) struct LimitedReader<'j, 'a, B> {
    job: &'j Job<'a>,
    bytes: B,
    held: Vec<u8>,
    /// The current piece, as a range of `held`, and how much of it was returned.
    start: usize,
    given: usize,
    end: usize,
    next: Piece,
    line: u64,
    column: u64,
    depth: usize,
    /// The depth of top-level node elements, if it is known.
    node_depth: Option<usize>,
    /// The depth of the property whose content is a literal, and the bytes of it so far.
    literal: Option<(usize, usize)>,
    entities: Entities,
    is_end: bool,
    seen: Rc<RefCell<Seen>>,
}

impl<'j, 'a, B: Bytes> LimitedReader<'j, 'a, B> {
    pub(crate) fn new(job: &'j Job<'a>, bytes: B, seen: Rc<RefCell<Seen>>) -> Self {
        Self {
            job,
            bytes,
            held: Vec::new(),
            start: 0,
            given: 0,
            end: 0,
            next: Piece::Text,
            line: 1,
            column: 1,
            depth: 0,
            node_depth: None,
            literal: None,
            entities: Entities::default(),
            is_end: false,
            seen,
        }
    }

    /// Prepares the next piece; there is none at the end of the input.
    fn next_piece(&mut self) -> Result<(), Fault> {
        let piece = self.next;
        self.start = self.end;
        let length = self.find_piece(piece)?;
        (self.given, self.end) = (self.start, self.start + length);
        let place = self.place_of(piece);
        {
            let mut seen = self.seen.borrow_mut();
            (seen.line, seen.column) = place;
            seen.between_nodes |= self.node_depth == Some(self.depth);
        }
        self.check(piece).map_err(|fault| fault.at(place.0, place.1).in_file(&self.job.request.file))?;
        (self.line, self.column) = after(&self.held[self.start..self.end], self.line, self.column);
        if length == 0 && self.depth > 0 {
            return Err(self.job.syntax(self.line, self.column, "the document ends inside an element"));
        }
        self.next = if piece == Piece::Text { Piece::Markup } else { Piece::Text };
        Ok(())
    }

    /// The length of the piece at `start`, reading as much as necessary.
    fn find_piece(&mut self, piece: Piece) -> Result<usize, Fault> {
        let limit = self.job.request.limits.term_bytes;
        let mut from = 0;
        loop {
            let text = &self.held[self.start..];
            let found = match piece {
                Piece::Text => memchr::memchr(b'<', &text[from..]).map(|at| from + at + 1),
                Piece::Markup => markup_len(text, from),
            };
            if let Some(length) = found {
                return Ok(length);
            }
            if text.len() > limit {
                let what = if piece == Piece::Text { "text" } else { "a tag, comment or declaration" };
                return Err(self.job.limit(self.line, self.column, format!("{what} of more than {limit} bytes")));
            }
            from = text.len();
            self.held.drain(..std::mem::take(&mut self.start));
            if self.is_end || self.bytes.read_into(&mut self.held)? == 0 {
                self.is_end = true;
                return Ok(self.held.len());
            }
        }
    }

    fn place_of(&self, piece: Piece) -> (u64, u64) {
        match piece {
            // The `<` was returned before.
            Piece::Markup => (self.line, self.column.saturating_sub(1).max(1)),
            Piece::Text => {
                let text = &self.held[self.start..self.end];
                let blank = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                after(&text[..blank], self.line, self.column)
            }
        }
    }

    fn check(&mut self, piece: Piece) -> Result<(), Fault> {
        let limit = self.job.request.limits.term_bytes;
        let text = &self.held[self.start..self.end];
        let too_long = || Fault::new(Reason::LimitExceeded, format!("a literal of more than {limit} bytes"));
        if self.entities.expanded_len(text) > limit {
            return Err(too_long());
        }
        if let Some((_, bytes)) = &mut self.literal {
            *bytes += text.len();
            if *bytes > limit {
                return Err(too_long());
            }
        }
        if piece == Piece::Markup { self.check_markup() } else { Ok(()) }
    }

    fn check_markup(&mut self) -> Result<(), Fault> {
        let text = &self.held[self.start..self.end];
        match text.first() {
            Some(b'!') if is_doctype(text) => self.entities.declare(text),
            Some(b'!' | b'?') | None => Ok(()),
            Some(b'/') => {
                self.depth = self.depth.saturating_sub(1);
                self.literal = self.literal.filter(|(depth, _)| self.depth >= *depth);
                Ok(())
            }
            Some(_) => self.check_start(),
        }
    }

    fn check_start(&mut self) -> Result<(), Fault> {
        let tag = &self.held[self.start..self.end];
        for label in attribute_values(tag, "odeID") {
            if label.contains(&b'&') {
                return Err(Fault::new(Reason::Unsupported, "an rdf:nodeID with character references in it"));
            }
            let random = std::str::from_utf8(label).ok().and_then(random_label);
            self.seen.borrow_mut().labels.extend(random);
        }
        if self.depth == 0 && self.node_depth.is_none() && is_rdf_root(tag) {
            self.node_depth = Some(1);
        }
        if !tag.ends_with(b"/>") {
            self.depth += 1;
            let is_literal = |kind: &[u8]| !matches!(kind, b"Resource" | b"Collection" | b"Triple");
            if self.literal.is_none() && attribute_values(tag, "parseType").any(is_literal) {
                self.literal = Some((self.depth, 0));
            }
        }
        if self.depth > DEPTH_MAX {
            return Err(Fault::new(Reason::LimitExceeded, format!("elements nested more than {DEPTH_MAX} deep")));
        }
        Ok(())
    }
}

/// Is this the usual root, whose children are the node elements? Other documents are a single node element.
fn is_rdf_root(tag: &[u8]) -> bool {
    tag.starts_with(b"rdf:RDF") && attribute_values(tag, "xmlns:rdf").any(|namespace| namespace == RDF.as_bytes())
}

fn is_doctype(markup: &[u8]) -> bool {
    markup.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"!DOCTYPE"))
}

/// The length of markup including the `>` that ends it, if that is buffered; nothing before `from` ends it.
///
/// `text` begins after the `<`. A `>` within quotes ends no tag, one within a comment ends no comment.
fn markup_len(text: &[u8], from: usize) -> Option<usize> {
    let terminated_by = |end: &[u8], start: usize| {
        let start = start.max(from.saturating_sub(end.len())).min(text.len());
        memchr::memmem::find(&text[start..], end).map(|at| start + at + end.len())
    };
    if text.starts_with(b"!--") {
        terminated_by(b"-->", 3)
    } else if text.starts_with(b"![CDATA[") {
        terminated_by(b"]]>", 8)
    } else if text.starts_with(b"?") {
        terminated_by(b"?>", 1)
    } else if text.len() < 9 && text.starts_with(b"!") && !text.contains(&b'>') {
        None
    } else if text.starts_with(b"!") {
        doctype_len(text)
    } else {
        tag_len(text)
    }
}

fn tag_len(text: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    None
}

fn doctype_len(text: &[u8]) -> Option<usize> {
    // The parser counts angle brackets, so the reader does too.
    let mut open = 1usize;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'<' => open += 1,
            b'>' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at + 1);
        }
    }
    None
}

/// The position after `text` that begins at this position, both counted from one; columns count characters.
fn after(text: &[u8], line: u64, column: u64) -> (u64, u64) {
    let feeds = memchr::memchr_iter(b'\n', text).count() as u64;
    let last_line = memchr::memrchr(b'\n', text).map_or(text, |at| &text[at + 1..]);
    let characters = last_line.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64;
    if feeds == 0 { (line, column + characters) } else { (line + feeds, 1 + characters) }
}

impl<B: Bytes> Read for LimitedReader<'_, '_, B> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.end
            && let Err(fault) = self.next_piece()
        {
            self.seen.borrow_mut().fault = Some(fault);
            return Err(io::Error::other("the input was refused"));
        }
        let count = (self.end - self.given).min(buffer.len());
        buffer[..count].copy_from_slice(&self.held[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
