//! Triple-term patterns with variables in them, as conditions on the whole term.
//!
//! ```text
//! ?r rdf:reifies <<( :alice :knows ?k )>>
//!     ?r rdf:reifies ?t   FILTER(isTRIPLE(?t) && sameTerm(SUBJECT(?t), :alice) && sameTerm(PREDICATE(?t), :knows))
//!                         BIND(OBJECT(?t) AS ?k)
//! ```
//!
//! Nodes store triple terms whole, so a pattern finds the terms, and the conditions look into them. Triples that only such a
//! term connects to the others are joined after it was looked into.

use crate::algebra::expression::{any, conjunction, map};
use crate::rewrite::body::blank_variable;
use entail_syntax::algebra::{
    AggregateExpression, Expression, Function, GraphPattern, NamedNodePattern, OrderExpression, TermPattern,
    TriplePattern,
};
use oxrdf::Variable;
use std::collections::BTreeSet;

/// The pattern without triple-term patterns that have variables in them.
pub fn unfold(pattern: GraphPattern) -> GraphPattern {
    Unfolding { fresh: 0 }.pattern(pattern)
}

struct Unfolding {
    fresh: usize,
}

/// A term that has to match a triple pattern.
struct Match {
    term: Variable,
    triple: TriplePattern,
}

impl Unfolding {
    fn pattern(&mut self, pattern: GraphPattern) -> GraphPattern {
        let mut one = |inner: Box<GraphPattern>| Box::new(self.pattern(*inner));
        match pattern {
            GraphPattern::Bgp { patterns } => self.basic(patterns),
            GraphPattern::Path { subject, path, object } => {
                let mut matches = Vec::new();
                let [subject, object] = [subject, object].map(|end| self.end(end, &mut matches));
                let mut bound = BTreeSet::new();
                for end in [&subject, &object] {
                    end.on_variable(&mut |variable| _ = bound.insert(variable.clone()));
                }
                looked_into(GraphPattern::Path { subject, path, object }, bound, &matches)
            }
            GraphPattern::Join { left, right } => GraphPattern::Join { left: one(left), right: one(right) },
            GraphPattern::LeftJoin { left, right, expression } => {
                let (left, right) = (one(left), one(right));
                let expression = expression.map(|expression| self.expression(expression));
                GraphPattern::LeftJoin { left, right, expression }
            }
            GraphPattern::Filter { expr, inner } => {
                let inner = one(inner);
                GraphPattern::Filter { expr: self.expression(expr), inner }
            }
            GraphPattern::Union { left, right } => GraphPattern::Union { left: one(left), right: one(right) },
            GraphPattern::Graph { name, inner } => GraphPattern::Graph { name, inner: one(inner) },
            GraphPattern::Extend { inner, variable, expression } => {
                let inner = one(inner);
                GraphPattern::Extend { inner, variable, expression: self.expression(expression) }
            }
            GraphPattern::Minus { left, right } => GraphPattern::Minus { left: one(left), right: one(right) },
            GraphPattern::OrderBy { inner, expression } => {
                let inner = one(inner);
                let key = |key| match key {
                    OrderExpression::Asc(by) => OrderExpression::Asc(self.expression(by)),
                    OrderExpression::Desc(by) => OrderExpression::Desc(self.expression(by)),
                };
                GraphPattern::OrderBy { inner, expression: expression.into_iter().map(key).collect() }
            }
            GraphPattern::Project { inner, variables } => GraphPattern::Project { inner: one(inner), variables },
            GraphPattern::Distinct { inner } => GraphPattern::Distinct { inner: one(inner) },
            GraphPattern::Reduced { inner } => GraphPattern::Reduced { inner: one(inner) },
            GraphPattern::Slice { inner, start, length } => GraphPattern::Slice { inner: one(inner), start, length },
            GraphPattern::Group { inner, variables, aggregates } => {
                let inner = one(inner);
                let aggregate = |(variable, aggregate)| match aggregate {
                    AggregateExpression::FunctionCall { name, expr, distinct } => {
                        (variable, AggregateExpression::FunctionCall { name, expr: self.expression(expr), distinct })
                    }
                    counted => (variable, counted),
                };
                let aggregates = aggregates.into_iter().map(aggregate).collect();
                GraphPattern::Group { inner, variables, aggregates }
            }
            other @ (GraphPattern::Values { .. } | GraphPattern::Service { .. } | GraphPattern::Leaf { .. }) => other,
        }
    }

    fn expression(&mut self, expression: Expression) -> Expression {
        if !any(&expression, &mut |part| matches!(part, Expression::Exists(_))) {
            return expression;
        }
        map(expression, &mut |part| match part {
            Expression::Exists(pattern) => Expression::Exists(Box::new(self.pattern(*pattern))),
            other => other,
        })
    }

    fn basic(&mut self, patterns: Vec<TriplePattern>) -> GraphPattern {
        let mut matches = Vec::new();
        let patterns: Vec<TriplePattern> = patterns
            .into_iter()
            .map(|TriplePattern { subject, predicate, object }| {
                let [subject, object] = [subject, object].map(|end| self.end(end, &mut matches));
                TriplePattern { subject, predicate, object }
            })
            .collect();
        if matches.is_empty() {
            return GraphPattern::Bgp { patterns };
        }
        let parts = connected(patterns).into_iter().map(|(bound, patterns)| {
            let own: Vec<&Match> = matches.iter().filter(|one| bound.contains(&one.term)).collect();
            looked_into(GraphPattern::Bgp { patterns }, bound, own)
        });
        let join = |left, right| GraphPattern::Join { left: Box::new(left), right: Box::new(right) };
        parts.reduce(join).unwrap_or_default()
    }

    /// The position, with a variable for a triple term that has variables in it.
    fn end(&mut self, end: TermPattern, matches: &mut Vec<Match>) -> TermPattern {
        match end {
            TermPattern::Triple(triple) if !triple.is_ground() => {
                self.fresh += 1;
                let term = Variable::new_unchecked(format!("_:triple:{}", self.fresh));
                matches.push(Match { term: term.clone(), triple: *triple });
                term.into()
            }
            other => other,
        }
    }
}

/// The triples in groups that share no variables, each with its variables.
fn connected(patterns: Vec<TriplePattern>) -> Vec<(BTreeSet<Variable>, Vec<TriplePattern>)> {
    let mut groups: Vec<(BTreeSet<Variable>, Vec<TriplePattern>)> = Vec::new();
    for pattern in patterns {
        let mut variables = variables(&pattern);
        let mut triples = Vec::new();
        let (touched, apart) = groups.into_iter().partition(|(own, _)| !own.is_disjoint(&variables));
        groups = apart;
        let touched: Vec<(BTreeSet<Variable>, Vec<TriplePattern>)> = touched;
        for (own, more) in touched {
            variables.extend(own);
            triples.extend(more);
        }
        triples.push(pattern);
        groups.push((variables, triples));
    }
    groups
}

/// The variables of a triple, those that stand for blank nodes included.
fn variables(triple: &TriplePattern) -> BTreeSet<Variable> {
    let mut found = BTreeSet::new();
    triple.on_variable(&mut |variable| _ = found.insert(variable.clone()));
    for end in [&triple.subject, &triple.object] {
        if let TermPattern::BlankNode(node) = end {
            found.insert(blank_variable(node.as_str()));
        }
    }
    found
}

/// The solutions of `pattern`, which binds `bound`, in which the terms match.
fn looked_into<'m>(
    pattern: GraphPattern,
    bound: BTreeSet<Variable>,
    matches: impl IntoIterator<Item = &'m Match>,
) -> GraphPattern {
    let mut conditions = Conditions { bound, before: Vec::new(), made: Vec::new(), after: Vec::new() };
    for Match { term, triple } in matches {
        conditions.triple(&Expression::Variable(term.clone()), triple);
    }
    let filtered = |pattern, parts| match conjunction(parts) {
        Some(expr) => GraphPattern::Filter { expr, inner: Box::new(pattern) },
        None => pattern,
    };
    let Conditions { before, made, after, .. } = conditions;
    let extend = |inner, (variable, expression)| GraphPattern::Extend { inner: Box::new(inner), variable, expression };
    filtered(made.into_iter().fold(filtered(pattern, before), extend), after)
}

struct Conditions {
    bound: BTreeSet<Variable>,
    before: Vec<Expression>,
    made: Vec<(Variable, Expression)>,
    after: Vec<Expression>,
}

impl Conditions {
    fn triple(&mut self, term: &Expression, triple: &TriplePattern) {
        self.before.push(Expression::FunctionCall(Function::IsTriple, vec![term.clone()]));
        let part = |function| Expression::FunctionCall(function, vec![term.clone()]);
        self.part(part(Function::Subject), &triple.subject);
        match &triple.predicate {
            NamedNodePattern::NamedNode(node) => self.part(part(Function::Predicate), &node.clone().into()),
            NamedNodePattern::Variable(variable) => self.variable(part(Function::Predicate), variable.clone()),
        }
        self.part(part(Function::Object), &triple.object);
    }

    fn part(&mut self, part: Expression, pattern: &TermPattern) {
        match pattern {
            TermPattern::NamedNode(node) => self.before.push(same(part, node.clone().into())),
            TermPattern::Literal(literal) => self.before.push(same(part, literal.clone().into())),
            TermPattern::BlankNode(node) => self.variable(part, blank_variable(node.as_str())),
            TermPattern::Variable(variable) => self.variable(part, variable.clone()),
            TermPattern::Triple(triple) => self.triple(&part, triple),
        }
    }

    fn variable(&mut self, part: Expression, variable: Variable) {
        if self.bound.contains(&variable) {
            self.before.push(same(part, variable.into()));
        } else if self.made.iter().any(|(made, _)| *made == variable) {
            self.after.push(same(part, variable.into()));
        } else {
            self.made.push((variable, part));
        }
    }
}

fn same(one: Expression, other: Expression) -> Expression {
    Expression::SameTerm(Box::new(one), Box::new(other))
}
