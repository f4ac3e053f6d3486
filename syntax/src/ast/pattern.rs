//! Group graph patterns and their elements.

use super::{Expression, Node, Path, Pattern, Select, VariableAt};
use crate::Spot;

/// `{...}`: the elements in the order of the text.
#[derive(Clone, Debug)]
pub struct Group {
    pub elements: Vec<Element>,
    pub spot: Spot,
}

/// A part of a group.
///
/// Triples and paths that follow each other, filters between them left aside, are one basic graph pattern.
#[derive(Clone, Debug)]
pub enum Element {
    Triple(Pattern),
    Path(PathPattern),
    Filter(Filter),
    Optional(Group),
    Minus(Group),
    /// One group is a group within the group; two or more stand between UNIONs.
    Union(Vec<Group>),
    Graph {
        /// An IRI or a variable.
        name: Node,
        group: Group,
    },
    Service {
        is_silent: bool,
        /// An IRI or a variable.
        name: Node,
        group: Group,
        spot: Spot,
    },
    Bind {
        expression: Expression,
        variable: VariableAt,
    },
    Values(Values),
    /// A subquery. It is the only element of its group.
    Select(Box<Select>),
}

/// A triple whose predicate is a path that is more than one step forwards.
#[derive(Clone, Debug)]
pub struct PathPattern {
    pub subject: Node,
    pub path: Path,
    pub object: Node,
}

/// `FILTER` and its condition.
#[derive(Clone, Debug)]
pub struct Filter {
    pub expression: Expression,
    pub spot: Spot,
}

/// `VALUES`: rows of ground terms.
#[derive(Clone, Debug)]
pub struct Values {
    pub variables: Vec<VariableAt>,
    /// As many cells in each row as there are variables; `None` is UNDEF.
    pub rows: Vec<Vec<Option<Node>>>,
    pub spot: Spot,
}
