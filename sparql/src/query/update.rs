//! SPARQL Update, as far as this version supports it: insertion.
//!
//! INSERT DATA and INSERT .. WHERE are applied in order; the quads of a whole request are one list, which the caller
//! commits as one epoch. WHERE is evaluated over the pinned epoch. So a request in which an INSERT .. WHERE follows
//! another insertion is refused: it would have to see facts that are not committed yet.

use crate::algebra::template::{self, Filling};
use crate::cluster::Cluster;
use crate::evaluate::cells::Cells;
use crate::query::prepare::plan_pattern;
use crate::session::Session;
use crate::text::stack::with_stack;
use crate::text::{parse, translate};
use crate::{DatasetClause, DefaultGraph};
use entail_expression::value::instant::Instant;
use entail_model::{Cancellation, Fault, Reason};
use entail_syntax::Parsed;
use entail_syntax::algebra::GraphUpdateOperation;
use entail_syntax::algebra::QuadPattern;
use entail_syntax::algebra::{GraphPattern, QueryDataset};
use entail_syntax::ast::{self, OperationKind};
use oxiri::Iri;
use oxrdf::Quad;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Quads that one request may insert; more belong into a load.
pub const QUADS_MAX: usize = 4_000_000;

/// An update request.
#[derive(Clone, Debug)]
pub struct UpdateRequest {
    pub text: String,
    pub base: Option<String>,
    /// Cancels the evaluation.
    pub cancel: Cancellation,
    /// Bytes that the coordinator may hold for the evaluation.
    pub held_bytes_max: u64,
    /// The time of the request, which NOW() gives.
    pub now: Option<Instant>,
}

/// Is the text well-formed, with supported operations only?
///
/// # Errors
/// As for [`quads`], as far as they do not depend on facts.
pub fn check(text: &str, base: Option<&str>) -> Result<(), Fault> {
    parsed(text, base).map(drop)
}

fn parsed(text: &str, base: Option<&str>) -> Result<Parsed<ast::Update>, Fault> {
    let update = parse::update(text, base)?;
    update.tree.operations.iter().try_for_each(|operation| check_supported(&operation.kind))?;
    Ok(update)
}

/// The quads that a request inserts. Blocks while WHERE is evaluated.
///
/// # Errors
/// `Syntax` and `LimitExceeded` for the text; `Unsupported` for DELETE, LOAD and similar operations, by name.
pub fn quads(request: UpdateRequest, cluster: Arc<dyn Cluster>) -> Result<Vec<Quad>, Fault> {
    let Parsed { tree, nesting } = parsed(&request.text, request.base.as_deref())?;
    with_stack(nesting, || quads_of(&request, &tree, &cluster))
}

fn quads_of(request: &UpdateRequest, tree: &ast::Update, cluster: &Arc<dyn Cluster>) -> Result<Vec<Quad>, Fault> {
    let update = translate::update(tree, &request.text)?;
    let base = update.base_iri;
    let mut quads = Vec::new();
    for operation in update.operations {
        match operation {
            GraphUpdateOperation::InsertData { data } => quads.extend(data),
            GraphUpdateOperation::DeleteInsert { insert, using, pattern, .. } => {
                if !quads.is_empty() {
                    return Err(unsupported("INSERT .. WHERE after another INSERT in one request; send two requests"));
                }
                let insertion = Insertion { insert, using, pattern: *pattern, base: base.clone() };
                quads = insertion.quads(cluster, request)?;
            }
            // Empty graphs do not exist in this store, so creating one changes nothing.
            GraphUpdateOperation::Create { .. } => {}
            _ => return Err(Fault::internal("an operation that was not checked")),
        }
    }
    Ok(quads)
}

fn check_supported(operation: &OperationKind) -> Result<(), Fault> {
    match operation {
        OperationKind::InsertData(_) | OperationKind::Create(..) => Ok(()),
        OperationKind::Modify { delete: Some(quads), .. } if !quads.is_empty() => Err(deletes("DELETE .. WHERE")),
        OperationKind::Modify { .. } => Ok(()),
        OperationKind::DeleteWhere(_) => Err(deletes("DELETE WHERE")),
        OperationKind::DeleteData(_) => Err(deletes("DELETE DATA")),
        OperationKind::Clear(..) => Err(deletes("CLEAR")),
        OperationKind::Drop(..) => Err(deletes("DROP")),
        OperationKind::Load { .. } => Err(unsupported("LOAD; load files with `entail load`")),
        OperationKind::Transfer { kind: ast::Transfer::Add, .. } => Ok(()),
        // A graph to itself: nothing is done.
        OperationKind::Transfer { from, to, .. } if from == to => Ok(()),
        OperationKind::Transfer { kind, .. } => Err(deletes(kind.name())),
    }
}

fn deletes(operation: &str) -> Fault {
    unsupported(&format!("{operation}; this version has no deletes"))
}

fn unsupported(what: &str) -> Fault {
    Fault::new(Reason::Unsupported, format!("not supported: {what}"))
}

struct Insertion {
    insert: Vec<QuadPattern>,
    using: Option<QueryDataset>,
    pattern: GraphPattern,
    base: Option<Iri<String>>,
}

impl Insertion {
    fn quads(self, cluster: &Arc<dyn Cluster>, request: &UpdateRequest) -> Result<Vec<Quad>, Fault> {
        let clause = match self.using {
            Some(using) => DatasetClause { default: DefaultGraph::Merge(using.default), named: using.named },
            None => DatasetClause { default: DefaultGraph::Own, named: None },
        };
        let mut session = Session::new(Arc::clone(cluster), &clause, request.cancel.clone(), request.held_bytes_max)?;
        session.now = request.now;
        let plan = plan_pattern(session, self.pattern, self.base, template::quad_variables(&self.insert))?;
        let mut quads = Vec::new();
        plan.solutions(&mut |block| {
            let width = block.width;
            Cells::of_block(&plan.session, &block, &mut |rows, cells| {
                let cells = cells.terms()?;
                for row in 0..rows {
                    let mut filling = Filling::new(&plan.variables, &cells[row * width..(row + 1) * width]);
                    quads.extend(self.insert.iter().filter_map(|pattern| filling.quad(pattern)));
                }
                if quads.len() > QUADS_MAX {
                    let message = format!("an update of more than {QUADS_MAX} quads");
                    return Err(Fault::new(Reason::LimitExceeded, message).into());
                }
                Ok(ControlFlow::Continue(()))
            })
        })?;
        Ok(quads)
    }
}
