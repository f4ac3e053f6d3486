//! Group graph patterns.

use super::Translation;
use super::term::{ground, name};
use entail_model::Fault;
use entail_syntax::algebra::TriplePattern;
use entail_syntax::algebra::{Expression, GraphPattern, lower_expression};
use entail_syntax::ast::{self, Element, ExpressionKind, Group, PathPattern};

/// A group with its filters apart: those of an OPTIONAL are its condition.
struct Filtered {
    pattern: GraphPattern,
    condition: Option<Expression>,
}

impl Translation {
    /// The algebra of a group.
    ///
    /// # Errors
    /// `Unsupported` for what the algebra does not have.
    pub fn group(&mut self, group: &Group) -> Result<GraphPattern, Fault> {
        let Filtered { pattern, condition } = self.filtered(group)?;
        Ok(match condition {
            Some(expr) => GraphPattern::Filter { expr, inner: Box::new(pattern) },
            None => pattern,
        })
    }

    fn filtered(&mut self, group: &Group) -> Result<Filtered, Fault> {
        let mut pattern = GraphPattern::default();
        // The basic graph pattern that is being collected. Filters do not end it.
        let mut triples = Vec::new();
        let mut conditions = Vec::new();
        for element in &group.elements {
            match element {
                Element::Triple(triple) => triples.push(self.triple(triple)),
                Element::Path(path) => {
                    for part in self.path_patterns(path) {
                        match part {
                            GraphPattern::Bgp { patterns } => triples.extend(patterns),
                            path => pattern = join(ended(pattern, &mut triples), path),
                        }
                    }
                }
                Element::Filter(filter) => conditions.push(self.expression(&filter.expression)?),
                other => pattern = self.extended(ended(pattern, &mut triples), other)?,
            }
        }
        Ok(Filtered { pattern: ended(pattern, &mut triples), condition: all(conditions) })
    }

    fn path_patterns(&mut self, path: &PathPattern) -> Vec<GraphPattern> {
        let (subject, object) = (self.term(&path.subject), self.term(&path.object));
        let mut found = Vec::new();
        self.path(subject, &path.path, object, &mut found);
        found
    }

    /// The pattern with an element after it that is neither a triple nor a filter.
    fn extended(&mut self, pattern: GraphPattern, element: &Element) -> Result<GraphPattern, Fault> {
        Ok(match element {
            Element::Optional(group) => {
                let Filtered { pattern: right, condition } = self.filtered(group)?;
                let (left, right) = (Box::new(pattern), Box::new(right));
                GraphPattern::LeftJoin { left, right, expression: condition }
            }
            Element::Minus(group) => {
                GraphPattern::Minus { left: Box::new(pattern), right: Box::new(self.group(group)?) }
            }
            Element::Bind { expression, variable } => GraphPattern::Extend {
                inner: Box::new(pattern),
                variable: variable.variable.clone(),
                expression: self.expression(expression)?,
            },
            other => join(pattern, self.joined(other)?),
        })
    }

    /// An element that is joined to what is before it.
    fn joined(&mut self, element: &Element) -> Result<GraphPattern, Fault> {
        Ok(match element {
            Element::Union(groups) => {
                let mut union: Option<GraphPattern> = None;
                for group in groups {
                    let right = self.group(group)?;
                    union = Some(match union {
                        Some(left) => GraphPattern::Union { left: Box::new(left), right: Box::new(right) },
                        None => right,
                    });
                }
                union.unwrap_or_default()
            }
            Element::Graph { name: graph, group } => {
                GraphPattern::Graph { name: name(graph), inner: Box::new(self.group(group)?) }
            }
            Element::Service { is_silent, name: service, group, .. } => {
                GraphPattern::Service { name: name(service), inner: Box::new(self.group(group)?), silent: *is_silent }
            }
            Element::Values(found) => values(found),
            Element::Select(select) => self.select(Some(&select.projection), &select.solutions)?,
            Element::Triple(_)
            | Element::Path(_)
            | Element::Filter(_)
            | Element::Optional(_)
            | Element::Minus(_)
            | Element::Bind { .. } => unreachable!("not joined"),
        })
    }

    /// The algebra of an expression.
    ///
    /// # Errors
    /// `Unsupported` for what the algebra does not have.
    pub fn expression(&mut self, expression: &ast::Expression) -> Result<Expression, Fault> {
        lower_expression(expression, &mut |outside| match &outside.kind {
            ExpressionKind::Exists(_, group) => Ok(Expression::Exists(Box::new(self.group(group)?))),
            ExpressionKind::Aggregate(aggregate) => self.aggregate(aggregate).map(Into::into),
            _ => unreachable!("only these depend on what is around them"),
        })
    }
}

/// The pattern, joined with the basic graph pattern that ends here.
fn ended(pattern: GraphPattern, triples: &mut Vec<TriplePattern>) -> GraphPattern {
    join(pattern, GraphPattern::Bgp { patterns: std::mem::take(triples) })
}

/// The rows of VALUES.
pub(super) fn values(values: &ast::Values) -> GraphPattern {
    GraphPattern::Values {
        variables: values.variables.iter().map(|found| found.variable.clone()).collect(),
        bindings: values.rows.iter().map(|row| row.iter().map(|cell| cell.as_ref().map(ground)).collect()).collect(),
    }
}

/// A join: basic graph patterns become one, and empty ones are left out.
pub(super) fn join(left: GraphPattern, right: GraphPattern) -> GraphPattern {
    match (left, right) {
        (GraphPattern::Bgp { mut patterns }, GraphPattern::Bgp { patterns: more }) => {
            patterns.extend(more);
            GraphPattern::Bgp { patterns }
        }
        (GraphPattern::Bgp { patterns }, other) | (other, GraphPattern::Bgp { patterns }) if patterns.is_empty() => {
            other
        }
        (left, right) => GraphPattern::Join { left: Box::new(left), right: Box::new(right) },
    }
}

/// All of the conditions, as a low tree.
pub(super) fn all(conditions: Vec<Expression>) -> Option<Expression> {
    let mut parts = conditions;
    while parts.len() > 1 {
        let mut rest = parts.into_iter();
        let mut joined = Vec::new();
        while let Some(left) = rest.next() {
            joined.push(match rest.next() {
                Some(right) => Expression::And(Box::new(left), Box::new(right)),
                None => left,
            });
        }
        parts = joined;
    }
    parts.pop()
}
