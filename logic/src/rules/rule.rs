//! Rules that are checked and within scope: what the planner compiles.

use oxrdf::{NamedNode, Triple};
use spargebra::algebra::Expression;
use spargebra::term::TriplePattern;

/// A checked rule text.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSet {
    /// In the order of the text. Rules without head triples derive nothing and are left out.
    pub rules: Vec<Rule>,
    /// The triples of all `DATA` blocks, as often as they are written. Blank nodes are labelled by the text and their
    /// place in it, so the same text gives the same terms each time it is applied.
    pub data: Vec<Triple>,
}

/// One rule: whenever all of `body` matches and all of `filters` are true, all of `head` holds.
///
/// Invariants: head and body have only variables and ground terms (triple terms included) in them, no blank nodes;
/// subjects are IRIs or variables; each variable of the head and of the filters occurs in the body. A rule without
/// body patterns is a fact generator: it fires once, if its filters (then without variables) are true.
///
/// A variable of the head may be bound to a term that its position does not allow, a literal as subject say. Such an
/// instance is no RDF triple, and the evaluation leaves it out.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub name: Option<NamedNode>,
    pub head: Vec<TriplePattern>,
    /// Blank nodes and the inner steps of paths are variables whose names begin with `_b` and occur nowhere in the
    /// rule as written.
    pub body: Vec<TriplePattern>,
    pub filters: Vec<Filter>,
    /// Where the rule begins in the text, counted from one.
    pub line: u64,
    pub column: u64,
    /// The rule as written, with one space where there was any, and without comments.
    pub text: String,
}

/// A condition on the variables of a body. An error in it counts as false, as in SPARQL.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// The same value for the same bindings, wherever and whenever it is evaluated.
    pub expression: Expression,
}
