//! The cluster's rule sets, parsed: each text is parsed once, for listing, compiling and changes of other sets.

use crate::members::Log;
use crate::metalog::RuleSet;
use entail_logic::rules;
use entail_model::{Fault, Reason};
use oxrdf::NamedNode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A rule set and its parsed text.
#[derive(Debug)]
pub struct ParsedSet {
    pub set: RuleSet,
    /// A stored text that this version cannot parse any more can still be listed and dropped.
    content: Result<Content, Fault>,
}

/// The parsed text of a rule set.
#[derive(Debug)]
pub struct Content {
    /// The graph that the rules read and write; `None` is the default graph.
    pub graph: Option<NamedNode>,
    pub rules: rules::RuleSet,
}

impl ParsedSet {
    /// Parses a set.
    ///
    /// # Errors
    /// `Syntax` or `Unsupported` with a position, `InvalidRequest` for a graph that is no IRI.
    pub fn new(set: RuleSet) -> Result<Self, Fault> {
        let content = Content::of(&set)?;
        Ok(Self { set, content: Ok(content) })
    }

    fn stored(set: RuleSet) -> Self {
        Self { content: Content::of(&set), set }
    }

    /// The parsed text.
    ///
    /// # Errors
    /// The fault of parsing the set, if its stored text does not parse.
    pub fn content(&self) -> Result<&Content, Fault> {
        self.content.as_ref().map_err(Clone::clone)
    }

    /// The number of rules in the text.
    pub fn rule_count(&self) -> u32 {
        self.content.as_ref().map_or(0, |content| content.rules.rules.len() as u32)
    }

    /// Are text and graph the same as in the other set?
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.set.source == other.set.source && self.set.graph == other.set.graph
    }
}

impl Content {
    fn of(set: &RuleSet) -> Result<Self, Fault> {
        let graph = set.graph.as_ref().map(NamedNode::new).transpose().map_err(|error| {
            Fault::new(Reason::InvalidRequest, format!("the graph of the rules is not an IRI: {error}"))
        })?;
        Ok(Self { graph, rules: rules::parse(&set.source)? })
    }
}

/// The rule sets of a version, in the order of their names.
#[derive(Debug, Default)]
pub struct RuleSets {
    pub version: u64,
    pub sets: Vec<Arc<ParsedSet>>,
}

/// The rule sets of the last version that was requested or committed.
#[derive(Debug, Default)]
pub struct RuleBook(Mutex<Arc<RuleSets>>);

impl RuleBook {
    /// The rule sets of the log's last epoch. Only new or changed ones are parsed.
    pub fn current(&self, log: &Log) -> Arc<RuleSets> {
        let mut known = self.lock();
        if log.read(|state| state.rules().version) != known.version {
            let (version, stored) = log.read(|state| (state.rules().version, state.rules().sets.clone()));
            let parsed = |set: RuleSet| {
                let same = known.sets.iter().find(|parsed| parsed.set == set);
                same.cloned().unwrap_or_else(|| Arc::new(ParsedSet::stored(set)))
            };
            let sets = stored.into_iter().map(parsed).collect();
            *known = Arc::new(RuleSets { version, sets });
        }
        Arc::clone(&known)
    }

    /// Caches the sets of a version that was just committed.
    pub fn committed(&self, version: u64, sets: Vec<Arc<ParsedSet>>) {
        *self.lock() = Arc::new(RuleSets { version, sets });
    }

    fn lock(&self) -> MutexGuard<'_, Arc<RuleSets>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(source: &str) -> RuleSet {
        RuleSet { name: "family".to_owned(), graph: None, source: source.to_owned(), version: 1 }
    }

    #[test]
    fn a_stored_text_that_cannot_be_parsed_is_a_set_without_rules() {
        assert_eq!(ParsedSet::new(set("RULE {")).unwrap_err().reason, Reason::Syntax);
        let stored = ParsedSet::stored(set("RULE {"));
        assert_eq!(stored.rule_count(), 0);
        assert_eq!(stored.content().unwrap_err().reason, Reason::Syntax);
    }
}
