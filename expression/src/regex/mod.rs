//! Regular expressions of XPath and XQuery Functions 3.1 (section 5.6): REGEX and REPLACE.
//!
//! ```text
//! pattern, flags ──parse──► Hir ──► automata      replacement ──► pieces
//! ```
//!
//! The pattern is read by a grammar of ours and becomes the tree of the `regex-syntax` crate, so that classes, anchors and
//! flags mean what XPath says. What automata cannot do, back references, is refused by name; a pattern that is not in the
//! language is an error of the expression.
//!
//! Two engines run it. The one of `regex-automata` is fast, but cannot be stopped; it searches texts so short, for the size of
//! the automaton, that this takes about a millisecond at most. Longer ones are searched step by step (`stepwise`), and the
//! budget is asked between the steps.

mod blocks;
mod class;
mod flags;
mod parse;
mod replacement;
mod stepwise;

pub use replacement::Replacement;

use crate::Budget;
use entail_model::{Fault, Reason};
use flags::Flags;
use regex_automata::util::captures::Captures;
use regex_automata::{Input, meta};
use regex_syntax::hir::Hir;
use stepwise::Stepwise;

/// Bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 64 << 10;
/// Bytes of an automaton.
const AUTOMATON_BYTES_MAX: usize = 1 << 20;
/// The largest product of an automaton's states and a text's bytes that is searched without a stop.
const UNSTOPPED_STEPS_MAX: usize = 1 << 20;

/// A compiled regular expression.
pub struct Pattern {
    fast: meta::Regex,
    slow: Stepwise,
    groups: usize,
    /// Does `^` or `$` depend on whether the text ends with a newline?
    looks_at_lines: bool,
    matches_empty: bool,
    /// Is a replacement taken as it is?
    is_literal: bool,
}

/// Why there is no pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not in the language: an error of the expression.
    Invalid(String),
    /// It is, but it is not evaluated: the request fails with this reason.
    Refused(Fault),
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Why it was not.
    pub fn compile(pattern: &str, flags: &str) -> Result<Self, Refusal> {
        let flags = Flags::parse(flags)?;
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(too_large(format!(
                "a regular expression of {} bytes; {PATTERN_BYTES_MAX} are allowed",
                pattern.len()
            )));
        }
        let parsed = parse::parse(pattern, flags)?;
        let mut compiled = Self::of(&parsed.tree, parsed.groups)?;
        compiled.looks_at_lines = flags.is_multiline;
        compiled.is_literal = flags.is_literal;
        // An anchor may be the only reason why the empty text does not match, so it is asked and not seen in the tree.
        compiled.matches_empty = compiled.fast.is_match("");
        Ok(compiled)
    }

    fn of(tree: &Hir, groups: usize) -> Result<Self, Refusal> {
        let limit =
            |_| too_large(format!("a regular expression whose automaton has more than {AUTOMATON_BYTES_MAX} bytes"));
        let config = meta::Config::new().nfa_size_limit(Some(AUTOMATON_BYTES_MAX)).utf8_empty(true);
        let fast = meta::Builder::new().configure(config).build_from_hir(tree).map_err(limit)?;
        let slow = Stepwise::new(tree, AUTOMATON_BYTES_MAX).ok_or_else(|| {
            too_large(format!("a regular expression whose automaton has more than {AUTOMATON_BYTES_MAX} bytes"))
        })?;
        Ok(Self { fast, slow, groups, looks_at_lines: false, matches_empty: false, is_literal: false })
    }

    /// The number of groups that capture.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Does a part of the text match?
    ///
    /// # Errors
    /// What the budget says.
    pub fn is_match(&self, text: &str, budget: &mut Budget<'_>) -> Result<bool, Fault> {
        if self.is_short(text, self.slow.states()) {
            budget.work(text.len())?;
            return Ok(self.fast.is_match(text));
        }
        if self.ends_with_line(text) {
            return Ok(self.slow.captures(text, 0, true, budget)?.is_some());
        }
        self.slow.is_match(text, budget)
    }

    /// The text with each match replaced; `None`, an error, if the pattern matches the empty text.
    ///
    /// # Errors
    /// What the budget says.
    pub fn replace(
        &self,
        text: &str,
        replacement: &Replacement,
        budget: &mut Budget<'_>,
    ) -> Result<Option<String>, Fault> {
        if self.matches_empty {
            return Ok(None);
        }
        let mut result = String::new();
        let (mut from, mut kept) = (0, 0);
        while let Some(spans) = self.captures(text, from, budget)? {
            let (start, end) = spans[0].unwrap_or((from, from));
            result.push_str(&text[kept..start]);
            replacement.append(text, &spans, &mut result, budget.literal_bytes_max)?;
            kept = end;
            // An empty match: some patterns match nothing between two characters, though not the empty text.
            from = if end > start { end } else { next_character(text, end) };
            if from > text.len() {
                break;
            }
        }
        result.push_str(&text[kept..]);
        budget.build(result.len())?;
        Ok(Some(result))
    }

    /// The leftmost match that starts at or after a place: the spans of the groups, the whole match first.
    fn captures(&self, text: &str, from: usize, budget: &mut Budget<'_>) -> Result<Option<Spans>, Fault> {
        if !self.is_short(&text[from..], self.slow.states_with_captures()) || self.ends_with_line(text) {
            return self.slow.captures(text, from, self.ends_with_line(text), budget);
        }
        budget.work(64)?;
        let mut captures: Captures = self.fast.create_captures();
        self.fast.search_captures(&Input::new(text).range(from..), &mut captures);
        if !captures.is_match() {
            budget.work(text.len() - from)?;
            return Ok(None);
        }
        let span = |group| captures.get_group(group).map(|span| (span.start, span.end));
        Ok(Some((0..=self.groups).map(span).collect()))
    }

    /// May the fast engine search the text, with so much work for a byte?
    fn is_short(&self, text: &str, states: usize) -> bool {
        text.len().saturating_mul(states) <= UNSTOPPED_STEPS_MAX && !self.ends_with_line(text)
    }

    /// With flag `m`, `^` does not match after a newline that ends the text, and `$` not after it.
    fn ends_with_line(&self, text: &str) -> bool {
        self.looks_at_lines && text.ends_with('\n')
    }

    /// How a replacement is read: see [`Replacement::parse`].
    pub fn replacement(&self, text: &str) -> Result<Replacement, Refusal> {
        if self.is_literal { Ok(Replacement::literal(text)) } else { Replacement::parse(text, self.groups) }
    }
}

/// The places of the groups of a match; group 0 is the match.
pub(crate) type Spans = Vec<Option<(usize, usize)>>;

/// The place after the character at a place.
fn next_character(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(1, char::len_utf8)
}

fn too_large(what: String) -> Refusal {
    Refusal::Refused(Fault::new(Reason::LimitExceeded, what))
}

fn invalid(what: impl Into<String>) -> Refusal {
    Refusal::Invalid(what.into())
}

fn unsupported(what: impl Into<String>) -> Refusal {
    Refusal::Refused(Fault::new(Reason::Unsupported, what))
}

#[cfg(test)]
mod tests;
