//! Expressions: operators, calls of functions, EXISTS and aggregates.
//!
//! Chains are flat lists in the order of the text: `a || b || c` is one `Or` of three, and `1 + 2 - 3` one `Chain`. So the
//! height of an expression is bounded by its brackets and not by its length.

use super::{Function, Group};
use crate::Spot;
use oxrdf::{Literal, NamedNode, Variable};
use serde::{Deserialize, Serialize};

/// An expression in its place: the place of its operator, or of its first token.
#[derive(Clone, Debug)]
pub struct Expression {
    pub kind: ExpressionKind,
    pub spot: Spot,
}

#[derive(Clone, Debug)]
pub enum ExpressionKind {
    Variable(Variable),
    Iri(NamedNode),
    Literal(Literal),
    /// Two or more.
    Or(Vec<Expression>),
    /// Two or more.
    And(Vec<Expression>),
    Compare(Comparison, Box<[Expression; 2]>),
    /// `IN` and `NOT IN`; the list may be empty.
    Member(Membership, Box<Expression>, Vec<Expression>),
    /// A first operand, then at least one operator with its operand, evaluated from left to right. The operators of one
    /// chain are `+` and `-`, or `*` and `/`. In `?x -1` the sign belongs to the number, and the operator is `+`.
    Chain(Box<Expression>, Vec<(Arithmetic, Expression)>),
    Unary(Unary, Box<Expression>),
    /// A function of the table, with as many arguments as the table says. `<<( s p o )>>` is a call of TRIPLE; the argument
    /// of BOUND is a variable.
    Call(Function, Vec<Expression>),
    /// A function that is named by an IRI. `distinct` is the place of DISTINCT, which only aggregates have.
    Custom {
        function: NamedNode,
        arguments: Vec<Expression>,
        distinct: Option<Spot>,
    },
    /// `EXISTS {...}` and `NOT EXISTS {...}`.
    Exists(Presence, Box<Group>),
    Aggregate(Box<Aggregate>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Membership {
    In,
    NotIn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Presence {
    Exists,
    NotExists,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unary {
    Not,
    Plus,
    Minus,
}

/// A call of an aggregate. No aggregate stands in another.
#[derive(Clone, Debug)]
pub struct Aggregate {
    pub function: AggregateFunction,
    /// `None`: `COUNT(*)`.
    pub argument: Option<Expression>,
    pub is_distinct: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AggregateFunction {
    Count,
    Sum,
    Min,
    Max,
    Avg,
    Sample,
    /// `None`: the separator of the standard, a space.
    GroupConcat {
        separator: Option<String>,
    },
}

impl Comparison {
    /// The operator as a text has it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Arithmetic {
    /// The operator as a text has it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
        }
    }
}

impl Unary {
    /// The operator as a text has it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Not => "!",
            Self::Plus => "+",
            Self::Minus => "-",
        }
    }
}

impl AggregateFunction {
    /// The name of the function.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Count => "COUNT",
            Self::Sum => "SUM",
            Self::Min => "MIN",
            Self::Max => "MAX",
            Self::Avg => "AVG",
            Self::Sample => "SAMPLE",
            Self::GroupConcat { .. } => "GROUP_CONCAT",
        }
    }
}

impl Expression {
    /// The variable that this expression is.
    pub fn variable(&self) -> Option<&Variable> {
        match &self.kind {
            ExpressionKind::Variable(variable) => Some(variable),
            _ => None,
        }
    }

    /// The direct operands. An EXISTS has none, an aggregate its argument.
    pub fn operands(&self) -> Vec<&Self> {
        match &self.kind {
            ExpressionKind::Variable(_)
            | ExpressionKind::Iri(_)
            | ExpressionKind::Literal(_)
            | ExpressionKind::Exists(..) => Vec::new(),
            ExpressionKind::Or(list)
            | ExpressionKind::And(list)
            | ExpressionKind::Call(_, list)
            | ExpressionKind::Custom { arguments: list, .. } => list.iter().collect(),
            ExpressionKind::Compare(_, sides) => sides.iter().collect(),
            ExpressionKind::Member(_, element, list) => std::iter::once(element.as_ref()).chain(list).collect(),
            ExpressionKind::Chain(first, rest) => {
                std::iter::once(first.as_ref()).chain(rest.iter().map(|(_, operand)| operand)).collect()
            }
            ExpressionKind::Unary(_, operand) => vec![operand],
            ExpressionKind::Aggregate(aggregate) => aggregate.argument.iter().collect(),
        }
    }

    /// Calls `visit` for this expression and all in it, from left to right; patterns of EXISTS are left aside.
    pub fn walk<'e>(&'e self, visit: &mut impl FnMut(&'e Self)) {
        visit(self);
        self.operands().into_iter().for_each(|operand| operand.walk(visit));
    }
}
