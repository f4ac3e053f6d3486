//! FILTER, OPTIONAL and MINUS: moves parts of them into bodies.
//!
//! Each conjunct of a filter moves as deep as possible: into a body, else into a semi-join, else it stays with the
//! coordinator.

use crate::algebra::expression;
use crate::rewrite::body::{self, Body, Graph};
use crate::rewrite::catalog;
use crate::rewrite::pushdown;
use crate::rewrite::semi::Semi;
use crate::rewrite::{BRANCHES_MAX, Form, Leaf, Rewriter, Rewritten};
use entail_syntax::algebra::{Expression, GraphPattern};
use oxrdf::{NamedNode, Term};

impl Rewriter<'_> {
    pub(crate) fn filter(&mut self, condition: Expression, inner: GraphPattern, graph: &Graph) -> Rewritten {
        let mut parts = Vec::new();
        expression::conjuncts(condition, &mut parts);
        let (mut inner, mut above) = (inner, Vec::new());
        for part in parts {
            self.catalog.check()?;
            let (pushed, stay) = pushdown::push_down(inner, vec![part]);
            inner = pushed;
            above.extend(stay);
        }
        let mut form = self.rewrite(inner, graph)?;
        let mut left = Vec::new();
        for part in above {
            form = match form {
                Form::Bodies(bodies) => match push_filter(bodies, &part) {
                    Ok(bodies) => Form::Bodies(bodies),
                    Err(bodies) => {
                        left.push(part);
                        Form::Bodies(bodies)
                    }
                },
                rest => {
                    left.push(part);
                    rest
                }
            };
        }
        let mut kept = Vec::new();
        for part in left {
            form = match self.semi_join(form, part, graph)? {
                Semi::Joined(form) => form,
                Semi::Left(form, part) => {
                    kept.push(self.expression(part, graph)?);
                    form
                }
            };
        }
        let Some(expr) = expression::conjunction(kept) else { return Ok(form) };
        let (inner, certain) = self.settle(form);
        Ok(Form::Residual(GraphPattern::Filter { expr, inner: Box::new(inner) }, certain))
    }

    pub(crate) fn left_join(
        &mut self,
        left: GraphPattern,
        right: GraphPattern,
        condition: Option<Expression>,
        graph: &Graph,
    ) -> Rewritten {
        let (left, certain) = self.residual(left, graph)?;
        let mut right = self.rewrite(right, graph)?;
        let mut parts = Vec::new();
        condition.into_iter().for_each(|condition| expression::conjuncts(condition, &mut parts));
        let mut kept = Vec::new();
        for part in parts {
            right = match right {
                Form::Bodies(bodies) => match push_filter(bodies, &part) {
                    Ok(bodies) => Form::Bodies(bodies),
                    Err(bodies) => {
                        kept.push(self.expression(part, graph)?);
                        Form::Bodies(bodies)
                    }
                },
                rest => {
                    kept.push(self.expression(part, graph)?);
                    rest
                }
            };
        }
        let right = self.beside(right, certain.as_ref());
        let expression = expression::conjunction(kept);
        Ok(Form::Residual(GraphPattern::LeftJoin { left: Box::new(left), right: Box::new(right), expression }, certain))
    }

    pub(crate) fn minus(&mut self, left: GraphPattern, right: GraphPattern, graph: &Graph) -> Rewritten {
        let (left, certain) = self.residual(left, graph)?;
        let right = self.rewrite(right, graph)?;
        let right = self.beside(right, certain.as_ref());
        Ok(Form::Residual(GraphPattern::Minus { left: Box::new(left), right: Box::new(right) }, certain))
    }

    /// The right side of an OPTIONAL or MINUS whose left side's rows all extend rows of `certain`.
    ///
    /// Only right rows that join with some left row matter. If these are fewer, the join with `certain` runs in the
    /// cluster: its rows, as a set over the right side's variables, are exactly those.
    pub(crate) fn beside(&mut self, right: Form, certain: Option<&Body>) -> GraphPattern {
        let bodies = match right {
            Form::Bodies(bodies) => bodies,
            rest => return self.settle(rest).0,
        };
        let Some((reduced, estimate)) = certain.and_then(|certain| catalog::reduce(self.catalog, &bodies, certain))
        else {
            return self.leaf(bodies);
        };
        let variables = body::variables(&bodies);
        self.cut(Leaf { bodies: vec![reduced], variables, distinct: true, fold: None, estimate })
    }
}

/// The bodies under one more filter; the unchanged bodies if it cannot be pushed into all of them.
fn push_filter(bodies: Vec<Body>, filter: &Expression) -> Result<Vec<Body>, Vec<Body>> {
    if bodies.is_empty() {
        return Ok(bodies);
    }
    if let Some((variable, nodes)) = expression::iri_choice(filter)
        && bodies.len() * nodes.len() <= BRANCHES_MAX
        && bodies.iter().all(|body| body.binds(&variable))
    {
        let fix = |body: &Body, node: &NamedNode| body.clone().fix(&variable, &Term::from(node.clone()));
        return Ok(bodies.iter().flat_map(|body| nodes.iter().filter_map(move |node| fix(body, node))).collect());
    }
    let filters: Vec<Option<Expression>> = bodies.iter().map(|body| pushable(body, filter)).collect();
    if filters.iter().any(Option::is_none) {
        return Err(bodies);
    }
    let bodies = bodies.into_iter().zip(filters.into_iter().flatten());
    Ok(bodies
        .map(|(mut body, filter)| {
            body.filters.push(filter);
            body
        })
        .collect())
}

/// The filter in a form that the body can run, with fixed terms substituted; `None` if there is none.
fn pushable(body: &Body, filter: &Expression) -> Option<Expression> {
    if !expression::is_pushable(filter) {
        return None;
    }
    if body.fixed.is_empty() && !body.patterns.is_empty() {
        let is_bound = expression::variables(filter).iter().all(|variable| body.binds(variable));
        return is_bound.then(|| filter.clone());
    }
    if body.patterns.is_empty() || !expression::variables(filter).iter().all(|variable| body.binds(variable)) {
        return None;
    }
    let fixed = body.fixed.iter().try_fold(filter.clone(), |filter, (variable, term)| {
        Some(expression::substitute(&filter, variable, &body::constant(term)?))
    })?;
    if !expression::is_pushable(&fixed) {
        return None;
    }
    Some(fixed)
}
