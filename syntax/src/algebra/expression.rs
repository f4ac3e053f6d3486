//! Expressions and aggregates.

use super::GraphPattern;
use crate::ast::{AggregateFunction, Function};
use oxrdf::{Literal, NamedNode, Variable};

/// An expression. `!=`, `NOT IN` and `NOT EXISTS` are negations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expression {
    NamedNode(NamedNode),
    Literal(Literal),
    Variable(Variable),
    Or(Box<Self>, Box<Self>),
    And(Box<Self>, Box<Self>),
    Equal(Box<Self>, Box<Self>),
    SameTerm(Box<Self>, Box<Self>),
    Greater(Box<Self>, Box<Self>),
    GreaterOrEqual(Box<Self>, Box<Self>),
    Less(Box<Self>, Box<Self>),
    LessOrEqual(Box<Self>, Box<Self>),
    In(Box<Self>, Vec<Self>),
    Add(Box<Self>, Box<Self>),
    Subtract(Box<Self>, Box<Self>),
    Multiply(Box<Self>, Box<Self>),
    Divide(Box<Self>, Box<Self>),
    UnaryPlus(Box<Self>),
    UnaryMinus(Box<Self>),
    Not(Box<Self>),
    Exists(Box<GraphPattern>),
    Bound(Variable),
    If(Box<Self>, Box<Self>, Box<Self>),
    Coalesce(Vec<Self>),
    /// A function of the table without a variant of its own here.
    FunctionCall(Function, Vec<Self>),
    /// A function that is named by an IRI.
    Custom(NamedNode, Vec<Self>),
}

/// An aggregate over the solutions of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AggregateExpression {
    /// `COUNT(*)`.
    CountSolutions {
        distinct: bool,
    },
    FunctionCall {
        name: AggregateFunction,
        expr: Expression,
        distinct: bool,
    },
}

/// A key of ORDER BY.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OrderExpression {
    Asc(Expression),
    Desc(Expression),
}

impl From<NamedNode> for Expression {
    fn from(node: NamedNode) -> Self {
        Self::NamedNode(node)
    }
}

impl From<Literal> for Expression {
    fn from(literal: Literal) -> Self {
        Self::Literal(literal)
    }
}

impl From<Variable> for Expression {
    fn from(variable: Variable) -> Self {
        Self::Variable(variable)
    }
}

impl OrderExpression {
    /// The expression, whatever the direction.
    pub fn expression(&self) -> &Expression {
        match self {
            Self::Asc(by) | Self::Desc(by) => by,
        }
    }
}
