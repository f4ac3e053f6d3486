//! A term's value: what its lexical form stands for in its datatype.

use super::datatype::Datatype;
use super::decimal::Unreadable;
use super::duration::Duration;
use super::instant::Instant;
use super::lexical::{Lexical, LiteralKind, read};
use super::number::Number;
use super::{View, inline_typed, unresolved};
use entail_model::Fault;
use std::borrow::Cow;

/// The value of a term.
#[derive(Clone, Copy, Debug)]
pub enum Typed<'v> {
    Error,
    Boolean(bool),
    Number(Number),
    Instant(Instant),
    Duration(Duration),
    String(&'v str),
    /// A string with a language tag, and a base direction or `""`.
    Language {
        form: &'v str,
        tag: &'v str,
        direction: &'v str,
    },
    Iri(&'v str),
    Blank(&'v str),
    /// As N-Triples.
    Triple(&'v str),
    /// A literal of a datatype whose values are not known.
    Unknown,
    /// A literal whose form is not in the lexical space of its datatype.
    Invalid,
    /// A boolean or number whose form is not in the lexical space of its datatype.
    InvalidCondition,
    /// A number with more digits than fit.
    TooLarge,
}

impl Typed<'_> {
    pub(super) fn has_timezone(&self) -> bool {
        matches!(self, Self::Instant(instant) if instant.timezone().is_some())
    }

    /// The effective boolean value (17.2.2); `None` is an error.
    pub fn condition(self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(value),
            Self::Number(number) => Some(number.is_true()),
            Self::String(form) | Self::Language { form, .. } => Some(!form.is_empty()),
            Self::InvalidCondition => Some(false),
            Self::TooLarge => Some(true),
            _ => None,
        }
    }

    /// Is it a literal?
    pub fn is_literal(self) -> bool {
        !matches!(self, Self::Error | Self::Iri(_) | Self::Blank(_) | Self::Triple(_))
    }
}

impl<'v> View<'v> {
    /// The value of the term.
    ///
    /// # Errors
    /// `Internal` if only the id is known, `Corrupt` for bytes that are no term.
    #[inline]
    pub fn typed(self) -> Result<Typed<'v>, Fault> {
        Ok(match self {
            Self::Number(value) => Typed::Number(value),
            Self::Stored { id, text: None } => inline_typed(id).ok_or_else(unresolved)?,
            Self::Stored { text: Some(text), .. } | Self::Term(text) => typed(text)?,
            Self::Boolean(value) => Typed::Boolean(value),
            Self::Instant(value) => Typed::Instant(value),
            Self::Duration(value) => Typed::Duration(value),
            Self::Error => Typed::Error,
        })
    }
}

fn typed(bytes: &[u8]) -> Result<Typed<'_>, Fault> {
    Ok(match read(bytes)? {
        Lexical::Literal { form: Cow::Borrowed(form), kind } => match kind {
            LiteralKind::String => Typed::String(form),
            LiteralKind::Language(tag, direction) => Typed::Language { form, tag, direction },
            LiteralKind::Typed(datatype) => match Datatype::of(datatype) {
                None => Typed::Unknown,
                Some(datatype) => datatype.value(form).unwrap_or_else(|unreadable| match unreadable {
                    Unreadable::TooLarge => Typed::TooLarge,
                    Unreadable::Invalid if datatype.is_numeric() || datatype == Datatype::Boolean => {
                        Typed::InvalidCondition
                    }
                    Unreadable::Invalid => Typed::Invalid,
                }),
            },
        },
        Lexical::Iri(iri) => Typed::Iri(iri),
        Lexical::Blank(label) => Typed::Blank(label),
        Lexical::Triple(triple) => Typed::Triple(triple),
        Lexical::Literal { form: Cow::Owned(_), .. } | Lexical::Error => Typed::Error,
    })
}
