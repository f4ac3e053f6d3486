//! Rule texts (SPARQL-RL).
//!
//! Lists, `[...]`, collections, paths, reified triples and annotations are plain [`Pattern`]s here, tied together by
//! blank nodes. In a body blank nodes act as variables of their rule, so paths need nothing more.

use super::{Expression, Filter, Pattern, VariableAt};
use crate::Spot;
use oxiri::Iri;
use oxrdf::NamedNode;

/// All that a rule text says, in its order.
#[derive(Clone, Debug)]
pub struct RuleDocument {
    /// The base at the end of the text.
    pub base: Option<Iri<String>>,
    pub versions: Vec<(String, Spot)>,
    pub imports: Vec<(NamedNode, Spot)>,
    pub rules: Vec<RuleText>,
    /// The triples of all `DATA` blocks. They have no variables.
    pub data: Vec<Pattern>,
}

/// One `RULE`.
#[derive(Clone, Debug)]
pub struct RuleText {
    pub name: Option<NamedNode>,
    pub head: Vec<Pattern>,
    pub body: Vec<BodyElement>,
    /// Where the `DATA` of `WHERE DATA` stands: the body sees asserted facts only.
    pub base_only: Option<Spot>,
    /// Does a BASE hold where the rule stands?
    pub has_base: bool,
    pub spot: Spot,
    /// The rule as written, with one space where there was any, and without comments.
    pub text: String,
}

/// A part of a body. Their order matters: a filter sees what stands before it.
#[derive(Clone, Debug)]
pub enum BodyElement {
    Pattern(Pattern),
    Filter(Filter),
    Negation(Negation),
    Assignment { variable: VariableAt, value: Expression, spot: Spot },
}

/// `NOT {...}`.
#[derive(Clone, Debug)]
pub struct Negation {
    /// Patterns and filters.
    pub inner: Vec<BodyElement>,
    /// Where the `DATA` of `NOT DATA` stands: asserted facts only.
    pub base_only: Option<Spot>,
    pub spot: Spot,
}
