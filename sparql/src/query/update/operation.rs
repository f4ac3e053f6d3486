//! The operations of a request, as they are applied: neighbouring operations on facts without variables are one.

use entail_model::{Fault, Reason};
use entail_syntax::Spot;
use entail_syntax::algebra::{GraphPattern, GraphTarget, GraphUpdateOperation, QuadPattern, QueryDataset};
use entail_syntax::ast::{self, OperationKind, Transfer};
use oxrdf::{GraphName, NamedNode, Quad};
use std::collections::HashSet;

/// An operation and its place in the text.
pub(super) struct Operation {
    /// Its number in the text, from 1; that of the first one of several that are one.
    number: usize,
    name: &'static str,
    spot: Spot,
    pub kind: Kind,
}

pub(super) enum Kind {
    /// Facts without variables. None is in both lists.
    Data {
        removed: Vec<Quad>,
        added: Vec<Quad>,
    },
    Clear(GraphTarget),
    Create {
        graph: NamedNode,
        silent: bool,
    },
    Transfer {
        kind: Transfer,
        silent: bool,
        from: GraphName,
        to: GraphName,
    },
    Modify(Modification),
}

/// Templates and the pattern whose solutions fill them.
pub(super) struct Modification {
    pub delete: Vec<QuadPattern>,
    pub insert: Vec<QuadPattern>,
    pub using: Option<QueryDataset>,
    pub pattern: GraphPattern,
}

/// Is the operation supported?
///
/// # Errors
/// `Unsupported` with its name.
pub(super) fn check(operation: &ast::Operation) -> Result<(), Fault> {
    match operation.kind {
        OperationKind::Load { .. } => {
            let ast::Operation { spot, .. } = operation;
            let text = "not supported: LOAD; load files with `entail load`";
            Err(Fault::new(Reason::Unsupported, text).at(spot.line.into(), spot.column.into()))
        }
        _ => Ok(()),
    }
}

/// The operations of a text, of which `algebra` has the algebra, one by one.
///
/// # Errors
/// `Unsupported` for operations that were not [checked](check).
pub(super) fn operations(tree: &ast::Update, algebra: Vec<GraphUpdateOperation>) -> Result<Vec<Operation>, Fault> {
    let mut operations: Vec<Operation> = Vec::with_capacity(algebra.len());
    for (index, (written, meant)) in tree.operations.iter().zip(algebra).enumerate() {
        let kind = kind(meant).ok_or_else(|| Fault::internal("an operation that was not checked"))?;
        let is_data = matches!(kind, Kind::Data { .. });
        match operations.last_mut() {
            Some(Operation { kind: Kind::Data { removed, added }, .. }) if is_data => merge(kind, removed, added),
            _ => {
                let (number, name, spot) = (index + 1, name(&written.kind), written.spot);
                operations.push(Operation { number, name, spot, kind });
            }
        }
    }
    Ok(operations)
}

fn kind(operation: GraphUpdateOperation) -> Option<Kind> {
    Some(match operation {
        GraphUpdateOperation::InsertData { data } => Kind::Data { removed: Vec::new(), added: data },
        GraphUpdateOperation::DeleteData { data } => Kind::Data { removed: data, added: Vec::new() },
        GraphUpdateOperation::DeleteInsert { delete, insert, using, pattern } => {
            Kind::Modify(Modification { delete, insert, using, pattern: *pattern })
        }
        // To clear a graph that is not there is no failure: graphs without facts do not exist.
        GraphUpdateOperation::Clear { graph, .. } | GraphUpdateOperation::Drop { graph, .. } => Kind::Clear(graph),
        GraphUpdateOperation::Create { graph, silent } => Kind::Create { graph, silent },
        GraphUpdateOperation::Transfer { kind, silent, from, to } => Kind::Transfer { kind, silent, from, to },
        GraphUpdateOperation::Load { .. } => return None,
    })
}

/// Applies facts without variables after others: what comes last counts.
fn merge(later: Kind, removed: &mut Vec<Quad>, added: &mut Vec<Quad>) {
    let Kind::Data { removed: gone, added: new } = later else { return };
    let gone_set: HashSet<&Quad> = gone.iter().collect();
    added.retain(|quad| !gone_set.contains(quad));
    let new_set: HashSet<&Quad> = new.iter().collect();
    removed.retain(|quad| !new_set.contains(quad));
    removed.extend(gone);
    added.extend(new);
}

fn name(kind: &OperationKind) -> &'static str {
    match kind {
        OperationKind::Load { .. } => "LOAD",
        OperationKind::Clear(..) => "CLEAR",
        OperationKind::Drop(..) => "DROP",
        OperationKind::Create(..) => "CREATE",
        OperationKind::Transfer { kind, .. } => kind.name(),
        OperationKind::InsertData(_) => "INSERT DATA",
        OperationKind::DeleteData(_) => "DELETE DATA",
        OperationKind::DeleteWhere(_) => "DELETE WHERE",
        OperationKind::Modify { delete: Some(_), insert: Some(_), .. } => "DELETE .. INSERT .. WHERE",
        OperationKind::Modify { delete: Some(_), .. } => "DELETE .. WHERE",
        OperationKind::Modify { .. } => "INSERT .. WHERE",
    }
}

/// The graph as one to clear.
pub(super) fn target(graph: &GraphName) -> GraphTarget {
    match graph {
        GraphName::NamedNode(node) => GraphTarget::NamedNode(node.clone()),
        // The language has no other names of graphs.
        GraphName::DefaultGraph | GraphName::BlankNode(_) => GraphTarget::DefaultGraph,
    }
}

impl Operation {
    /// A fault at the operation's place.
    pub fn fault(&self, reason: Reason, message: &str) -> Fault {
        Fault::new(reason, message).at(self.spot.line.into(), self.spot.column.into())
    }

    /// The operation's number, name and place, for messages.
    pub fn described(&self) -> String {
        format!("operation {} ({} at {})", self.number, self.name, self.spot)
    }
}
