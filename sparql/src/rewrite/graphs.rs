//! GRAPH: a pattern in one named graph, or in each of them.
//!
//! With a variable the pattern runs over all graphs at once and binds the variable, if that is equivalent to evaluating
//! the graphs one by one; otherwise it is expanded into a union.

use crate::algebra::expression;
use crate::rewrite::body::{Body, Graph};
use crate::rewrite::{Form, Rewriter, Rewritten, table};
use entail_model::{Fault, Reason};
use oxrdf::Variable;
use spargebra::algebra::{Expression, GraphPattern};
use spargebra::term::{GroundTerm, NamedNodePattern};

/// The largest number of graphs to which GRAPH with a variable is expanded if its pattern cannot run over all at once.
const GRAPHS_MAX: usize = 1_000;

impl Rewriter<'_> {
    pub(crate) fn graph(&mut self, name: NamedNodePattern, inner: GraphPattern) -> Rewritten {
        match name {
            NamedNodePattern::NamedNode(node) => {
                let graph = Graph::Named(node);
                self.rewrite(inner, &graph)
            }
            NamedNodePattern::Variable(variable) if runs_over_all_graphs(&inner, &variable) => {
                let graph = Graph::Variable(variable.clone());
                let form = self.rewrite(inner, &graph)?;
                let binds = |body: &Body| body.binds(&variable);
                let is_bound = match &form {
                    Form::Bodies(bodies) => bodies.iter().all(binds),
                    Form::Residual(_, certain) => certain.as_ref().is_some_and(binds),
                };
                let graphs = graph.wrap(GraphPattern::Bgp { patterns: Vec::new() });
                Ok(if is_bound { form } else { self.join(Form::Residual(graphs, None), form) })
            }
            NamedNodePattern::Variable(variable) => self.each_graph(&variable, &inner),
        }
    }

    /// GRAPH with a variable, expanded: the union over all graphs of the pattern in that graph.
    fn each_graph(&mut self, variable: &Variable, inner: &GraphPattern) -> Rewritten {
        let graphs = self.catalog.named_graphs()?;
        if graphs.len() > GRAPHS_MAX {
            let message = format!(
                "GRAPH {variable} over {} graphs with a subquery, MINUS or aggregate in it; at most {GRAPHS_MAX}",
                graphs.len()
            );
            return Err(Fault::new(Reason::LimitExceeded, message));
        }
        let mut union = Vec::new();
        for graph in graphs {
            let node = self.catalog.graph_node(graph)?;
            let form = self.rewrite(inner.clone(), &Graph::Named(node.clone()))?;
            let bound = table(vec![variable.clone()], vec![vec![Some(GroundTerm::NamedNode(node))]]);
            union.push(self.join(bound, form));
        }
        Ok(self.union(union))
    }
}

/// Is binding the graph variable inside the pattern equivalent to evaluating the graphs one by one?
///
/// Inside the variable is not in scope, so no expression there may read it. A join with it is equivalent either way.
fn runs_over_all_graphs(pattern: &GraphPattern, graph: &Variable) -> bool {
    let all = |patterns: [&GraphPattern; 2]| patterns.iter().all(|pattern| runs_over_all_graphs(pattern, graph));
    let is_blind = |expression: &Expression| {
        !expression::variables(expression).contains(graph) && expression::exists_patterns(expression).is_empty()
    };
    match pattern {
        GraphPattern::Bgp { .. } | GraphPattern::Path { .. } | GraphPattern::Values { .. } => true,
        GraphPattern::Graph { inner, .. } => runs_over_all_graphs(inner, graph),
        GraphPattern::Join { left, right } | GraphPattern::Union { left, right } => all([left, right]),
        GraphPattern::LeftJoin { left, right, expression } => {
            let mut binds = false;
            right.on_in_scope_variable(|variable| binds |= variable == graph);
            !binds && expression.as_ref().is_none_or(is_blind) && all([left, right])
        }
        GraphPattern::Filter { inner, expr } => is_blind(expr) && runs_over_all_graphs(inner, graph),
        GraphPattern::Extend { inner, variable, expression } => {
            variable != graph && is_blind(expression) && runs_over_all_graphs(inner, graph)
        }
        _ => false,
    }
}
