//! Plain lines of N-Triples and N-Quads, read without copying: nearly all lines of nearly all files are plain.
//!
//! ```text
//! <http://a/x1> <http://b/p#q> "text"@en .        terms are slices of the line
//! ```
//!
//! A plain line needs no rewriting and no tables for validation: IRIs of ASCII letters, digits and punctuation with a
//! host name or none, literals without escapes, short language tags in lower case, blank nodes named by letters and
//! digits, one or more blanks between terms. All other lines go to oxttl, which reads them or reports the error.
//!
//! An IRI that the batch has already is not validated again: most are found by their bytes alone.
//!
//! Invariant: a plain line is well-formed, and oxttl reads the same fact from it.

use crate::batch::plain::{Known, PlainFact, PlainTerm, TermPosition};
use crate::format::Format;
use memchr::{memchr2, memchr3};
use oxrdf::vocab::rdf;
use oxrdf::{BlankNodeRef, LiteralRef, NamedNodeRef};

/// Which of the two line formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineFormat {
    NTriples,
    NQuads,
}

impl From<LineFormat> for Format {
    fn from(format: LineFormat) -> Self {
        match format {
            LineFormat::NTriples => Self::NTriples,
            LineFormat::NQuads => Self::NQuads,
        }
    }
}

/// The content of a plain line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PlainLine<'t> {
    /// Blanks only.
    Nothing,
    Fact(PlainFact<'t>),
}

/// Bytes that may occur in the path, the query and the fragment of an IRI: RFC 3986's `pchar` without `%`, `/` and `?`.
const PATH: u8 = 1;
/// Bytes of a host name: RFC 3986's `reg-name` without `%`.
const HOST: u8 = 2;
/// Bytes of a scheme after its first.
const SCHEME: u8 = 4;
/// Bytes of a plain blank node's name.
const LABEL: u8 = 8;
/// Digits.
const DIGIT: u8 = 16;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let at = byte as u8;
        if at.is_ascii_alphanumeric() {
            classes[byte] = PATH | HOST | SCHEME | LABEL;
        }
        if at.is_ascii_digit() {
            classes[byte] |= DIGIT;
        }
        if matches!(at, b'-' | b'.') {
            classes[byte] = PATH | HOST | SCHEME;
        }
        if at == b'+' {
            classes[byte] = PATH | HOST | SCHEME;
        }
        if matches!(at, b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b',' | b';' | b'=') {
            classes[byte] = PATH | HOST;
        }
        if matches!(at, b':' | b'@' | b'/' | b'?') {
            classes[byte] = PATH;
        }
        byte += 1;
    }
    classes
};

/// Reads a line without its line end; `None` if it is not plain.
pub(crate) fn parse<'t>(line: &'t str, format: LineFormat, known: &impl Known) -> Option<PlainLine<'t>> {
    let mut rest = Cursor { line, at: 0, known };
    rest.skip_blanks();
    if rest.is_over() {
        return Some(PlainLine::Nothing);
    }
    let subject = rest.node(TermPosition::Subject)?;
    rest.blanks()?;
    let predicate = rest.iri(TermPosition::Predicate)?;
    rest.blanks()?;
    let object = rest.object()?;
    rest.blanks()?;
    let mut graph = None;
    if format == LineFormat::NQuads && rest.first() != Some(b'.') {
        graph = Some(rest.node(TermPosition::Graph)?);
        rest.blanks()?;
    }
    rest.take(b'.')?;
    rest.skip_blanks();
    rest.is_over().then_some(PlainLine::Fact(PlainFact { subject, predicate, object, graph }))
}

/// A position in a line.
struct Cursor<'t, 'k, K> {
    line: &'t str,
    at: usize,
    known: &'k K,
}

impl<'t, K: Known> Cursor<'t, '_, K> {
    fn bytes(&self) -> &'t [u8] {
        &self.line.as_bytes()[self.at..]
    }

    fn is_over(&self) -> bool {
        self.at == self.line.len()
    }

    /// Advances by `bytes`, which end before an ASCII character or at the end.
    fn advance(&mut self, bytes: usize) -> &'t str {
        let from = self.at;
        self.at += bytes;
        &self.line[from..self.at]
    }

    fn first(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.first() == Some(byte)).then(|| self.at += 1)
    }

    fn skip_blanks(&mut self) {
        while matches!(self.first(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// At least one blank.
    fn blanks(&mut self) -> Option<()> {
        matches!(self.first(), Some(b' ' | b'\t')).then(|| self.skip_blanks())
    }

    fn node(&mut self, place: TermPosition) -> Option<PlainTerm<'t>> {
        match self.first()? {
            b'<' => self.iri(place),
            b'_' => self.blank_node(),
            _ => None,
        }
    }

    fn object(&mut self) -> Option<PlainTerm<'t>> {
        match self.first()? {
            b'"' => self.literal().map(|literal| PlainTerm::Term(literal.into())),
            _ => self.node(TermPosition::Object),
        }
    }

    fn iri(&mut self, place: TermPosition) -> Option<PlainTerm<'t>> {
        if self.first() == Some(b'<')
            && let Some((length, slot)) = self.known.iri(&self.bytes()[1..], place)
        {
            self.at += length + 2;
            return Some(PlainTerm::Known(slot));
        }
        self.new_iri().map(|iri| PlainTerm::Term(iri.into()))
    }

    fn new_iri(&mut self) -> Option<NamedNodeRef<'t>> {
        self.take(b'<')?;
        let length = iri_len(self.bytes())?;
        let iri = self.advance(length);
        self.take(b'>')?;
        Some(NamedNodeRef::new_unchecked(iri))
    }

    fn blank_node(&mut self) -> Option<PlainTerm<'t>> {
        self.take(b'_')?;
        self.take(b':')?;
        let length = run_len(self.bytes(), LABEL);
        // The next byte must be a blank, which is checked later.
        (length > 0).then(|| PlainTerm::Term(BlankNodeRef::new_unchecked(self.advance(length)).into()))
    }

    fn literal(&mut self) -> Option<LiteralRef<'t>> {
        self.take(b'"')?;
        let bytes = self.bytes();
        let end = memchr3(b'"', b'\\', b'\r', bytes).filter(|end| bytes[*end] == b'"')?;
        let value = self.advance(end);
        self.take(b'"')?;
        match self.first()? {
            b'@' => {
                self.take(b'@')?;
                let end = memchr2(b' ', b'\t', self.bytes())?;
                let language = self.advance(end);
                is_plain_language(language).then(|| LiteralRef::new_language_tagged_literal_unchecked(value, language))
            }
            b'^' => {
                self.take(b'^')?;
                self.take(b'^')?;
                let datatype = self.new_iri()?;
                // Datatypes of this vocabulary restrict the lexical form of their values.
                let is_special = datatype.as_str().starts_with(RDF);
                (!is_special).then(|| LiteralRef::new_typed_literal(value, datatype))
            }
            _ => Some(LiteralRef::new_simple_literal(value)),
        }
    }
}

const RDF: &str = {
    let (namespace, _) = rdf::TYPE.as_str().split_at(43);
    namespace
};

/// The length of a plain absolute IRI at the start of the bytes, up to its end.
fn iri_len(bytes: &[u8]) -> Option<usize> {
    let scheme = run_len(bytes, SCHEME);
    if !bytes.first()?.is_ascii_alphabetic() || bytes.get(scheme) != Some(&b':') {
        return None;
    }
    let mut at = scheme + 1;
    if bytes[at..].starts_with(b"//") {
        at += 2;
        at += run_len(&bytes[at..], HOST);
        if bytes.get(at) == Some(&b':') {
            at += 1;
            at += run_len(&bytes[at..], DIGIT);
        }
        if !matches!(bytes.get(at)?, b'/' | b'?' | b'#' | b'>') {
            return None;
        }
    }
    at += run_len(&bytes[at..], PATH);
    if bytes.get(at) == Some(&b'#') {
        at += 1;
        at += run_len(&bytes[at..], PATH);
    }
    Some(at)
}

/// The number of leading bytes of a class.
fn run_len(bytes: &[u8], class: u8) -> usize {
    bytes.iter().position(|byte| CLASSES[usize::from(*byte)] & class == 0).unwrap_or(bytes.len())
}

/// Two or three letters, perhaps followed by a region of two; in lower case, as tags are kept.
fn is_plain_language(tag: &str) -> bool {
    let (language, region) = tag.split_once('-').unwrap_or((tag, "xx"));
    let are_letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
    matches!(language.len(), 2 | 3) && region.len() == 2 && are_letters(language) && are_letters(region)
}

#[cfg(test)]
mod tests;
