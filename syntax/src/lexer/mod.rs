//! Cuts a text into tokens, one at a time, always the longest match (SPARQL 1.2 Query, section 19.8; note 5 on the grammar
//! of SPARQL-RL).
//!
//! Invariant: however hostile the text, each character is looked at a bounded number of times per token.

mod name;
mod quoted;
mod token;

pub use token::{Kind, Quotes, Token};

use crate::{Language, Spot};
use entail_model::Fault;

/// A position in the text, with line and column. Copies are cheap: lookahead moves a copy.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    spot: Spot,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, spot: Spot { line: 1, column: 1 } }
    }

    pub fn spot(&self) -> Spot {
        self.spot
    }

    /// The rest of the text.
    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The text from the position at which `left` bytes were left to the cursor.
    pub fn behind(&self, left: usize) -> &'a str {
        &self.text[self.text.len() - left..self.at]
    }

    /// The text between this cursor and a later copy of it.
    pub fn until(&self, later: &Self) -> &'a str {
        &self.text[self.at..later.at]
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' || c == '\r' && self.peek() != Some('\n') {
            self.spot = Spot { line: self.spot.line + 1, column: 1 };
        } else {
            self.spot.column += 1;
        }
        Some(c)
    }

    /// Skips `expected`, which has no line breaks, if the rest of the text starts with it.
    pub fn skip(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.pass(expected.len());
        }
        found
    }

    pub fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.pass(length);
        &rest[..length]
    }

    /// Moves over the next `length` bytes.
    fn pass(&mut self, length: usize) {
        let end = self.at + length;
        let is_plain = |byte: &u8| byte.is_ascii() && !matches!(byte, b'\n' | b'\r');
        if self.text.as_bytes()[self.at..end].iter().all(is_plain) {
            self.at = end;
            self.spot.column += length as u32;
            return;
        }
        while self.at < end {
            self.bump();
        }
    }

    pub fn unexpected(&self) -> Fault {
        match self.peek() {
            Some(c) if c.is_control() => self.spot.syntax(format!("unexpected character {c:?}")),
            Some(c) => self.spot.syntax(format!("unexpected character `{c}`")),
            None => self.spot.syntax("unexpected end of the text"),
        }
    }

    /// Skips white space and comments.
    fn skip_space(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r' | '\n') => self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n')),
                Some('#') => self.take_while(|c| c != '\n' && c != '\r'),
                _ => return,
            };
        }
    }
}

/// The tokens of a text.
#[derive(Clone)]
pub struct Lexer<'a> {
    cursor: Cursor<'a>,
    language: Language,
}

impl<'a> Lexer<'a> {
    /// A byte order mark at the start is skipped.
    pub fn new(text: &'a str, language: Language) -> Self {
        let mut cursor = Cursor::new(text);
        if text.starts_with('\u{FEFF}') {
            cursor.at = '\u{FEFF}'.len_utf8();
        }
        Self { cursor, language }
    }

    /// The next token; at the end [`Kind::End`], for every further call.
    pub fn token(&mut self) -> Result<Token<'a>, Fault> {
        self.cursor.skip_space();
        let from = self.cursor;
        let kind = self.kind()?;
        Ok(Token { kind, spot: from.spot, start: from.at, end: self.cursor.at })
    }

    fn kind(&mut self) -> Result<Kind<'a>, Fault> {
        let cursor = &mut self.cursor;
        let Some(c) = cursor.peek() else { return Ok(Kind::End) };
        match c {
            '<' => quoted::iri(cursor).unwrap_or_else(|| mark(cursor)),
            '"' | '\'' => quoted::string(cursor, c),
            '?' | '$' => match name::variable(cursor) {
                Some(variable) => Ok(variable),
                // An operator of paths.
                None if c == '?' => mark(cursor),
                None => Err(cursor.spot().syntax("expected the name of a variable after `?` or `$`")),
            },
            '@' => name::language(cursor),
            '_' if cursor.rest().starts_with("_:") => name::blank(cursor),
            ':' if self.language == Language::Rules && cursor.rest().starts_with(":=") => mark(cursor),
            _ => match number(cursor) {
                Some(number) => Ok(number),
                None if name::starts_name(c) => name::prefixed_or_word(cursor),
                None => mark(cursor),
            },
        }
    }
}

/// Punctuation, the longest first.
const MARKS: [&str; 34] = [
    "<<(", ")>>", "<<", ">>", "{|", "|}", "||", "&&", "^^", ":=", "!=", "<=", ">=", "{", "}", "(", ")", "[", "]", ".",
    ",", ";", "=", "<", ">", "!", "+", "-", "*", "/", "^", "~", "|", "?",
];

fn mark<'a>(cursor: &mut Cursor<'a>) -> Result<Kind<'a>, Fault> {
    match MARKS.iter().find(|mark| cursor.skip(mark)) {
        Some(mark) => Ok(Kind::Mark(mark)),
        None => Err(cursor.unexpected()),
    }
}

/// INTEGER, DECIMAL and DOUBLE of the grammar, with an adjacent sign.
fn number<'a>(cursor: &mut Cursor<'a>) -> Option<Kind<'a>> {
    let bytes = cursor.rest().as_bytes();
    let digits = |from: usize| bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(sign);
    let whole_end = sign + whole;
    let has_point = bytes.get(whole_end) == Some(&b'.');
    let fraction = if has_point { digits(whole_end + 1) } else { 0 };
    if whole + fraction == 0 {
        return None;
    }
    let mantissa = whole_end + usize::from(fraction > 0) + fraction;
    // `1.e5` is a double although `1.` is an integer and a full stop.
    let exponent_at = if has_point && fraction == 0 { whole_end + 1 } else { mantissa };
    let exponent = exponent_length(bytes, exponent_at);
    let length = if exponent > 0 { exponent_at + exponent } else { mantissa };
    let written = &cursor.rest()[..length];
    cursor.skip(written);
    Some(match (exponent, fraction) {
        (0, 0) => Kind::Integer(written),
        (0, _) => Kind::Decimal(written),
        _ => Kind::Double(written),
    })
}

/// The length of the exponent at `from`; zero if there is none.
fn exponent_length(bytes: &[u8], from: usize) -> usize {
    let after = |at: usize| bytes.get(from + at).copied();
    if !matches!(after(0), Some(b'e' | b'E')) {
        return 0;
    }
    let sign = usize::from(matches!(after(1), Some(b'+' | b'-')));
    let digits = bytes[from + 1 + sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 { 0 } else { 1 + sign + digits }
}
