//! Rules: heads that hold wherever a body does, applied to the default graph until nothing new comes out.

use crate::evaluate::{body, instance};
use crate::query::{Group, TriplePattern};
use crate::{Fail, undecided};
use oxrdf::Triple;
use std::collections::HashSet;
use std::fmt::{Display, Formatter, Result as Written};

#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub heads: Vec<TriplePattern>,
    pub body: Group,
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> Written {
        f.write_str("RULE { ")?;
        self.heads.iter().try_for_each(|head| write!(f, "{head} . "))?;
        write!(f, "}} WHERE {}", self.body)
    }
}

const FACTS_MAX: usize = 150;

/// The facts, and everything that the rules derive from them.
///
/// # Errors
/// [`Fail::Undecided`] if a filter is, or if there are many facts.
pub fn closure(facts: &[Triple], rules: &[Rule]) -> Result<Vec<Triple>, Fail> {
    let mut all: Vec<Triple> = Vec::new();
    let mut seen = HashSet::new();
    let mut new: Vec<Triple> = facts.to_vec();
    while !new.is_empty() {
        all.extend(new.into_iter().filter(|fact| seen.insert(fact.clone())));
        if all.len() > FACTS_MAX {
            return Err(undecided("many facts"));
        }
        let mut derived = Vec::new();
        for rule in rules {
            for solution in body(&rule.body, &all)? {
                derived.extend(rule.heads.iter().filter_map(|head| instance(head, &solution, 0)));
            }
        }
        new = derived.into_iter().filter(|fact| !seen.contains(fact)).collect();
    }
    Ok(all)
}
