//! Single patterns, looked up with what is known of them.

use super::{Operator, Stream};
use crate::evaluate::batch::{Batch, Growth};
use crate::evaluate::lookups::{Answer, Found, From, Lookup};
use crate::evaluate::run::Env;
use crate::session::code::{Code, is_computed};
use entail_model::Fault;
use oxrdf::Variable;
use std::sync::Arc;

/// A triple pattern in a graph.
pub struct Facts {
    pub graph: GraphRef,
    pub subject: Place,
    pub predicate: Place,
    pub object: Place,
}

/// A position of a pattern.
#[derive(Clone, Debug)]
pub enum Place {
    Code(Code),
    Variable(Variable),
}

/// The graph that a pattern reads.
#[derive(Clone, Debug)]
pub enum GraphRef {
    Default,
    Named(Code),
    /// Each named graph, bound to the variable.
    Each(Variable),
    /// The graph of the GRAPH around, which is evaluated graph by graph.
    Current,
}

impl Place {
    /// The value, if it is known.
    pub fn value(&self, env: &Env) -> Option<Code> {
        match self {
            Self::Code(code) => Some(*code),
            Self::Variable(variable) => env.get(variable),
        }
    }

    /// The variable.
    pub fn variable(&self) -> Option<&Variable> {
        match self {
            Self::Code(_) => None,
            Self::Variable(variable) => Some(variable),
        }
    }
}

impl GraphRef {
    /// What lookups read.
    pub fn from(&self, env: &Env) -> From {
        match self {
            Self::Default => From::Default,
            Self::Named(code) => From::Named(*code),
            Self::Current => env.graph.map_or(From::Default, From::Named),
            Self::Each(variable) => env.get(variable).map_or(From::Each, From::Named),
        }
    }
}

/// The rows of a pattern.
pub struct FactRows {
    env: Env,
    found: Answer,
    /// For each column the position of its value, or the value.
    columns: Vec<Column>,
    /// Positions that must have the same term.
    equal: Vec<(usize, usize)>,
    growth: Growth,
}

#[derive(Clone, Copy)]
enum Column {
    Position(usize),
    Given(Code),
}

impl Facts {
    /// The variables, the graph's last, each once.
    pub fn variables(&self) -> Vec<Variable> {
        let mut found = Vec::new();
        for variable in self.positions().into_iter().flatten() {
            if !found.contains(variable) {
                found.push(variable.clone());
            }
        }
        found
    }

    fn positions(&self) -> [Option<&Variable>; 4] {
        [self.subject.variable(), self.predicate.variable(), self.object.variable(), self.graph.variable()]
    }

    /// Starts the lookup.
    pub fn open(&self, operator: &Arc<Operator>, env: &Env) -> Result<FactRows, Fault> {
        let from = self.graph.from(env);
        let [subject, predicate, object] = [&self.subject, &self.predicate, &self.object].map(|place| place.value(env));
        // A term that no dictionary has is in no fact.
        let named = if let From::Named(graph) = from { Some(graph) } else { None };
        let is_possible = [subject, predicate, object, named].into_iter().flatten().all(|code| !is_computed(code));
        let found: Answer = match is_possible {
            true => env.run.lookups.find(Lookup { subject, predicate, object, from })?,
            false => Box::new(std::iter::empty()),
        };
        let positions = self.positions();
        let place = |variable| positions.iter().position(|own| *own == Some(variable));
        let column = |variable| match env.get(variable) {
            Some(code) => Column::Given(code),
            None => Column::Position(place(variable).unwrap_or_default()),
        };
        let columns = operator.variables.iter().map(column).collect();
        let repeated = positions.iter().enumerate().filter_map(|(at, variable)| {
            let first = place((*variable)?)?;
            (first != at && env.get((*variable)?).is_none()).then_some((first, at))
        });
        Ok(FactRows { env: env.clone(), found, columns, equal: repeated.collect(), growth: Growth::default() })
    }
}

impl Stream for FactRows {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        let mut batch = Batch::new(self.columns.len());
        let mut seen = 0_u32;
        while batch.rows < self.growth.rows()
            && let Some(found) = self.found.next()
        {
            let Found { subject, predicate, object, graph } = found?;
            seen += 1;
            if seen.is_multiple_of(1 << 12) {
                self.env.run.session.check()?;
            }
            let values = [subject, predicate, object, graph.unwrap_or_default()];
            if self.equal.iter().all(|(one, other)| values[*one] == values[*other]) {
                batch.push(self.columns.iter().map(|column| match column {
                    Column::Position(at) => values[*at],
                    Column::Given(code) => *code,
                }));
            }
        }
        self.growth.grow();
        Ok((batch.rows > 0).then_some(batch))
    }
}
