//! The datatypes whose values are known, and the value of a lexical form in each.
//!
//! Whitespace is not collapsed: a lexical form with spaces around it has no value, as SPARQL's tests have it.

use super::Typed;
use super::decimal::{Decimal, Unreadable};
use super::duration::{Duration, DurationKind};
use super::float;
use super::instant::{Instant, InstantKind};
use super::number::Number;
use oxrdf::NamedNodeRef;
use oxrdf::vocab::xsd;
use serde::{Deserialize, Serialize};

pub(super) const XSD: &str = "http://www.w3.org/2001/XMLSchema#";

/// A datatype whose values are known. `xsd:string` and language-tagged strings are not here: all their forms are values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Datatype {
    Boolean,
    Integer(Range),
    Decimal,
    Float,
    Double,
    DateTime,
    /// `xsd:dateTimeStamp`: a dateTime with a timezone.
    DateTimeStamp,
    Date,
    Time,
    Duration,
    YearMonthDuration,
    DayTimeDuration,
}

/// `xsd:integer` or a type derived from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Range {
    All,
    NonPositive,
    Negative,
    NonNegative,
    Positive,
    Long,
    Int,
    Short,
    Byte,
    UnsignedLong,
    UnsignedInt,
    UnsignedShort,
    UnsignedByte,
}

impl Range {
    const ALL: [Self; 13] = [
        Self::All,
        Self::NonPositive,
        Self::Negative,
        Self::NonNegative,
        Self::Positive,
        Self::Long,
        Self::Int,
        Self::Short,
        Self::Byte,
        Self::UnsignedLong,
        Self::UnsignedInt,
        Self::UnsignedShort,
        Self::UnsignedByte,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::All => "integer",
            Self::NonPositive => "nonPositiveInteger",
            Self::Negative => "negativeInteger",
            Self::NonNegative => "nonNegativeInteger",
            Self::Positive => "positiveInteger",
            Self::Long => "long",
            Self::Int => "int",
            Self::Short => "short",
            Self::Byte => "byte",
            Self::UnsignedLong => "unsignedLong",
            Self::UnsignedInt => "unsignedInt",
            Self::UnsignedShort => "unsignedShort",
            Self::UnsignedByte => "unsignedByte",
        }
    }

    fn bounds(self) -> (i128, i128) {
        match self {
            Self::All => (i128::MIN, i128::MAX),
            Self::NonPositive => (i128::MIN, 0),
            Self::Negative => (i128::MIN, -1),
            Self::NonNegative => (0, i128::MAX),
            Self::Positive => (1, i128::MAX),
            Self::Long => (i64::MIN.into(), i64::MAX.into()),
            Self::Int => (i32::MIN.into(), i32::MAX.into()),
            Self::Short => (i16::MIN.into(), i16::MAX.into()),
            Self::Byte => (i8::MIN.into(), i8::MAX.into()),
            Self::UnsignedLong => (0, u64::MAX.into()),
            Self::UnsignedInt => (0, u32::MAX.into()),
            Self::UnsignedShort => (0, u16::MAX.into()),
            Self::UnsignedByte => (0, u8::MAX.into()),
        }
    }
}

impl Datatype {
    /// The datatype of that IRI, if its values are known.
    pub fn of(iri: &str) -> Option<Self> {
        Some(match iri.strip_prefix(XSD)? {
            "boolean" => Self::Boolean,
            // The one that is asked for most.
            "integer" => Self::Integer(Range::All),
            "decimal" => Self::Decimal,
            "float" => Self::Float,
            "double" => Self::Double,
            "dateTime" => Self::DateTime,
            "dateTimeStamp" => Self::DateTimeStamp,
            "date" => Self::Date,
            "time" => Self::Time,
            "duration" => Self::Duration,
            "yearMonthDuration" => Self::YearMonthDuration,
            "dayTimeDuration" => Self::DayTimeDuration,
            other => Self::Integer(Range::ALL.into_iter().find(|range| range.name() == other)?),
        })
    }

    /// The IRI.
    pub fn iri(self) -> String {
        let name = match self {
            Self::Boolean => "boolean",
            Self::Integer(range) => range.name(),
            Self::Decimal => "decimal",
            Self::Float => "float",
            Self::Double => "double",
            Self::DateTime => "dateTime",
            Self::DateTimeStamp => "dateTimeStamp",
            Self::Date => "date",
            Self::Time => "time",
            Self::Duration => "duration",
            Self::YearMonthDuration => "yearMonthDuration",
            Self::DayTimeDuration => "dayTimeDuration",
        };
        format!("{XSD}{name}")
    }

    /// Is it numeric?
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Integer(_) | Self::Decimal | Self::Float | Self::Double)
    }

    /// The value of a lexical form.
    pub fn value(self, text: &str) -> Result<Typed<'static>, Unreadable> {
        let instant = |kind| Instant::parse(kind, text).map(Typed::Instant);
        let duration = |kind| Duration::parse(kind, text).map(Typed::Duration);
        let value = match self {
            Self::Integer(range) => return integer(text, range).map(|number| Typed::Number(Number::integer(number))),
            Self::Decimal => return Decimal::parse(text).map(|number| Typed::Number(Number::Decimal(number))),
            Self::Boolean => boolean(text).map(Typed::Boolean),
            Self::Float => float::parse(text).map(|number| Typed::Number(Number::Float(number))),
            Self::Double => float::parse(text).map(|number| Typed::Number(Number::Double(number))),
            Self::DateTime => instant(InstantKind::DateTime),
            Self::DateTimeStamp => instant(InstantKind::DateTime).filter(Typed::has_timezone),
            Self::Date => instant(InstantKind::Date),
            Self::Time => instant(InstantKind::Time),
            Self::Duration => duration(DurationKind::Any),
            Self::YearMonthDuration => duration(DurationKind::YearMonth),
            Self::DayTimeDuration => duration(DurationKind::DayTime),
        };
        value.ok_or(Unreadable::Invalid)
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

fn integer(text: &str, range: Range) -> Result<i128, Unreadable> {
    // Rust reads the same forms, and nothing else.
    let number: i128 = match text.parse() {
        Ok(number) => number,
        Err(_) => {
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let is_open = matches!(range.bounds(), (i128::MIN, _) | (_, i128::MAX));
            return Err(if is_integer && is_open { Unreadable::TooLarge } else { Unreadable::Invalid });
        }
    };
    let (least, most) = range.bounds();
    if (least..=most).contains(&number) { Ok(number) } else { Err(Unreadable::Invalid) }
}

impl Number {
    /// The datatype of a computed number.
    pub fn datatype(self) -> NamedNodeRef<'static> {
        match self {
            Self::Integer(_) => xsd::INTEGER,
            Self::Decimal(_) => xsd::DECIMAL,
            Self::Float(_) => xsd::FLOAT,
            Self::Double(_) => xsd::DOUBLE,
        }
    }
}

impl InstantKind {
    /// The datatype of a computed instant.
    pub fn datatype(self) -> NamedNodeRef<'static> {
        match self {
            Self::DateTime => xsd::DATE_TIME,
            Self::Date => xsd::DATE,
            Self::Time => xsd::TIME,
        }
    }
}

impl DurationKind {
    /// The datatype of a computed duration.
    pub fn datatype(self) -> NamedNodeRef<'static> {
        match self {
            Self::Any => xsd::DURATION,
            Self::YearMonth => xsd::YEAR_MONTH_DURATION,
            Self::DayTime => xsd::DAY_TIME_DURATION,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_integers_have_their_ranges() {
        let reads = |name: &str, text: &str| Datatype::of(&format!("{XSD}{name}")).unwrap().value(text).is_ok();
        for (name, good, bad) in [
            ("byte", "-128", "128"),
            ("unsignedByte", "255", "-1"),
            ("positiveInteger", "1", "0"),
            ("negativeInteger", "-1", "0"),
            ("nonPositiveInteger", "-0", "1"),
            ("unsignedLong", "18446744073709551615", "18446744073709551616"),
            ("int", "+007", "7.0"),
            ("integer", "-9999999999999999999999", ""),
            ("boolean", "1", "TRUE"),
            ("dateTimeStamp", "2000-01-01T00:00:00Z", "2000-01-01T00:00:00"),
        ] {
            assert!(reads(name, good) && !reads(name, bad), "{name}");
        }
        let large = "9".repeat(60);
        assert_eq!(integer(&large, Range::All), Err(Unreadable::TooLarge));
        assert_eq!(integer(&large, Range::Byte), Err(Unreadable::Invalid));
        assert_eq!(Datatype::of("http://www.w3.org/2001/XMLSchema#gYear"), None);
        let all = Range::ALL.map(Datatype::Integer);
        assert!(all.into_iter().all(|datatype| Datatype::of(&datatype.iri()) == Some(datatype)));
    }
}
