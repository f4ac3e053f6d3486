//! `xsd:decimal` with 38 significant digits, of which up to 37 follow the point.
//!
//! A decimal is a coefficient and a scale: `coefficient / 10^scale`. Invariant: the scale is the smallest that the value
//! allows, so equal values have equal parts.
//!
//! Sums and products are exact as long as their digits fit. A fraction that does not fit is rounded half to even; a whole
//! part that does not fit is an overflow, which is an error of the expression. Quotients have 18 digits after the point, or
//! as many as the dividend if it has more.

use super::wide::Wide;
use std::cmp::Ordering;
use std::fmt;

/// Digits after the point that a decimal can have.
const SCALE_MAX: u32 = 37;
/// Digits after the point of a quotient that goes on, and of a decimal made of a float.
const FRACTION_DIGITS: u32 = 18;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    coefficient: Wide,
    scale: u8,
}

/// Why a text has no decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not in the lexical space.
    Invalid,
    /// It is, but has more digits than fit.
    TooLarge,
}

/// The powers of ten that fit.
const POWERS: [i128; 39] = {
    let (mut powers, mut exponent) = ([1; 39], 1);
    while exponent < powers.len() {
        powers[exponent] = powers[exponent - 1] * 10;
        exponent += 1;
    }
    powers
};

/// Digits that any number of 64 bits can have.
const SMALL_DIGITS: usize = 18;

fn power(exponent: u32) -> i128 {
    POWERS[exponent as usize]
}

impl Decimal {
    pub const ZERO: Self = Self { coefficient: Wide::new(0), scale: 0 };

    /// `coefficient / 10^scale`, with the zeros at its end taken away.
    #[inline]
    fn new(mut coefficient: i128, mut scale: u32) -> Self {
        // A remainder of 64 bits takes a fraction of the time of one of 128.
        if let Ok(mut small) = i64::try_from(coefficient) {
            while scale > 0 && small % 10 == 0 {
                small /= 10;
                scale -= 1;
            }
            return Self { coefficient: Wide::new(small.into()), scale: scale as u8 };
        }
        while scale > 0 && coefficient % 10 == 0 {
            coefficient /= 10;
            scale -= 1;
        }
        Self { coefficient: Wide::new(coefficient), scale: scale as u8 }
    }

    pub fn integer(number: i128) -> Self {
        Self { coefficient: Wide::new(number), scale: 0 }
    }

    /// `coefficient / 10^scale`.
    ///
    /// # Panics
    /// If the scale is above 37.
    pub fn scaled(coefficient: i128, scale: u32) -> Self {
        assert!(scale <= SCALE_MAX, "a decimal with {scale} digits after the point");
        Self::new(coefficient, scale)
    }

    pub fn coefficient(self) -> i128 {
        self.coefficient.get()
    }

    pub fn scale(self) -> u32 {
        self.scale.into()
    }

    /// The decimal of a lexical form of `xsd:decimal`.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let (is_negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !are_digits(whole) || !are_digits(fraction) {
            return Err(Unreadable::Invalid);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > SCALE_MAX as usize {
            return Err(Unreadable::TooLarge);
        }
        let scale = fraction.len() as u32;
        if whole.len() + fraction.len() <= SMALL_DIGITS {
            let digits = whole.bytes().chain(fraction.bytes());
            let digits = digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
            return Ok(Self::new((if is_negative { -digits } else { digits }).into(), scale));
        }
        Ok(Self::new(many_digits(is_negative, whole, fraction).ok_or(Unreadable::TooLarge)?, scale))
    }

    /// The decimal nearest to a float, with 18 digits after the point; `None` for what is not finite or too large.
    pub fn from_double(number: f64) -> Option<Self> {
        if !number.is_finite() || number.abs() >= 1e38 {
            return None;
        }
        // Formatting is exact for any number of digits, and rounds half to even.
        let mut digits = FRACTION_DIGITS as usize;
        loop {
            match Self::parse(&format!("{number:.digits$}")) {
                Ok(decimal) => return Some(decimal),
                Err(_) if digits == 0 => return None,
                Err(_) => digits -= 1,
            }
        }
    }

    pub fn is_zero(self) -> bool {
        self.coefficient.get() == 0
    }

    #[inline]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        match self.aligned(other) {
            // Both are far from the limits of 128 bits.
            Some((left, right, scale)) => Some(Self::new(left + right, scale)),
            None => self.add_any(other),
        }
    }

    /// The coefficients of two decimals with the same scale, and this scale, if both have so few digits that their product with
    /// a power of ten fits without a check.
    #[inline]
    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let (left, right) = (i64::try_from(self.coefficient()).ok()?, i64::try_from(other.coefficient()).ok()?);
        let scale = self.scale.max(other.scale);
        if scale as usize > SMALL_DIGITS {
            return None;
        }
        // Products of two numbers of 64 bits.
        let times =
            |coefficient: i64, own: u8| i128::from(coefficient) * i128::from(power((scale - own).into()) as i64);
        Some((times(left, self.scale), times(right, other.scale), scale.into()))
    }

    fn add_any(self, other: Self) -> Option<Self> {
        let scale = self.scale().max(other.scale());
        let aligned = |decimal: Self| decimal.coefficient().checked_mul(power(scale - decimal.scale()));
        if let (Some(left), Some(right)) = (aligned(self), aligned(other))
            && let Some(sum) = left.checked_add(right)
        {
            return Some(Self::new(sum, scale));
        }
        // One of them has so many digits that the last ones of the other do not matter.
        let lesser = if self.scale() > other.scale() { self } else { other };
        let scale = lesser.scale().checked_sub(1)?;
        let (left, right) = (self.rounded_to(scale), other.rounded_to(scale));
        left.checked_add(right)
    }

    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(other.checked_neg()?)
    }

    pub fn checked_neg(self) -> Option<Self> {
        Some(Self { coefficient: Wide::new(self.coefficient().checked_neg()?), scale: self.scale })
    }

    pub fn checked_mul(self, other: Self) -> Option<Self> {
        let (mut left, mut right) = (self, other);
        loop {
            let scale = left.scale() + right.scale();
            match left.coefficient().checked_mul(right.coefficient()) {
                Some(product) if scale <= SCALE_MAX => return Some(Self::new(product, scale)),
                Some(product) => return Some(Self::new(rounded(product, scale - SCALE_MAX), SCALE_MAX)),
                None => {
                    let longer = if left.scale() > right.scale() { &mut left } else { &mut right };
                    *longer = longer.rounded_to(longer.scale().checked_sub(1)?);
                }
            }
        }
    }

    /// The quotient; `None` for a division by zero and for an overflow.
    pub fn checked_div(self, other: Self) -> Option<Self> {
        let mut divisor = other.coefficient().unsigned_abs();
        let mut divisor_scale = other.scale() as i64;
        if divisor == 0 {
            return None;
        }
        // A remainder is multiplied by ten below.
        while divisor >= u128::MAX / 10 {
            divisor /= 10;
            divisor_scale -= 1;
        }
        let dividend = self.coefficient().unsigned_abs();
        let (mut quotient, mut remainder) = (dividend / divisor, dividend % divisor);
        let mut scale = i64::from(self.scale()) - divisor_scale;
        let wanted = i64::from(FRACTION_DIGITS.max(self.scale()));
        while scale < 0 || (remainder != 0 && scale < wanted) {
            let digit = remainder * 10 / divisor;
            let Some(next) = quotient.checked_mul(10).and_then(|tens| tens.checked_add(digit)) else { break };
            (quotient, remainder, scale) = (next, remainder * 10 % divisor, scale + 1);
        }
        if scale < 0 {
            return None;
        }
        let is_past_half = remainder > divisor - remainder;
        let is_half = remainder == divisor - remainder;
        if is_past_half || (is_half && quotient % 2 == 1) {
            quotient = quotient.checked_add(1)?;
        }
        let mut scale = scale as u32;
        let mut coefficient = i128::try_from(quotient).ok();
        if coefficient.is_none() || scale > SCALE_MAX {
            let digits = scale.saturating_sub(SCALE_MAX).max(1);
            scale = scale.checked_sub(digits)?;
            coefficient = i128::try_from(quotient / 10u128.pow(digits.min(38))).ok();
        }
        let is_negative = (self.coefficient() < 0) != (other.coefficient() < 0);
        let coefficient = coefficient?;
        Some(Self::new(if is_negative { -coefficient } else { coefficient }, scale))
    }

    /// Rounded half to even to so many digits after the point.
    fn rounded_to(self, scale: u32) -> Self {
        if self.scale() <= scale {
            return self;
        }
        Self::new(rounded(self.coefficient(), self.scale() - scale), scale)
    }

    /// The whole number at or below it.
    pub fn floor(self) -> Self {
        Self::integer(self.coefficient().div_euclid(power(self.scale())))
    }

    /// The whole number at or above it.
    pub fn ceil(self) -> Self {
        let one = power(self.scale());
        let floor = self.coefficient().div_euclid(one);
        Self::integer(if self.coefficient().rem_euclid(one) == 0 { floor } else { floor + 1 })
    }

    /// The nearest whole number; the greater one in the middle of two.
    pub fn round(self) -> Self {
        if self.scale == 0 {
            return self;
        }
        let one = power(self.scale());
        let (floor, rest) = (self.coefficient().div_euclid(one), self.coefficient().rem_euclid(one));
        Self::integer(if rest >= one - rest { floor + 1 } else { floor })
    }

    /// The whole number towards zero.
    pub fn truncated(self) -> i128 {
        self.coefficient() / power(self.scale())
    }

    /// The nearest double.
    pub fn to_double(self) -> f64 {
        const EXACT: i128 = 1 << 53;
        let coefficient = self.coefficient();
        // Both are exact, so that the division rounds once.
        if self.scale() <= 22 && (-EXACT..=EXACT).contains(&coefficient) {
            return coefficient as f64 / 10f64.powi(i32::from(self.scale));
        }
        format!("{coefficient}e-{}", self.scale()).parse().unwrap_or(f64::NAN)
    }

    /// The nearest float.
    pub fn to_float(self) -> f32 {
        if self.scale == 0 {
            return self.coefficient() as f32;
        }
        format!("{}e-{}", self.coefficient(), self.scale()).parse().unwrap_or(f32::NAN)
    }
}

/// The coefficient of so many digits; `None` if they do not fit.
fn many_digits(is_negative: bool, whole: &str, fraction: &str) -> Option<i128> {
    let mut coefficient = 0i128;
    // Digits are subtracted, since there is one more negative number than there are positive ones.
    for digit in whole.bytes().chain(fraction.bytes()) {
        coefficient = coefficient.checked_mul(10)?.checked_sub(i128::from(digit - b'0'))?;
    }
    if is_negative { Some(coefficient) } else { coefficient.checked_neg() }
}

/// `number / 10^digits`, rounded half to even.
fn rounded(number: i128, digits: u32) -> i128 {
    if digits > 38 {
        return 0;
    }
    let one = power(digits);
    let (quotient, rest) = (number / one, (number % one).unsigned_abs());
    let other = one.unsigned_abs() - rest;
    let is_up = rest > other || (rest == other && quotient % 2 != 0);
    if is_up { quotient + number.signum() } else { quotient }
}

impl PartialOrd for Decimal {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        if self.scale == other.scale {
            return self.coefficient.cmp(&other.coefficient);
        }
        match self.aligned(*other) {
            Some((left, right, _)) => left.cmp(&right),
            None => self.compare_any(other),
        }
    }
}

impl Decimal {
    fn compare_any(&self, other: &Self) -> Ordering {
        let whole = |decimal: &Self| decimal.coefficient().div_euclid(power(decimal.scale()));
        whole(self).cmp(&whole(other)).then_with(|| {
            // Fractions have at most 37 digits, so they can be aligned.
            let scale = self.scale().max(other.scale());
            let fraction = |decimal: &Self| {
                decimal.coefficient().rem_euclid(power(decimal.scale())) * power(scale - decimal.scale())
            };
            fraction(self).cmp(&fraction(other))
        })
    }
}

/// The canonical form of XSD 1.1: no point in a whole number.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.coefficient() < 0 { "-" } else { "" };
        let (digits, one) = (self.coefficient().unsigned_abs(), 10u128.pow(self.scale()));
        if self.scale == 0 {
            return write!(f, "{sign}{digits}");
        }
        write!(f, "{sign}{}.{:0width$}", digits / one, digits % one, width = self.scale as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn forms_are_read_and_written_canonically() {
        for (text, canonical) in
            [("007", "7"), ("+1.50", "1.5"), ("-0.0", "0"), (".5", "0.5"), ("5.", "5"), ("-12.034", "-12.034")]
        {
            assert_eq!(decimal(text).to_string(), canonical, "{text}");
        }
        for text in ["", ".", "-", "1e3", " 1", "1_0", "--1", "1.2.3", "+-1", "INF"] {
            assert_eq!(Decimal::parse(text), Err(Unreadable::Invalid), "{text}");
        }
        let most = i128::MAX.to_string();
        assert_eq!(decimal(&most).to_string(), most);
        assert_eq!(decimal(&i128::MIN.to_string()).coefficient(), i128::MIN);
        assert_eq!(Decimal::parse(&format!("{most}0")), Err(Unreadable::TooLarge));
        assert_eq!(Decimal::parse(&format!("0.{}", "1".repeat(38))), Err(Unreadable::TooLarge));
    }

    #[test]
    fn what_does_not_fit_is_rounded_or_overflows() {
        let most = Decimal::integer(i128::MAX);
        assert_eq!(most.checked_add(Decimal::integer(1)), None);
        assert_eq!(most.checked_mul(Decimal::integer(2)), None);
        assert_eq!(most.checked_add(decimal("0.25")), Some(most));
        assert_eq!(Decimal::integer(1).checked_div(Decimal::ZERO), None);
        let third = Decimal::integer(1).checked_div(Decimal::integer(3)).unwrap();
        assert_eq!(third.to_string(), format!("0.{}", "3".repeat(18)));
        let two_thirds = Decimal::integer(-2).checked_div(Decimal::integer(3)).unwrap();
        assert_eq!(two_thirds.to_string(), format!("-0.{}7", "6".repeat(17)));
        assert_eq!(decimal("1.5").checked_div(decimal("0.003")).unwrap().to_string(), "500");
        assert_eq!(
            decimal("1").checked_div(decimal("0.0000000000000000000000000001")).unwrap().to_string(),
            "1".to_owned() + &"0".repeat(28)
        );
        assert_eq!(most.checked_div(decimal("0.1")), None);
        let long = decimal("1.2345678901234567890123456789");
        let square = long.checked_mul(long).unwrap().to_string();
        assert!(square.starts_with("1.52415787532388367"), "{square}");
    }

    #[test]
    fn rounding_follows_the_standard() {
        for (text, floor, ceil, round) in [("2.5", 2, 3, 3), ("-2.5", -3, -2, -2), ("-1.6", -2, -1, -2), ("7", 7, 7, 7)]
        {
            let number = decimal(text);
            assert_eq!(number.floor(), Decimal::integer(floor), "{text}");
            assert_eq!(number.ceil(), Decimal::integer(ceil), "{text}");
            assert_eq!(number.round(), Decimal::integer(round), "{text}");
        }
        assert_eq!(decimal("-7.9").truncated(), -7);
        assert_eq!(Decimal::from_double(0.1).unwrap().to_string(), "0.100000000000000006");
        assert_eq!(Decimal::from_double(-7.875).unwrap().to_string(), "-7.875");
        assert_eq!(Decimal::from_double(1e30).unwrap().to_double(), 1e30);
        assert_eq!(Decimal::from_double(f64::INFINITY), None);
    }

    /// Decimals of few digits and of many.
    fn any_decimal() -> impl Strategy<Value = Decimal> {
        let coefficient =
            prop_oneof![-100i128..100, any::<i64>().prop_map(i128::from), any::<i128>().prop_map(|it| it >> 20)];
        (coefficient, 0u32..=SCALE_MAX).prop_map(|(coefficient, scale)| Decimal::scaled(coefficient, scale))
    }

    proptest! {
        #[test]
        fn few_digits_are_computed_as_many(x in any_decimal(), y in any_decimal()) {
            prop_assert_eq!(x.checked_add(y), x.add_any(y), "{} + {}", x, y);
            prop_assert_eq!(x.cmp(&y), if x == y { Ordering::Equal } else { x.compare_any(&y) }, "{} {}", x, y);
        }

        #[test]
        fn few_digits_are_read_as_many(is_negative in any::<bool>(), whole in "[0-9]{0,12}", fraction in "[0-9]{1,12}") {
            let text = format!("{}{whole}.{fraction}", if is_negative { "-" } else { "" });
            let many = many_digits(is_negative, &whole, &fraction).unwrap();
            prop_assert_eq!(Decimal::parse(&text), Ok(Decimal::new(many, fraction.len() as u32)));
        }

        #[test]
        fn small_decimals_behave_as_fractions(a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000,
            s in 0u32..6, t in 0u32..6) {
            let (x, y) = (Decimal::scaled(a.into(), s), Decimal::scaled(b.into(), t));
            let (left, right) = (i128::from(a) * power(t), i128::from(b) * power(s));
            prop_assert_eq!(x.cmp(&y), left.cmp(&right));
            prop_assert_eq!(x.checked_add(y), Some(Decimal::scaled(left + right, s + t)));
            prop_assert_eq!(x.checked_sub(y), Some(Decimal::scaled(left - right, s + t)));
            prop_assert_eq!(x.checked_mul(y), Some(Decimal::scaled(i128::from(a) * i128::from(b), s + t)));
            prop_assert_eq!(Decimal::parse(&x.to_string()), Ok(x));
            let nearest: f64 = x.to_string().parse().unwrap();
            prop_assert_eq!(x.to_double(), nearest);
            if b != 0 {
                let back = x.checked_div(y).unwrap().checked_mul(y).unwrap();
                let off = back.checked_sub(x).unwrap().to_double().abs();
                prop_assert!(off <= 1e-12 , "{} / {} * {} is {}", x, y, y, back);
            }
        }
    }
}
