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

    /// Fails if the query has to stop.
    ///
    /// # Errors
    /// `Cancelled` and its kin.
    fn check(&self) -> Result<(), Fault>;

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
    /// A pattern that cannot run over all graphs at once is planned for each graph, unless there are more of them.
    pub graphs_planned_max: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { reduce_rows_min: 1_000.0, reduce_factor: 4.0, graphs_planned_max: 64 }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::Rewriter;
    use crate::rewrite::body::Graph;
    use entail_model::Reason;
    use entail_syntax::algebra::{Expression, GraphPattern};
    use oxrdf::Variable;
    use std::cell::Cell;

    /// Stops the query at one of the looks at its cancellation.
    struct Stopping(Cell<usize>);

    impl Catalog for Stopping {
        fn rows(&self, _: &Body) -> f64 {
            1.0
        }

        fn check(&self) -> Result<(), Fault> {
            let left = self.0.get().checked_sub(1);
            left.map(|left| self.0.set(left)).ok_or_else(|| Fault::new(Reason::Cancelled, "stopped"))
        }

        fn tuning(&self) -> Tuning {
            Tuning::default()
        }

        fn named_graphs(&self) -> Result<Vec<TermId>, Fault> {
            Ok(Vec::new())
        }

        fn graph_node(&self, _: TermId) -> Result<NamedNode, Fault> {
            Err(Fault::internal("no graphs"))
        }
    }

    fn table() -> Box<GraphPattern> {
        Box::new(GraphPattern::Values { variables: vec![Variable::new_unchecked("x")], bindings: vec![vec![None]] })
    }

    #[test]
    fn planning_stops_at_a_filter_and_at_a_pattern() {
        let bound = Expression::Bound(Variable::new_unchecked("x"));
        let conditions = (0..100).fold(bound.clone(), |all, _| Expression::And(all.into(), bound.clone().into()));
        let filters = GraphPattern::Filter { expr: conditions, inner: table() };
        let joins = (0..100).fold(*table(), |left, _| GraphPattern::Join { left: Box::new(left), right: table() });
        for pattern in [filters, joins] {
            let planned = |looks| {
                let catalog = Stopping(Cell::new(looks));
                Rewriter::new(&catalog).rewrite(pattern.clone(), &Graph::Default).map(|_| ())
            };
            assert_eq!(planned(90).expect_err("a query that stops").reason, Reason::Cancelled);
            assert!(planned(1_000).is_ok());
        }
    }
}
