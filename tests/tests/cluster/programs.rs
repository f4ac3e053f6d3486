//! Random small programs over random small graphs, and their closure, computed naively.
//!
//! Each case has its own terms and predicates (its seed is in their names; of `rdf:type` it uses only its own classes),
//! so hundreds of cases share one cluster and one epoch without interference.

use entail_model::random::Random;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Terms by number: nodes, then classes, then integers.
const NODES: u64 = 7;
const CLASSES: std::ops::Range<u64> = 10..13;
const INTEGERS: std::ops::Range<u64> = 20..23;
/// Predicates by number; the first is `rdf:type`.
const PREDICATES: u64 = 4;
/// Variables of a rule.
const WIDTH: usize = 4;

pub type Triple = (u64, u64, u64);
type Row = [Option<u64>; WIDTH];

#[derive(Clone, Copy)]
enum Arg {
    Variable(usize),
    Term(u64),
}

#[derive(Clone, Copy)]
struct Atom {
    subject: Arg,
    predicate: u64,
    object: Arg,
}

/// `RULE { heads } WHERE { atoms FILTER(differ) }`.
pub struct Rule {
    heads: Vec<Atom>,
    atoms: Vec<Atom>,
    /// Two variables whose values must differ.
    differ: Option<(usize, usize)>,
}

/// Two graphs and three rules.
pub struct Case {
    pub seed: u64,
    pub first: BTreeSet<Triple>,
    pub second: BTreeSet<Triple>,
    pub rules: [Rule; 3],
}

impl Case {
    pub fn new(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let (first, second) = (facts(random, 12), facts(random, 6));
        Self { seed, first, second, rules: std::array::from_fn(|_| rule(random)) }
    }

    fn term(&self, number: u64) -> String {
        let seed = self.seed;
        match number {
            0..NODES => format!("<urn:n:{seed}:{number}>"),
            _ if INTEGERS.contains(&number) => number.to_string(),
            _ => format!("<urn:c:{seed}:{number}>"),
        }
    }

    fn predicate(&self, number: u64) -> String {
        match number {
            0 => "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>".to_owned(),
            _ => format!("<urn:p:{}:{number}>", self.seed),
        }
    }

    /// A fact's terms as Turtle and TSV have them, with something between.
    pub fn line(&self, (s, p, o): Triple, between: &str) -> String {
        [self.term(s), self.predicate(p), self.term(o)].join(between)
    }

    pub fn document(&self, facts: &BTreeSet<Triple>) -> String {
        facts.iter().map(|fact| self.line(*fact, " ") + " .\n").collect()
    }

    fn atoms(&self, atoms: &[Atom]) -> String {
        let arg = |arg| match arg {
            Arg::Variable(variable) => format!("?v{variable}"),
            Arg::Term(term) => self.term(term),
        };
        let text = |atom: &Atom| {
            let predicate = self.predicate(atom.predicate);
            format!("{} {predicate} {} . ", arg(atom.subject), arg(atom.object))
        };
        atoms.iter().map(text).collect()
    }

    /// The text between the braces of WHERE.
    pub fn body_text(&self, rule: &Rule) -> String {
        let mut text = self.atoms(&rule.atoms);
        if let Some((one, other)) = rule.differ {
            write!(text, "FILTER(?v{one} != ?v{other})").unwrap();
        }
        text
    }

    pub fn rule_text(&self, rule: &Rule) -> String {
        format!("RULE {{ {} }} WHERE {{ {} }}\n", self.atoms(&rule.heads), self.body_text(rule))
    }
}

fn facts(random: &mut Random, count: u64) -> BTreeSet<Triple> {
    let fact = |_| match random.below(PREDICATES) {
        0 => (random.below(NODES), 0, random.among(CLASSES.start..=CLASSES.end - 1)),
        predicate if random.chance(1_500) => {
            (random.below(NODES), predicate, random.among(INTEGERS.start..=INTEGERS.end - 1))
        }
        predicate => (random.below(NODES), predicate, random.below(NODES)),
    };
    (0..count).map(fact).collect()
}

/// An argument of the head: one of the `bound` variables, or any term if there are none.
fn arg(random: &mut Random, variables: &[usize]) -> Arg {
    match variables {
        [_, ..] if !random.chance(1_000) => Arg::Variable(*random.pick(variables)),
        _ => Arg::Term(random.below(NODES)),
    }
}

fn atom(random: &mut Random, variables: &[usize]) -> Atom {
    let (subject, predicate) = (arg(random, variables), random.below(PREDICATES));
    let object = match predicate {
        // A class must be a constant: a variable would range over the classes of other cases.
        0 => Arg::Term(random.among(CLASSES.start..=CLASSES.end - 1)),
        _ => arg(random, variables),
    };
    Atom { subject, predicate, object }
}

fn rule(random: &mut Random) -> Rule {
    let atoms: Vec<Atom> = (0..random.among(1..=3)).map(|_| atom(random, &[0, 1, 2, 3])).collect();
    let args = atoms.iter().flat_map(|atom| [atom.subject, atom.object]);
    let variable = |arg| match arg {
        Arg::Variable(variable) => Some(variable),
        Arg::Term(_) => None,
    };
    let bound: Vec<usize> = args.filter_map(variable).collect::<BTreeSet<_>>().into_iter().collect();
    let differ = (bound.len() > 1 && random.chance(2_000)).then(|| (bound[0], bound[1]));
    let heads = (0..random.among(1..=2)).map(|_| atom(random, &bound)).collect();
    Rule { heads, atoms, differ }
}

/// The solutions of a rule's body over some facts, with duplicates.
pub fn solutions(rule: &Rule, facts: &BTreeSet<Triple>) -> Vec<Row> {
    let mut rows = vec![Row::default()];
    for atom in &rule.atoms {
        let extended = |row: &Row| facts.iter().filter_map(|fact| extend(*row, atom, fact)).collect::<Vec<_>>();
        rows = rows.iter().flat_map(extended).collect();
    }
    rows.retain(|row| rule.differ.is_none_or(|(one, other)| row[one] != row[other]));
    rows
}

fn extend(mut row: Row, atom: &Atom, fact: &Triple) -> Option<Row> {
    let mut fits = atom.predicate == fact.1;
    for (arg, term) in [(atom.subject, fact.0), (atom.object, fact.2)] {
        fits &= match arg {
            Arg::Variable(variable) => *row[variable].get_or_insert(term) == term,
            Arg::Term(constant) => constant == term,
        };
    }
    fits.then_some(row)
}

/// The closure of the facts: tries every fact for every atom until a fixpoint.
pub fn closure(facts: &BTreeSet<Triple>, rules: &[Rule]) -> BTreeSet<Triple> {
    let mut all = facts.clone();
    loop {
        let mut new = Vec::new();
        for rule in rules {
            for row in solutions(rule, &all) {
                let value = |arg| match arg {
                    Arg::Variable(variable) => row[variable].expect("head variables are bound"),
                    Arg::Term(term) => term,
                };
                new.extend(rule.heads.iter().map(|head| (value(head.subject), head.predicate, value(head.object))));
            }
        }
        let before = all.len();
        // A literal as a subject is no triple.
        all.extend(new.into_iter().filter(|(subject, ..)| !INTEGERS.contains(subject)));
        if all.len() == before {
            return all;
        }
    }
}
