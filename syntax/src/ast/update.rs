//! Updates.

use super::{Dataset, Group, Node, Pattern};
use crate::Spot;
use oxiri::Iri;
use oxrdf::NamedNode;

/// An update: operations in the order of the text.
#[derive(Clone, Debug)]
pub struct Update {
    /// The base at the end of the text, against which the function IRI() resolves.
    pub base: Option<Iri<String>>,
    /// What `VERSION` asks for, each time it occurs.
    pub versions: Vec<(String, Spot)>,
    pub operations: Vec<Operation>,
}

#[derive(Clone, Debug)]
pub struct Operation {
    pub kind: OperationKind,
    pub spot: Spot,
}

#[derive(Clone, Debug)]
pub enum OperationKind {
    Load {
        loudness: Loudness,
        source: NamedNode,
        /// `None`: the default graph.
        into: Option<NamedNode>,
    },
    Clear(Loudness, GraphTarget),
    Drop(Loudness, GraphTarget),
    Create(Loudness, NamedNode),
    /// ADD, MOVE and COPY; `None` is the default graph.
    Transfer {
        kind: Transfer,
        loudness: Loudness,
        from: Option<NamedNode>,
        to: Option<NamedNode>,
    },
    /// Quads without variables.
    InsertData(Vec<Quad>),
    /// Quads without variables and blank nodes.
    DeleteData(Vec<Quad>),
    /// Quads that are both the pattern and what is deleted.
    DeleteWhere(Vec<Quad>),
    Modify {
        with: Option<NamedNode>,
        /// `None`: there is no DELETE clause.
        delete: Option<Vec<Quad>>,
        /// `None`: there is no INSERT clause.
        insert: Option<Vec<Quad>>,
        using: Dataset,
        pattern: Group,
    },
}

/// Is a failure of the operation a failure of the update?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loudness {
    Loud,
    /// SILENT
    Silent,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GraphTarget {
    Graph(NamedNode),
    Default,
    Named,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transfer {
    Add,
    Move,
    Copy,
}

/// A triple in a graph.
#[derive(Clone, Debug)]
pub struct Quad {
    /// An IRI or a variable; `None`: outside of any GRAPH.
    pub graph: Option<Node>,
    pub triple: Pattern,
}

impl Transfer {
    /// The operation's keyword.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Move => "MOVE",
            Self::Copy => "COPY",
        }
    }
}
