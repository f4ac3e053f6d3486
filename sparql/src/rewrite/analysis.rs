//! The columns and terms of leaves that the coordinator's operators need, derived from the residual algebra.
//!
//! Terms stay ids until an expression reads them. [`Needs`] records which variables expressions read, so that their
//! terms are decoded a batch at a time; which variables are used at all; and whether a computed term can ever meet an
//! id, since only then must computed terms be looked up in the dictionary.

use crate::algebra::expression;
use crate::algebra::{children, expressions};
use oxrdf::Variable;
use spargebra::algebra::{AggregateExpression, AggregateFunction, Expression, GraphPattern};
use std::collections::{HashMap, HashSet};

/// The needs of a rewritten pattern.
#[derive(Debug, Default)]
pub struct Needs {
    /// Variables whose terms expressions read.
    pub texts: HashSet<Variable>,
    /// Variables that the coordinator's part mentions.
    pub used: HashSet<Variable>,
    /// Does something count or compare whole solutions, so that every variable matters?
    pub whole_solutions: bool,
    /// Can a computed term meet an id?
    pub compares_computed: bool,
}

/// The possible sources of a variable's values.
#[derive(Clone, Copy, Default, PartialEq)]
struct Origin {
    ids: bool,
    computed: bool,
}

/// Reads a pattern. `leaves` gives the variables that leaf services bind.
pub fn needs(pattern: &GraphPattern, leaves: &dyn Fn(&GraphPattern) -> Option<Vec<Variable>>) -> Needs {
    let mut analysis = Analysis {
        needs: Needs::default(),
        origins: HashMap::new(),
        aliases: Vec::new(),
        comparisons: Vec::new(),
        leaves,
    };
    analysis.pattern(pattern);
    analysis.finish()
}

struct Analysis<'l> {
    needs: Needs,
    origins: HashMap<Variable, Origin>,
    /// A variable, and the variable that it is an alias of.
    aliases: Vec<(Variable, Variable)>,
    comparisons: Vec<(Expression, Expression)>,
    leaves: &'l dyn Fn(&GraphPattern) -> Option<Vec<Variable>>,
}

impl Analysis<'_> {
    fn pattern(&mut self, pattern: &GraphPattern) {
        if let Some(variables) = (self.leaves)(pattern) {
            variables.into_iter().for_each(|variable| self.origin(variable, Origin { ids: true, computed: false }));
            return;
        }
        match pattern {
            GraphPattern::Bgp { .. }
            | GraphPattern::Path { .. }
            | GraphPattern::Values { .. }
            | GraphPattern::Graph { .. } => {
                pattern.on_in_scope_variable(|variable| {
                    self.needs.used.insert(variable.clone());
                    self.origin(variable.clone(), Origin { ids: true, computed: false });
                });
            }
            GraphPattern::Extend { variable, expression, .. } => self.extend(variable, expression),
            GraphPattern::Project { variables, .. } => self.needs.used.extend(variables.iter().cloned()),
            GraphPattern::Group { variables, aggregates, .. } => {
                self.needs.used.extend(variables.iter().cloned());
                aggregates.iter().for_each(|(variable, aggregate)| self.aggregate(variable, aggregate));
            }
            _ => expressions(pattern).into_iter().for_each(|expression| self.read(expression)),
        }
        let exists: Vec<&GraphPattern> =
            expressions(pattern).into_iter().flat_map(expression::exists_patterns).collect();
        exists.into_iter().for_each(|pattern| self.pattern(pattern));
        children(pattern).into_iter().for_each(|child| self.pattern(child));
    }

    fn origin(&mut self, variable: Variable, origin: Origin) {
        let own = self.origins.entry(variable).or_default();
        *own = Origin { ids: own.ids || origin.ids, computed: own.computed || origin.computed };
    }

    fn extend(&mut self, variable: &Variable, expression: &Expression) {
        self.needs.used.insert(variable.clone());
        if let Expression::Variable(source) = expression {
            self.needs.used.insert(source.clone());
            self.aliases.push((variable.clone(), source.clone()));
            return;
        }
        self.read(expression);
        if stays_internal(expression) {
            self.origin(variable.clone(), Origin { ids: true, computed: false });
            let sources = expression::variables(expression);
            self.aliases.extend(sources.into_iter().map(|source| (variable.clone(), source)));
        } else {
            self.origin(variable.clone(), Origin { ids: false, computed: true });
        }
    }

    fn aggregate(&mut self, variable: &Variable, aggregate: &AggregateExpression) {
        self.needs.used.insert(variable.clone());
        self.origin(variable.clone(), Origin { ids: false, computed: true });
        match aggregate {
            AggregateExpression::CountSolutions { distinct } => self.needs.whole_solutions |= *distinct,
            AggregateExpression::FunctionCall {
                name: AggregateFunction::Count,
                expr: Expression::Variable(counted),
                ..
            } => {
                self.needs.used.insert(counted.clone());
            }
            AggregateExpression::FunctionCall { expr, .. } => self.read(expr),
        }
    }

    /// Everything in the expression is decoded, except comparisons that ids decide.
    fn read(&mut self, expression: &Expression) {
        self.needs.used.extend(expression::variables(expression));
        match expression {
            Expression::Bound(_) | Expression::Exists(_) => {}
            Expression::Variable(variable) => _ = self.needs.texts.insert(variable.clone()),
            Expression::SameTerm(a, b) => {
                self.comparisons.push((a.as_ref().clone(), b.as_ref().clone()));
                if !(stays_internal(a) && stays_internal(b)) {
                    self.read(a);
                    self.read(b);
                }
            }
            _ => {
                if let Expression::Equal(a, b) = expression {
                    self.comparisons.push((a.as_ref().clone(), b.as_ref().clone()));
                }
                if let Expression::In(element, list) = expression {
                    self.comparisons.extend(list.iter().map(|item| (element.as_ref().clone(), item.clone())));
                }
                expression::operands(expression).into_iter().for_each(|operand| self.read(operand));
            }
        }
    }

    fn finish(mut self) -> Needs {
        // Each pass settles at least one more alias.
        for _ in 0..=self.aliases.len() {
            let mut changed = false;
            for (variable, source) in std::mem::take(&mut self.aliases) {
                let before = self.origins.get(&variable).copied().unwrap_or_default();
                let from = self.origins.get(&source).copied().unwrap_or_default();
                self.origin(variable.clone(), from);
                changed |= self.origins.get(&variable) != Some(&before);
                if self.needs.texts.contains(&variable) {
                    changed |= self.needs.texts.insert(source.clone());
                }
                self.aliases.push((variable, source));
            }
            if !changed {
                break;
            }
        }
        let meets = |(a, b): &(Expression, Expression)| {
            let (a, b) = (self.operand(a), self.operand(b));
            (a.ids && b.computed) || (a.computed && b.ids)
        };
        self.needs.compares_computed =
            self.origins.values().any(|origin| origin.ids && origin.computed) || self.comparisons.iter().any(meets);
        self.needs
    }

    /// The source of an operand of a comparison by term. Computed literals are compared by value, or with a term that
    /// is not a literal, from which they always differ.
    fn operand(&self, expression: &Expression) -> Origin {
        match expression {
            Expression::Variable(variable) => self.origins.get(variable).copied().unwrap_or_default(),
            Expression::NamedNode(_) | Expression::Literal(_) => Origin { ids: true, computed: false },
            _ => Origin { ids: stays_internal(expression), computed: true },
        }
    }
}

/// Does the evaluator pass the terms of such an expression on unchanged?
fn stays_internal(expression: &Expression) -> bool {
    match expression {
        Expression::NamedNode(_) | Expression::Literal(_) | Expression::Variable(_) => true,
        Expression::Coalesce(list) => list.iter().all(stays_internal),
        Expression::If(_, then, otherwise) => stays_internal(then) && stays_internal(otherwise),
        _ => false,
    }
}
