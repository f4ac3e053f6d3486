//! The columns and terms of leaves that the coordinator's operators need, derived from the residual algebra.
//!
//! [`Needs`] records which variables are used at all, and whether a computed term can ever meet an id, since only then must
//! computed terms be looked up in the dictionary.

use crate::algebra::expression;
use crate::algebra::{children, expressions};
use entail_syntax::algebra::{AggregateExpression, AggregateFunction, Expression, GraphPattern};
use oxrdf::Variable;
use std::collections::{HashMap, HashSet};

/// The needs of a rewritten pattern.
#[derive(Debug, Default)]
pub struct Needs {
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

/// Reads a residual pattern.
pub fn needs(pattern: &GraphPattern) -> Needs {
    let mut analysis = Analysis { needs: Needs::default(), origins: HashMap::new(), aliases: Vec::new() };
    analysis.pattern(pattern);
    analysis.finish()
}

struct Analysis {
    needs: Needs,
    origins: HashMap<Variable, Origin>,
    /// A variable, and the variable that it is an alias of.
    aliases: Vec<(Variable, Variable)>,
}

impl Analysis {
    fn pattern(&mut self, pattern: &GraphPattern) {
        match pattern {
            GraphPattern::Leaf { variables, .. } => {
                variables
                    .iter()
                    .for_each(|variable| self.origin(variable.clone(), Origin { ids: true, computed: false }));
            }
            GraphPattern::Bgp { .. }
            | GraphPattern::Path { .. }
            | GraphPattern::Values { .. }
            | GraphPattern::Graph { .. } => {
                pattern.on_in_scope_variable(&mut |variable| {
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
            AggregateExpression::FunctionCall { name, expr, .. } => {
                self.read(expr);
                // These give one of the values that they read.
                if matches!(name, AggregateFunction::Min | AggregateFunction::Max | AggregateFunction::Sample) {
                    let sources = expression::variables(expr);
                    self.aliases.extend(sources.into_iter().map(|source| (variable.clone(), source)));
                }
            }
        }
    }

    fn read(&mut self, expression: &Expression) {
        self.needs.used.extend(expression::variables(expression));
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
                self.aliases.push((variable, source));
            }
            if !changed {
                break;
            }
        }
        self.needs.compares_computed = self.origins.values().any(|origin| origin.ids && origin.computed);
        self.needs
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
