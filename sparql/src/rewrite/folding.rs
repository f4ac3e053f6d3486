//! GROUP BY, and ORDER BY under a LIMIT: over bodies they become leaves with a [fold](super::fold); over anything else
//! they stay in the residual algebra.

use crate::rewrite::body::{Body, Graph};
use crate::rewrite::fold::{Fold, SortOrder, Top};
use crate::rewrite::{Form, Leaf, Rewriter, Rewritten};
use entail_model::Fault;
use entail_syntax::algebra::{AggregateExpression, GraphPattern, OrderExpression};
use oxrdf::Variable;

impl Rewriter<'_> {
    /// Cuts out a union of bodies as a leaf that is folded.
    fn folded(&mut self, bodies: Vec<Body>, fold: Fold) -> GraphPattern {
        let rows: f64 = bodies.iter().map(|body| self.catalog.rows(body)).sum();
        let estimate = match &fold {
            Fold::Top(top) => rows.min(top.length as f64),
            Fold::Group(_) => rows,
        };
        let variables = fold.outputs();
        self.cut(Leaf { bodies, variables, distinct: false, fold: Some(fold), estimate })
    }

    pub(crate) fn group(
        &mut self,
        inner: GraphPattern,
        variables: Vec<Variable>,
        aggregates: Vec<(Variable, AggregateExpression)>,
        graph: &Graph,
    ) -> Rewritten {
        let form = self.rewrite(inner, graph)?;
        self.grouped(form, variables, aggregates, graph)
    }

    /// GROUP BY over a rewritten pattern.
    pub(crate) fn grouped(
        &mut self,
        form: Form,
        variables: Vec<Variable>,
        aggregates: Vec<(Variable, AggregateExpression)>,
        graph: &Graph,
    ) -> Rewritten {
        if let Form::Bodies(bodies) = &form
            && let Some(fold) = Fold::group(bodies, &variables, &aggregates)
        {
            return Ok(Form::Residual(self.folded(bodies.clone(), fold), None));
        }
        let aggregates =
            aggregates.into_iter().map(|(variable, aggregate)| Ok((variable, self.aggregate(aggregate, graph)?)));
        let aggregates = aggregates.collect::<Result<Vec<_>, Fault>>()?;
        let (inner, _) = self.settle(form);
        Ok(Form::Residual(GraphPattern::Group { inner: Box::new(inner), variables, aggregates }, None))
    }

    /// A LIMIT: only the rows that it keeps are sorted.
    pub(crate) fn first(&mut self, inner: GraphPattern, start: usize, length: usize, graph: &Graph) -> Rewritten {
        let slice = |inner| GraphPattern::Slice { inner, start, length: Some(length) };
        let below = match Below::of(inner) {
            Ok(below) => below,
            Err(inner) => return self.around(inner, graph, slice),
        };
        let bodies = match self.rewrite(below.inner.clone(), graph)? {
            Form::Bodies(bodies) => bodies,
            form => {
                let (inner, _) = self.settle(form);
                let sorted = GraphPattern::OrderBy { inner: Box::new(inner), expression: below.order() };
                return Ok(Form::Residual(slice(Box::new(below.above(sorted))), None));
            }
        };
        let length = start.saturating_add(length);
        let top = Top { by: below.by.clone(), shown: below.shown.clone(), length, distinct: below.distinct };
        let first = self.folded(bodies, Fold::Top(top));
        Ok(Form::Residual(slice(Box::new(below.above(first))), None))
    }
}

/// The operators below a LIMIT, if they are an order by variables under a projection, perhaps under DISTINCT.
struct Below {
    by: Vec<(Variable, SortOrder)>,
    shown: Vec<Variable>,
    distinct: bool,
    inner: GraphPattern,
}

impl Below {
    /// Takes the pattern below a LIMIT apart; gives it back if it is more than an order by variables.
    #[allow(clippy::result_large_err, reason = "it is the same pattern either way, not a rare failure")]
    fn of(pattern: GraphPattern) -> Result<Self, GraphPattern> {
        let (distinct, project) = match &pattern {
            GraphPattern::Distinct { inner } => (true, &**inner),
            _ => (false, &pattern),
        };
        let GraphPattern::Project { inner, variables } = project else { return Err(pattern) };
        let GraphPattern::OrderBy { inner, expression } = &**inner else { return Err(pattern) };
        let by: Option<Vec<_>> = expression.iter().map(SortOrder::of).collect();
        match by.filter(|by| !distinct || by.iter().all(|(variable, _)| variables.contains(variable))) {
            Some(by) => Ok(Self { by, shown: variables.clone(), distinct, inner: (**inner).clone() }),
            None => Err(pattern),
        }
    }

    /// The order as algebra.
    fn order(&self) -> Vec<OrderExpression> {
        self.by.iter().map(|(variable, by)| by.expression(variable.clone().into())).collect()
    }

    /// The operators above the order, applied to the pattern that now produces its rows.
    fn above(self, inner: GraphPattern) -> GraphPattern {
        let project = GraphPattern::Project { inner: Box::new(inner), variables: self.shown };
        if self.distinct { GraphPattern::Distinct { inner: Box::new(project) } } else { project }
    }
}
