//! The parts of dateTimes, dates and times.

use crate::value::instant::{Instant, InstantKind, zone_of};
use crate::value::number::Number;
use crate::value::{Lexical, Typed, Value, View};
use entail_model::Fault;
use entail_syntax::ast::Function;

/// YEAR, MONTH, DAY, HOURS, MINUTES, SECONDS, TIMEZONE, TZ and ADJUST.
pub(super) fn call(function: Function, arguments: &[View<'_>]) -> Result<Value, Fault> {
    let Typed::Instant(instant) = arguments[0].typed()? else { return Ok(Value::Error) };
    Ok(match function {
        Function::Year | Function::Month | Function::Day => match instant.kind {
            InstantKind::Time => Value::Error,
            InstantKind::DateTime | InstantKind::Date => day(function, instant),
        },
        Function::Hours | Function::Minutes | Function::Seconds => match instant.kind {
            InstantKind::Date => Value::Error,
            InstantKind::DateTime | InstantKind::Time => time(function, instant),
        },
        Function::Timezone => instant.timezone().map_or(Value::Error, Value::Duration),
        // The timezone as it is written.
        Function::Tz => match arguments[0].lexical()? {
            Lexical::Literal { form, .. } => Value::string(zone_of(&form)),
            _ => Value::Error,
        },
        _ => match arguments[1].typed()? {
            Typed::Duration(zone) => instant.adjusted(zone).map_or(Value::Error, Value::Instant),
            _ => Value::Error,
        },
    })
}

fn day(function: Function, instant: Instant) -> Value {
    let day = instant.day();
    Value::integer(match function {
        Function::Year => day.year.into(),
        Function::Month => day.month.into(),
        _ => day.day.into(),
    })
}

fn time(function: Function, instant: Instant) -> Value {
    match function {
        Function::Hours => Value::integer(instant.hours()),
        Function::Minutes => Value::integer(instant.minutes()),
        _ => Value::Number(Number::Decimal(instant.seconds())),
    }
}
