//! One evaluation: what all of its streams share, and what depends on where a stream is.

use crate::evaluate::lookups::Lookups;
use crate::plan::leaf::LeafPlan;
use crate::plan::profile::Profiles;
use crate::session::Session;
use crate::session::code::Code;
use entail_model::{Fault, TermId};
use oxrdf::Variable;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// What all streams of an evaluation share.
pub struct Run {
    pub session: Arc<Session>,
    pub leaves: Arc<Vec<LeafPlan>>,
    pub lookups: Arc<Lookups>,
    pub profiles: Arc<Mutex<Profiles>>,
    /// Rows and time of each operator, by its number.
    pub measures: Vec<Measure>,
    /// The named graphs, in order, once they were asked for.
    graphs: OnceLock<Vec<TermId>>,
}

/// The measured work of an operator, with that of its inputs.
#[derive(Debug, Default)]
pub struct Measure {
    pub rows: AtomicU64,
    pub nanoseconds: AtomicU64,
}

impl Measure {
    /// Rows and seconds.
    pub fn read(&self) -> (u64, f64) {
        (self.rows.load(Ordering::Relaxed), self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9)
    }
}

impl Run {
    /// An evaluation of `operators` operators.
    pub fn new(
        session: Arc<Session>,
        leaves: Arc<Vec<LeafPlan>>,
        lookups: Arc<Lookups>,
        profiles: Arc<Mutex<Profiles>>,
        operators: usize,
    ) -> Self {
        let measures = (0..operators).map(|_| Measure::default()).collect();
        Self { session, leaves, lookups, profiles, measures, graphs: OnceLock::new() }
    }

    /// The named graphs of the dataset, in order.
    pub fn graphs(&self) -> Result<&[TermId], Fault> {
        if let Some(graphs) = self.graphs.get() {
            return Ok(graphs);
        }
        let mut graphs = self.session.named_graphs()?;
        graphs.sort_unstable();
        graphs.dedup();
        Ok(self.graphs.get_or_init(|| graphs))
    }

    /// Is it a named graph of the dataset?
    pub fn is_graph(&self, graph: Code) -> Result<bool, Fault> {
        Ok(self.graphs()?.binary_search(&graph).is_ok())
    }
}

/// A value in place of a variable.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    pub code: Code,
    pub origin: Origin,
}

/// Where a value comes from. A path of length zero leads from a term of the query to itself, but from a variable only where the
/// graph has the term (SPARQL 1.1, 18.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By the substitution of EXISTS: as if the query had it.
    Written,
    /// From a row to the left.
    Row,
    /// From a row to the left, and a node of the default graph.
    Node,
}

/// Where a stream is: values that stand in place of variables, in an EXISTS and to the right of a row; and the graph.
#[derive(Clone)]
pub struct Env {
    pub run: Arc<Run>,
    bindings: Arc<HashMap<Variable, Given>>,
    /// The graph of the GRAPH around, which is evaluated graph by graph.
    pub graph: Option<Code>,
}

impl Env {
    /// No values, and no graph.
    pub fn new(run: Arc<Run>) -> Self {
        Self { run, bindings: Arc::default(), graph: None }
    }

    /// The value in place of a variable.
    pub fn get(&self, variable: &Variable) -> Option<Code> {
        if self.bindings.is_empty() { None } else { self.bindings.get(variable).map(|given| given.code) }
    }

    /// Where the value in place of a variable comes from.
    pub fn origin(&self, variable: &Variable) -> Option<Origin> {
        self.bindings.get(variable).map(|given| given.origin)
    }

    /// With more values. A variable that has one keeps it.
    pub fn with<'v>(&self, more: impl Iterator<Item = (&'v Variable, Given)>) -> Self {
        let mut bindings = HashMap::clone(&self.bindings);
        more.for_each(|(variable, given)| _ = bindings.entry(variable.clone()).or_insert(given));
        Self { run: Arc::clone(&self.run), bindings: Arc::new(bindings), graph: self.graph }
    }

    /// With the values of these variables only.
    pub fn only(&self, variables: &[Variable]) -> Self {
        if self.bindings.keys().all(|variable| variables.contains(variable)) {
            return self.clone();
        }
        let kept = self.bindings.iter().filter(|(variable, _)| variables.contains(variable));
        let bindings = kept.map(|(variable, given)| (variable.clone(), *given)).collect();
        Self { run: Arc::clone(&self.run), bindings: Arc::new(bindings), graph: self.graph }
    }

    /// In a graph.
    pub fn in_graph(&self, graph: Code) -> Self {
        Self { graph: Some(graph), ..self.clone() }
    }
}
