//! An oracle for SPARQL: a small, slow evaluator of what the standard says, which shares no code with Entail.
//!
//! It works on terms as stored and on lists of solutions, with nested loops, and follows the definitions of SPARQL 1.1
//! Query (section 18) and of the draft of SPARQL 1.2 in their order. It has its own model of queries ([`query`]), which
//! prints as SPARQL, so no parser takes part; [`random`] makes data, rules and queries, and [`shrink`] makes a failing case
//! small.
//!
//! Where the standard leaves an answer open, the oracle says so instead of choosing: [`Fail::Undecided`]. What stays open:
//! the order of equal or unordered terms at a LIMIT, SAMPLE of different terms, quotients that do not end, the text of
//! computed floats, and an EXISTS that substitution (1.1) and context solutions (1.2) answer differently.

mod aggregate;
pub mod compare;
mod evaluate;
mod expression;
mod function;
mod number;
mod path;
mod print;
pub mod query;
pub mod random;
pub mod rules;
mod scope;
mod select;
pub mod shrink;
mod strings;
mod substitute;
mod time;
mod value;

pub use evaluate::{Answer, Dataset, Solution, evaluate};

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fail {
    /// An error in the sense of the standard: a value of its own in expressions.
    Error,
    /// The standard leaves the value open, or the oracle does not reckon so far. Ends the whole evaluation.
    Undecided(String),
}

fn undecided(why: &str) -> Fail {
    Fail::Undecided(why.to_owned())
}

/// The value, or `None` for an error.
fn or_unbound<T>(result: Result<T, Fail>) -> Result<Option<T>, Fail> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Fail::Error) => Ok(None),
        Err(undecided) => Err(undecided),
    }
}
