//! Casts (17.5; XPath Functions 3.1, section 19).

use super::terms::plain;
use crate::Budget;
use crate::value::datatype::{Datatype, Range};
use crate::value::duration::DurationKind;
use crate::value::instant::InstantKind;
use crate::value::number::Number;
use crate::value::{Lexical, Typed, Value, View};
use entail_model::Fault;

/// Cast to `xsd:string`: the canonical form of a value, the form of a string or of a literal of an unknown datatype, the text
/// of an IRI.
///
/// # Errors
/// What the budget says; `Internal` if only the id of the term is known.
pub fn cast_string(argument: View<'_>, budget: &mut Budget<'_>) -> Result<Value, Fault> {
    budget.build(argument.bytes())?;
    Ok(match argument.typed()? {
        Typed::Boolean(value) => Value::string(if value { "true" } else { "false" }),
        Typed::Number(value) => Value::string(&value.plain()),
        Typed::Instant(value) => Value::string(&value.canonical()),
        Typed::Duration(value) => Value::string(&value.canonical()),
        Typed::String(text) | Typed::Iri(text) => Value::string(text),
        // No constructor takes a string with a language; the form is what other engines give.
        Typed::Language { form, .. } => Value::string(form),
        Typed::Unknown => match argument.lexical()? {
            Lexical::Literal { form, .. } => Value::string(&form),
            _ => Value::Error,
        },
        _ => Value::Error,
    })
}

/// Cast to a datatype whose values are known.
///
/// # Errors
/// `Internal` if only the id of the term is known.
pub fn cast_to(datatype: Datatype, argument: View<'_>) -> Result<Value, Fault> {
    if let Some(form) = plain(argument)? {
        // Other than in data, spaces around the form do not matter here.
        let form = form.trim_matches([' ', '\t', '\n', '\r']);
        return Ok(datatype.value(form).map_or(Value::Error, |value| owned(value)));
    }
    let value = argument.typed()?;
    Ok(match datatype {
        Datatype::Boolean => match value {
            Typed::Boolean(value) => Value::Boolean(value),
            Typed::Number(number) => Value::Boolean(number.is_true()),
            _ => Value::Error,
        },
        Datatype::Integer(_) | Datatype::Decimal | Datatype::Float | Datatype::Double => number(datatype, value),
        Datatype::DateTime | Datatype::DateTimeStamp => instant(InstantKind::DateTime, value),
        Datatype::Date => instant(InstantKind::Date, value),
        Datatype::Time => instant(InstantKind::Time, value),
        Datatype::Duration => duration(DurationKind::Any, value),
        Datatype::YearMonthDuration => duration(DurationKind::YearMonth, value),
        Datatype::DayTimeDuration => duration(DurationKind::DayTime, value),
    })
}

fn owned(value: Typed<'_>) -> Value {
    match value {
        Typed::Boolean(value) => Value::Boolean(value),
        Typed::Number(value) => Value::Number(value),
        Typed::Instant(value) => Value::Instant(value),
        Typed::Duration(value) => Value::Duration(value),
        _ => Value::Error,
    }
}

fn number(datatype: Datatype, value: Typed<'_>) -> Value {
    let number = match value {
        Typed::Number(number) => number,
        Typed::Boolean(value) => Number::integer(value.into()),
        _ => return Value::Error,
    };
    let cast = match datatype {
        Datatype::Integer(Range::All) => number.cast_integer(),
        Datatype::Decimal => number.cast_decimal(),
        Datatype::Float => Some(number.cast_float()),
        _ => Some(number.cast_double()),
    };
    cast.map_or(Value::Error, Value::Number)
}

fn instant(kind: InstantKind, value: Typed<'_>) -> Value {
    match value {
        Typed::Instant(instant) => instant.cast(kind).map_or(Value::Error, Value::Instant),
        _ => Value::Error,
    }
}

fn duration(kind: DurationKind, value: Typed<'_>) -> Value {
    match value {
        Typed::Duration(duration) => Value::Duration(duration.cast(kind)),
        _ => Value::Error,
    }
}
