//! EXISTS and NOT EXISTS as joins, where these are equivalent.
//!
//! The evaluator evaluates an EXISTS row by row. If its pattern is a union of bodies and shares with the outside only
//! variables that every outer row binds, one run serves all rows:
//!
//! ```text
//! EXISTS { P }       P has no variables of its own    P joins the outer body
//! EXISTS { P }                                        join with the set of P's shared values
//! NOT EXISTS { P }                                    MINUS P
//! ```

use crate::rewrite::body::{self, Body, Graph};
use crate::rewrite::catalog;
use crate::rewrite::{Form, Leaf, Rewriter};
use entail_model::Fault;
use entail_syntax::algebra::{Expression, GraphPattern};
use oxrdf::Variable;
use std::collections::BTreeSet;

/// The result for a filter: the filtered form, or the unchanged form and the filter.
pub enum Semi {
    Joined(Form),
    Left(Form, Expression),
}

impl Rewriter<'_> {
    /// Applies a filter to `form`, as a join if the filter is an EXISTS that can be one.
    pub fn semi_join(&mut self, form: Form, filter: Expression, graph: &Graph) -> Result<Semi, Fault> {
        let (pattern, is_negated) = match &filter {
            Expression::Exists(pattern) => (pattern, false),
            Expression::Not(inner) => match inner.as_ref() {
                Expression::Exists(pattern) => (pattern, true),
                _ => return Ok(Semi::Left(form, filter)),
            },
            _ => return Ok(Semi::Left(form, filter)),
        };
        let Some(bodies) = self.trial(pattern, graph)? else { return Ok(Semi::Left(form, filter)) };
        let Some(shared) = shared(&form, &bodies) else { return Ok(Semi::Left(form, filter)) };
        Ok(Semi::Joined(match is_negated {
            true => self.anti(form, bodies),
            false => self.semi(form, bodies, shared),
        }))
    }

    /// The pattern as bodies, if it consists of bodies only.
    fn trial(&mut self, pattern: &GraphPattern, graph: &Graph) -> Result<Option<Vec<Body>>, Fault> {
        let mut trial = Rewriter::new(self.catalog);
        trial.fresh = self.fresh;
        let Form::Bodies(bodies) = trial.rewrite(pattern.clone(), graph)? else { return Ok(None) };
        if !trial.leaves.is_empty() || bodies.iter().any(|body| body.patterns.is_empty()) {
            return Ok(None);
        }
        self.fresh = trial.fresh;
        Ok(Some(bodies))
    }

    fn anti(&mut self, form: Form, bodies: Vec<Body>) -> Form {
        let (left, certain) = self.settle(form);
        let right = self.beside(Form::Bodies(bodies), certain.as_ref());
        Form::Residual(GraphPattern::Minus { left: Box::new(left), right: Box::new(right) }, certain)
    }

    fn semi(&mut self, form: Form, bodies: Vec<Body>, shared: BTreeSet<Variable>) -> Form {
        let own = |body: &Body| body.variables().iter().any(|variable| !shared.contains(variable));
        if let (Form::Bodies(outer), [only]) = (&form, &bodies[..])
            && !own(only)
        {
            // Each outer row meets the body at most once.
            let joined = outer.iter().filter_map(|outer| outer.clone().join(only.clone()));
            return Form::Bodies(joined.collect());
        }
        let (left, certain) = self.settle(form);
        let reduced = certain.as_ref().and_then(|certain| catalog::reduce(self.catalog, &bodies, certain));
        let (bodies, rows) = match reduced {
            Some((reduced, rows)) => (vec![reduced], rows),
            None => {
                let rows = bodies.iter().map(|body| self.catalog.rows(body)).sum();
                (bodies, rows)
            }
        };
        let variables: Vec<Variable> = shared.into_iter().collect();
        let right = self.cut(Leaf { bodies, variables, distinct: true, fold: None, estimate: rows });
        Form::Residual(GraphPattern::Join { left: Box::new(left), right: Box::new(right) }, certain)
    }
}

/// The variables that bodies share with the outside; `None` if an outer row or a body may leave one unbound, or if
/// there are none.
fn shared(form: &Form, bodies: &[Body]) -> Option<BTreeSet<Variable>> {
    let inner: BTreeSet<Variable> = body::variables(bodies).into_iter().collect();
    let (scope, certain) = match form {
        Form::Bodies(outer) => {
            let certain =
                outer.iter().map(Body::variables).reduce(|one, other| one.intersection(&other).cloned().collect());
            (body::variables(outer).into_iter().collect(), certain?)
        }
        Form::Residual(pattern, certain) => {
            let mut scope = BTreeSet::new();
            pattern.on_in_scope_variable(&mut |variable| _ = scope.insert(variable.clone()));
            (scope, certain.as_ref()?.variables())
        }
    };
    let shared: BTreeSet<Variable> = inner.intersection(&scope).cloned().collect();
    let is_certain = |variable: &Variable| certain.contains(variable) && bodies.iter().all(|body| body.binds(variable));
    (!shared.is_empty() && shared.iter().all(is_certain)).then_some(shared)
}
