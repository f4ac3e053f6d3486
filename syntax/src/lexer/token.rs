//! The tokens of a rule text, each with its position.

use entail_model::{Fault, Reason};
use std::borrow::Cow;
use std::fmt;

/// A position in a rule text, counted from one; columns are characters, not bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    pub line: u64,
    pub column: u64,
}

impl Spot {
    /// The fault of a text that is not in the language.
    pub(super) fn syntax(self, message: impl Into<String>) -> Fault {
        self.fault(Reason::Syntax, message)
    }

    /// The fault of a text that uses a feature which this version does not evaluate.
    pub(super) fn unsupported(self, feature: impl fmt::Display) -> Fault {
        self.fault(Reason::Unsupported, format!("{feature} is not supported yet"))
    }

    /// The fault of a text that is too large or too deep.
    pub(super) fn limit(self, message: impl Into<String>) -> Fault {
        self.fault(Reason::LimitExceeded, message)
    }

    fn fault(self, reason: Reason, message: impl Into<String>) -> Fault {
        Fault::new(reason, message).at(self.line, self.column)
    }
}

/// The kind of a token, with its content. Escapes are resolved; IRIs and prefixed names are not.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind<'a> {
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
pub(super) enum Quotes {
    Short,
    Long,
}

/// A token with its position, as line and column and as a range of bytes.
#[derive(Clone, Debug)]
pub(super) struct Token<'a> {
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
