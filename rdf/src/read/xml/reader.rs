//! A reader between the input and the RDF/XML parser: enforces limits, tracks positions, detects errors that the parser does
//! not, and gives the parser XML in a form that it reads correctly.
//!
//! ```text
//! input ─► line ends ─► text | markup ─► checks ─► runs of text, tags ─► parser
//! ```
//! What the parser does not read correctly, and gets in another form:
//! - a comment or an instruction within a text, or a CDATA section: one run of text;
//! - `xml:lang=""`: the tag [`NO_LANGUAGE`](super::attributes::NO_LANGUAGE), which the caller removes from literals;
//! - a relative `xml:base`: the IRI that it stands for;
//! - XML literals, and values of `rdf:parseType` that count as such: their canonical text with a datatype;
//! - entities in single quotes, and line ends and tabs in attributes.
//!
//! The reader returns one piece per read: a run of text with the `<` after it, then the rest of the tag. So the
//! parser fails in the piece that it read last, whose position is the position of the error; the parser itself reports
//! none. Nor does it report documents that end inside an element, or have no root or several.

use crate::batch::blank::random_label;
use crate::read::outlet::Job;
use crate::read::source::Bytes;
use crate::read::xml::attributes::{RDF, as_literal, check_parse_type, declare};
use crate::read::xml::attributes::{in_attribute, is_content, is_ordinary, language};
use crate::read::xml::literal::{Canonical, escape};
use crate::read::xml::markup::{Entities, attribute_values, check_characters};
use crate::read::xml::pieces::{Input, LineColumn, Markup, Taken, after, kind_of, section};
use crate::read::xml::scope::Scope;
use crate::read::xml::tag::{Tag, normalize_values, split_name};
use entail_model::{Fault, Reason};
use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

/// The deepest nesting of elements: each level costs the parser some state, and nested triple terms are nested
/// elements.
const DEPTH_MAX: usize = 2_000;

/// The state of the scan, shared between the reader and the caller of the parser.
#[derive(Default)]
pub(crate) struct Seen {
    /// An error of the reader; the parser only sees a failed read.
    pub(crate) fault: Option<Fault>,
    /// The position of the last piece, counted from one.
    pub(crate) line: u64,
    pub(crate) column: u64,
    /// Labels of blank nodes that only look random.
    pub(crate) labels: Vec<u128>,
    /// Was no node element open at some point, so that earlier anonymous nodes cannot be referenced again?
    pub(crate) between_nodes: bool,
}

pub(crate) struct CleanReader<'j, 'a, B> {
    job: &'j Job<'a>,
    input: Input<B>,
    /// The current piece for the parser, and how much of it was returned.
    out: Vec<u8>,
    given: usize,
    /// The run of text before the current markup, and the position of its first character that is not blank.
    run: Vec<u8>,
    run_place: Option<LineColumn>,
    /// The position of the tag that is the next piece for the parser.
    tag: Option<LineColumn>,
    depth: usize,
    roots: usize,
    /// The depth of top-level node elements, if it is known.
    node_depth: Option<usize>,
    literal: Option<Canonical>,
    /// The current start tag, in memory that the next one takes again.
    start: Tag,
    scope: Scope,
    entities: Entities,
    seen: Rc<RefCell<Seen>>,
}

impl<'j, 'a, B: Bytes> CleanReader<'j, 'a, B> {
    pub(crate) fn new(job: &'j Job<'a>, bytes: B, seen: Rc<RefCell<Seen>>) -> Self {
        Self {
            job,
            input: Input::new(bytes, job.request.limits.term_bytes),
            out: Vec::new(),
            given: 0,
            run: Vec::new(),
            run_place: None,
            tag: None,
            depth: 0,
            roots: 0,
            node_depth: None,
            literal: None,
            start: Tag::default(),
            scope: Scope::new(job.request.base_iri.as_deref()),
            entities: Entities::default(),
            seen,
        }
    }

    /// Prepares the next piece for the parser; there is none at the end of the input.
    fn next_piece(&mut self) -> Result<(), Fault> {
        self.out.clear();
        self.given = 0;
        if let Some(place) = self.tag.take() {
            return self.give_tag(place);
        }
        loop {
            let is_markup = self.take_text()?;
            if !is_markup {
                return self.give_end();
            }
            let (line, column) = self.input.place();
            let place = (line, column - 1);
            let kind = self.take_markup(place)?;
            let is_given = match kind {
                _ if self.literal.is_some() => self.add_to_literal(kind, place)?,
                // Blank text is no error, so that it and the tag are one piece.
                Markup::Start | Markup::End if self.run_place.is_none() => {
                    self.add_run();
                    return self.give_tag(place);
                }
                Markup::Start | Markup::End => self.give_run(place),
                Markup::CData => self.add_section(),
                Markup::Comment => false,
                Markup::Instruction => self.give_declaration(place),
                Markup::DocumentType => self.give_document_type(place)?,
            };
            if is_given {
                return Ok(());
            }
        }
    }

    /// Takes text up to a `<` into the run, and the `<`; returns whether there is one.
    fn take_text(&mut self) -> Result<bool, Fault> {
        let place = self.input.place();
        if self.input.take_text()? == Taken::TooLong {
            return Err(self.too_long(place, "text"));
        }
        let piece = self.input.piece();
        let (text, is_markup) = piece.strip_suffix(b"<").map_or((piece, false), |text| (text, true));
        let blank = text.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if blank < text.len() {
            self.run_place.get_or_insert_with(|| after(&text[..blank], place));
        }
        if !self.input.is_plain() {
            check_characters(text).map_err(|(at, fault)| self.placed(fault, after(&text[..at], place)))?;
        }
        if self.run.len() + self.entities.expanded_len(text) > self.job.request.limits.term_bytes {
            return Err(self.too_long(place, "a literal"));
        }
        self.run.extend_from_slice(text);
        Ok(is_markup)
    }

    /// Takes the rest of the markup after a `<` at this position.
    fn take_markup(&mut self, place: LineColumn) -> Result<Markup, Fault> {
        let start = self.input.place();
        let taken = self.input.take_markup()?;
        if taken == Taken::TooLong {
            return Err(self.too_long(place, "a tag, comment or declaration"));
        }
        let text = self.input.piece();
        if !self.input.is_plain() {
            check_characters(text).map_err(|(at, fault)| self.placed(fault, after(&text[..at], start)))?;
        }
        if taken == Taken::Cut {
            let what = if self.depth > 0 { "an element" } else { "a tag" };
            let (line, column) = self.input.place();
            return Err(self.job.syntax(line, column, format!("the document ends inside {what}")));
        }
        Ok(kind_of(text))
    }

    fn placed(&self, fault: Fault, place: LineColumn) -> Fault {
        fault.at(place.0, place.1).in_file(&self.job.request.file)
    }

    fn too_long(&self, place: LineColumn, what: &str) -> Fault {
        let limit = self.job.request.limits.term_bytes;
        self.job.limit(place.0, place.1, format!("{what} of more than {limit} bytes"))
    }

    /// Makes a piece of the parser's text known as the last one.
    fn begin_piece(&mut self, place: LineColumn) {
        let mut seen = self.seen.borrow_mut();
        (seen.line, seen.column) = place;
        seen.between_nodes |= self.node_depth == Some(self.depth);
    }

    /// Gives the run to the parser with the `<` of the tag after it, which is at this place.
    fn give_run(&mut self, place: LineColumn) -> bool {
        let run_place = self.run_place.take().unwrap_or(place);
        self.begin_piece(run_place);
        self.add_run();
        self.tag = Some(place);
        true
    }

    /// Adds the run and the `<` of the markup after it to the piece.
    fn add_run(&mut self) {
        self.out.append(&mut self.run);
        self.out.push(b'<');
    }

    fn give_end(&mut self) -> Result<(), Fault> {
        let end = self.input.place();
        let text_place = self.run_place.take().filter(|_| self.depth == 0);
        self.begin_piece(end);
        let (place, message) = match (text_place, self.depth, self.roots) {
            (Some(place), _, _) => (place, "text outside of the root element"),
            (None, 0, 0) => (end, "the document is empty: RDF/XML has a root element"),
            (None, 0, _) => return Ok(()),
            _ => (end, "the document ends inside an element"),
        };
        Err(self.job.syntax(place.0, place.1, message))
    }

    /// Adds a CDATA section to the run.
    fn add_section(&mut self) -> bool {
        let text = section(self.input.piece());
        escape(text, b"&<>", &mut self.run);
        self.run_place.get_or_insert(self.input.place());
        false
    }

    /// Gives the XML declaration to the parser, which checks the encoding; other instructions have no meaning in RDF/XML.
    fn give_declaration(&mut self, place: LineColumn) -> bool {
        let text = self.input.piece();
        let is_declaration = text.starts_with(b"?xml") && text.get(4).is_some_and(u8::is_ascii_whitespace);
        if !is_declaration || self.roots > 0 {
            return false;
        }
        self.add_run();
        self.out.extend_from_slice(self.input.piece());
        self.begin_piece(place);
        true
    }

    fn give_document_type(&mut self, place: LineColumn) -> Result<bool, Fault> {
        let text = self.input.piece();
        let declared = if is_doctype(text) { self.entities.declare(text) } else { Ok(text.to_vec()) };
        let text = declared.map_err(|fault| self.placed(fault, place))?;
        self.add_run();
        self.out.extend_from_slice(&text);
        self.begin_piece(place);
        Ok(true)
    }

    /// Adds text and markup to the XML literal; returns whether a piece for the parser is ready, at the end of the literal.
    fn add_to_literal(&mut self, kind: Markup, place: LineColumn) -> Result<bool, Fault> {
        let Some(mut literal) = self.literal.take() else { return Ok(false) };
        let text = self.entities.resolved(&self.run).map_err(|fault| self.placed(fault, place))?;
        literal.text(&text);
        self.run.clear();
        if literal.len() > self.job.request.limits.term_bytes {
            return Err(self.too_long(place, "a literal"));
        }
        if kind == Markup::End && literal.depth() == 0 {
            escape(&literal.finish(), b"&<>\r", &mut self.run);
            return Ok(self.give_run(place));
        }
        self.extend_literal(&mut literal, kind).map_err(|fault| self.placed(fault, place))?;
        self.literal = Some(literal);
        Ok(false)
    }

    fn extend_literal(&mut self, literal: &mut Canonical, kind: Markup) -> Result<(), Fault> {
        normalize_values(self.input.piece_mut());
        let text = self.input.piece();
        match kind {
            Markup::Comment | Markup::Instruction => literal.other(text),
            Markup::CData => literal.text(section(text)),
            Markup::DocumentType => return Err(Fault::new(Reason::Syntax, "a declaration within an element")),
            Markup::End => {
                literal.end(&text[1..text.len() - 1])?;
                self.scope.close(self.depth + literal.depth());
            }
            Markup::Start => {
                let depth = self.depth + literal.depth() + 1;
                check_depth(depth)?;
                if let Some(tag) = Tag::read(text) {
                    declare(&mut self.scope, depth, text, &tag, &self.entities)?;
                }
                literal.start(text, &self.scope, &self.entities)?;
                self.scope.close(self.depth + literal.depth());
            }
        }
        Ok(())
    }

    /// Gives the current tag to the parser.
    fn give_tag(&mut self, place: LineColumn) -> Result<(), Fault> {
        self.begin_piece(place);
        if self.input.piece().first() != Some(&b'/') {
            return self.give_start().map_err(|fault| self.placed(fault, place));
        }
        self.depth = self.depth.saturating_sub(1);
        self.scope.close(self.depth);
        self.out.extend_from_slice(self.input.piece());
        Ok(())
    }

    fn give_start(&mut self) -> Result<(), Fault> {
        self.check_root()?;
        normalize_values(self.input.piece_mut());
        let mut tag = std::mem::take(&mut self.start);
        let is_read = tag.read_again(self.input.piece()).is_some();
        let given = self.give_attributes(&tag, is_read);
        self.start = tag;
        given
    }

    /// Gives the current start tag to the parser, as it was read.
    fn give_attributes(&mut self, tag: &Tag, is_read: bool) -> Result<(), Fault> {
        let text = self.input.piece();
        let is_plain = is_read && tag.attributes.iter().all(|it| is_ordinary(&text[it.name.clone()]));
        if !is_plain {
            self.learn_labels()?;
        }
        let text = self.input.piece();
        if !is_read {
            // The parser reports what is malformed.
            self.depth += usize::from(!text.ends_with(b"/>"));
            self.out.extend_from_slice(text);
            return Ok(());
        }
        let depth = self.depth + 1;
        check_depth(depth)?;
        if is_plain {
            self.out.extend_from_slice(text);
            self.depth = if tag.is_empty { self.depth } else { depth };
            return Ok(());
        }
        declare(&mut self.scope, depth, text, tag, &self.entities)?;
        check_parse_type(&self.scope, text, tag)?;
        let mut is_literal = false;
        let mut copied = 0;
        for attribute in &tag.attributes {
            let (name, value) = (&text[attribute.name.clone()], &text[attribute.value.clone()]);
            let (prefix, local) = split_name(name);
            let (from, other) = match (name, local) {
                (b"xml:lang", _) => match language(value)? {
                    Some(other) => (attribute.value.start, other.to_vec()),
                    None => continue,
                },
                (b"xml:base", _) => {
                    let iri = String::from_utf8_lossy(&self.entities.resolved(value)?).into_owned();
                    (attribute.value.start, in_attribute(self.scope.set_base(depth, &iri)?))
                }
                (_, b"parseType") if self.scope.namespace(prefix) == Some(RDF.as_bytes()) && is_content(value) => {
                    is_literal = true;
                    (attribute.name.start, as_literal(prefix, text, attribute))
                }
                _ => continue,
            };
            self.out.extend_from_slice(&text[copied..from]);
            self.out.extend_from_slice(&other);
            copied = attribute.value.end;
        }
        self.out.extend_from_slice(&text[copied..]);
        if tag.is_empty {
            self.scope.close(self.depth);
            return Ok(());
        }
        self.depth = depth;
        self.literal = is_literal.then(Canonical::default);
        Ok(())
    }

    /// Makes the labels of blank nodes in the current tag known.
    fn learn_labels(&self) -> Result<(), Fault> {
        for label in attribute_values(self.input.piece(), "odeID") {
            if label.contains(&b'&') {
                return Err(Fault::new(Reason::Unsupported, "an rdf:nodeID with character references in it"));
            }
            let random = std::str::from_utf8(label).ok().and_then(random_label);
            self.seen.borrow_mut().labels.extend(random);
        }
        Ok(())
    }

    fn check_root(&mut self) -> Result<(), Fault> {
        if self.depth > 0 {
            return Ok(());
        }
        let tag = self.input.piece();
        self.roots += 1;
        if self.roots > 1 {
            return Err(Fault::new(Reason::Syntax, "a second root element: an XML document has one"));
        }
        if is_rdf_root(tag) {
            self.node_depth = Some(1);
        }
        Ok(())
    }
}

fn check_depth(depth: usize) -> Result<(), Fault> {
    if depth > DEPTH_MAX {
        return Err(Fault::new(Reason::LimitExceeded, format!("elements nested more than {DEPTH_MAX} deep")));
    }
    Ok(())
}

/// Is this the usual root, whose children are the node elements? Other documents are a single node element.
fn is_rdf_root(tag: &[u8]) -> bool {
    tag.starts_with(b"rdf:RDF") && attribute_values(tag, "xmlns:rdf").any(|namespace| namespace == RDF.as_bytes())
}

fn is_doctype(markup: &[u8]) -> bool {
    markup.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"!DOCTYPE"))
}

impl<B: Bytes> Read for CleanReader<'_, '_, B> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.out.len()
            && let Err(fault) = self.next_piece()
        {
            self.seen.borrow_mut().fault = Some(fault);
            return Err(io::Error::other("the input was refused"));
        }
        let count = (self.out.len() - self.given).min(buffer.len());
        buffer[..count].copy_from_slice(&self.out[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
