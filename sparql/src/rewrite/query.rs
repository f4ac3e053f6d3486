//! The rewritten form of a whole query. Each of its patterns is rewritten once.

use crate::rewrite::body::{Body, Graph};
use crate::rewrite::modifiers::Modifiers;
use crate::rewrite::{Form, Rewriter};
use entail_model::Fault;
use entail_syntax::algebra::{AggregateExpression, AggregateFunction, Expression, GraphPattern};
use oxrdf::Variable;

/// A rewritten query.
pub(crate) enum QueryForm {
    /// A union of bodies under modifiers: its rows go from the nodes to the client.
    Bodies(Vec<Body>, Modifiers),
    /// The number of solutions of a union of bodies, bound to this variable.
    Count(Vec<Body>, Variable),
    /// Algebra for the coordinator, over the rewriter's leaves.
    Residual(GraphPattern),
}

impl Rewriter<'_> {
    /// Rewrites the pattern of a SELECT, which may only count.
    pub fn select(&mut self, pattern: GraphPattern) -> Result<QueryForm, Fault> {
        match Count::of(pattern) {
            Ok(count) => self.count(count),
            Err(pattern) => self.solutions(pattern),
        }
    }

    /// Rewrites the pattern of a query that returns its solutions.
    pub fn solutions(&mut self, pattern: GraphPattern) -> Result<QueryForm, Fault> {
        let (modifiers, inner) = Modifiers::take(pattern);
        // An order is folded together with the LIMIT above it.
        if modifiers.variables.is_none() || matches!(inner, GraphPattern::OrderBy { .. }) {
            let (pattern, _) = self.residual(modifiers.around(inner), &Graph::Default)?;
            return Ok(QueryForm::Residual(pattern));
        }
        match self.rewrite(inner, &Graph::Default)? {
            Form::Bodies(bodies) if self.leaves.is_empty() => Ok(QueryForm::Bodies(bodies, modifiers)),
            form => Ok(QueryForm::Residual(modifiers.around(self.settle(form).0))),
        }
    }

    fn count(&mut self, count: Count) -> Result<QueryForm, Fault> {
        let Count { inner, variable, result, aggregate } = count;
        let form = match self.rewrite(inner, &Graph::Default)? {
            Form::Bodies(bodies) if self.leaves.is_empty() && counts_all(&aggregate, &bodies) => {
                return Ok(QueryForm::Count(bodies, variable));
            }
            form => form,
        };
        let grouped = self.grouped(form, Vec::new(), vec![(result.clone(), aggregate)], &Graph::Default)?;
        let (inner, _) = self.settle(grouped);
        let expression = Expression::Variable(result);
        let inner = GraphPattern::Extend { inner: Box::new(inner), variable: variable.clone(), expression };
        Ok(QueryForm::Residual(GraphPattern::Project { inner: Box::new(inner), variables: vec![variable] }))
    }
}

/// The parts of `SELECT (COUNT(..) AS ?variable) { inner }` without GROUP BY.
struct Count {
    inner: GraphPattern,
    variable: Variable,
    /// The variable that the algebra puts between the aggregate and the projected variable.
    result: Variable,
    aggregate: AggregateExpression,
}

impl Count {
    /// The parts of such a pattern; returns any other pattern unchanged.
    #[allow(clippy::result_large_err, reason = "it is the same pattern either way, not a rare failure")]
    fn of(pattern: GraphPattern) -> Result<Self, GraphPattern> {
        let GraphPattern::Project { inner, variables } = &pattern else { return Err(pattern) };
        let GraphPattern::Extend { inner, variable, expression: Expression::Variable(shown) } = &**inner else {
            return Err(pattern);
        };
        let GraphPattern::Group { inner, variables: by, aggregates } = &**inner else { return Err(pattern) };
        match &aggregates[..] {
            [(result, aggregate)] if by.is_empty() && result == shown && variables[..] == [variable.clone()] => {
                Ok(Self {
                    inner: (**inner).clone(),
                    variable: variable.clone(),
                    result: result.clone(),
                    aggregate: aggregate.clone(),
                })
            }
            _ => Err(pattern),
        }
    }
}

/// Does the aggregate count every solution of the bodies?
fn counts_all(aggregate: &AggregateExpression, bodies: &[Body]) -> bool {
    match aggregate {
        AggregateExpression::CountSolutions { distinct } => !distinct,
        // A variable that every solution binds counts as often as there are solutions.
        AggregateExpression::FunctionCall {
            name: AggregateFunction::Count,
            expr: Expression::Variable(counted),
            distinct: false,
        } => bodies.iter().all(|body| body.binds(counted)),
        AggregateExpression::FunctionCall { .. } => false,
    }
}
