//! A term's parts as they are stored, without a copy.

use super::{Value, View};
use entail_model::{Fault, term};
use oxrdf::vocab::{rdf, xsd};
use std::borrow::Cow;

/// The parts of a term.
#[derive(Clone, Debug)]
pub enum Lexical<'v> {
    Error,
    Iri(&'v str),
    Blank(&'v str),
    Literal {
        form: Cow<'v, str>,
        kind: LiteralKind<'v>,
    },
    /// A triple term, as N-Triples.
    Triple(&'v str),
}

/// What a literal has beside its lexical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiteralKind<'v> {
    String,
    /// A language tag, and a base direction or `""`.
    Language(&'v str, &'v str),
    Typed(&'v str),
}

impl<'v> LiteralKind<'v> {
    /// The IRI of the datatype.
    pub fn datatype(self) -> &'v str {
        match self {
            Self::String => xsd::STRING.as_str(),
            Self::Language(_, "") => rdf::LANG_STRING.as_str(),
            Self::Language(..) => rdf::DIR_LANG_STRING.as_str(),
            Self::Typed(datatype) => datatype,
        }
    }

    /// The bytes of a literal of this kind before its lexical form.
    fn head(self, buffer: &mut Vec<u8>) {
        let mut push = |first: u8, parts: &[&str]| {
            buffer.push(first);
            for part in parts {
                buffer.extend_from_slice(part.as_bytes());
                buffer.push(0);
            }
        };
        match self {
            Self::String => push(b'S', &[]),
            Self::Language(tag, "") => push(b'G', &[tag]),
            Self::Language(tag, direction) => push(b'W', &[tag, direction]),
            Self::Typed(datatype) => push(b'D', &[datatype]),
        }
    }

    /// The literal of this kind with that lexical form.
    pub fn literal(self, form: &str) -> Value {
        let mut bytes = Vec::with_capacity(form.len() + 8);
        self.head(&mut bytes);
        bytes.extend_from_slice(form.as_bytes());
        Value::Term(bytes.into())
    }
}

impl<'v> View<'v> {
    /// The parts of the term.
    ///
    /// # Errors
    /// `Internal` if only the id is known, `Corrupt` for bytes that are no term.
    pub fn lexical(self) -> Result<Lexical<'v>, Fault> {
        let typed = |form: String, datatype: &'static str| Lexical::Literal {
            form: Cow::Owned(form),
            kind: LiteralKind::Typed(datatype),
        };
        Ok(match self {
            Self::Error => Lexical::Error,
            Self::Boolean(value) => typed(value.to_string(), xsd::BOOLEAN.as_str()),
            Self::Number(value) => typed(value.canonical(), value.datatype().as_str()),
            Self::Instant(value) => typed(value.canonical(), value.kind.datatype().as_str()),
            Self::Duration(value) => typed(value.canonical(), value.kind.datatype().as_str()),
            Self::Stored { id, text: None } => match term::inline_value(id) {
                Some(value) => typed(value.to_string(), value.datatype().as_str()),
                None => return Err(super::unresolved()),
            },
            Self::Stored { text: Some(text), .. } | Self::Term(text) => read(text)?,
        })
    }
}

/// The parts of canonical bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Lexical<'_>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::corrupt("a term that is not UTF-8"))?;
    let (first, rest) = text.split_at_checked(1).ok_or_else(|| Fault::corrupt("an empty term"))?;
    let split = |text: &'_ str| -> Result<usize, Fault> {
        text.bytes().position(|byte| byte == 0).ok_or_else(|| Fault::corrupt("a literal without its separator"))
    };
    let literal = |form, kind| Lexical::Literal { form: Cow::Borrowed(form), kind };
    Ok(match first {
        "I" => Lexical::Iri(rest),
        "B" => Lexical::Blank(rest),
        "S" => literal(rest, LiteralKind::String),
        "G" => {
            let at = split(rest)?;
            literal(&rest[at + 1..], LiteralKind::Language(&rest[..at], ""))
        }
        "W" => {
            let at = split(rest)?;
            let (tag, rest) = (&rest[..at], &rest[at + 1..]);
            let at = split(rest)?;
            literal(&rest[at + 1..], LiteralKind::Language(tag, &rest[..at]))
        }
        "D" => {
            let at = split(rest)?;
            literal(&rest[at + 1..], LiteralKind::Typed(&rest[..at]))
        }
        "T" => Lexical::Triple(rest),
        _ => return Err(Fault::corrupt("a term with an unknown kind")),
    })
}
