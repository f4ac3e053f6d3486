//! GRAPH: a pattern in one named graph, or in each of them.
//!
//! With a variable the pattern runs over all graphs at once and binds the variable, if that is equivalent to evaluating
//! the graphs one by one. Otherwise a few graphs become a union, whose parts are planned for the cluster, and the evaluator
//! goes through many graphs one by one.

use crate::algebra::expression;
use crate::rewrite::body::Graph;
use crate::rewrite::{Form, Rewriter, Rewritten, table};
use entail_syntax::algebra::NamedNodePattern;
use entail_syntax::algebra::{Expression, GraphPattern, PropertyPathExpression};
use oxrdf::Variable;

impl Rewriter<'_> {
    pub(crate) fn graph(&mut self, name: NamedNodePattern, inner: GraphPattern) -> Rewritten {
        match name {
            NamedNodePattern::NamedNode(node) => {
                let graph = Graph::Named(node);
                let is_read = reads_graph(&inner);
                let form = self.rewrite(inner, &graph)?;
                Ok(if is_read { form } else { self.join(self::exists(&graph), form) })
            }
            NamedNodePattern::Variable(variable) if runs_over_all_graphs(&inner, &variable) => {
                let graph = Graph::Variable(variable.clone());
                let is_read = reads_graph(&inner);
                let form = self.rewrite(inner, &graph)?;
                Ok(if is_read { form } else { self.join(self::exists(&graph), form) })
            }
            NamedNodePattern::Variable(variable) => self.each_graph(variable, inner),
        }
    }

    /// GRAPH with a variable, graph by graph.
    fn each_graph(&mut self, variable: Variable, inner: GraphPattern) -> Rewritten {
        let graphs = self.catalog.named_graphs()?;
        if graphs.len() > self.catalog.tuning().graphs_planned_max {
            let name = NamedNodePattern::Variable(variable);
            return Ok(Form::Residual(GraphPattern::Graph { name, inner: Box::new(inner) }, None));
        }
        let mut union = Vec::new();
        for graph in graphs {
            let node = self.catalog.graph_node(graph)?;
            let form = self.rewrite(inner.clone(), &Graph::Named(node.clone()))?;
            let bound = table(vec![variable.clone()], vec![vec![Some(node.into())]]);
            union.push(self.join(bound, form));
        }
        Ok(self.union(union))
    }
}

/// A solution if there is the graph, or for each graph.
fn exists(graph: &Graph) -> Form {
    Form::Residual(graph.wrap(GraphPattern::default()), None)
}

/// Does every solution of the pattern come from facts of the graph, so that a graph variable is bound in it, and there is no
/// solution without the graph?
fn reads_graph(pattern: &GraphPattern) -> bool {
    match pattern {
        GraphPattern::Bgp { patterns } => !patterns.is_empty(),
        GraphPattern::Path { path, .. } => !is_empty_possible(path),
        GraphPattern::Join { left, right } => reads_graph(left) || reads_graph(right),
        GraphPattern::Union { left, right } => reads_graph(left) && reads_graph(right),
        GraphPattern::LeftJoin { left, .. } | GraphPattern::Minus { left, .. } => reads_graph(left),
        GraphPattern::Filter { inner, .. }
        | GraphPattern::Extend { inner, .. }
        | GraphPattern::OrderBy { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Slice { inner, .. } => reads_graph(inner),
        GraphPattern::Project { .. }
        | GraphPattern::Group { .. }
        | GraphPattern::Graph { .. }
        | GraphPattern::Values { .. }
        | GraphPattern::Service { .. }
        | GraphPattern::Leaf { .. } => false,
    }
}

/// May the path have no step?
fn is_empty_possible(path: &PropertyPathExpression) -> bool {
    match path {
        PropertyPathExpression::NamedNode(_) | PropertyPathExpression::NegatedPropertySet(_) => false,
        PropertyPathExpression::ZeroOrMore(_) | PropertyPathExpression::ZeroOrOne(_) => true,
        PropertyPathExpression::Reverse(inner) | PropertyPathExpression::OneOrMore(inner) => is_empty_possible(inner),
        PropertyPathExpression::Sequence(left, right) => is_empty_possible(left) && is_empty_possible(right),
        PropertyPathExpression::Alternative(left, right) => is_empty_possible(left) || is_empty_possible(right),
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
            right.on_in_scope_variable(&mut |variable| binds |= variable == graph);
            // A left row that has no graph yet belongs to every graph, and each of them may have other right rows.
            !binds && reads_graph(left) && expression.as_ref().is_none_or(is_blind) && all([left, right])
        }
        GraphPattern::Filter { inner, expr } => is_blind(expr) && runs_over_all_graphs(inner, graph),
        GraphPattern::Extend { inner, variable, expression } => {
            variable != graph && is_blind(expression) && runs_over_all_graphs(inner, graph)
        }
        _ => false,
    }
}
