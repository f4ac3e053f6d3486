//! `xsd:gYear`, `gYearMonth`, `gMonth`, `gMonthDay` and `gDay`. No operator of SPARQL looks at their values, so they are none of
//! expressions; ORDER BY needs their place on the time line (XSD 1.1, E.3.4), which is the one of the first day that they name.

use super::datatype::XSD;
use super::instant::{Instant, InstantKind, zone_of};

/// A leap year, which has all days that a year may have.
const YEAR: &str = "1972";

/// Which of the five datatypes, in the order of ORDER BY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gregorian {
    Year,
    YearMonth,
    Month,
    MonthDay,
    Day,
}

impl Gregorian {
    /// The datatype of that IRI.
    pub fn of(iri: &str) -> Option<Self> {
        Some(match iri.strip_prefix(XSD)? {
            "gYear" => Self::Year,
            "gYearMonth" => Self::YearMonth,
            "gMonth" => Self::Month,
            "gMonthDay" => Self::MonthDay,
            "gDay" => Self::Day,
            _ => return None,
        })
    }

    /// The first day that a lexical form names; of a form without a year, in a leap year.
    pub fn first_day(self, text: &str) -> Option<Instant> {
        let zone = zone_of(text);
        let named = &text[..text.len() - zone.len()];
        let date = match self {
            Self::Year => format!("{named}-01-01{zone}"),
            Self::YearMonth => format!("{named}-01{zone}"),
            Self::Month => format!("{YEAR}-{}-01{zone}", named.strip_prefix("--")?),
            Self::MonthDay => format!("{YEAR}-{}{zone}", named.strip_prefix("--")?),
            Self::Day => format!("{YEAR}-12-{}{zone}", named.strip_prefix("---")?),
        };
        Instant::parse(InstantKind::Date, &date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_name_days() {
        use Gregorian::{Day, Month, MonthDay, Year, YearMonth};
        for (kind, text, day) in [
            (Year, "2026", Some("2026-01-01")),
            (Year, "-0044Z", Some("-0044-01-01Z")),
            (Year, "12026-08:00", Some("12026-01-01-08:00")),
            (YearMonth, "2026-02+01:00", Some("2026-02-01+01:00")),
            (Month, "--12", Some("1972-12-01")),
            (MonthDay, "--02-29", Some("1972-02-29")),
            (Day, "---31Z", Some("1972-12-31Z")),
            (Year, "26", None),
            (Year, "2026-02", None),
            (Year, "2026-25:00", None),
            (YearMonth, "2026", None),
            (YearMonth, "2026-13", None),
            (Month, "12", None),
            (Month, "--12-01", None),
            (MonthDay, "--02-30", None),
            (Day, "---1", None),
            (Day, "--31", None),
        ] {
            let found = kind.first_day(text).map(Instant::canonical);
            assert_eq!(found.as_deref(), day, "{text}");
        }
        assert_eq!(Gregorian::of("http://www.w3.org/2001/XMLSchema#gMonthDay"), Some(MonthDay));
        assert_eq!(Gregorian::of("http://www.w3.org/2001/XMLSchema#date"), None);
    }
}
