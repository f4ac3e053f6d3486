//! The information about data that the rewriting uses: expected rows and the named graphs.
//!
//! The rewriting has neither statistics nor dictionaries itself; the session of a query implements this trait.

use crate::rewrite::body::Body;
use entail_model::{Fault, TermId};
use oxrdf::NamedNode;

/// Facts about the data of one epoch.
pub(crate) trait Catalog {
    /// The expected number of rows of a body.
    fn rows(&self, body: &Body) -> f64;

    /// The thresholds of the rewriting.
    fn tuning(&self) -> Tuning;

    /// The named graphs of the dataset.
    ///
    /// # Errors
    /// Errors of the cluster.
    fn named_graphs(&self) -> Result<Vec<TermId>, Fault>;

    /// An IRI that names the graph within this query, for graphs with blank names too.
    ///
    /// # Errors
    /// Errors of the cluster.
    fn graph_node(&self, graph: TermId) -> Result<NamedNode, Fault>;
}

/// Thresholds of the rewriting. The default suits real graphs; tests lower them, so that small graphs take every path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// A right side with fewer expected rows is not worth a join that reduces it.
    pub reduce_rows_min: f64,
    /// How many times smaller the join must be expected to be.
    pub reduce_factor: f64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { reduce_rows_min: 1_000.0, reduce_factor: 4.0 }
    }
}

/// The right body of a join, joined with `certain`, and its expected rows; `None` unless that is expected to have far
/// fewer rows than the right body alone.
pub(crate) fn reduce(catalog: &dyn Catalog, right: &[Body], certain: &Body) -> Option<(Body, f64)> {
    let [right] = right else { return None };
    let tuning = catalog.tuning();
    let shares = right.variables().iter().any(|variable| certain.binds(variable));
    let whole = catalog.rows(right);
    if !shares || whole < tuning.reduce_rows_min {
        return None;
    }
    let joined = certain.clone().join(right.clone())?;
    let expected = catalog.rows(&joined);
    (expected * tuning.reduce_factor <= whole).then_some((joined, expected))
}
