//! Expressions.

use super::list;
use crate::ast::{Aggregate, AggregateFunction, Expression, ExpressionKind, Membership, Presence};
use oxrdf::Literal;
use std::fmt::{self, Display, Formatter};

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExpressionKind::Variable(variable) => variable.fmt(f),
            ExpressionKind::Iri(iri) => iri.fmt(f),
            ExpressionKind::Literal(literal) => literal.fmt(f),
            ExpressionKind::Or(parts) => chained(f, " || ", parts),
            ExpressionKind::And(parts) => chained(f, " && ", parts),
            ExpressionKind::Compare(operator, sides) => {
                let [left, right] = &**sides;
                write!(f, "({left} {} {right})", operator.symbol())
            }
            ExpressionKind::Member(membership, element, members) => {
                let operator = if *membership == Membership::In { "IN" } else { "NOT IN" };
                write!(f, "({element} {operator} (")?;
                list(f, ", ", members)?;
                f.write_str("))")
            }
            ExpressionKind::Chain(first, rest) => {
                write!(f, "({first}")?;
                rest.iter().try_for_each(|(operator, operand)| write!(f, " {} {operand}", operator.symbol()))?;
                f.write_str(")")
            }
            ExpressionKind::Unary(operator, operand) => write!(f, "({}{operand})", operator.symbol()),
            ExpressionKind::Call(function, arguments) => {
                write!(f, "{}(", function.name())?;
                list(f, ", ", arguments)?;
                f.write_str(")")
            }
            ExpressionKind::Custom { function, arguments, distinct } => {
                write!(f, "{function}({}", if distinct.is_some() { "DISTINCT " } else { "" })?;
                list(f, ", ", arguments)?;
                f.write_str(")")
            }
            ExpressionKind::Exists(presence, group) => {
                write!(f, "{} {group}", if *presence == Presence::Exists { "EXISTS" } else { "NOT EXISTS" })
            }
            ExpressionKind::Aggregate(aggregate) => aggregate.fmt(f),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}", self.function.name(), if self.is_distinct { "DISTINCT " } else { "" })?;
        match &self.argument {
            Some(argument) => argument.fmt(f)?,
            None => f.write_str("*")?,
        }
        if let AggregateFunction::GroupConcat { separator: Some(separator) } = &self.function {
            write!(f, "; SEPARATOR = {}", Literal::new_simple_literal(separator))?;
        }
        f.write_str(")")
    }
}

fn chained(f: &mut Formatter<'_>, operator: &str, parts: &[Expression]) -> fmt::Result {
    f.write_str("(")?;
    list(f, operator, parts)?;
    f.write_str(")")
}

/// A condition after FILTER or HAVING, or a key of a list: in brackets whatever it is.
pub(super) struct Bracketed<'e>(pub &'e Expression);

impl Display for Bracketed<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "({})", self.0)
    }
}
