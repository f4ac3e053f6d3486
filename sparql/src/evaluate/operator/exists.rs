//! EXISTS by the standard's substitution (SPARQL 1.1, 18.6): the pattern is evaluated with the values of a row in place of
//! its variables, up to its first solution.
//!
//! Rows with the same values of the variables that the pattern mentions are evaluated once, unless the pattern draws random
//! numbers.

use super::{Operator, open};
use crate::evaluate::batch::Batch;
use crate::evaluate::run::{Env, Given, Origin};
use crate::session::code::{Code, UNBOUND};
use entail_expression::Value;
use entail_model::Fault;
use oxrdf::Variable;
use std::collections::HashMap;
use std::sync::Arc;

/// Answers that are kept.
const KNOWN_MAX: usize = 1 << 16;

pub struct Exists {
    pub inner: Arc<Operator>,
    /// The variables that the pattern mentions, with their columns outside.
    pub correlated: Vec<(Variable, Option<usize>)>,
    /// Answers so far; `None` if they may differ for the same values.
    known: Option<HashMap<Vec<Code>, bool>>,
}

impl Exists {
    /// An EXISTS without answers yet.
    pub fn new(inner: Arc<Operator>, correlated: Vec<(Variable, Option<usize>)>) -> Self {
        let known = (!inner.is_random()).then(HashMap::new);
        Self { inner, correlated, known }
    }

    /// May two evaluations with the same values differ?
    pub fn is_random(&self) -> bool {
        self.known.is_none()
    }

    /// Whether there is a solution, for each row.
    pub fn values(&mut self, batch: &Batch, env: &Env) -> Result<Vec<Value>, Fault> {
        let mut values = Vec::with_capacity(batch.rows);
        let given: Vec<Option<Code>> = self.correlated.iter().map(|(variable, _)| env.get(variable)).collect();
        let mut key = Vec::with_capacity(given.len() + 1);
        for row in 0..batch.rows {
            key.clear();
            key.push(env.graph.unwrap_or(UNBOUND));
            key.extend(self.correlated.iter().zip(&given).map(|((_, column), given)| {
                given.or_else(|| column.map(|column| batch.columns[column][row])).unwrap_or(UNBOUND)
            }));
            let is_found = match self.known.as_ref().and_then(|known| known.get(&key)) {
                Some(known) => *known,
                None => {
                    let is_found = self.is_found(&key[1..], env)?;
                    self.remember(&key, is_found);
                    is_found
                }
            };
            values.push(Value::Boolean(is_found));
        }
        Ok(values)
    }

    fn remember(&mut self, key: &[Code], is_found: bool) {
        let Some(known) = &mut self.known else { return };
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(key.to_vec(), is_found);
    }

    fn is_found(&self, values: &[Code], env: &Env) -> Result<bool, Fault> {
        env.run.session.check()?;
        let bound = self.correlated.iter().zip(values).filter(|(_, code)| **code != UNBOUND);
        let written = |code: &Code| Given { code: *code, origin: Origin::Written };
        let env = env.with(bound.map(|((variable, _), code)| (variable, written(code))));
        Ok(open(&self.inner, &env)?.next()?.is_some())
    }
}
