//! The proleptic Gregorian calendar of XSD 1.1, which has a year 0: days since 1970-01-01 and back.

const DAYS_IN_400_YEARS: i64 = 146_097;
/// From 0000-03-01 to 1970-01-01.
const EPOCH_SHIFT: i64 = 719_468;

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    pub year: i64,
    /// From 1.
    pub month: u8,
    /// From 1.
    pub day: u8,
}

impl Day {
    /// The number of days since 1970-01-01. The day of the month may be greater than the month is long.
    pub fn number(self) -> i64 {
        // Years begin in March here, so that the leap day is the last one.
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let month = (i64::from(self.month) + 9) % 12;
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let day_of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        era * DAYS_IN_400_YEARS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH_SHIFT
    }

    /// The day of that number.
    pub fn of(number: i64) -> Self {
        let shifted = number + EPOCH_SHIFT;
        let (era, day_of_era) = (shifted.div_euclid(DAYS_IN_400_YEARS), shifted.rem_euclid(DAYS_IN_400_YEARS));
        let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / (DAYS_IN_400_YEARS - 1);
        let year_of_era = (day_of_era - leap_days) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        Self { year, month: month as u8, day: day as u8 }
    }

    /// The day so many months later, or the last one of its month if the month is too short.
    pub fn plus_months(self, months: i64) -> Option<Self> {
        let month = self.year.checked_mul(12)?.checked_add(i64::from(self.month) - 1)?.checked_add(months)?;
        let (year, month) = (month.div_euclid(12), (month.rem_euclid(12) + 1) as u8);
        Some(Self { year, month, day: self.day.min(days_in_month(year, month)) })
    }

    /// Is there such a day?
    pub fn is_valid(self) -> bool {
        (1..=12).contains(&self.month) && self.day >= 1 && self.day <= days_in_month(self.year, self.month)
    }
}

fn days_in_month(year: i64, month: u8) -> u8 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days_have_their_numbers() {
        for (year, month, day, number) in [
            (1970, 1, 1, 0),
            (1969, 12, 31, -1),
            (2000, 2, 29, 11_016),
            (2000, 3, 1, 11_017),
            (1, 1, 1, -719_162),
            (0, 3, 1, -EPOCH_SHIFT),
        ] {
            assert_eq!(Day { year, month, day }.number(), number);
        }
        let january = Day { year: 2023, month: 1, day: 31 };
        assert_eq!(january.plus_months(1), Some(Day { year: 2023, month: 2, day: 28 }));
        assert_eq!(january.plus_months(-11), Some(Day { year: 2022, month: 2, day: 28 }));
        assert_eq!(january.plus_months(13), Some(Day { year: 2024, month: 2, day: 29 }));
        assert!(!Day { year: 1900, month: 2, day: 29 }.is_valid() && Day { year: 2000, month: 2, day: 29 }.is_valid());
    }

    proptest! {
        #[test]
        fn numbers_and_days_are_the_same(number in -400_000_000_000i64..400_000_000_000) {
            let day = Day::of(number);
            prop_assert!(day.is_valid());
            prop_assert_eq!(day.number(), number);
            let next = Day::of(number + 1);
            prop_assert!((next.year, next.month, next.day) > (day.year, day.month, day.day));
        }
    }
}
