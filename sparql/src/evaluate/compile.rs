//! From residual algebra to operators.
//!
//! Joins are put in order here: first what has few rows, then what shares variables with what is there. Paths and single
//! patterns that share variables with what is there are walked row by row.

mod estimate;
mod expression;
mod join;

use crate::evaluate::operator::facts::{GraphRef, Place};
use crate::evaluate::operator::path::{Heading, Path, PathPattern};
use crate::evaluate::operator::{Kind, Operator};
use crate::plan::leaf::LeafPlan;
use crate::rewrite::body::blank_variable;
use crate::rewrite::fold::{Aggregate, Group, SortOrder};
use crate::session::Session;
use crate::session::code::{Code, UNBOUND};
use entail_model::{Fault, Reason};
use entail_syntax::algebra::{
    self, AggregateExpression, GraphPattern, NamedNodePattern, OrderExpression, PropertyPathExpression, TermPattern,
};
use oxrdf::{Term, Variable};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A compiled pattern.
pub struct Compiled {
    pub root: Arc<Operator>,
    /// The number of operators, those within EXISTS included.
    pub operators: usize,
}

/// Compiles a residual pattern over leaves.
///
/// # Errors
/// `Unsupported` for services and unknown functions; errors of the cluster.
pub fn compile(session: &Session, leaves: &[LeafPlan], pattern: &GraphPattern) -> Result<Compiled, Fault> {
    let mut compiler = Compiler { session, leaves, operators: 0, patterns: 0, fresh: 0, outer: BTreeSet::new() };
    let root = compiler.pattern(pattern, &GraphRef::Default)?;
    root.allow_forgetting();
    Ok(Compiled { root, operators: compiler.operators })
}

struct Compiler<'c> {
    session: &'c Session,
    leaves: &'c [LeafPlan],
    operators: usize,
    /// Triple patterns so far. Joins nest, and no token of a text need stand between two of them.
    patterns: usize,
    fresh: usize,
    /// The variables outside of the EXISTS that is compiled.
    outer: BTreeSet<Variable>,
}

type Made = Result<Arc<Operator>, Fault>;

impl Compiler<'_> {
    fn operator(&mut self, kind: Kind, variables: Vec<Variable>, detail: Option<String>) -> Arc<Operator> {
        self.operators += 1;
        let estimate = self.estimate(&kind);
        Arc::new(Operator { kind, variables, estimate, number: self.operators - 1, detail })
    }

    fn pattern(&mut self, pattern: &GraphPattern, graph: &GraphRef) -> Made {
        match pattern {
            GraphPattern::Bgp { .. } | GraphPattern::Join { .. } => self.joined(pattern, graph),
            GraphPattern::Path { subject, path, object } => self.path(pattern, subject, path, object, graph),
            GraphPattern::LeftJoin { left, right, expression } => {
                self.optional(left, right, expression.as_ref(), graph)
            }
            GraphPattern::Filter { expr, inner } => self.filter(expr, inner, graph),
            GraphPattern::Union { .. } => self.union(pattern, graph),
            GraphPattern::Graph { name, inner } => self.graph(name, inner),
            GraphPattern::Extend { .. } => self.extend(pattern, graph),
            GraphPattern::Minus { left, right } => {
                let (left, right) = (self.pattern(left, graph)?, self.pattern(right, graph)?);
                let variables = left.variables.clone();
                Ok(self.operator(Kind::Minus { left, right }, variables, None))
            }
            GraphPattern::Values { variables, bindings } => self.table(variables, bindings),
            GraphPattern::OrderBy { inner, expression } => self.sort(inner, expression, graph),
            GraphPattern::Project { inner, variables } => {
                let inner = self.pattern(inner, graph)?;
                Ok(self.operator(Kind::Project(inner), variables.clone(), Some(words(variables))))
            }
            GraphPattern::Distinct { inner } => {
                let inner = self.pattern(inner, graph)?;
                let variables = inner.variables.clone();
                Ok(self.operator(Kind::Distinct(inner), variables, None))
            }
            // Equal rows may stay.
            GraphPattern::Reduced { inner } => self.pattern(inner, graph),
            GraphPattern::Slice { inner, start, length } => {
                let inner = self.pattern(inner, graph)?;
                let (variables, detail) = (inner.variables.clone(), range(*start, *length));
                let kind = Kind::Slice { inner, start: *start, length: *length };
                Ok(self.operator(kind, variables, Some(detail)))
            }
            GraphPattern::Group { inner, variables, aggregates } => self.group(inner, variables, aggregates, graph),
            // A silent service that fails gives one solution that binds nothing.
            GraphPattern::Service { silent: true, .. } => Ok(self.unit()),
            GraphPattern::Service { name, .. } => {
                let message = format!("SERVICE {name}: queries to other endpoints are not supported yet");
                Err(Fault::new(Reason::Unsupported, message))
            }
            GraphPattern::Leaf { number, .. } => {
                let variables = self.leaves[*number].variables.to_vec();
                Ok(self.operator(Kind::Leaf(*number), variables, None))
            }
        }
    }

    /// One solution that binds nothing.
    fn unit(&mut self) -> Arc<Operator> {
        self.operator(Kind::Table(vec![UNBOUND]), Vec::new(), Some("1 row".to_owned()))
    }

    fn table(&mut self, variables: &[Variable], bindings: &[Vec<Option<Term>>]) -> Made {
        let mut codes = Vec::new();
        for row in bindings {
            for cell in row {
                codes.push(match cell {
                    Some(term) => self.session.code_of(term)?,
                    None => UNBOUND,
                });
            }
            if row.is_empty() {
                codes.push(UNBOUND);
            }
        }
        let detail = if bindings.len() == 1 { "1 row".to_owned() } else { format!("{} rows", bindings.len()) };
        Ok(self.operator(Kind::Table(codes), variables.to_vec(), Some(detail)))
    }

    fn place(&self, term: &TermPattern) -> Result<Place, Fault> {
        Ok(match term {
            TermPattern::Variable(variable) => Place::Variable(variable.clone()),
            TermPattern::BlankNode(node) => Place::Variable(blank_variable(node.as_str())),
            ground => {
                let term = Term::try_from(ground.clone());
                let term = term.map_err(|()| Fault::internal("a triple term with variables was not unfolded"))?;
                Place::Code(self.session.code_of(&term)?)
            }
        })
    }

    fn name(&self, name: &NamedNodePattern) -> Result<Place, Fault> {
        Ok(match name {
            NamedNodePattern::NamedNode(node) => Place::Code(self.session.code_of(&node.clone().into())?),
            NamedNodePattern::Variable(variable) => Place::Variable(variable.clone()),
        })
    }

    fn path(
        &mut self,
        pattern: &GraphPattern,
        subject: &TermPattern,
        path: &PropertyPathExpression,
        object: &TermPattern,
        graph: &GraphRef,
    ) -> Made {
        let path = self.steps(path, Heading::Forwards)?;
        let reversed = path.reversed();
        let (subject, object) = (self.place(subject)?, self.place(object)?);
        let walked = PathPattern { graph: graph.clone(), subject, object, path, reversed };
        let variables = walked.variables();
        Ok(self.operator(Kind::Path(walked), variables, Some(pattern.to_string())))
    }

    fn steps(&self, path: &PropertyPathExpression, heading: Heading) -> Result<Path, Fault> {
        let code = |node: &oxrdf::NamedNode| Ok::<Code, Fault>(self.session.code_of(&node.clone().into())?);
        let boxed = |path: &PropertyPathExpression| self.steps(path, heading).map(Box::new);
        Ok(match path {
            PropertyPathExpression::NamedNode(node) => Path::Step(code(node)?, heading),
            PropertyPathExpression::NegatedPropertySet(nodes) => {
                Path::Other(nodes.iter().map(code).collect::<Result<_, _>>()?, heading)
            }
            PropertyPathExpression::Reverse(inner) => self.steps(inner, heading.turned())?,
            PropertyPathExpression::Sequence(left, right) if heading == Heading::Forwards => {
                Path::Sequence(boxed(left)?, boxed(right)?)
            }
            PropertyPathExpression::Sequence(left, right) => Path::Sequence(boxed(right)?, boxed(left)?),
            PropertyPathExpression::Alternative(left, right) => Path::Alternative(boxed(left)?, boxed(right)?),
            PropertyPathExpression::ZeroOrMore(inner) => Path::ZeroOrMore(boxed(inner)?),
            PropertyPathExpression::OneOrMore(inner) => Path::OneOrMore(boxed(inner)?),
            PropertyPathExpression::ZeroOrOne(inner) => Path::ZeroOrOne(boxed(inner)?),
        })
    }

    fn filter(&mut self, condition: &algebra::Expression, inner: &GraphPattern, graph: &GraphRef) -> Made {
        let inner = self.pattern(inner, graph)?;
        let variables = inner.variables.clone();
        let conditions = self.conditions(condition, &variables, graph)?;
        Ok(self.operator(Kind::Filter { inner, conditions }, variables, Some(condition.to_string())))
    }

    fn union(&mut self, pattern: &GraphPattern, graph: &GraphRef) -> Made {
        let (mut open, mut inputs) = (vec![pattern], Vec::new());
        while let Some(next) = open.pop() {
            match next {
                GraphPattern::Union { left, right } => open.extend([&**right, &**left]),
                other => inputs.push(self.pattern(other, graph)?),
            }
        }
        let mut variables: Vec<Variable> = Vec::new();
        for variable in inputs.iter().flat_map(|input| &input.variables) {
            if !variables.contains(variable) {
                variables.push(variable.clone());
            }
        }
        Ok(self.operator(Kind::Union(inputs), variables, None))
    }

    fn graph(&mut self, name: &NamedNodePattern, inner: &GraphPattern) -> Made {
        let is_facts = matches!(inner, GraphPattern::Bgp { patterns } if !patterns.is_empty());
        let detail = Some(name.to_string());
        match self.name(name)? {
            Place::Code(code) => {
                let inner = self.pattern(inner, &GraphRef::Named(code))?;
                if is_facts {
                    return Ok(inner);
                }
                let variables = inner.variables.clone();
                Ok(self.operator(Kind::InGraph { graph: code, inner }, variables, detail))
            }
            Place::Variable(variable) if is_facts || matches!(inner, GraphPattern::Path { .. }) => {
                self.pattern(inner, &GraphRef::Each(variable))
            }
            Place::Variable(variable) => {
                let inner = self.pattern(inner, &GraphRef::Current)?;
                let mut variables = inner.variables.clone();
                if !variables.contains(&variable) {
                    variables.push(variable.clone());
                }
                Ok(self.operator(Kind::EachGraph { variable, inner }, variables, detail))
            }
        }
    }

    fn extend(&mut self, pattern: &GraphPattern, graph: &GraphRef) -> Made {
        let (mut inner, mut chain) = (pattern, Vec::new());
        while let GraphPattern::Extend { inner: below, variable, expression } = inner {
            chain.push((variable, expression));
            inner = below;
        }
        let inner = self.pattern(inner, graph)?;
        let mut variables = inner.variables.clone();
        let (mut made, mut details) = (Vec::new(), Vec::new());
        for (variable, expression) in chain.into_iter().rev() {
            made.push(self.expression(expression, &variables, graph)?);
            details.push(format!("{variable} := {expression}"));
            variables.push(variable.clone());
        }
        Ok(self.operator(Kind::Extend { inner, made }, variables, Some(details.join(", "))))
    }

    fn sort(&mut self, inner: &GraphPattern, by: &[OrderExpression], graph: &GraphRef) -> Made {
        let inner = self.pattern(inner, graph)?;
        let variables = inner.variables.clone();
        let (mut keys, mut details) = (Vec::new(), Vec::new());
        for key in by {
            let (expression, order) = match key {
                OrderExpression::Asc(by) => (by, SortOrder::Ascending),
                OrderExpression::Desc(by) => (by, SortOrder::Descending),
            };
            details.push(match order {
                SortOrder::Ascending => expression.to_string(),
                SortOrder::Descending => format!("DESC({expression})"),
            });
            keys.push((self.expression(expression, &variables, graph)?, order));
        }
        Ok(self.operator(Kind::Sort { inner, keys }, variables, Some(details.join(" "))))
    }

    fn group(
        &mut self,
        inner: &GraphPattern,
        by: &[Variable],
        aggregates: &[(Variable, AggregateExpression)],
        graph: &GraphRef,
    ) -> Made {
        let inner = self.pattern(inner, graph)?;
        let visible =
            || inner.variables.iter().filter(|variable| !variable.as_str().starts_with("_:")).cloned().collect();
        let mut by = by.to_vec();
        by.sort_unstable();
        by.dedup();
        let mut columns = inner.variables.clone();
        let (mut made, mut found) = (Vec::new(), Vec::new());
        for (name, aggregate) in aggregates {
            let aggregate = match aggregate {
                AggregateExpression::FunctionCall { name, expr, distinct }
                    if !matches!(expr, algebra::Expression::Variable(_)) =>
                {
                    // An error leaves the column unbound, which is how aggregates see an error.
                    made.push(self.expression(expr, &columns, graph)?);
                    self.fresh += 1;
                    let variable = Variable::new_unchecked(format!("_:aggregate:{}", self.fresh));
                    columns.push(variable.clone());
                    AggregateExpression::FunctionCall { name: name.clone(), expr: variable.into(), distinct: *distinct }
                }
                other => other.clone(),
            };
            let aggregate = Aggregate::of(&aggregate, visible);
            found.push((name.clone(), aggregate.ok_or_else(|| Fault::internal("an aggregate over no variable"))?));
        }
        let detail = by.iter().map(ToString::to_string);
        let detail = detail.chain(aggregates.iter().map(|(name, aggregate)| format!("{name} := {}", text(aggregate))));
        let detail = detail.collect::<Vec<_>>().join(" ");
        let inner = match made.is_empty() {
            true => inner,
            false => self.operator(Kind::Extend { inner, made }, columns, None),
        };
        let variables = by.iter().chain(found.iter().map(|(name, _)| name)).cloned().collect();
        let group = Group { by, aggregates: found };
        Ok(self.operator(Kind::Group { inner, group, forgets: AtomicBool::new(false) }, variables, Some(detail)))
    }
}

fn words(variables: &[Variable]) -> String {
    variables.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn range(start: usize, length: Option<usize>) -> String {
    let start = (start > 0).then(|| format!("without the first {start}"));
    let length = length.map(|length| format!("{length} at most"));
    start.into_iter().chain(length).collect::<Vec<_>>().join(", ")
}

fn text(aggregate: &AggregateExpression) -> String {
    let distinct = |distinct: bool| if distinct { "DISTINCT " } else { "" };
    match aggregate {
        AggregateExpression::CountSolutions { distinct: own } => format!("COUNT({}*)", distinct(*own)),
        AggregateExpression::FunctionCall { name, expr, distinct: own } => {
            format!("{}({}{expr})", name.name(), distinct(*own))
        }
    }
}
