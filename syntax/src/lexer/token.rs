//! Tokens, each with its position.

use crate::Spot;
use std::borrow::Cow;

/// The kind of a token, with its content. Escapes are resolved; IRIs and prefixed names are not.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind<'a> {
    /// `<...>`, without the brackets.
    Iri(Cow<'a, str>),
    /// `prefix:local`; the local part of a bare `prefix:` is empty.
    Prefixed {
        prefix: &'a str,
        local: Cow<'a, str>,
    },
    /// `_:label`, without `_:`.
    Blank(&'a str),
    /// `?name` or `$name`, without the sign.
    Variable(&'a str),
    /// `@en` or `@en--ltr`, without `@`.
    Language(&'a str),
    Integer(&'a str),
    Decimal(&'a str),
    Double(&'a str),
    String {
        value: Cow<'a, str>,
        quotes: Quotes,
    },
    /// A keyword, the name of a function, `a`, `true` or `false`.
    Word(&'a str),
    /// Punctuation and operators.
    Mark(&'static str),
    End,
}

/// The quotes of a string; only `VERSION` restricts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quotes {
    Short,
    Long,
}

/// A token with its position, as line and column and as a range of bytes.
#[derive(Clone, Debug)]
pub struct Token<'a> {
    pub kind: Kind<'a>,
    pub spot: Spot,
    pub start: usize,
    pub end: usize,
}

impl<'a> Token<'a> {
    /// Is the token this keyword? All keywords but `a` ignore case.
    pub fn is_word(&self, keyword: &str) -> bool {
        matches!(&self.kind, Kind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    pub fn is_mark(&self, mark: &str) -> bool {
        matches!(self.kind, Kind::Mark(found) if found == mark)
    }

    /// `a`, the short name of rdf:type; the only keyword that is case-sensitive.
    pub fn is_a(&self) -> bool {
        self.kind == Kind::Word("a")
    }

    /// The token as messages show it, cut where it is long.
    pub fn shown(&self, text: &'a str) -> String {
        const SHOWN_CHARS_MAX: usize = 40;
        let Some(written) = text.get(self.start..self.end).filter(|written| !written.is_empty()) else {
            return "the end of the text".to_owned();
        };
        let hint = match self.kind {
            Kind::Mark("<") => " (an IRI that is not closed, or that holds a character not allowed in one?)",
            _ => "",
        };
        match written.char_indices().nth(SHOWN_CHARS_MAX) {
            Some((cut, _)) => format!("`{}...`{hint}", &written[..cut]),
            None => format!("`{written}`{hint}"),
        }
    }
}
