//! Values: terms as they are stored, with their parsed value on demand.
//!
//! ```text
//! Value ──view──► View ──typed──► Typed     what comparison and arithmetic look at
//!                  └───lexical──► Lexical   what functions of terms look at: the form as stored, datatype, language
//! ```
//!
//! A [`Value`] that comes from data is its term: `"007"^^xsd:integer` keeps its zeros. A value that was computed stands for
//! the term with the canonical lexical form of its type. Invariant: two values are the same term exactly when
//! [`View::is_same`] says so, however they came about.

pub mod calendar;
pub mod datatype;
pub mod decimal;
pub mod duration;
pub mod float;
pub mod gregorian;
pub mod instant;
mod lexical;
pub mod number;
mod typed;
pub mod wide;

pub use lexical::{Lexical, LiteralKind};
pub use typed::Typed;

use duration::Duration;
use entail_model::{Fault, TermId, TermKind, term};
use instant::Instant;
use number::Number;
use oxrdf::{NamedNodeRef, Term, TermRef};
use std::sync::Arc;

/// The canonical bytes of a term (`entail_model::term`).
pub type Text = Arc<[u8]>;

/// A term, or none: an error of an expression, or a variable without a value.
#[derive(Clone, Debug, Default)]
pub enum Value {
    #[default]
    Error,
    Boolean(bool),
    Number(Number),
    Instant(Instant),
    Duration(Duration),
    /// A term of the data. An inline id needs no text; without a text no more is known than the id.
    Stored {
        id: TermId,
        text: Option<Text>,
    },
    /// A term that was made: an IRI, a string, ...
    Term(Text),
}

/// A [`Value`] by reference.
#[derive(Clone, Copy, Debug)]
pub enum View<'v> {
    Error,
    Boolean(bool),
    Number(Number),
    Instant(Instant),
    Duration(Duration),
    Stored { id: TermId, text: Option<&'v [u8]> },
    Term(&'v [u8]),
}

impl Value {
    /// The value of a term.
    pub fn of(term: TermRef<'_>) -> Self {
        if let Some(id) = term::inline_id(term) {
            return Self::Stored { id, text: None };
        }
        let mut bytes = Vec::new();
        term::encode(term, &mut bytes);
        Self::Term(bytes.into())
    }

    /// An `xsd:string`.
    pub fn string(text: &str) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.push(b'S');
        bytes.extend_from_slice(text.as_bytes());
        Self::Term(bytes.into())
    }

    pub fn integer(number: i128) -> Self {
        Self::Number(Number::integer(number))
    }

    #[inline]
    pub fn view(&self) -> View<'_> {
        match self {
            Self::Error => View::Error,
            Self::Boolean(value) => View::Boolean(*value),
            Self::Number(value) => View::Number(*value),
            Self::Instant(value) => View::Instant(*value),
            Self::Duration(value) => View::Duration(*value),
            Self::Stored { id, text } => View::Stored { id: *id, text: text.as_deref() },
            Self::Term(text) => View::Term(text),
        }
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error)
    }

    /// The term; `None` for an error.
    ///
    /// # Errors
    /// `Internal` if only the id is known, `Corrupt` for bytes that are no term.
    pub fn term(&self) -> Result<Option<Term>, Fault> {
        self.view().term()
    }

    /// Bytes beside the value itself, for budgets.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Stored { text: Some(text), .. } | Self::Term(text) => text.len(),
            _ => 0,
        }
    }
}

impl<'v> View<'v> {
    /// The same value, owned.
    pub fn to_value(self) -> Value {
        match self {
            Self::Error => Value::Error,
            Self::Boolean(value) => Value::Boolean(value),
            Self::Number(value) => Value::Number(value),
            Self::Instant(value) => Value::Instant(value),
            Self::Duration(value) => Value::Duration(value),
            Self::Stored { id, text } => Value::Stored { id, text: text.map(Arc::from) },
            Self::Term(text) => Value::Term(text.into()),
        }
    }

    /// The term; `None` for an error.
    ///
    /// # Errors
    /// `Internal` if only the id is known, `Corrupt` for bytes that are no term.
    pub fn term(self) -> Result<Option<Term>, Fault> {
        if let Self::Error = self {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.encode(&mut bytes)?;
        term::decode(&bytes).map(Some)
    }

    /// Appends the canonical bytes of the term. An error has none.
    pub fn encode(self, buffer: &mut Vec<u8>) -> Result<(), Fault> {
        let mut literal = |value: &str, datatype: NamedNodeRef<'_>| {
            buffer.push(b'D');
            buffer.extend_from_slice(datatype.as_str().as_bytes());
            buffer.push(0);
            buffer.extend_from_slice(value.as_bytes());
        };
        match self {
            Self::Error => {}
            Self::Boolean(value) => literal(if value { "true" } else { "false" }, oxrdf::vocab::xsd::BOOLEAN),
            Self::Number(value) => literal(&value.canonical(), value.datatype()),
            Self::Instant(value) => literal(&value.canonical(), value.kind.datatype()),
            Self::Duration(value) => literal(&value.canonical(), value.kind.datatype()),
            Self::Term(text) | Self::Stored { text: Some(text), .. } => buffer.extend_from_slice(text),
            Self::Stored { id, text: None } => {
                let inline = term::inline_term(id).ok_or_else(unresolved)?;
                term::encode(inline.as_ref(), buffer);
            }
        }
        Ok(())
    }

    /// Are both the same RDF term? `None` if one is an error.
    ///
    /// # Errors
    /// `Internal` if only the id of one is known, and something else of the other.
    pub fn is_same(self, other: View<'_>) -> Result<Option<bool>, Fault> {
        Ok(Some(match (self, other) {
            (View::Error, _) | (_, View::Error) => return Ok(None),
            (View::Stored { id: one, .. }, View::Stored { id: other, .. }) => one == other,
            (View::Term(one), View::Term(other)) => one == other,
            (View::Boolean(one), View::Boolean(other)) => one == other,
            (View::Stored { text: Some(one), .. }, View::Term(other))
            | (View::Term(one), View::Stored { text: Some(other), .. }) => one == other,
            _ => {
                let (mut one, mut two) = (Vec::new(), Vec::new());
                self.encode(&mut one)?;
                other.encode(&mut two)?;
                one == two
            }
        }))
    }

    /// The kind of term; `None` for an error. An id suffices.
    pub fn kind(self) -> Result<Option<TermKind>, Fault> {
        match self {
            Self::Error => Ok(None),
            Self::Boolean(_) | Self::Number(_) | Self::Instant(_) | Self::Duration(_) => Ok(Some(TermKind::Literal)),
            Self::Stored { id, .. } => Ok(Some(id.kind())),
            Self::Term(text) => term::kind_of(text).map(Some),
        }
    }

    /// The canonical bytes, of a term that has them.
    #[inline]
    pub fn text(self) -> Option<&'v [u8]> {
        match self {
            Self::Stored { text, .. } => text,
            Self::Term(text) => Some(text),
            _ => None,
        }
    }

    /// Bytes that reading the value costs.
    pub fn bytes(self) -> usize {
        match self {
            Self::Stored { text: Some(text), .. } | Self::Term(text) => text.len(),
            _ => 16,
        }
    }
}

fn unresolved() -> Fault {
    Fault::internal("an expression needs a term of which only the id is known")
}

/// An inline date that is no day of the calendar has no value, as any literal that is not in its datatype's lexical space.
pub(crate) fn inline_typed(id: TermId) -> Option<Typed<'static>> {
    match term::inline_value(id)? {
        term::InlineValue::Integer(number) => Some(Typed::Number(Number::integer(number.into()))),
        term::InlineValue::Boolean(value) => Some(Typed::Boolean(value)),
        term::InlineValue::Date { year, month, day } => {
            Some(Instant::date(year.into(), month, day).map_or(Typed::Invalid, Typed::Instant))
        }
    }
}
