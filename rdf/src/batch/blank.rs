//! New names for blank nodes.
//!
//! A blank node's label is local to its file, so every label becomes the hash of the label under the
//! *scope* of the load and file: two loads never share a blank node, and a retry of a load makes the same ones.
//!
//! Parsers also create blank nodes, for `[]` and collections, with random labels. These become the hash of a running
//! number instead, so they are the same in a retry too. The document may itself contain a label that looks random
//! (dumps of other stores do): such labels are *declared* by the scan that reads the text before the parser, and are
//! hashed like any other label.

use hashbrown::{HashMap, HashSet};
use oxrdf::BlankNodeRef;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// Labels with fewer digits are assumed to be the document's: a random label is shorter once in 10^11.
const RANDOM_DIGITS_MIN: usize = 24;
const RANDOM_DIGITS_MAX: usize = 32;
/// The largest number of anonymous nodes that get a running number. Further ones keep their random names: distinct, but
/// not the same in a retry.
const ANONYMOUS_MAX: usize = 4 << 20;

/// Relabels the blank nodes of one file of one load.
#[derive(Debug)]
pub(crate) struct BlankNames {
    scope: [u8; 16],
    anonymous: HashMap<u128, u64>,
    declared: HashSet<u128>,
    next: u64,
    generates: bool,
    keeps: bool,
}

impl BlankNames {
    /// For a format whose parser creates no blank nodes.
    pub(crate) fn labelled(scope: u128) -> Self {
        Self {
            scope: scope.to_le_bytes(),
            anonymous: HashMap::new(),
            declared: HashSet::new(),
            next: 0,
            generates: false,
            keeps: false,
        }
    }

    /// For a format with anonymous blank nodes.
    pub(crate) fn with_anonymous(scope: u128) -> Self {
        Self { generates: true, ..Self::labelled(scope) }
    }

    /// For nodes that are in the graph already: every node keeps its label.
    pub(crate) fn kept() -> Self {
        Self { keeps: true, ..Self::labelled(0) }
    }

    /// The number of anonymous nodes so far, to return to.
    pub(crate) fn mark(&self) -> u64 {
        self.next
    }

    /// Forgets the anonymous nodes since `mark`, whose facts were dropped.
    pub(crate) fn rollback(&mut self, mark: u64) {
        if self.next > mark {
            self.anonymous.retain(|_, number| *number <= mark);
            self.next = mark;
        }
    }

    /// The document contains this label, which only looks random.
    pub(crate) fn declare(&mut self, label: u128) {
        self.declared.insert(label);
    }

    /// All anonymous nodes so far are out of scope, except possibly one: the parser will not reference them again.
    pub(crate) fn forget_but(&mut self, kept: Option<u128>) {
        self.anonymous.retain(|label, _| Some(*label) == kept);
        self.declared.retain(|label| Some(*label) == kept);
    }

    /// The new label of a node, valid in every format.
    pub(crate) fn rename(&mut self, node: BlankNodeRef<'_>) -> String {
        let label = node.as_str();
        if self.keeps {
            return label.to_owned();
        }
        let random = if self.generates { random_label(label) } else { None };
        let number = random.filter(|label| !self.declared.contains(label)).and_then(|label| self.number(label));
        // A label never contains a zero byte, so no label has the hash input of a number.
        let hash = match number {
            Some(number) => self.hash(&[&[0], &number.to_le_bytes()]),
            None => self.hash(&[label.as_bytes()]),
        };
        format!("b{hash:032x}")
    }

    fn number(&mut self, label: u128) -> Option<u64> {
        if let Some(number) = self.anonymous.get(&label) {
            return Some(*number);
        }
        if self.anonymous.len() >= ANONYMOUS_MAX {
            return None;
        }
        self.next += 1;
        self.anonymous.insert(label, self.next);
        Some(self.next)
    }

    fn hash(&self, parts: &[&[u8]]) -> u128 {
        let mut hasher = SipHasher13::new_with_key(&self.scope);
        parts.iter().for_each(|part| hasher.write(part));
        hasher.finish128().as_u128()
    }
}

/// The number behind a label that the parser may have drawn at random: lower-case hexadecimal digits, a letter first.
pub(crate) fn random_label(label: &str) -> Option<u128> {
    let looks_random = (RANDOM_DIGITS_MIN..=RANDOM_DIGITS_MAX).contains(&label.len())
        && label.starts_with(|first: char| first.is_ascii_lowercase())
        && label.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    looks_random.then(|| u128::from_str_radix(label, 16).ok()).flatten()
}

/// The label at the start of `text` that looks random, if there is one; `text` begins after the `_:`.
pub(crate) fn random_label_at(text: &[u8]) -> Option<u128> {
    let digits = text.iter().take(RANDOM_DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_hexdigit()).count();
    std::str::from_utf8(&text[..digits]).ok().and_then(random_label)
}

/// The scope of one file of one load, for [`ParseRequest::blank_scope`](crate::ParseRequest::blank_scope).
pub fn blank_scope(load: u128, file_index: u64) -> u128 {
    let mut hasher = SipHasher13::new_with_key(&load.to_le_bytes());
    hasher.write(&file_index.to_le_bytes());
    hasher.finish128().as_u128()
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxrdf::BlankNode;

    #[test]
    fn labels_are_stable_within_a_scope_and_differ_between_scopes() {
        let node = BlankNodeRef::new_unchecked("x");
        let first = BlankNames::labelled(1).rename(node);
        assert_eq!(first, BlankNames::with_anonymous(1).rename(node));
        assert_ne!(first, BlankNames::labelled(2).rename(node));
        assert_ne!(blank_scope(1, 0), blank_scope(1, 1));
        assert!(first.len() == 33 && first.starts_with('b'), "{first}");
    }

    #[test]
    fn anonymous_nodes_are_numbered_and_declared_labels_are_not() {
        let (a, b) = (BlankNode::default(), BlankNode::default());
        let mut names = BlankNames::with_anonymous(7);
        let (first, second) = (names.rename(a.as_ref()), names.rename(b.as_ref()));
        assert_ne!(first, second);
        assert_eq!(first, names.rename(a.as_ref()));

        let mut again = BlankNames::with_anonymous(7);
        let other = BlankNode::default();
        assert_eq!(first, again.rename(other.as_ref()), "the first anonymous node of the same load");

        again.declare(random_label(a.as_str()).expect("random"));
        assert_eq!(again.rename(a.as_ref()), BlankNames::labelled(7).rename(a.as_ref()));
    }

    #[test]
    fn only_long_hexadecimal_labels_look_random() {
        assert!(random_label("c0ffee").is_none());
        assert!(random_label("0123456789abcdef0123456789abcdef").is_none(), "begins with a digit");
        assert!(random_label("abcdef0123456789abcdef0123456789").is_some());
        assert!(random_label_at(b"abcdef0123456789abcdef0123456789 ").is_some());
        assert!(random_label_at(b"abcdef0123456789abcdef01234567890").is_none(), "one digit too many");
    }
}
