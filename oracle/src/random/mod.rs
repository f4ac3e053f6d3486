//! Random cases: facts, rules and a query, small enough for nested loops and dense enough that patterns match.

mod data;
mod expression;
mod pattern;
mod query;
mod rule;

pub use data::{facts, named_facts};
pub use query::query;
pub use rule::rules;

use crate::query::Query;
use crate::rules::{Rule, closure};
use crate::{Dataset, Fail};
use oxrdf::{GraphName, NamedNode, Quad, Triple};

/// Random numbers, made by the caller.
pub struct Random<'n> {
    pub next: &'n mut dyn FnMut() -> u64,
}

impl Random<'_> {
    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        (self.next)() % bound
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several words.
    pub fn word(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len() as u64) as usize]
    }

    pub fn pick<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len() as u64) as usize]
    }
}

const NAMESPACE: &str = "http://example.org/";

fn named(name: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("{NAMESPACE}{name}"))
}

/// One of a few nodes.
fn node(random: &mut Random<'_>) -> NamedNode {
    named(random.word(&["n0", "n1", "n2", "n3"]))
}

/// A case for the engine and the oracle.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is stated; the rules derive more in the default graph.
    pub facts: Vec<Quad>,
    pub rules: Vec<Rule>,
    pub query: Query,
}

impl Case {
    pub fn new(random: &mut Random<'_>) -> Self {
        let facts = facts(random);
        let rules = rules(random, 0..=2);
        let query = query(random, &facts);
        Self { facts, rules, query }
    }

    /// All facts, stated and derived.
    ///
    /// # Errors
    /// [`Fail::Undecided`] if the oracle cannot tell what is derived.
    pub fn dataset(&self) -> Result<Dataset, Fail> {
        dataset(&self.facts, &self.rules)
    }
}

/// The facts with what the rules derive from those of the default graph.
///
/// # Errors
/// [`Fail::Undecided`] if the oracle cannot tell what is derived.
pub fn dataset(facts: &[Quad], rules: &[Rule]) -> Result<Dataset, Fail> {
    let mut data = Dataset::default();
    for fact in facts {
        let graph = match &fact.graph_name {
            GraphName::NamedNode(name) => data.named.entry(name.clone()).or_default(),
            _ => &mut data.default,
        };
        let triple = Triple::from(fact.clone());
        if !graph.contains(&triple) {
            graph.push(triple);
        }
    }
    data.default = closure(&data.default, rules)?;
    Ok(data)
}

/// The facts of a dataset, to be loaded.
pub fn quads(data: &Dataset) -> Vec<Quad> {
    let of_graph = |(name, triples): (&NamedNode, &Vec<Triple>)| -> Vec<Quad> {
        triples.iter().map(|triple| triple.clone().in_graph(name.clone())).collect()
    };
    let default = data.default.iter().map(|triple| triple.clone().in_graph(GraphName::DefaultGraph));
    default.chain(data.named.iter().flat_map(of_graph)).collect()
}
