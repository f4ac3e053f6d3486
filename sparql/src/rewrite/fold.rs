//! Folds of a leaf's rows, as the rewriting finds them in the algebra. [`crate::fold`] runs them.

use crate::rewrite::body::Body;
use entail_syntax::algebra::{AggregateExpression, AggregateFunction, Expression, OrderExpression};
use oxrdf::Variable;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::fmt;

/// The output of a leaf in place of its rows.
#[derive(Clone, Debug)]
pub enum Fold {
    Group(Group),
    Top(Top),
}

/// GROUP BY with its aggregates, each of which binds a variable.
#[derive(Clone, Debug)]
pub struct Group {
    pub by: Vec<Variable>,
    pub aggregates: Vec<(Variable, Aggregate)>,
}

/// The first rows in an order.
#[derive(Clone, Debug)]
pub struct Top {
    pub by: Vec<(Variable, SortOrder)>,
    pub shown: Vec<Variable>,
    pub length: usize,
    /// Is each row returned once? Then the order is by projected variables only.
    pub distinct: bool,
}

/// The treatment of equal rows in a leaf's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repetitions {
    All,
    /// Each row; rows with the same first term should be adjacent.
    Together,
    /// A row may stand for several equal rows, with their number.
    Counted,
    /// Each distinct row once.
    Dropped,
}

/// The direction of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortOrder {
    Ascending,
    Descending,
}

impl SortOrder {
    /// The variable and the direction of the order; `None` for other expressions.
    pub fn of(expression: &OrderExpression) -> Option<(Variable, Self)> {
        match expression {
            OrderExpression::Asc(Expression::Variable(variable)) => Some((variable.clone(), Self::Ascending)),
            OrderExpression::Desc(Expression::Variable(variable)) => Some((variable.clone(), Self::Descending)),
            _ => None,
        }
    }

    /// The order by an expression.
    pub fn expression(self, by: Expression) -> OrderExpression {
        match self {
            Self::Ascending => OrderExpression::Asc(by),
            Self::Descending => OrderExpression::Desc(by),
        }
    }

    /// The direction in an explanation.
    pub fn words(self, variable: &Variable) -> String {
        match self {
            Self::Ascending => variable.to_string(),
            Self::Descending => format!("DESC({variable})"),
        }
    }

    /// The ordering in this direction.
    pub fn apply(self, ordering: Ordering) -> Ordering {
        match self {
            Self::Ascending => ordering,
            Self::Descending => ordering.reverse(),
        }
    }
}

/// An aggregate over variables.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// `None`: whole solutions.
    pub function: Option<AggregateFunction>,
    pub of: Vec<Variable>,
    pub distinct: bool,
}

impl Fold {
    /// The fold of a GROUP BY over bodies; `None` if its aggregates are over more than variables.
    pub fn group(bodies: &[Body], by: &[Variable], aggregates: &[(Variable, AggregateExpression)]) -> Option<Self> {
        let aggregates = aggregates.iter().map(|(name, aggregate)| {
            let aggregate = Aggregate::of(aggregate, || visible(bodies))?;
            Some((name.clone(), aggregate))
        });
        let mut by = by.to_vec();
        by.sort_unstable();
        by.dedup();
        Some(Self::Group(Group { by, aggregates: aggregates.collect::<Option<_>>()? }))
    }

    /// The variables that the fold reads, each once; first those of GROUP BY or ORDER BY.
    pub fn inputs(&self) -> Vec<Variable> {
        let mut inputs = Vec::new();
        let mut add = |variables: &[Variable]| {
            for variable in variables {
                if !inputs.contains(variable) {
                    inputs.push(variable.clone());
                }
            }
        };
        match self {
            Self::Group(group) => {
                add(&group.by);
                group.aggregates.iter().for_each(|(_, aggregate)| add(aggregate.inputs()));
            }
            Self::Top(top) => {
                top.by.iter().for_each(|(variable, _)| add(std::slice::from_ref(variable)));
                add(&top.shown);
            }
        }
        inputs
    }

    /// The variables that the fold binds.
    pub fn outputs(&self) -> Vec<Variable> {
        match self {
            Self::Group(group) => {
                group.by.iter().chain(group.aggregates.iter().map(|(name, _)| name)).cloned().collect()
            }
            Self::Top(top) => top.shown.clone(),
        }
    }

    /// The treatment of equal rows that the fold needs.
    pub fn repetitions(&self) -> Repetitions {
        match self {
            Self::Group(group) if group.aggregates.iter().all(|(_, aggregate)| aggregate.counts()) => {
                Repetitions::Counted
            }
            Self::Top(top) if top.distinct => Repetitions::Counted,
            Self::Group(_) | Self::Top(_) => Repetitions::Together,
        }
    }

    /// The fold in an explanation.
    pub fn explain(&self) -> Value {
        let words = |words: Vec<String>| words.join(" ");
        let (op, detail) = match self {
            Self::Group(group) => {
                let by = group.by.iter().map(ToString::to_string);
                let aggregates = group.aggregates.iter().map(|(name, aggregate)| format!("{name} := {aggregate}"));
                ("group", words(by.chain(aggregates).collect()))
            }
            Self::Top(top) => {
                let by = words(top.by.iter().map(|(variable, by)| by.words(variable)).collect());
                ("first rows", format!("{} by {by}", top.length))
            }
        };
        json!({ "op": op, "detail": detail })
    }
}

impl Aggregate {
    /// The aggregate, if it is over a variable or over whole solutions with the variables `visible`.
    pub fn of(aggregate: &AggregateExpression, visible: impl FnOnce() -> Vec<Variable>) -> Option<Self> {
        match aggregate {
            AggregateExpression::CountSolutions { distinct } => {
                Some(Self { function: None, of: if *distinct { visible() } else { Vec::new() }, distinct: *distinct })
            }
            AggregateExpression::FunctionCall { name, expr: Expression::Variable(of), distinct } => {
                Some(Self { function: Some(name.clone()), of: vec![of.clone()], distinct: *distinct })
            }
            AggregateExpression::FunctionCall { .. } => None,
        }
    }

    /// The variables that the aggregate reads.
    pub fn inputs(&self) -> &[Variable] {
        &self.of
    }

    /// Does the aggregate need only one of several equal rows, and their number?
    pub fn counts(&self) -> bool {
        let adds = matches!(
            self.function,
            Some(AggregateFunction::Sum | AggregateFunction::Avg | AggregateFunction::GroupConcat { .. })
        );
        self.distinct || !adds
    }
}

impl Aggregate {
    /// Does the aggregate keep numbers and texts only, and no cells of its input?
    pub fn keeps_no_cells(&self) -> bool {
        let is_number = matches!(
            self.function,
            None | Some(AggregateFunction::Count | AggregateFunction::Sum | AggregateFunction::Avg)
                | Some(AggregateFunction::GroupConcat { .. })
        );
        is_number && !self.distinct
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        match &self.function {
            None => write!(f, "COUNT({distinct}*)"),
            Some(function) => write!(f, "{}({distinct}{})", function.name(), self.of[0]),
        }
    }
}

/// The variables of the bodies' solutions; those that stand for blank nodes are none.
fn visible(bodies: &[Body]) -> Vec<Variable> {
    let all = super::body::variables(bodies);
    all.into_iter().filter(|variable| !variable.as_str().starts_with("_:")).collect()
}
