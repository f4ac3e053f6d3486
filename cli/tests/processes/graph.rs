//! Small graphs and rule sets, and their closure: computed naively, by trying every rule until a fixpoint.

use crate::harness::Random;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

/// Subject, predicate and object, by number.
pub type Triple = (u64, u64, u64);

/// Variables are numbers, predicates are constant.
pub struct Rule {
    pub body: &'static [Triple],
    pub head: Triple,
}

/// A rule set by its name.
pub struct RuleSet {
    pub name: &'static str,
    pub rules: &'static [Rule],
}

/// Rule sets that feed each other: one recursive, one that joins across shards, one local, one that closes a triangle.
pub const RULE_SETS: [RuleSet; 3] = [
    RuleSet { name: "above", rules: &[Rule { body: &[(0, 0, 1), (1, 0, 2)], head: (0, 0, 2) }] },
    RuleSet {
        name: "reach",
        rules: &[Rule { body: &[(0, 0, 1), (1, 1, 2)], head: (0, 2, 2) }, Rule { body: &[(0, 1, 1)], head: (1, 3, 0) }],
    },
    RuleSet { name: "mutual", rules: &[Rule { body: &[(0, 2, 1), (1, 2, 0)], head: (0, 4, 1) }] },
];

impl RuleSet {
    /// The set as SPARQL-RL.
    pub fn text(&self) -> String {
        let atom = |(s, p, o): &Triple| format!("?v{s} <urn:p:{p}> ?v{o}");
        let rule = |rule: &Rule| {
            let body: Vec<String> = rule.body.iter().map(atom).collect();
            format!("RULE {{ {} }} WHERE {{ {} }}\n", atom(&rule.head), body.join(" . "))
        };
        self.rules.iter().map(rule).collect()
    }
}

/// The contents of a cluster: asserted facts, and the indexes of its rule sets in [`RULE_SETS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub asserted: BTreeSet<Triple>,
    pub rules: BTreeSet<usize>,
}

impl State {
    /// Everything that the facts and rules entail, the facts included.
    pub fn closure(&self) -> BTreeSet<Triple> {
        let rules: Vec<&Rule> = self.rules.iter().flat_map(|index| RULE_SETS[*index].rules).collect();
        let mut all = self.asserted.clone();
        loop {
            let index = Index::new(&all);
            let new: Vec<Triple> = rules.iter().flat_map(|rule| index.instances(rule)).collect();
            let before = all.len();
            all.extend(new);
            if all.len() == before {
                return all;
            }
        }
    }

    /// The derived facts.
    pub fn derived(&self) -> BTreeSet<Triple> {
        self.closure().difference(&self.asserted).copied().collect()
    }
}

/// Facts by predicate, and by predicate and subject.
struct Index {
    by_predicate: HashMap<u64, Vec<(u64, u64)>>,
    by_subject: HashMap<(u64, u64), Vec<u64>>,
}

impl Index {
    fn new(facts: &BTreeSet<Triple>) -> Self {
        let mut index = Self { by_predicate: HashMap::new(), by_subject: HashMap::new() };
        for (s, p, o) in facts {
            index.by_predicate.entry(*p).or_default().push((*s, *o));
            index.by_subject.entry((*p, *s)).or_default().push(*o);
        }
        index
    }

    fn matching(&self, p: u64, subject: Option<u64>) -> Vec<(u64, u64)> {
        match subject {
            Some(s) => self.by_subject.get(&(p, s)).into_iter().flatten().map(|o| (s, *o)).collect(),
            None => self.by_predicate.get(&p).cloned().unwrap_or_default(),
        }
    }

    fn instances(&self, rule: &Rule) -> Vec<Triple> {
        let mut rows = vec![[None; 3]];
        for (s, p, o) in rule.body {
            let (s, o) = (*s as usize, *o as usize);
            let extend = |row: [Option<u64>; 3]| {
                self.matching(*p, row[s]).into_iter().filter_map(move |(subject, object)| {
                    let mut row = row;
                    row[s] = Some(subject);
                    (*row[o].get_or_insert(object) == object).then_some(row)
                })
            };
            rows = rows.into_iter().flat_map(extend).collect();
        }
        let value = |row: &[Option<u64>; 3], variable: u64| row[variable as usize].expect("bound by the body");
        rows.iter().map(|row| (value(row, rule.head.0), rule.head.1, value(row, rule.head.2))).collect()
    }
}

/// Facts whose closure stays small: edges of predicate 0 lead upwards within groups of 16, those of 1 anywhere.
pub fn facts(random: &Random, count: u64) -> BTreeSet<Triple> {
    let fact = |_| {
        let from = random.below(480);
        match random.below(4) {
            0 => (from, 0, (from + 1 + random.below(3)).min(from / 16 * 16 + 15)),
            _ => (from, 1, random.below(480)),
        }
    };
    (0..count).map(fact).filter(|(s, p, o)| *p == 1 || s != o).collect()
}

/// Facts as N-Triples.
pub fn document(facts: &BTreeSet<Triple>) -> String {
    let mut text = String::new();
    for (s, p, o) in facts {
        writeln!(text, "<urn:n:{s}> <urn:p:{p}> <urn:n:{o}> .").unwrap();
    }
    text
}

/// Facts as the lines of a dump.
pub fn lines(facts: &BTreeSet<Triple>) -> BTreeSet<String> {
    crate::harness::lines(&document(facts))
}
