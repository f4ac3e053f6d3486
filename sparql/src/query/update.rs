//! SPARQL Update: the changes of a request, operation by operation.
//!
//! ```text
//! text ──parse──► operations ──► order (does a WHERE read what operations before it change?)
//!                     │
//!                     └──► facts without variables ─────────────────────────┐
//!                     └──► WHERE ──solutions, block by block──► templates ──┼──► Target
//!                     └──► graphs to clear and to add ──────────────────────┘
//! ```
//! The whole request becomes one epoch. A WHERE is evaluated over the closure of the epoch that the request builds on. That is
//! what the standard asks for as long as no earlier operation of the request can change what the WHERE reads, itself or
//! through rules; other requests are refused before anything is changed (`reach`).
//!
//! Solutions are never collected: each block of rows becomes changes and goes to the [`Target`]. Ids of rows stay ids, so a
//! DELETE decodes no term.
//!
//! Graphs without facts do not exist. ADD, COPY and MOVE are about asserted facts: rules derive their own in each graph.

mod filling;
mod operation;
mod presence;
mod reach;
#[cfg(test)]
mod tests;

use crate::cluster::Cluster;
use crate::query::prepare::plan_pattern;
use crate::session::Session;
use crate::text::stack::with_stack;
use crate::text::{parse, translate};
use crate::{DatasetClause, DefaultGraph};
use entail_expression::value::instant::Instant;
use entail_model::{Cancellation, Fault, Reason, TermId};
use entail_syntax::Parsed;
use entail_syntax::ast::{self, OperationKind, Transfer};
use filling::Templates;
use operation::{Kind, Modification, Operation};
use oxiri::Iri;
use oxrdf::{GraphName, NamedNode, Quad, Term};
use presence::Presence;
use std::ops::ControlFlow;
use std::sync::Arc;

pub use entail_syntax::algebra::GraphTarget;
pub use reach::Influence;

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

/// A term of a changed fact: by the id of a committed term, or by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    Id(TermId),
    Term(Term),
}

/// A fact to be removed or added; without a graph it is in the default graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFact {
    pub graph: Option<Node>,
    pub subject: Node,
    pub predicate: Node,
    pub object: Node,
}

/// Some facts of an operation, with repetitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub removed: Vec<ChangedFact>,
    pub added: Vec<ChangedFact>,
}

/// Receives the changes of a request in the order of its operations, which are numbered. Calls may block.
///
/// Within an operation all removals come before all additions, whatever the order of the calls.
pub trait Target {
    /// Removes and adds facts.
    fn facts(&mut self, operation: u32, changes: Changes) -> Result<(), Fault>;

    /// Removes every asserted fact of some graphs, as operations before this one have left them.
    fn clear(&mut self, operation: u32, graphs: &GraphTarget) -> Result<(), Fault>;

    /// Adds every asserted fact of one graph, as operations before this one have left it, to another.
    fn transfer(&mut self, operation: u32, from: &GraphName, to: &GraphName) -> Result<(), Fault>;
}

/// What a well-formed text with supported operations asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Is there a WHERE to be evaluated?
    pub has_where: bool,
    /// The changes of a request that consists of facts without variables. No fact is in both lists.
    pub data: Option<Changes>,
}

/// Checks that the text is well-formed, with supported operations only.
///
/// # Errors
/// As for [`run`], as far as they do not depend on facts and rules.
pub fn check(text: &str, base: Option<&str>) -> Result<Checked, Fault> {
    let Parsed { tree, nesting } = parsed(text, base)?;
    let is_where = |operation: &ast::Operation| {
        matches!(operation.kind, OperationKind::Modify { .. } | OperationKind::DeleteWhere(_))
    };
    let is_data = |operation: &ast::Operation| {
        matches!(operation.kind, OperationKind::InsertData(_) | OperationKind::DeleteData(_))
    };
    let has_where = tree.operations.iter().any(is_where);
    if tree.operations.is_empty() || !tree.operations.iter().all(is_data) {
        return Ok(Checked { has_where, data: None });
    }
    with_stack(nesting, || {
        let update = translate::update(&tree, text)?;
        let operations = operation::operations(&tree, update.operations)?;
        let data = operations.into_iter().find_map(|operation| match operation.kind {
            Kind::Data { removed, added } => Some(Changes { removed: of_quads(&removed), added: of_quads(&added) }),
            _ => None,
        });
        Ok(Checked { has_where, data })
    })
}

fn parsed(text: &str, base: Option<&str>) -> Result<Parsed<ast::Update>, Fault> {
    let update = parse::update(text, base)?;
    update.tree.operations.iter().try_for_each(operation::check)?;
    Ok(update)
}

/// Gives the changes of a request to `target`; `rules` are those in force. Blocks while WHERE is evaluated. After an error
/// the changes so far mean nothing.
///
/// # Errors
/// `Syntax` and `LimitExceeded` for the text; `Unsupported` for LOAD, and for a WHERE that would have to see changes of
/// earlier operations; `AlreadyExists` and `NotFound` for graphs, unless the operation is SILENT; errors of the evaluation and
/// of `target`.
pub fn run(
    request: &UpdateRequest,
    rules: &[Influence],
    cluster: Arc<dyn Cluster>,
    target: &mut dyn Target,
) -> Result<(), Fault> {
    let Parsed { tree, nesting } = parsed(&request.text, request.base.as_deref())?;
    with_stack(nesting, || {
        let update = translate::update(&tree, &request.text)?;
        let operations = operation::operations(&tree, update.operations)?;
        reach::check_order(&operations, rules)?;
        let mut running =
            Running { request, base: update.base_iri, cluster, target, next: 0, presence: Presence::default() };
        operations.iter().try_for_each(|operation| running.operation(operation))
    })
}

/// A request that is being evaluated.
struct Running<'r> {
    request: &'r UpdateRequest,
    base: Option<Iri<String>>,
    cluster: Arc<dyn Cluster>,
    target: &'r mut dyn Target,
    /// The number of the next operation for the target, to which COPY and MOVE are several.
    next: u32,
    presence: Presence,
}

impl Running<'_> {
    fn operation(&mut self, operation: &Operation) -> Result<(), Fault> {
        match &operation.kind {
            Kind::Data { removed, added } => {
                let changes = Changes { removed: of_quads(removed), added: of_quads(added) };
                let number = self.number();
                self.presence.add(added);
                self.target.facts(number, changes)
            }
            Kind::Clear(graphs) => self.clear(graphs),
            Kind::Create { graph, silent } => {
                // Graphs without facts do not exist, so a graph that is new is not remembered.
                let is_there = self.presence.has(&graph.clone().into(), &*self.cluster)?;
                match is_there && !silent {
                    true => Err(operation.fault(Reason::AlreadyExists, &format!("the graph {graph} exists already"))),
                    false => Ok(()),
                }
            }
            Kind::Transfer { kind, silent, from, to } => {
                if from == to {
                    return Ok(());
                }
                match self.presence.has(from, &*self.cluster)? {
                    true => self.transfer(*kind, from, to),
                    false if *silent => Ok(()),
                    false => Err(operation.fault(Reason::NotFound, &format!("the graph {from} has no facts"))),
                }
            }
            Kind::Modify(modification) => {
                let number = self.number();
                self.modify(number, modification)
            }
        }
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    fn clear(&mut self, graphs: &GraphTarget) -> Result<(), Fault> {
        let number = self.number();
        self.presence.clear(graphs, &*self.cluster)?;
        self.target.clear(number, graphs)
    }

    /// ADD, COPY and MOVE of a graph to another (SPARQL 1.1 Update, section 3.2).
    fn transfer(&mut self, kind: Transfer, from: &GraphName, to: &GraphName) -> Result<(), Fault> {
        if kind != Transfer::Add {
            self.clear(&operation::target(to))?;
        }
        let number = self.number();
        self.target.transfer(number, from, to)?;
        self.presence.fill(to);
        if kind == Transfer::Move {
            self.clear(&operation::target(from))?;
        }
        Ok(())
    }

    /// Evaluates a WHERE; each block of solutions becomes changes.
    fn modify(&mut self, number: u32, modification: &Modification) -> Result<(), Fault> {
        let Modification { delete, insert, using, pattern } = modification;
        let clause = match using {
            Some(using) => {
                DatasetClause { default: DefaultGraph::Merge(using.default.clone()), named: using.named.clone() }
            }
            None => DatasetClause { default: DefaultGraph::Own, named: None },
        };
        let request = self.request;
        let mut session =
            Session::new(Arc::clone(&self.cluster), &clause, request.cancel.clone(), request.held_bytes_max)?;
        session.now = request.now;
        let templates = Templates::new(&session, delete, insert)?;
        let plan = plan_pattern(session, pattern.clone(), self.base.clone(), templates.variables())?;
        let (target, presence) = (&mut *self.target, &mut self.presence);
        plan.solutions(&mut |block| {
            templates.fill(&plan.session, &plan.variables, &block, &mut |changes| {
                presence.add_changes(&changes);
                Ok(target.facts(number, changes)?)
            })?;
            Ok(ControlFlow::Continue(()))
        })?;
        plan.session.check()
    }
}

fn of_quads(quads: &[Quad]) -> Vec<ChangedFact> {
    quads.iter().map(of_quad).collect()
}

fn of_quad(quad: &Quad) -> ChangedFact {
    let graph = match &quad.graph_name {
        GraphName::DefaultGraph => None,
        GraphName::NamedNode(node) => Some(Node::Term(node.clone().into())),
        GraphName::BlankNode(node) => Some(Node::Term(node.clone().into())),
    };
    let predicate: &NamedNode = &quad.predicate;
    ChangedFact {
        graph,
        subject: Node::Term(quad.subject.clone().into()),
        predicate: Node::Term(predicate.clone().into()),
        object: Node::Term(quad.object.clone()),
    }
}
