//! Expressions as SPARQL text that parses to an expression of the same meaning.
//!
//! The `Display` of the algebra omits the brackets around arithmetic, so `(1 + 2) * 3` would become `1 + 2 * 3`. Here
//! every operator has brackets.

use spargebra::algebra::Expression;
use std::fmt::{self, Display, Formatter};

/// The text of an expression; `None` if it holds an EXISTS, which rules never do.
pub fn expression_text(expression: &Expression) -> Option<String> {
    (!has_exists(expression)).then(|| Printed(expression).to_string())
}

struct Printed<'e>(&'e Expression);

impl Display for Printed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expression::Or(a, b) => binary(f, a, "||", b),
            Expression::And(a, b) => binary(f, a, "&&", b),
            Expression::Equal(a, b) => binary(f, a, "=", b),
            Expression::Greater(a, b) => binary(f, a, ">", b),
            Expression::GreaterOrEqual(a, b) => binary(f, a, ">=", b),
            Expression::Less(a, b) => binary(f, a, "<", b),
            Expression::LessOrEqual(a, b) => binary(f, a, "<=", b),
            Expression::Add(a, b) => binary(f, a, "+", b),
            Expression::Subtract(a, b) => binary(f, a, "-", b),
            Expression::Multiply(a, b) => binary(f, a, "*", b),
            Expression::Divide(a, b) => binary(f, a, "/", b),
            Expression::UnaryPlus(inner) => write!(f, "(+{})", Printed(inner)),
            Expression::UnaryMinus(inner) => write!(f, "(-{})", Printed(inner)),
            Expression::Not(inner) => write!(f, "(!{})", Printed(inner)),
            Expression::In(element, list) => {
                write!(f, "({} IN ", Printed(element))?;
                arguments(f, list)?;
                f.write_str(")")
            }
            Expression::SameTerm(a, b) => write!(f, "sameTerm({}, {})", Printed(a), Printed(b)),
            Expression::If(a, b, c) => write!(f, "IF({}, {}, {})", Printed(a), Printed(b), Printed(c)),
            Expression::Coalesce(list) => {
                f.write_str("COALESCE")?;
                arguments(f, list)
            }
            Expression::FunctionCall(function, list) => {
                write!(f, "{function}")?;
                arguments(f, list)
            }
            leaf @ (Expression::NamedNode(_)
            | Expression::Literal(_)
            | Expression::Variable(_)
            | Expression::Bound(_)
            | Expression::Exists(_)) => leaf.fmt(f),
        }
    }
}

fn binary(f: &mut Formatter<'_>, left: &Expression, operator: &str, right: &Expression) -> fmt::Result {
    write!(f, "({} {operator} {})", Printed(left), Printed(right))
}

fn arguments(f: &mut Formatter<'_>, list: &[Expression]) -> fmt::Result {
    f.write_str("(")?;
    for (index, argument) in list.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{}", Printed(argument))?;
    }
    f.write_str(")")
}

fn has_exists(expression: &Expression) -> bool {
    match expression {
        Expression::Exists(_) => true,
        Expression::NamedNode(_) | Expression::Literal(_) | Expression::Variable(_) | Expression::Bound(_) => false,
        Expression::Or(a, b)
        | Expression::And(a, b)
        | Expression::Equal(a, b)
        | Expression::SameTerm(a, b)
        | Expression::Greater(a, b)
        | Expression::GreaterOrEqual(a, b)
        | Expression::Less(a, b)
        | Expression::LessOrEqual(a, b)
        | Expression::Add(a, b)
        | Expression::Subtract(a, b)
        | Expression::Multiply(a, b)
        | Expression::Divide(a, b) => has_exists(a) || has_exists(b),
        Expression::UnaryPlus(inner) | Expression::UnaryMinus(inner) | Expression::Not(inner) => has_exists(inner),
        Expression::If(a, b, c) => [a, b, c].into_iter().any(|part| has_exists(part)),
        Expression::In(element, list) => has_exists(element) || list.iter().any(has_exists),
        Expression::Coalesce(list) | Expression::FunctionCall(_, list) => list.iter().any(has_exists),
    }
}
