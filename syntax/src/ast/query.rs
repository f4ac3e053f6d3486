//! Queries.

use super::{Expression, Group, Node, Pattern, Values, VariableAt};
use crate::Spot;
use oxiri::Iri;
use oxrdf::NamedNode;

/// A query.
#[derive(Clone, Debug)]
pub struct Query {
    /// The base at the end of the prologue, against which the function IRI() resolves.
    pub base: Option<Iri<String>>,
    /// What `VERSION` asks for, each time it occurs.
    pub versions: Vec<(String, Spot)>,
    pub form: Form,
    pub dataset: Dataset,
    pub solutions: Solutions,
}

#[derive(Clone, Debug)]
pub enum Form {
    Select(Projection),
    /// The template; the pattern is the query's.
    Construct(Vec<Pattern>),
    /// `CONSTRUCT WHERE {...}`: the triples of the pattern are the template.
    ConstructWhere,
    Describe(Described),
    Ask,
}

#[derive(Clone, Debug)]
pub enum Described {
    /// `*`: every visible variable.
    Star,
    /// IRIs and variables.
    Nodes(Vec<Node>),
}

/// `FROM` and `FROM NAMED`, `USING` and `USING NAMED`. Empty: the clause is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dataset {
    pub default: Vec<NamedNode>,
    pub named: Vec<NamedNode>,
}

/// What queries and subqueries share: the pattern and what follows it.
#[derive(Clone, Debug)]
pub struct Solutions {
    /// Empty for a DESCRIBE without WHERE.
    pub pattern: Group,
    pub modifiers: Modifiers,
    /// The VALUES at the end.
    pub values: Option<Values>,
}

/// A subquery.
#[derive(Clone, Debug)]
pub struct Select {
    pub projection: Projection,
    pub solutions: Solutions,
}

/// What SELECT shows.
#[derive(Clone, Debug)]
pub struct Projection {
    pub duplicates: Duplicates,
    pub columns: Columns,
    pub spot: Spot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Duplicates {
    Kept,
    /// DISTINCT
    Removed,
    /// REDUCED
    Reduced,
}

#[derive(Clone, Debug)]
pub enum Columns {
    /// `*`: the visible variables, in the order in which the text first has them.
    Star(Vec<VariableAt>),
    List(Vec<Column>),
}

/// `?x`, or `(expression AS ?x)`.
#[derive(Clone, Debug)]
pub struct Column {
    pub variable: VariableAt,
    pub expression: Option<Expression>,
}

/// What follows the pattern of a query.
#[derive(Clone, Debug, Default)]
pub struct Modifiers {
    /// Empty: there is no GROUP BY.
    pub group_by: Vec<GroupKey>,
    pub having: Vec<Expression>,
    pub order_by: Vec<SortKey>,
    pub limit: Option<u64>,
    pub offset: Option<u64>,
}

/// `?x`, a call, or `(expression AS ?x)`.
#[derive(Clone, Debug)]
pub struct GroupKey {
    pub expression: Expression,
    pub variable: Option<VariableAt>,
}

#[derive(Clone, Debug)]
pub struct SortKey {
    pub direction: SortDirection,
    pub expression: Expression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortDirection {
    Ascending,
    Descending,
}

impl Dataset {
    /// Is the clause left out?
    pub fn is_empty(&self) -> bool {
        self.default.is_empty() && self.named.is_empty()
    }
}
