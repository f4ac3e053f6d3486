//! Random cases, judged by the oracle: an evaluator of the standard that shares no code with the engine.
//!
//! A case is generated from its seed; a failing case is made small, and printed with the command that repeats it.

mod clusters;
mod memory;

use entail_model::random::Random;
use entail_oracle::compare::{difference, is_in_order};
use entail_oracle::query::Query;
use entail_oracle::random::{self, Case};
use entail_oracle::shrink::smallest;
use entail_oracle::{Answer, Dataset, evaluate};
use entail_tests::w3c;
use oxrdf::Quad;

/// Random numbers for the oracle.
fn with_numbers<T>(random: &mut Random, make: impl FnOnce(&mut random::Random<'_>) -> T) -> T {
    make(&mut random::Random { next: &mut || random.next() })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|number| number.parse().ok())
}

fn of_engine(answer: w3c::Answer) -> Answer {
    match answer {
        w3c::Answer::Solutions { variables, rows } => Answer::Solutions { variables, rows },
        w3c::Answer::Boolean(value) => Answer::Boolean(value),
        w3c::Answer::Graph(triples) => Answer::Graph(triples),
    }
}

/// What the engine did wrong.
enum Fault {
    /// It refused the query or failed.
    Refused(String),
    /// It answered something else.
    Different(String),
}

impl Fault {
    fn text(&self) -> &str {
        let (Self::Refused(text) | Self::Different(text)) = self;
        text
    }
}

/// The outcome of one query.
enum Judgement {
    Right,
    /// The standard leaves the answer open.
    Open,
    Wrong(Fault),
}

/// Compares the engine's answer with the oracle's, in its order too.
fn judge(query: &Query, data: &Dataset, given: Result<w3c::Answer, String>) -> Judgement {
    let Ok(expected) = evaluate(query, data) else { return Judgement::Open };
    let given = match given {
        Ok(given) => of_engine(given),
        Err(refusal) => return Judgement::Wrong(Fault::Refused(refusal)),
    };
    if let Some(difference) = difference(query, &expected, &given) {
        return Judgement::Wrong(Fault::Different(difference));
    }
    match is_in_order(query, &given) {
        Ok(false) => Judgement::Wrong(Fault::Different(format!("rows that are out of order: {given:?}"))),
        _ => Judgement::Right,
    }
}

/// The facts as N-Quads.
fn listed(facts: &[Quad]) -> String {
    facts.iter().map(|fact| format!("{fact} .\n")).collect()
}

/// The smallest case that fails in the same way, with what is wrong about it.
fn report(case: &Case, fault: &Fault, check: &dyn Fn(&Case) -> Option<Fault>) -> String {
    let is_same = |other: &Fault| match (fault, other) {
        (Fault::Refused(one), Fault::Refused(other)) => one == other,
        (Fault::Different(_), Fault::Different(_)) => true,
        _ => false,
    };
    let small = smallest(case, &mut |case| check(case).is_some_and(|other| is_same(&other)));
    let fault = check(&small);
    let rules: String = small.rules.iter().map(|rule| format!("{rule}\n")).collect();
    format!("{}\n{}{rules}{}", small.query, listed(&small.facts), fault.as_ref().map_or("", Fault::text))
}
