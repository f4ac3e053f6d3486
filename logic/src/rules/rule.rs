//! Checked rules of the supported language: the input of the planner.

use entail_syntax::algebra::{Expression, TriplePattern};
use oxrdf::{NamedNode, Triple};

/// A checked rule text.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSet {
    /// In the order of the text. Rules without head triples derive nothing and are left out.
    pub rules: Vec<Rule>,
    /// The triples of all `DATA` blocks, with repetitions. Labels of blank nodes are made from the text and their position
    /// in it, so a text gives the same terms each time it is applied.
    pub data: Vec<Triple>,
}

/// One rule: whenever all of `body` matches, all of `filters` are true and none of `negated` has a solution, all of `head`
/// holds.
///
/// Invariants: head and body have only variables and ground terms (triple terms included), no blank nodes;
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
    pub negated: Vec<Negated>,
    /// The position of the rule in the text, counted from one.
    pub line: u64,
    pub column: u64,
    /// The rule as written, without comments, with one space for each stretch of white space.
    pub text: String,
}

/// A `NOT {...}`: patterns and filters that together have no solution under the values that the body gives to its own
/// variables.
///
/// Invariants: there is at least one pattern. A variable that the body does not bind before the NOT is *local*: it occurs in
/// no pattern of the body. All patterns can be evaluated at one home (module `negation`), and a filter with a local
/// variable is decided by ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Negated {
    pub patterns: Vec<TriplePattern>,
    pub filters: Vec<Filter>,
}

/// A condition on the variables of a body. An error in it counts as false, as in SPARQL.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// The expression. It has one value for given bindings, at every node and at any time.
    pub expression: Expression,
}
