//! What a step gives: a constant, rows of a column that is read, or a column that was computed.

use crate::column::{Column, Source, Truth};
use crate::value::number::Number;
use crate::value::{Value, View};
use entail_model::term::{InlineValue, inline_value};
use entail_model::{Fault, TermId};

/// The integer of a value that is an inline term or was computed, if it has 64 bits.
#[inline]
pub fn small_integer(view: View<'_>) -> Option<i64> {
    match view {
        View::Stored { id, .. } => inline_integer(id),
        View::Number(Number::Integer(number)) => i64::try_from(number.get()).ok(),
        _ => None,
    }
}

/// The integer of an inline id.
#[inline]
pub fn inline_integer(id: TermId) -> Option<i64> {
    match inline_value(id)? {
        InlineValue::Integer(number) => Some(number),
        _ => None,
    }
}

pub enum Operand<'s> {
    /// The same value in so many rows.
    Constant(&'s Value, usize),
    /// These rows of a column.
    Source(&'s Source<'s>, &'s [u32]),
    Computed(Column),
}

impl Operand<'_> {
    /// The value of the row at a place of the selection.
    #[inline]
    pub fn view(&self, at: usize) -> View<'_> {
        match self {
            Self::Constant(value, _) => value.view(),
            Self::Source(source, rows) => source.view(rows[at] as usize),
            Self::Computed(column) => column.view(at),
        }
    }

    /// The value of the row at a place of the selection, owned: a text of a column that is read is shared.
    pub fn value(&self, at: usize) -> Value {
        match self {
            Self::Constant(value, _) => (*value).clone(),
            Self::Source(source, rows) => source.value(rows[at] as usize),
            Self::Computed(Column::Values(values)) => values[at].clone(),
            Self::Computed(column) => column.view(at).to_value(),
        }
    }

    pub fn into_column(self) -> Column {
        match self {
            Self::Computed(column) => column,
            Self::Constant(value, rows) => Column::Values(vec![value.clone(); rows]),
            Self::Source(_, rows) => Column::Values((0..rows.len()).map(|at| self.value(at)).collect()),
        }
    }

    /// The effective boolean values.
    pub fn truths(self, rows: usize) -> Result<Vec<Truth>, Fault> {
        if let Self::Computed(Column::Truths(truths)) = self {
            return Ok(truths);
        }
        if let Self::Constant(value, _) = self {
            return Ok(vec![Truth::of(value.view().typed()?.condition()); rows]);
        }
        (0..rows).map(|at| Ok(Truth::of(self.view(at).typed()?.condition()))).collect()
    }
}
