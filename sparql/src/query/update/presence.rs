//! Which graphs exist while the operations of a request are applied, one after the other.
//!
//! A graph exists if it has facts in the epoch that the request builds on, until an operation clears it, and from the
//! operation on that adds facts to it. Within the request, a graph whose facts are deleted one by one still exists.

use super::{Changes, Node};
use crate::cluster::Cluster;
use entail_model::{Fault, TermId, term};
use entail_syntax::algebra::GraphTarget;
use oxrdf::{GraphName, Quad, Term};
use std::collections::{HashMap, HashSet};

/// The graphs that operations have changed so far.
#[derive(Default)]
pub(super) struct Presence {
    known: HashMap<GraphName, bool>,
    /// Have all named graphs been cleared?
    is_cleared: bool,
    /// Graphs that solutions have added facts to.
    filled: HashSet<Node>,
}

impl Presence {
    /// Does the graph exist now?
    pub fn has(&self, graph: &GraphName, cluster: &dyn Cluster) -> Result<bool, Fault> {
        let Some(term) = named(graph) else { return Ok(true) };
        let id = id(&term, cluster)?;
        if self.filled.contains(&Node::Term(term)) || id.is_some_and(|id| self.filled.contains(&Node::Id(id))) {
            return Ok(true);
        }
        match (self.known.get(graph), id) {
            (Some(is_there), _) => Ok(*is_there),
            (None, Some(id)) if !self.is_cleared => Ok(cluster.graphs()?.contains(&id)),
            (None, _) => Ok(false),
        }
    }

    /// Facts were added.
    pub fn add(&mut self, quads: &[Quad]) {
        for quad in quads {
            if self.known.get(&quad.graph_name) != Some(&true) {
                self.known.insert(quad.graph_name.clone(), true);
            }
        }
    }

    /// All facts of a graph were added to this one.
    pub fn fill(&mut self, graph: &GraphName) {
        self.known.insert(graph.clone(), true);
    }

    /// Facts were added by solutions.
    pub fn add_changes(&mut self, changes: &Changes) {
        let mut last = None;
        for graph in changes.added.iter().filter_map(|fact| fact.graph.as_ref()) {
            // Neighbours mostly have one graph.
            if last != Some(graph) {
                last = Some(graph);
                if !self.filled.contains(graph) {
                    self.filled.insert(graph.clone());
                }
            }
        }
    }

    /// Graphs were cleared.
    pub fn clear(&mut self, graphs: &GraphTarget, cluster: &dyn Cluster) -> Result<(), Fault> {
        match graphs {
            GraphTarget::DefaultGraph => {}
            GraphTarget::NamedNode(node) => {
                let term = Term::from(node.clone());
                if let Some(id) = id(&term, cluster)? {
                    self.filled.remove(&Node::Id(id));
                }
                self.filled.remove(&Node::Term(term));
                self.known.insert(node.clone().into(), false);
            }
            GraphTarget::NamedGraphs | GraphTarget::AllGraphs => {
                self.known.clear();
                self.filled.clear();
                self.is_cleared = true;
            }
        }
        Ok(())
    }
}

/// The name of a graph; the default graph has none, and always exists.
fn named(graph: &GraphName) -> Option<Term> {
    match graph {
        GraphName::DefaultGraph => None,
        GraphName::NamedNode(node) => Some(node.clone().into()),
        GraphName::BlankNode(node) => Some(node.clone().into()),
    }
}

fn id(term: &Term, cluster: &dyn Cluster) -> Result<Option<TermId>, Fault> {
    let mut text = Vec::new();
    term::encode(term.as_ref(), &mut text);
    Ok(cluster.lookup(&[text])?[0])
}
