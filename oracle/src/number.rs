//! Numbers: lexical forms, promotion and arithmetic of XPath's four types, by the letter.
//!
//! What 128 bits do not hold, and quotients that do not end, are [`Fail::Undecided`]: an implementation may round them.

use crate::{Fail, undecided};
use oxrdf::Literal;
use oxrdf::vocab::xsd;
use std::cmp::Ordering;

/// `mantissa` / 10^`scale`.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    pub mantissa: i128,
    pub scale: u32,
}

#[derive(Clone, Copy, Debug)]
pub enum Number {
    Integer(i128),
    Decimal(Decimal),
    Float(f32),
    Double(f64),
}

fn power(exponent: u32) -> Result<i128, Fail> {
    10_i128.checked_pow(exponent).ok_or_else(|| undecided("a number of many digits"))
}

fn large() -> Fail {
    undecided("a large number")
}

impl Decimal {
    /// Without zeros at the end.
    fn shortest(mut self) -> Self {
        while self.scale > 0 && self.mantissa % 10 == 0 {
            (self.mantissa, self.scale) = (self.mantissa / 10, self.scale - 1);
        }
        self
    }

    /// Both mantissas for the larger scale.
    fn aligned(self, other: Self) -> Result<(i128, i128, u32), Fail> {
        let scale = self.scale.max(other.scale);
        let mantissa = |one: Self| one.mantissa.checked_mul(power(scale - one.scale)?).ok_or_else(large);
        Ok((mantissa(self)?, mantissa(other)?, scale))
    }

    fn divided(self, other: Self) -> Result<Self, Fail> {
        let (mut left, right, _) = self.aligned(other)?;
        if right == 0 {
            return Err(Fail::Error);
        }
        for scale in 0..=12 {
            if left % right == 0 {
                return Ok(Self { mantissa: left / right, scale }.shortest());
            }
            left = left.checked_mul(10).ok_or_else(large)?;
        }
        Err(undecided("a quotient that does not end"))
    }

    /// The largest integer that is not above.
    pub fn floor(self) -> Result<i128, Fail> {
        Ok(self.mantissa.div_euclid(power(self.scale)?))
    }

    fn text(self) -> String {
        let one = self.shortest();
        let digits = format!("{:0width$}", one.mantissa.unsigned_abs(), width = one.scale as usize + 1);
        let (whole, rest) = digits.split_at(digits.len() - one.scale as usize);
        let sign = if one.mantissa < 0 { "-" } else { "" };
        if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
    }
}

/// The bounds of the integer types of XSD.
fn bounds(datatype: &str) -> Option<(i128, i128)> {
    let signed = |bits: u32| (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1);
    let unsigned = |bits: u32| (0, (1_i128 << bits) - 1);
    Some(match datatype {
        "integer" => (i128::MIN, i128::MAX),
        "nonPositiveInteger" => (i128::MIN, 0),
        "negativeInteger" => (i128::MIN, -1),
        "nonNegativeInteger" => (0, i128::MAX),
        "positiveInteger" => (1, i128::MAX),
        "long" => signed(64),
        "int" => signed(32),
        "short" => signed(16),
        "byte" => signed(8),
        "unsignedLong" => unsigned(64),
        "unsignedInt" => unsigned(32),
        "unsignedShort" => unsigned(16),
        "unsignedByte" => unsigned(8),
        _ => return None,
    })
}

/// Is this the local name of a numeric type of XSD?
pub fn is_numeric(datatype: &str) -> bool {
    bounds(datatype).is_some() || ["decimal", "float", "double"].contains(&datatype)
}

/// The value of a lexical form of a numeric type; `None` for another form.
pub fn parse(form: &str, datatype: &str) -> Option<Number> {
    match datatype {
        "decimal" => decimal(form).map(Number::Decimal),
        "float" => is_double(form).then(|| form.parse().ok().map(Number::Float))?,
        "double" => is_double(form).then(|| form.parse().ok().map(Number::Double))?,
        _ => {
            let (min, max) = bounds(datatype)?;
            let value = integer(form)?;
            (min <= value && value <= max).then_some(Number::Integer(value))
        }
    }
}

fn unsigned(form: &str) -> &str {
    form.strip_prefix(['+', '-']).unwrap_or(form)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn integer(form: &str) -> Option<i128> {
    is_digits(unsigned(form)).then(|| form.parse().ok())?
}

fn decimal(form: &str) -> Option<Decimal> {
    let digits = unsigned(form);
    let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{rest}");
    let value: i128 = is_digits(&all).then(|| all.parse().ok())??;
    Some(Decimal { mantissa: if form.starts_with('-') { -value } else { value }, scale: rest.len() as u32 })
}

fn is_double(form: &str) -> bool {
    if ["INF", "+INF", "-INF", "NaN"].contains(&form) {
        return true;
    }
    let (mantissa, exponent) = form.split_once(['e', 'E']).unwrap_or((form, "0"));
    decimal(mantissa).is_some() && integer(exponent).is_some()
}

/// Two numbers of one type.
enum Pair {
    Exact(Decimal, Decimal),
    Floats(f32, f32),
    Doubles(f64, f64),
}

impl Number {
    fn exact(self) -> Decimal {
        match self {
            Self::Integer(value) => Decimal { mantissa: value, scale: 0 },
            Self::Decimal(value) => value,
            Self::Float(_) | Self::Double(_) => unreachable!("promotion has excluded them"),
        }
    }

    fn double(self) -> f64 {
        match self {
            Self::Float(value) => value.into(),
            Self::Double(value) => value,
            exact => exact.exact().text().parse().expect("a decimal is a double"),
        }
    }

    fn float(self) -> f32 {
        match self {
            Self::Float(value) => value,
            Self::Double(value) => value as f32,
            exact => exact.exact().text().parse().expect("a decimal is a float"),
        }
    }

    fn promoted(self, other: Self) -> Pair {
        match (self, other) {
            (Self::Double(_), _) | (_, Self::Double(_)) => Pair::Doubles(self.double(), other.double()),
            (Self::Float(_), _) | (_, Self::Float(_)) => Pair::Floats(self.float(), other.float()),
            _ => Pair::Exact(self.exact(), other.exact()),
        }
    }

    fn is_integer(self) -> bool {
        matches!(self, Self::Integer(_))
    }

    /// A decimal as a result of integers only is an integer.
    fn of_exact(value: Decimal, is_integer: bool) -> Self {
        if is_integer { Self::Integer(value.mantissa) } else { Self::Decimal(value) }
    }

    /// The sum, the difference (`sign` -1).
    pub fn plus(self, other: Self, sign: i8) -> Result<Self, Fail> {
        Ok(match self.promoted(other) {
            Pair::Exact(one, two) => {
                let (one, two, scale) = one.aligned(two)?;
                let mantissa = one.checked_add(two * i128::from(sign)).ok_or_else(large)?;
                Self::of_exact(Decimal { mantissa, scale }, self.is_integer() && other.is_integer())
            }
            Pair::Floats(one, two) => Self::Float(one + f32::from(sign) * two),
            Pair::Doubles(one, two) => Self::Double(one + f64::from(sign) * two),
        })
    }

    pub fn times(self, other: Self) -> Result<Self, Fail> {
        Ok(match self.promoted(other) {
            Pair::Exact(one, two) => {
                let mantissa = one.mantissa.checked_mul(two.mantissa).ok_or_else(large)?;
                let value = Decimal { mantissa, scale: one.scale + two.scale };
                Self::of_exact(value, self.is_integer() && other.is_integer())
            }
            Pair::Floats(one, two) => Self::Float(one * two),
            Pair::Doubles(one, two) => Self::Double(one * two),
        })
    }

    /// The quotient; of integers it is a decimal.
    pub fn over(self, other: Self) -> Result<Self, Fail> {
        Ok(match self.promoted(other) {
            Pair::Exact(one, two) => Self::Decimal(one.divided(two)?),
            Pair::Floats(one, two) => Self::Float(one / two),
            Pair::Doubles(one, two) => Self::Double(one / two),
        })
    }

    pub fn negative(self) -> Self {
        match self {
            Self::Integer(value) => Self::Integer(-value),
            Self::Decimal(Decimal { mantissa, scale }) => Self::Decimal(Decimal { mantissa: -mantissa, scale }),
            Self::Float(value) => Self::Float(-value),
            Self::Double(value) => Self::Double(-value),
        }
    }

    pub fn absolute(self) -> Self {
        match self {
            Self::Float(value) => Self::Float(value.abs()),
            Self::Double(value) => Self::Double(value.abs()),
            exact if exact.exact().mantissa < 0 => exact.negative(),
            exact => exact,
        }
    }

    pub fn floor(self) -> Result<Self, Fail> {
        Ok(match self {
            Self::Decimal(value) => Self::Decimal(Decimal { mantissa: value.floor()?, scale: 0 }),
            Self::Float(value) => Self::Float(value.floor()),
            Self::Double(value) => Self::Double(value.floor()),
            integer => integer,
        })
    }

    pub fn ceiling(self) -> Result<Self, Fail> {
        // Of floats, too: -0.5 has the ceiling -0.
        Ok(self.negative().floor()?.negative())
    }

    /// The nearest integer, the greater of two.
    pub fn rounded(self) -> Result<Self, Fail> {
        let half = Self::Decimal(Decimal { mantissa: 5, scale: 1 });
        Ok(match self {
            Self::Decimal(_) => self.plus(half, 1)?.floor()?,
            Self::Float(value) if (-0.5..0.0).contains(&value) => Self::Float(-0.0),
            Self::Double(value) if (-0.5..0.0).contains(&value) => Self::Double(-0.0),
            Self::Float(value) if value.fract() != 0.0 => Self::Float((value + 0.5).floor()),
            Self::Double(value) if value.fract() != 0.0 => Self::Double((value + 0.5).floor()),
            whole => whole,
        })
    }

    /// `None` where one is not a number.
    pub fn compare(self, other: Self) -> Result<Option<Ordering>, Fail> {
        Ok(match self.promoted(other) {
            Pair::Exact(one, two) => {
                let (one, two, _) = one.aligned(two)?;
                Some(one.cmp(&two))
            }
            Pair::Floats(one, two) => one.partial_cmp(&two),
            Pair::Doubles(one, two) => one.partial_cmp(&two),
        })
    }

    pub fn is_zero_or_nan(self) -> bool {
        match self {
            Self::Float(value) => value == 0.0 || value.is_nan(),
            Self::Double(value) => value == 0.0 || value.is_nan(),
            exact => exact.exact().mantissa == 0,
        }
    }

    /// Cast to a numeric type (XPath Functions 3.1, 19.1.2): towards zero for integers.
    pub fn cast(self, datatype: &str) -> Result<Self, Fail> {
        match (datatype, self) {
            ("double", number) => Ok(Self::Double(number.double())),
            ("float", number) => Ok(Self::Float(number.float())),
            (_, Self::Float(value)) if !value.is_finite() => Err(Fail::Error),
            (_, Self::Double(value)) if !value.is_finite() => Err(Fail::Error),
            (_, Self::Float(value)) => Self::of_double(value.into())?.cast(datatype),
            (_, Self::Double(value)) => Self::of_double(value)?.cast(datatype),
            ("decimal", number) => Ok(Self::Decimal(number.exact())),
            ("integer", number) => {
                let whole = number.absolute().exact().floor()?;
                Ok(Self::Integer(if number.exact().mantissa < 0 { -whole } else { whole }))
            }
            _ => Err(undecided("a cast to a derived integer type")),
        }
    }

    /// The exact value of a double of few digits.
    fn of_double(value: f64) -> Result<Self, Fail> {
        let thousands = value * 1024.0;
        if thousands.fract() != 0.0 || thousands.abs() > 1e12 {
            return Err(undecided("a double of many digits as a decimal"));
        }
        let mantissa = (value * 1e10).round() as i128;
        Ok(Self::Decimal(Decimal { mantissa, scale: 10 }.shortest()))
    }

    /// The literal with XSD's canonical form.
    pub fn literal(self) -> Literal {
        match self {
            Self::Integer(value) => Literal::new_typed_literal(value.to_string(), xsd::INTEGER),
            Self::Decimal(value) => Literal::new_typed_literal(value.text(), xsd::DECIMAL),
            Self::Float(value) => {
                Literal::new_typed_literal(scientific(value.into(), format!("{value:E}")), xsd::FLOAT)
            }
            Self::Double(value) => Literal::new_typed_literal(scientific(value, format!("{value:E}")), xsd::DOUBLE),
        }
    }

    /// The canonical form, as a cast to a string gives it.
    pub fn plain(self) -> Result<String, Fail> {
        match self {
            Self::Integer(value) => Ok(value.to_string()),
            Self::Decimal(value) => Ok(value.text()),
            Self::Float(_) | Self::Double(_) => Err(undecided("the text of a float")),
        }
    }
}

/// `shortest` has the form 1E0, 1.5E0.
fn scientific(value: f64, shortest: String) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "INF".to_owned() } else { "-INF".to_owned() };
    }
    if shortest.contains('.') { shortest } else { shortest.replace('E', ".0E") }
}
