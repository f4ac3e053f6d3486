//! Queries and updates.

use super::{GraphPattern, QuadPattern, TriplePattern};
use crate::ast::Transfer;
use oxiri::Iri;
use oxrdf::{GraphName, NamedNode, Quad};

/// The graphs of FROM and FROM NAMED.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct QueryDataset {
    pub default: Vec<NamedNode>,
    /// `None`: every named graph.
    pub named: Option<Vec<NamedNode>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Query {
    Select {
        dataset: Option<QueryDataset>,
        pattern: GraphPattern,
        base_iri: Option<Iri<String>>,
    },
    Construct {
        template: Vec<TriplePattern>,
        dataset: Option<QueryDataset>,
        pattern: GraphPattern,
        base_iri: Option<Iri<String>>,
    },
    Describe {
        dataset: Option<QueryDataset>,
        pattern: GraphPattern,
        base_iri: Option<Iri<String>>,
    },
    Ask {
        dataset: Option<QueryDataset>,
        pattern: GraphPattern,
        base_iri: Option<Iri<String>>,
    },
}

/// The graphs that CLEAR and DROP change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GraphTarget {
    NamedNode(NamedNode),
    DefaultGraph,
    NamedGraphs,
    AllGraphs,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GraphUpdateOperation {
    InsertData {
        data: Vec<Quad>,
    },
    DeleteData {
        data: Vec<Quad>,
    },
    DeleteInsert {
        delete: Vec<QuadPattern>,
        insert: Vec<QuadPattern>,
        using: Option<QueryDataset>,
        pattern: Box<GraphPattern>,
    },
    Load {
        silent: bool,
        source: NamedNode,
        destination: GraphName,
    },
    Clear {
        silent: bool,
        graph: GraphTarget,
    },
    Create {
        silent: bool,
        graph: NamedNode,
    },
    Drop {
        silent: bool,
        graph: GraphTarget,
    },
    /// ADD, MOVE and COPY, also of a graph to itself.
    Transfer {
        kind: Transfer,
        silent: bool,
        from: GraphName,
        to: GraphName,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Update {
    pub base_iri: Option<Iri<String>>,
    pub operations: Vec<GraphUpdateOperation>,
}

impl Query {
    /// The graphs that the query names itself.
    pub fn dataset(&self) -> Option<&QueryDataset> {
        match self {
            Self::Select { dataset, .. }
            | Self::Construct { dataset, .. }
            | Self::Describe { dataset, .. }
            | Self::Ask { dataset, .. } => dataset.as_ref(),
        }
    }
}
