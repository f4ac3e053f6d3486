//! Graph patterns and property paths.

use super::{AggregateExpression, Expression, NamedNodePattern, OrderExpression, TermPattern, TriplePattern};
use oxrdf::{NamedNode, Term, Variable};

/// A pattern, whose value is a multiset of solutions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GraphPattern {
    Bgp {
        patterns: Vec<TriplePattern>,
    },
    Path {
        subject: TermPattern,
        path: PropertyPathExpression,
        object: TermPattern,
    },
    Join {
        left: Box<Self>,
        right: Box<Self>,
    },
    LeftJoin {
        left: Box<Self>,
        right: Box<Self>,
        expression: Option<Expression>,
    },
    Filter {
        expr: Expression,
        inner: Box<Self>,
    },
    Union {
        left: Box<Self>,
        right: Box<Self>,
    },
    Graph {
        name: NamedNodePattern,
        inner: Box<Self>,
    },
    Extend {
        inner: Box<Self>,
        variable: Variable,
        expression: Expression,
    },
    Minus {
        left: Box<Self>,
        right: Box<Self>,
    },
    Values {
        variables: Vec<Variable>,
        /// As many cells in each row as there are variables; `None` is UNDEF.
        bindings: Vec<Vec<Option<Term>>>,
    },
    OrderBy {
        inner: Box<Self>,
        expression: Vec<OrderExpression>,
    },
    Project {
        inner: Box<Self>,
        variables: Vec<Variable>,
    },
    Distinct {
        inner: Box<Self>,
    },
    Reduced {
        inner: Box<Self>,
    },
    Slice {
        inner: Box<Self>,
        start: usize,
        length: Option<usize>,
    },
    Group {
        inner: Box<Self>,
        variables: Vec<Variable>,
        aggregates: Vec<(Variable, AggregateExpression)>,
    },
    Service {
        name: NamedNodePattern,
        inner: Box<Self>,
        silent: bool,
    },
    /// A part whose solutions come from elsewhere, under a number that the rewriting gave it. No text is translated to it.
    Leaf {
        number: usize,
        variables: Vec<Variable>,
    },
}

/// A property path (section 18.1.7).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PropertyPathExpression {
    NamedNode(NamedNode),
    Reverse(Box<Self>),
    Sequence(Box<Self>, Box<Self>),
    Alternative(Box<Self>, Box<Self>),
    ZeroOrMore(Box<Self>),
    OneOrMore(Box<Self>),
    ZeroOrOne(Box<Self>),
    NegatedPropertySet(Vec<NamedNode>),
}

impl Default for GraphPattern {
    /// The pattern with one solution that binds nothing.
    fn default() -> Self {
        Self::Bgp { patterns: Vec::new() }
    }
}

impl From<NamedNode> for PropertyPathExpression {
    fn from(node: NamedNode) -> Self {
        Self::NamedNode(node)
    }
}

impl GraphPattern {
    /// Calls `visit` for each variable that is in scope outside of the pattern (section 18.2.1), perhaps repeatedly.
    pub fn on_in_scope_variable<'p>(&'p self, visit: &mut dyn FnMut(&'p Variable)) {
        match self {
            Self::Bgp { patterns } => patterns.iter().for_each(|triple| triple.on_variable(visit)),
            Self::Path { subject, object, .. } => {
                subject.on_variable(visit);
                object.on_variable(visit);
            }
            Self::Join { left, right } | Self::LeftJoin { left, right, .. } | Self::Union { left, right } => {
                left.on_in_scope_variable(visit);
                right.on_in_scope_variable(visit);
            }
            Self::Graph { name, inner } | Self::Service { name, inner, .. } => {
                if let NamedNodePattern::Variable(variable) = name {
                    visit(variable);
                }
                inner.on_in_scope_variable(visit);
            }
            Self::Extend { inner, variable, .. } => {
                inner.on_in_scope_variable(visit);
                visit(variable);
            }
            Self::Minus { left, .. } => left.on_in_scope_variable(visit),
            Self::Values { variables, .. } | Self::Project { variables, .. } | Self::Leaf { variables, .. } => {
                variables.iter().for_each(visit);
            }
            Self::Group { variables, aggregates, .. } => {
                variables.iter().chain(aggregates.iter().map(|(variable, _)| variable)).for_each(visit);
            }
            Self::Filter { inner, .. }
            | Self::OrderBy { inner, .. }
            | Self::Distinct { inner }
            | Self::Reduced { inner }
            | Self::Slice { inner, .. } => inner.on_in_scope_variable(visit),
        }
    }
}
