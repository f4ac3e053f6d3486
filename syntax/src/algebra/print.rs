//! The text of expressions and patterns.
//!
//! Every operator of an expression has brackets, so its text parses to an expression of the same meaning. Patterns are printed
//! for explanations: as SPARQL writes them where it can.

use super::{
    Expression, GraphPattern, NamedNodePattern, PropertyPathExpression, QuadPattern, TermPattern, TriplePattern,
    children,
};
use std::fmt::{self, Display, Formatter};

impl Display for NamedNodePattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NamedNode(node) => node.fmt(f),
            Self::Variable(variable) => variable.fmt(f),
        }
    }
}

impl Display for TermPattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NamedNode(node) => node.fmt(f),
            Self::BlankNode(node) => node.fmt(f),
            Self::Literal(literal) => literal.fmt(f),
            Self::Triple(triple) => write!(f, "<<( {triple} )>>"),
            Self::Variable(variable) => variable.fmt(f),
        }
    }
}

impl Display for TriplePattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.subject, self.predicate, self.object)
    }
}

impl Display for QuadPattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.subject, self.predicate, self.object)
    }
}

impl Display for PropertyPathExpression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NamedNode(node) => node.fmt(f),
            Self::Reverse(inner) => write!(f, "^({inner})"),
            Self::Sequence(left, right) => write!(f, "({left} / {right})"),
            Self::Alternative(left, right) => write!(f, "({left} | {right})"),
            Self::ZeroOrMore(inner) => write!(f, "({inner})*"),
            Self::OneOrMore(inner) => write!(f, "({inner})+"),
            Self::ZeroOrOne(inner) => write!(f, "({inner})?"),
            Self::NegatedPropertySet(nodes) => {
                f.write_str("!(")?;
                separated(f, nodes, " | ")?;
                f.write_str(")")
            }
        }
    }
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NamedNode(node) => node.fmt(f),
            Self::Literal(literal) => literal.fmt(f),
            Self::Variable(variable) => variable.fmt(f),
            Self::Bound(variable) => write!(f, "BOUND({variable})"),
            Self::Exists(pattern) => write!(f, "EXISTS {{ {pattern} }}"),
            Self::Or(a, b) => write!(f, "({a} || {b})"),
            Self::And(a, b) => write!(f, "({a} && {b})"),
            Self::Equal(a, b) => write!(f, "({a} = {b})"),
            Self::Greater(a, b) => write!(f, "({a} > {b})"),
            Self::GreaterOrEqual(a, b) => write!(f, "({a} >= {b})"),
            Self::Less(a, b) => write!(f, "({a} < {b})"),
            Self::LessOrEqual(a, b) => write!(f, "({a} <= {b})"),
            Self::Add(a, b) => write!(f, "({a} + {b})"),
            Self::Subtract(a, b) => write!(f, "({a} - {b})"),
            Self::Multiply(a, b) => write!(f, "({a} * {b})"),
            Self::Divide(a, b) => write!(f, "({a} / {b})"),
            Self::UnaryPlus(inner) => write!(f, "(+{inner})"),
            Self::UnaryMinus(inner) => write!(f, "(-{inner})"),
            Self::Not(inner) => write!(f, "(!{inner})"),
            Self::SameTerm(a, b) => write!(f, "sameTerm({a}, {b})"),
            Self::If(a, b, c) => write!(f, "IF({a}, {b}, {c})"),
            Self::In(element, list) => {
                write!(f, "({element} IN ")?;
                arguments(f, list)?;
                f.write_str(")")
            }
            Self::Coalesce(list) => {
                f.write_str("COALESCE")?;
                arguments(f, list)
            }
            Self::FunctionCall(function, list) => {
                f.write_str(function.name())?;
                arguments(f, list)
            }
            Self::Custom(name, list) => {
                name.fmt(f)?;
                arguments(f, list)
            }
        }
    }
}

fn arguments(f: &mut Formatter<'_>, list: &[Expression]) -> fmt::Result {
    f.write_str("(")?;
    separated(f, list, ", ")?;
    f.write_str(")")
}

fn separated(f: &mut Formatter<'_>, list: &[impl Display], separator: &str) -> fmt::Result {
    for (index, item) in list.iter().enumerate() {
        let before = if index == 0 { "" } else { separator };
        write!(f, "{before}{item}")?;
    }
    Ok(())
}

impl Display for GraphPattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bgp { patterns } => separated(f, patterns, " . "),
            Self::Path { subject, path, object } => write!(f, "{subject} {path} {object}"),
            Self::Join { left, right } => write!(f, "{{ {left} }} {{ {right} }}"),
            Self::LeftJoin { left, right, expression } => {
                write!(f, "{{ {left} }} OPTIONAL {{ {right}")?;
                if let Some(condition) = expression {
                    write!(f, " FILTER({condition})")?;
                }
                f.write_str(" }")
            }
            Self::Filter { expr, inner } => write!(f, "{inner} FILTER({expr})"),
            Self::Union { left, right } => write!(f, "{{ {left} }} UNION {{ {right} }}"),
            Self::Graph { name, inner } => write!(f, "GRAPH {name} {{ {inner} }}"),
            Self::Extend { inner, variable, expression } => write!(f, "{inner} BIND({expression} AS {variable})"),
            Self::Minus { left, right } => write!(f, "{{ {left} }} MINUS {{ {right} }}"),
            Self::Values { variables, bindings } => {
                f.write_str("VALUES (")?;
                separated(f, variables, " ")?;
                write!(f, ") {{ {} rows }}", bindings.len())
            }
            Self::Service { name, inner, .. } => write!(f, "SERVICE {name} {{ {inner} }}"),
            Self::Leaf { number, .. } => write!(f, "leaf {number}"),
            Self::OrderBy { .. }
            | Self::Project { .. }
            | Self::Distinct { .. }
            | Self::Reduced { .. }
            | Self::Slice { .. }
            | Self::Group { .. } => {
                f.write_str("{ SELECT { ")?;
                children(self).into_iter().try_for_each(|inner| inner.fmt(f))?;
                f.write_str(" } }")
            }
        }
    }
}
