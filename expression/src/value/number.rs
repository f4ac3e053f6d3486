//! Numbers: the four types of SPARQL's arithmetic, and how they are promoted (17.3.1; XPath 3.1, B.1).
//!
//! Derived integer types (`xsd:int`, ...) are integers here: their ranges matter to what a literal's value is, not to
//! arithmetic. Integers have 128 bits, decimals 38 digits; what goes beyond is an error of the expression.

use super::decimal::Decimal;
use super::float;
use super::wide::Wide;
use entail_syntax::ast::Arithmetic;
use std::cmp::Ordering;

#[derive(Clone, Copy, Debug)]
pub enum Number {
    Integer(Wide),
    Decimal(Decimal),
    Float(f32),
    Double(f64),
}

/// Two numbers of one type.
enum Pair {
    Integers(i128, i128),
    Decimals(Decimal, Decimal),
    Floats(f32, f32),
    Doubles(f64, f64),
}

impl Number {
    pub fn integer(number: i128) -> Self {
        Self::Integer(Wide::new(number))
    }

    fn to_double(self) -> f64 {
        match self {
            Self::Integer(number) => number.get() as f64,
            Self::Decimal(number) => number.to_double(),
            Self::Float(number) => number.into(),
            Self::Double(number) => number,
        }
    }

    fn to_float(self) -> f32 {
        match self {
            Self::Integer(number) => number.get() as f32,
            Self::Decimal(number) => number.to_float(),
            Self::Float(number) => number,
            Self::Double(number) => number as f32,
        }
    }

    /// Integers and decimals as decimals.
    fn exact(self) -> Option<Decimal> {
        match self {
            Self::Integer(number) => Some(Decimal::integer(number.get())),
            Self::Decimal(number) => Some(number),
            Self::Float(_) | Self::Double(_) => None,
        }
    }

    fn promoted(self, other: Self) -> Pair {
        match (self, other) {
            (Self::Integer(left), Self::Integer(right)) => Pair::Integers(left.get(), right.get()),
            (Self::Double(_), _) | (_, Self::Double(_)) => Pair::Doubles(self.to_double(), other.to_double()),
            (Self::Float(_), _) | (_, Self::Float(_)) => Pair::Floats(self.to_float(), other.to_float()),
            _ => {
                let exact = |number: Self| number.exact().unwrap_or(Decimal::ZERO);
                Pair::Decimals(exact(self), exact(other))
            }
        }
    }

    /// `None` is an error: an overflow, or an exact division by zero.
    pub fn compute(self, operator: Arithmetic, other: Self) -> Option<Self> {
        Some(match self.promoted(other) {
            Pair::Integers(left, right) => match operator {
                Arithmetic::Add => Self::integer(left.checked_add(right)?),
                Arithmetic::Subtract => Self::integer(left.checked_sub(right)?),
                Arithmetic::Multiply => Self::integer(left.checked_mul(right)?),
                Arithmetic::Divide => Self::Decimal(Decimal::integer(left).checked_div(Decimal::integer(right))?),
            },
            Pair::Decimals(left, right) => Self::Decimal(match operator {
                Arithmetic::Add => left.checked_add(right)?,
                Arithmetic::Subtract => left.checked_sub(right)?,
                Arithmetic::Multiply => left.checked_mul(right)?,
                Arithmetic::Divide => left.checked_div(right)?,
            }),
            Pair::Floats(left, right) => Self::Float(match operator {
                Arithmetic::Add => left + right,
                Arithmetic::Subtract => left - right,
                Arithmetic::Multiply => left * right,
                Arithmetic::Divide => left / right,
            }),
            Pair::Doubles(left, right) => Self::Double(match operator {
                Arithmetic::Add => left + right,
                Arithmetic::Subtract => left - right,
                Arithmetic::Multiply => left * right,
                Arithmetic::Divide => left / right,
            }),
        })
    }

    /// The order of two numbers; `None` if one is not a number.
    #[inline]
    pub fn compare(self, other: Self) -> Option<Ordering> {
        match self.promoted(other) {
            Pair::Integers(left, right) => Some(left.cmp(&right)),
            Pair::Decimals(left, right) => Some(left.cmp(&right)),
            Pair::Floats(left, right) => left.partial_cmp(&right),
            Pair::Doubles(left, right) => left.partial_cmp(&right),
        }
    }

    pub fn checked_neg(self) -> Option<Self> {
        Some(match self {
            Self::Integer(number) => Self::integer(number.get().checked_neg()?),
            Self::Decimal(number) => Self::Decimal(number.checked_neg()?),
            Self::Float(number) => Self::Float(-number),
            Self::Double(number) => Self::Double(-number),
        })
    }

    pub fn checked_abs(self) -> Option<Self> {
        match self {
            Self::Integer(number) if number.get() < 0 => self.checked_neg(),
            Self::Decimal(number) if number < Decimal::ZERO => self.checked_neg(),
            Self::Integer(_) | Self::Decimal(_) => Some(self),
            Self::Float(number) => Some(Self::Float(number.abs())),
            Self::Double(number) => Some(Self::Double(number.abs())),
        }
    }

    pub fn floor(self) -> Self {
        match self {
            Self::Integer(_) => self,
            Self::Decimal(number) => Self::Decimal(number.floor()),
            Self::Float(number) => Self::Float(number.floor()),
            Self::Double(number) => Self::Double(number.floor()),
        }
    }

    pub fn ceil(self) -> Self {
        match self {
            Self::Integer(_) => self,
            Self::Decimal(number) => Self::Decimal(number.ceil()),
            Self::Float(number) => Self::Float(number.ceil()),
            Self::Double(number) => Self::Double(number.ceil()),
        }
    }

    /// The nearest whole number; the greater one in the middle of two (fn:round).
    pub fn round(self) -> Self {
        match self {
            Self::Integer(_) => self,
            Self::Decimal(number) => Self::Decimal(number.round()),
            // Every float is a double, and a whole number that is near to one is a float.
            Self::Float(number) => Self::Float(round(number.into()) as f32),
            Self::Double(number) => Self::Double(round(number)),
        }
    }

    /// Is it neither zero nor NaN?
    pub fn is_true(self) -> bool {
        match self {
            Self::Integer(number) => number.get() != 0,
            Self::Decimal(number) => !number.is_zero(),
            Self::Float(number) => number != 0.0 && !number.is_nan(),
            Self::Double(number) => number != 0.0 && !number.is_nan(),
        }
    }

    pub fn is_nan(self) -> bool {
        match self {
            Self::Integer(_) | Self::Decimal(_) => false,
            Self::Float(number) => number.is_nan(),
            Self::Double(number) => number.is_nan(),
        }
    }

    /// The canonical lexical form of its type.
    pub fn canonical(self) -> String {
        match self {
            Self::Integer(number) => number.get().to_string(),
            Self::Decimal(number) => number.to_string(),
            Self::Float(number) => float::canonical(number),
            Self::Double(number) => float::canonical(number),
        }
    }

    /// What a cast to `xsd:string` gives.
    pub fn plain(self) -> String {
        match self {
            Self::Float(number) => float::plain(number),
            Self::Double(number) => float::plain(number),
            Self::Integer(_) | Self::Decimal(_) => self.canonical(),
        }
    }

    /// Cast to `xsd:integer`: without what follows the point.
    pub fn cast_integer(self) -> Option<Self> {
        let number = match self {
            Self::Integer(number) => number.get(),
            Self::Decimal(number) => number.truncated(),
            Self::Float(_) | Self::Double(_) => {
                let number = self.to_double();
                // 2^127 is the first that is too large.
                let fits = number.is_finite() && (-(2f64.powi(127))..2f64.powi(127)).contains(&number);
                fits.then_some(number as i128)?
            }
        };
        Some(Self::integer(number))
    }

    /// Cast to `xsd:decimal`.
    pub fn cast_decimal(self) -> Option<Self> {
        match self.exact() {
            Some(number) => Some(Self::Decimal(number)),
            None => Decimal::from_double(self.to_double()).map(Self::Decimal),
        }
    }

    /// Cast to `xsd:double`.
    pub fn cast_double(self) -> Self {
        Self::Double(self.to_double())
    }

    /// Cast to `xsd:float`.
    pub fn cast_float(self) -> Self {
        Self::Float(self.to_float())
    }
}

fn round(number: f64) -> f64 {
    let floor = number.floor();
    let rounded = if number - floor >= 0.5 { floor + 1.0 } else { floor };
    // -0.2 is rounded to -0.
    rounded.copysign(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Number {
        Number::Decimal(Decimal::parse(text).unwrap())
    }

    #[test]
    fn types_are_promoted() {
        let two = Number::integer(2);
        let add = |left: Number, right| left.compute(Arithmetic::Add, right).unwrap().canonical();
        assert_eq!(add(two, two), "4");
        assert_eq!(add(two, decimal("0.5")), "2.5");
        assert_eq!(add(two, Number::Float(0.5)), "2.5E0");
        assert_eq!(add(decimal("0.5"), Number::Double(2.0)), "2.5E0");
        assert_eq!(add(Number::Float(0.1), Number::Double(0.0)), "1.0000000149011612E-1");
        let divide = |left: Number, right| left.compute(Arithmetic::Divide, right).map(Number::canonical);
        assert_eq!(divide(two, Number::integer(4)).as_deref(), Some("0.5"));
        assert_eq!(divide(two, Number::integer(0)), None);
        assert_eq!(divide(two, Number::Double(0.0)).as_deref(), Some("INF"));
        assert_eq!(Number::integer(i128::MAX).compute(Arithmetic::Add, two).map(Number::canonical), None);
    }

    #[test]
    fn rounding_is_that_of_xpath() {
        for (number, rounded) in [(2.5, 3.0), (-2.5, -2.0), (0.49999999999999994, 0.0), (-0.2, -0.0), (1e300, 1e300)] {
            let Number::Double(result) = Number::Double(number).round() else { panic!("a double") };
            assert_eq!(result.to_bits(), f64::to_bits(rounded), "{number}");
        }
        assert!(Number::Double(f64::NAN).round().is_nan());
    }
}
