//! Updates.

use super::query::write_dataset;
use crate::ast::{GraphTarget, Loudness, Operation, OperationKind, Quad, Update};
use oxrdf::NamedNode;
use std::fmt::{self, Display, Formatter};

impl Display for Update {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(base) = &self.base {
            write!(f, "BASE <{base}> ")?;
        }
        super::list(f, " ; ", &self.operations)
    }
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            OperationKind::Load { loudness, source, into } => {
                write!(f, "LOAD{loudness} {source}")?;
                into.iter().try_for_each(|graph| write!(f, " INTO GRAPH {graph}"))
            }
            OperationKind::Clear(loudness, target) => write!(f, "CLEAR{loudness} {target}"),
            OperationKind::Drop(loudness, target) => write!(f, "DROP{loudness} {target}"),
            OperationKind::Create(loudness, graph) => write!(f, "CREATE{loudness} GRAPH {graph}"),
            OperationKind::Transfer { kind, loudness, from, to } => {
                let graph =
                    |graph: &Option<NamedNode>| graph.as_ref().map_or("DEFAULT".to_owned(), ToString::to_string);
                write!(f, "{}{loudness} {} TO {}", kind.name(), graph(from), graph(to))
            }
            OperationKind::InsertData(quads) => write_quads(f, "INSERT DATA", quads),
            OperationKind::DeleteData(quads) => write_quads(f, "DELETE DATA", quads),
            OperationKind::DeleteWhere(quads) => write_quads(f, "DELETE WHERE", quads),
            OperationKind::Modify { with, delete, insert, using, pattern } => {
                with.iter().try_for_each(|graph| write!(f, "WITH {graph} "))?;
                delete.iter().try_for_each(|quads| write_quads(f, "DELETE", quads))?;
                f.write_str(if delete.is_some() && insert.is_some() { " " } else { "" })?;
                insert.iter().try_for_each(|quads| write_quads(f, "INSERT", quads))?;
                write_dataset(f, "USING", using)?;
                write!(f, " WHERE {pattern}")
            }
        }
    }
}

impl Display for Loudness {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Silent { " SILENT" } else { "" })
    }
}

impl Display for GraphTarget {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graph(graph) => write!(f, "GRAPH {graph}"),
            Self::Default => f.write_str("DEFAULT"),
            Self::Named => f.write_str("NAMED"),
            Self::All => f.write_str("ALL"),
        }
    }
}

fn write_quads(f: &mut Formatter<'_>, keyword: &str, quads: &[Quad]) -> fmt::Result {
    write!(f, "{keyword} {{")?;
    for quad in quads {
        match &quad.graph {
            Some(graph) => write!(f, " GRAPH {graph} {{ {} }}", quad.triple)?,
            None => write!(f, " {} .", quad.triple)?,
        }
    }
    f.write_str(" }")
}
