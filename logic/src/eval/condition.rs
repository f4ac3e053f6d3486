//! Filters: SPARQL expressions over rows.
//!
//! Expressions are sent as SPARQL text and parsed once per plan. `spareval` evaluates them, so a filter in the cluster
//! and one at the coordinator agree. Rows with the same terms are evaluated once.

use super::Batch;
use crate::plan::{Condition, Op, Plan, Slot};
use entail_model::{Fault, Reason, TermId, TermKind, term};
use oxrdf::{BlankNode, NamedNode, Term, Variable};
use spareval::QueryEvaluator;
use spargebra::SparqlParser;
use std::collections::HashMap;

/// The parsed conditions of some plans.
#[derive(Default)]
pub struct Conditions {
    parsed: HashMap<String, sparopt::algebra::Expression>,
}

impl Conditions {
    /// Parses every condition of the plans.
    ///
    /// # Errors
    /// `Corrupt` when an expression does not parse: plans carry only expressions that were parsed before.
    pub fn of<'a>(plans: impl IntoIterator<Item = &'a Plan>) -> Result<Self, Fault> {
        let mut parsed = HashMap::new();
        let ops = plans.into_iter().flat_map(|plan| &plan.stages).flat_map(|stage| &stage.ops);
        for op in ops {
            if let Op::Filter(condition) = op
                && !parsed.contains_key(&condition.expression)
            {
                parsed.insert(condition.expression.clone(), parse(&condition.expression)?);
            }
        }
        Ok(Self { parsed })
    }

    /// The indexes of the rows for which the condition's effective boolean value is true.
    pub fn keep(&self, condition: &Condition, batch: &Batch) -> Result<Vec<u32>, Fault> {
        let expression = self
            .parsed
            .get(&condition.expression)
            .ok_or_else(|| Fault::internal(format!("the condition {} was not prepared", condition.expression)))?;
        let variables: Vec<(Variable, Slot)> =
            condition.variables.iter().map(|(name, slot)| (Variable::new_unchecked(name), *slot)).collect();
        let evaluator = QueryEvaluator::new();
        let mut known: HashMap<Vec<TermId>, bool> = HashMap::new();
        let mut kept = Vec::new();
        for row in 0..batch.rows {
            let ids: Vec<TermId> = variables.iter().map(|(_, slot)| batch.columns[*slot][row]).collect();
            let holds = match known.get(&ids) {
                Some(holds) => *holds,
                None => {
                    let terms = variables
                        .iter()
                        .map(|(variable, slot)| Ok((variable, term_of(batch, *slot, row, condition.by_id)?)));
                    let terms = terms.collect::<Result<Vec<_>, Fault>>()?;
                    let value = evaluator.evaluate_effective_boolean_value_expression(expression, terms);
                    known.insert(ids, value == Some(true));
                    value == Some(true)
                }
            };
            if holds {
                kept.push(row as u32);
            }
        }
        Ok(kept)
    }
}

fn parse(text: &str) -> Result<sparopt::algebra::Expression, Fault> {
    let corrupt =
        |detail: String| Fault::new(Reason::Corrupt, format!("the condition {text} does not parse: {detail}"));
    let query = SparqlParser::new()
        .parse_query(&format!("ASK {{ FILTER({text}) }}"))
        .map_err(|error| corrupt(error.to_string()))?;
    let spargebra::Query::Ask { pattern, .. } = query else { return Err(corrupt("not an ASK".into())) };
    let mut pattern = sparopt::algebra::GraphPattern::from(&pattern);
    while let sparopt::algebra::GraphPattern::Project { inner, .. } = pattern {
        pattern = *inner;
    }
    match pattern {
        sparopt::algebra::GraphPattern::Filter { expression, .. } => Ok(expression),
        // The constructors fold constant conditions: a true one leaves no filter, a false one leaves no rows.
        sparopt::algebra::GraphPattern::Values { bindings, .. } => Ok((!bindings.is_empty()).into()),
        _ => Err(corrupt("not a filter".into())),
    }
}

/// The term in a row: its text, its inline value, or, where ids decide, a stand-in that is equal when the ids are.
fn term_of(batch: &Batch, slot: Slot, row: usize, by_id: bool) -> Result<Term, Fault> {
    let id = batch.columns[slot][row];
    if let Some(term) = term::inline_term(id) {
        return Ok(term);
    }
    match batch.texts.get(&slot).and_then(|texts| texts[row].as_ref()) {
        Some(text) => term::decode(text),
        None if by_id => Ok(stand_in(id)),
        None => Err(Fault::internal("a filter's term was not resolved")),
    }
}

/// A term of the same kind that is distinct for every id.
pub fn stand_in(id: TermId) -> Term {
    match id.kind() {
        TermKind::BlankNode => BlankNode::new_unchecked(format!("i{}", id.0)).into(),
        TermKind::Literal => oxrdf::Literal::new_simple_literal(format!("i{}", id.0)).into(),
        TermKind::Iri | TermKind::Triple => NamedNode::new_unchecked(format!("urn:entail:id:{}", id.0)).into(),
    }
}
