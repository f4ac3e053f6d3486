//! Limits on texts.
//!
//! The parser recurses once for each open bracket; code that walks the tree likewise. What evaluates a query may recurse once
//! for each link of a chain such as `1 + 1 + 1` or `{} UNION {} UNION {}`: the limits on tokens and operators keep that
//! finite, and [`Nesting`] tells how deep it may get.

use crate::Language;

/// The most bytes of a query or update.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// The most bytes of a rule text.
pub const RULE_TEXT_BYTES_MAX: usize = 16 << 20;
/// The most levels of nested brackets of any kind in a query or update.
pub const DEPTH_MAX: usize = 200;
/// The most levels of nested brackets of any kind in a rule text.
pub const RULE_DEPTH_MAX: usize = 128;
/// The most operators, each of which may nest in the one before, of a query or update.
pub const OPERATORS_MAX: usize = 4_000;
/// The operators that a clause such as OPTIONAL counts for: planning takes the square of their number.
pub const CLAUSE_OPERATORS: usize = 8;
/// The most tokens of a query or update outside of data blocks. A group, a projected expression and a sort key each nest in
/// the one before without an operator.
pub const TOKENS_MAX: usize = 20_000;
/// The most memory that a text may take with prefixes, lists and paths written out.
pub const EXPANDED_BYTES_MAX: usize = 256 << 20;
/// The most rules in one text.
pub const RULES_MAX: usize = 10_000;
/// The most triples and filters in a head, a body or a NOT of a rule, with abbreviations and paths written out.
pub const RULE_ELEMENTS_MAX: usize = 1_000;

/// How deep recursion over a text may get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nesting {
    /// The most brackets that are open at once.
    pub depth: usize,
    /// Operators, as the limit on them counts.
    pub operators: usize,
    /// Tokens that may each be a link of a chain.
    pub links: usize,
}

impl Language {
    pub(crate) fn text_bytes_max(self) -> usize {
        match self {
            Self::Query | Self::Update => TEXT_BYTES_MAX,
            Self::Rules => RULE_TEXT_BYTES_MAX,
        }
    }

    pub(crate) fn depth_max(self) -> usize {
        match self {
            Self::Query | Self::Update => DEPTH_MAX,
            Self::Rules => RULE_DEPTH_MAX,
        }
    }
}
