//! Expressions of operators: their programs, and the patterns of their EXISTS.

use super::Compiler;
use crate::evaluate::expression::{Expression, Input};
use crate::evaluate::operator::Shared;
use crate::evaluate::operator::exists::Exists;
use crate::evaluate::operator::facts::GraphRef;
use entail_expression::{Evaluator, Program};
use entail_model::Fault;
use entail_syntax::algebra::{self, GraphPattern, NamedNodePattern};
use oxrdf::Variable;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

impl Compiler<'_> {
    /// The parts of a condition, those with EXISTS last.
    pub(super) fn conditions(
        &mut self,
        condition: &algebra::Expression,
        variables: &[Variable],
        graph: &GraphRef,
    ) -> Result<Vec<Shared>, Fault> {
        let mut parts = Vec::new();
        crate::algebra::expression::conjuncts(condition.clone(), &mut parts);
        parts.sort_by_key(|part| !algebra::exists_patterns(part).is_empty());
        parts.iter().map(|part| self.expression(part, variables, graph)).collect()
    }

    /// An expression over columns.
    pub(super) fn expression(
        &mut self,
        expression: &algebra::Expression,
        columns: &[Variable],
        graph: &GraphRef,
    ) -> Result<Shared, Fault> {
        let mut inputs: Vec<Input> = Vec::new();
        let mut exists = Vec::new();
        let plain = algebra::map(expression.clone(), &mut |part| match part {
            algebra::Expression::Exists(pattern) => {
                exists.push(*pattern);
                Variable::new_unchecked(format!("_:exists:{}", exists.len() - 1)).into()
            }
            other => other,
        });
        for pattern in &exists {
            inputs.push(Input::Exists(self.exists(pattern, columns, graph)?));
        }
        let mut names: Vec<Variable> =
            (0..exists.len()).map(|number| Variable::new_unchecked(format!("_:exists:{number}"))).collect();
        let program = Program::of_algebra(&plain, &mut |variable| {
            let place = names.iter().position(|name| name == variable).unwrap_or_else(|| {
                let column = columns.iter().position(|column| column == variable);
                names.push(variable.clone());
                inputs.push(Input::Variable(variable.clone(), column));
                names.len() - 1
            });
            u32::try_from(place).ok()
        })?;
        let reads_ids = program.is_decided_by_ids();
        let evaluator = Evaluator::new(program)?;
        Ok(Arc::new(Mutex::new(Expression { evaluator, inputs, reads_ids })))
    }

    fn exists(&mut self, pattern: &GraphPattern, columns: &[Variable], graph: &GraphRef) -> Result<Exists, Fault> {
        let before = self.outer.clone();
        self.outer.extend(columns.iter().cloned());
        let inner = self.pattern(pattern, graph);
        let outer = std::mem::replace(&mut self.outer, before);
        let mut mentioned = BTreeSet::new();
        mention(pattern, &mut mentioned);
        let correlated = mentioned.into_iter().filter(|variable| outer.contains(variable));
        let correlated = correlated.map(|variable| {
            let column = columns.iter().position(|column| *column == variable);
            (variable, column)
        });
        Ok(Exists::new(inner?, correlated.collect()))
    }
}

/// All variables in a pattern, those of its expressions included.
fn mention(pattern: &GraphPattern, found: &mut BTreeSet<Variable>) {
    match pattern {
        GraphPattern::Bgp { .. }
        | GraphPattern::Path { .. }
        | GraphPattern::Values { .. }
        | GraphPattern::Leaf { .. }
        | GraphPattern::Project { .. }
        | GraphPattern::Group { .. } => {
            pattern.on_in_scope_variable(&mut |variable| _ = found.insert(variable.clone()))
        }
        GraphPattern::Graph { name: NamedNodePattern::Variable(variable), .. }
        | GraphPattern::Extend { variable, .. } => _ = found.insert(variable.clone()),
        _ => {}
    }
    for expression in algebra::expressions(pattern) {
        found.extend(algebra::variables(expression));
        algebra::exists_patterns(expression).into_iter().for_each(|pattern| mention(pattern, found));
    }
    algebra::children(pattern).into_iter().for_each(|child| mention(child, found));
}
