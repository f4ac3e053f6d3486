//! Columns: what an expression reads, and what it gives.
//!
//! ```text
//! ids [ TermId ] + texts [ bytes ]  ┐
//! values [ Value ]                  ├─► Columns ──Evaluator──► Column: truths, or values
//! no value in any row               ┘
//! ```
//!
//! Ids come as logic has them in its batches: an inline id carries its value, and no term is made of it to compare it.

use crate::value::{Text, Value, View};
use entail_model::TermId;

/// Which column of [`Columns`] a variable is.
pub type Slot = u32;

/// Rows, by columns.
#[derive(Clone, Debug)]
pub struct Columns<'c> {
    pub rows: usize,
    /// By slot. A slot beyond the end is unbound.
    pub sources: Vec<Source<'c>>,
}

/// A column that is read.
#[derive(Clone, Copy, Debug)]
pub enum Source<'c> {
    /// No row has a value.
    Unbound,
    /// Ids; [`TermId::DEFAULT_GRAPH`], which is no term, is a row without a value. `texts` has the canonical bytes of ids
    /// that are not inline, or is empty if the program looks at ids only.
    Ids {
        ids: &'c [TermId],
        texts: &'c [Option<Text>],
    },
    Values(&'c [Value]),
}

impl<'c> Source<'c> {
    /// The value of a row.
    #[inline]
    pub fn view(&self, row: usize) -> View<'c> {
        match self {
            Self::Unbound => View::Error,
            Self::Ids { ids, .. } if ids[row] == TermId::DEFAULT_GRAPH => View::Error,
            Self::Ids { ids, texts } => {
                View::Stored { id: ids[row], text: texts.get(row).and_then(|text| text.as_deref()) }
            }
            Self::Values(values) => values[row].view(),
        }
    }

    /// The value of a row, owned: a text is shared.
    pub fn value(&self, row: usize) -> Value {
        match self {
            Self::Unbound => Value::Error,
            Self::Ids { ids, .. } if ids[row] == TermId::DEFAULT_GRAPH => Value::Error,
            Self::Ids { ids, texts } => Value::Stored { id: ids[row], text: texts.get(row).cloned().flatten() },
            Self::Values(values) => values[row].clone(),
        }
    }
}

/// A boolean, or an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    False,
    True,
    Error,
}

impl Truth {
    /// `None` is an error.
    #[inline]
    pub fn of(condition: Option<bool>) -> Self {
        match condition {
            Some(true) => Self::True,
            Some(false) => Self::False,
            None => Self::Error,
        }
    }

    #[inline]
    pub fn negated(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::True => Self::False,
            Self::Error => Self::Error,
        }
    }

    #[inline]
    pub fn view(self) -> View<'static> {
        match self {
            Self::False => View::Boolean(false),
            Self::True => View::Boolean(true),
            Self::Error => View::Error,
        }
    }
}

/// A column that was computed: a value for each row.
#[derive(Clone, Debug)]
pub enum Column {
    Truths(Vec<Truth>),
    Values(Vec<Value>),
}

impl Column {
    pub fn len(&self) -> usize {
        match self {
            Self::Truths(truths) => truths.len(),
            Self::Values(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn view(&self, row: usize) -> View<'_> {
        match self {
            Self::Truths(truths) => truths[row].view(),
            Self::Values(values) => values[row].view(),
        }
    }

    /// The values, each owned.
    pub fn into_values(self) -> Vec<Value> {
        match self {
            Self::Truths(truths) => truths.into_iter().map(|truth| truth.view().to_value()).collect(),
            Self::Values(values) => values,
        }
    }
}
