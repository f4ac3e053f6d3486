//! From the algebra to bodies that run in the cluster, and the residual algebra around them.
//!
//! ```text
//! Filter(LeftJoin(Join(Bgp, Union(Bgp, Bgp)), Bgp))      parsed algebra
//! Filter(LeftJoin(Leaf 0,                  Leaf 1))      residual algebra for the coordinator
//!                  │                        │
//!                  └─ 2 bodies, merged      └─ 1 body
//! ```
//!
//! Joins and unions of basic graph patterns, filters over them, small tables and GRAPH all become bodies, as large as
//! possible; the largest bodies are cut out as *leaves*, which the residual algebra has by their numbers. Every rewriting preserves the multiset of solutions.
//!
//! FILTER, OPTIONAL and MINUS are in [`filters`], GRAPH in [`graphs`], groups and LIMIT in [`folding`], whole queries
//! in [`query`]. Statistics come from a [`Catalog`]; plain queries need none and are [`prepared`] without their data.

pub(crate) mod analysis;
pub(crate) mod body;
pub(crate) mod catalog;
pub(crate) mod exists;
pub(crate) mod filters;
pub(crate) mod fold;
pub(crate) mod folding;
pub(crate) mod graphs;
pub(crate) mod leaf;
pub(crate) mod modifiers;
pub(crate) mod prepared;
pub(crate) mod pushdown;
pub(crate) mod query;
pub(crate) mod semi;

use crate::rewrite::body::{Body, Graph, Pattern};
use crate::rewrite::catalog::Catalog;
pub use crate::rewrite::leaf::Leaf;
use entail_model::{Fault, Reason};
use entail_syntax::algebra::{AggregateExpression, Expression, GraphPattern, OrderExpression, PropertyPathExpression};
use entail_syntax::algebra::{NamedNodePattern, TermPattern, TriplePattern};
use oxrdf::{Term, Variable};

/// The largest number of bodies in one union. The coordinator evaluates further alternatives.
pub(crate) const BRANCHES_MAX: usize = 64;
/// Triple patterns in one body. A larger one is most likely a mistake, and planning takes the square of it.
pub(crate) const PATTERNS_MAX: usize = 512;

/// A rewritten pattern.
#[allow(clippy::large_enum_variant, reason = "there are as many as a query has operators")]
pub enum Form {
    /// A union of bodies: runs in the cluster.
    Bodies(Vec<Body>),
    /// Runs at the coordinator, over leaves. Every solution extends one of the body, if there is one.
    Residual(GraphPattern, Option<Body>),
}

/// Rewrites the patterns of one query.
pub struct Rewriter<'c> {
    pub(crate) catalog: &'c dyn Catalog,
    pub leaves: Vec<Leaf>,
    /// The number of fresh variables so far.
    pub(crate) fresh: usize,
}

#[cfg(test)]
thread_local! {
    /// Basic graph patterns that were rewritten on this thread.
    pub(crate) static REWRITTEN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

pub(crate) type Rewritten = Result<Form, Fault>;

impl<'c> Rewriter<'c> {
    /// A rewriter with no leaves yet.
    pub fn new(catalog: &'c dyn Catalog) -> Self {
        Self { catalog, leaves: Vec::new(), fresh: 0 }
    }

    /// Rewrites a pattern that is evaluated in `graph`.
    pub fn rewrite(&mut self, pattern: GraphPattern, graph: &Graph) -> Rewritten {
        self.catalog.check()?;
        match pattern {
            GraphPattern::Bgp { patterns } => self.basic(patterns, graph),
            GraphPattern::Path { subject, path, object } => self.path(subject, path, object, graph),
            GraphPattern::Join { left, right } => {
                let (left, right) = (self.rewrite(*left, graph)?, self.rewrite(*right, graph)?);
                Ok(self.join(left, right))
            }
            GraphPattern::LeftJoin { left, right, expression } => self.left_join(*left, *right, expression, graph),
            GraphPattern::Filter { expr, inner } => self.filter(expr, *inner, graph),
            GraphPattern::Union { .. } => {
                let mut branches = Vec::new();
                alternatives(pattern, &mut branches);
                let forms =
                    branches.into_iter().map(|branch| self.rewrite(branch, graph)).collect::<Result<Vec<_>, _>>()?;
                Ok(self.union(forms))
            }
            GraphPattern::Graph { name, inner } => self.graph(name, *inner),
            GraphPattern::Extend { inner, variable, expression } => {
                let expression = self.expression(expression, graph)?;
                let (inner, certain) = self.residual(*inner, graph)?;
                Ok(Form::Residual(GraphPattern::Extend { inner: Box::new(inner), variable, expression }, certain))
            }
            GraphPattern::Minus { left, right } => self.minus(*left, *right, graph),
            GraphPattern::Values { variables, bindings } => Ok(table(variables, bindings)),
            GraphPattern::OrderBy { inner, expression } => {
                let keys = expression.into_iter().map(|key| {
                    Ok(match key {
                        OrderExpression::Asc(by) => OrderExpression::Asc(self.expression(by, graph)?),
                        OrderExpression::Desc(by) => OrderExpression::Desc(self.expression(by, graph)?),
                    })
                });
                let expression = keys.collect::<Result<Vec<_>, Fault>>()?;
                let (inner, certain) = self.residual(*inner, graph)?;
                Ok(Form::Residual(GraphPattern::OrderBy { inner: Box::new(inner), expression }, certain))
            }
            GraphPattern::Project { inner, variables } => {
                // A variable that a subquery does not project is not visible outside, whatever its name.
                let (inner, _) = self.residual(*inner, graph)?;
                Ok(Form::Residual(GraphPattern::Project { inner: Box::new(inner), variables }, None))
            }
            GraphPattern::Distinct { inner } => self.around(*inner, graph, |inner| GraphPattern::Distinct { inner }),
            GraphPattern::Reduced { inner } => self.around(*inner, graph, |inner| GraphPattern::Reduced { inner }),
            GraphPattern::Slice { inner, start, length: Some(length) } => self.first(*inner, start, length, graph),
            GraphPattern::Slice { inner, start, length } => {
                self.around(*inner, graph, |inner| GraphPattern::Slice { inner, start, length })
            }
            GraphPattern::Group { inner, variables, aggregates } => self.group(*inner, variables, aggregates, graph),
            GraphPattern::Service { name, silent, .. } => service(&name, silent),
            leaf @ GraphPattern::Leaf { .. } => Ok(Form::Residual(leaf, None)),
        }
    }

    /// Rewrites a pattern to residual algebra; bodies become leaves.
    pub fn residual(&mut self, pattern: GraphPattern, graph: &Graph) -> Result<(GraphPattern, Option<Body>), Fault> {
        let form = self.rewrite(pattern, graph)?;
        Ok(self.settle(form))
    }

    /// Keeps an operator that does not change which variables are certainly bound.
    pub(crate) fn around(
        &mut self,
        inner: GraphPattern,
        graph: &Graph,
        operator: impl FnOnce(Box<GraphPattern>) -> GraphPattern,
    ) -> Rewritten {
        let (inner, certain) = self.residual(inner, graph)?;
        Ok(Form::Residual(operator(Box::new(inner)), certain))
    }

    /// Cuts out a union of bodies as a leaf.
    pub fn settle(&mut self, form: Form) -> (GraphPattern, Option<Body>) {
        match form {
            Form::Residual(pattern, certain) => (pattern, certain),
            Form::Bodies(bodies) => {
                let certain = if let [only] = &bodies[..] { Some(only.clone()) } else { None };
                (self.leaf(bodies), certain)
            }
        }
    }

    pub(crate) fn leaf(&mut self, bodies: Vec<Body>) -> GraphPattern {
        if bodies.iter().all(|body| body.patterns.is_empty() && body.filters.is_empty()) {
            return leaf::values(&bodies);
        }
        let estimate = bodies.iter().map(|body| self.catalog.rows(body)).sum();
        let variables = body::variables(&bodies);
        self.cut(Leaf { bodies, variables, distinct: false, fold: None, estimate })
    }

    /// Cuts out a leaf.
    pub(crate) fn cut(&mut self, leaf: Leaf) -> GraphPattern {
        let (number, variables) = (self.leaves.len(), leaf.variables.clone());
        self.leaves.push(leaf);
        GraphPattern::Leaf { number, variables }
    }

    fn basic(&mut self, patterns: Vec<TriplePattern>, graph: &Graph) -> Rewritten {
        #[cfg(test)]
        REWRITTEN.set(REWRITTEN.get() + 1);
        if patterns.is_empty() {
            // In a named graph this tests whether the graph exists, or lists the graphs.
            return Ok(match graph {
                Graph::Default => Form::Bodies(vec![Body::default()]),
                _ => Form::Residual(graph.wrap(GraphPattern::Bgp { patterns }), None),
            });
        }
        if patterns.len() > PATTERNS_MAX {
            let message = format!(
                "more than {PATTERNS_MAX} triple patterns, written out, in one group; split the group with braces, or put \
                 values into VALUES"
            );
            return Err(Fault::new(Reason::LimitExceeded, message));
        }
        let patterns = patterns.iter().map(|triple| Pattern::new(triple, graph)).collect::<Option<Vec<_>>>();
        let patterns = patterns.ok_or_else(|| Fault::internal("a triple term with variables was not unfolded"))?;
        Ok(Form::Bodies(vec![Body { patterns, ..Body::default() }]))
    }

    /// The parser has expanded sequences and inverses; here alternatives become unions.
    fn path(
        &mut self,
        subject: TermPattern,
        path: PropertyPathExpression,
        object: TermPattern,
        graph: &Graph,
    ) -> Rewritten {
        match path {
            PropertyPathExpression::NamedNode(predicate) => {
                self.basic(vec![TriplePattern { subject, predicate: predicate.into(), object }], graph)
            }
            PropertyPathExpression::Reverse(inner) => self.path(object, *inner, subject, graph),
            PropertyPathExpression::Sequence(first, second) => {
                let middle = TermPattern::Variable(self.fresh("path"));
                let first = self.path(subject, *first, middle.clone(), graph)?;
                let second = self.path(middle, *second, object, graph)?;
                Ok(self.join(first, second))
            }
            PropertyPathExpression::Alternative(one, other) => {
                let one = self.path(subject.clone(), *one, object.clone(), graph)?;
                let other = self.path(subject, *other, object, graph)?;
                Ok(self.union(vec![one, other]))
            }
            path => {
                let [subject, object] = [subject, object].map(leaf::without_blank_node);
                Ok(Form::Residual(graph.wrap(GraphPattern::Path { subject, path, object }), None))
            }
        }
    }

    pub(crate) fn fresh(&mut self, purpose: &str) -> Variable {
        self.fresh += 1;
        Variable::new_unchecked(format!("_:{purpose}:{}", self.fresh))
    }

    pub(crate) fn join(&mut self, left: Form, right: Form) -> Form {
        match (left, right) {
            (Form::Bodies(left), Form::Bodies(right)) => self.join_bodies(left, right),
            // A join with one solution that binds nothing.
            (Form::Bodies(unit), other) | (other, Form::Bodies(unit)) if unit == [Body::default()] => other,
            (left, right) => {
                let ((left, certain), (right, other)) = (self.settle(left), self.settle(right));
                let certain = match (certain, other) {
                    (Some(one), Some(other)) => one.join(other),
                    (one, other) => one.or(other),
                };
                Form::Residual(GraphPattern::Join { left: Box::new(left), right: Box::new(right) }, certain)
            }
        }
    }

    fn join_bodies(&mut self, left: Vec<Body>, right: Vec<Body>) -> Form {
        let size = |bodies: &[Body]| bodies.iter().map(|body| body.patterns.len()).max().unwrap_or(0);
        if left.len() * right.len() > BRANCHES_MAX || size(&left) + size(&right) > PATTERNS_MAX {
            let ((left, _), (right, _)) = (self.settle(Form::Bodies(left)), self.settle(Form::Bodies(right)));
            return Form::Residual(GraphPattern::Join { left: Box::new(left), right: Box::new(right) }, None);
        }
        let pairs = left.iter().flat_map(|one| right.iter().map(move |other| one.clone().join(other.clone())));
        Form::Bodies(pairs.flatten().collect())
    }

    /// Merges bodies, in groups of bounded size; the order of a union's parts does not matter.
    pub(crate) fn union(&mut self, forms: Vec<Form>) -> Form {
        let mut groups = vec![Vec::new()];
        let mut rest = Vec::new();
        for form in forms {
            match form {
                Form::Bodies(bodies) => {
                    let last = groups.last_mut().expect("there is a first group");
                    if last.is_empty() || last.len() + bodies.len() <= BRANCHES_MAX {
                        last.extend(bodies);
                    } else {
                        groups.push(bodies);
                    }
                }
                Form::Residual(pattern, _) => rest.push(pattern),
            }
        }
        if rest.is_empty() && groups.len() == 1 {
            return Form::Bodies(groups.swap_remove(0));
        }
        let groups = groups.into_iter().filter(|group| !group.is_empty()).map(|group| self.leaf(group));
        rest.extend(groups.collect::<Vec<_>>());
        Form::Residual(balanced(rest), None)
    }

    pub(crate) fn aggregate(
        &mut self,
        aggregate: AggregateExpression,
        graph: &Graph,
    ) -> Result<AggregateExpression, Fault> {
        Ok(match aggregate {
            AggregateExpression::CountSolutions { distinct } => AggregateExpression::CountSolutions { distinct },
            AggregateExpression::FunctionCall { name, expr, distinct } => {
                AggregateExpression::FunctionCall { name, expr: self.expression(expr, graph)?, distinct }
            }
        })
    }

    /// An expression of the coordinator: the patterns of its EXISTS get their graph, and are looked up row by row.
    pub(crate) fn expression(&mut self, expression: Expression, graph: &Graph) -> Result<Expression, Fault> {
        exists::in_graph(expression, graph)
    }
}

/// The parts of a union of unions.
fn alternatives(pattern: GraphPattern, found: &mut Vec<GraphPattern>) {
    match pattern {
        GraphPattern::Union { left, right } => {
            alternatives(*left, found);
            alternatives(*right, found);
        }
        other => found.push(other),
    }
}

/// The union of some patterns, with minimal nesting.
fn balanced(mut patterns: Vec<GraphPattern>) -> GraphPattern {
    if patterns.len() > 2 {
        let right = patterns.split_off(patterns.len() / 2);
        patterns = vec![balanced(patterns), balanced(right)];
    }
    let union = |left, right| GraphPattern::Union { left: Box::new(left), right: Box::new(right) };
    patterns.into_iter().reduce(union).unwrap_or_default()
}

/// A table; a small one that binds everything is a union of bodies.
pub(crate) fn table(variables: Vec<Variable>, bindings: Vec<Vec<Option<Term>>>) -> Form {
    let is_small = bindings.len() <= BRANCHES_MAX && bindings.iter().flatten().all(Option::is_some);
    if !is_small {
        return Form::Residual(GraphPattern::Values { variables, bindings }, None);
    }
    let row = |row: &Vec<Option<Term>>| {
        let terms = row.iter().flatten().cloned();
        Body { fixed: variables.iter().cloned().zip(terms).collect(), ..Body::default() }
    };
    Form::Bodies(bindings.iter().map(row).collect())
}

fn service(name: &NamedNodePattern, silent: bool) -> Rewritten {
    if silent {
        // A silent service that fails gives one solution that binds nothing.
        return Ok(Form::Bodies(vec![Body::default()]));
    }
    Err(Fault::new(Reason::Unsupported, format!("SERVICE {name}: queries to other endpoints are not supported yet")))
}
