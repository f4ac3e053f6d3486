//! Codes: the cells of rows as 64 bits, so that joins, groups and DISTINCT never need a text.
//!
//! ```text
//! 0 ..             a term of the dictionary: its id
//! 2^63             unbound
//! 2^63 + 1 ..      a term that was computed or written and that no dictionary has, numbered by the query
//! 2^63 + 2^59 ..   a term whose id carries its value
//! ```
//!
//! Invariant: two cells that one query compares are equal if and only if their terms are. A computed term that can meet ids
//! is looked up in the dictionary before it gets a number.

use entail_expression::value::Text;
use entail_model::{TermId, term};
use oxrdf::NamedNodeRef;
use std::collections::HashMap;

/// A cell.
pub type Code = TermId;

/// The code of an unbound cell.
pub const UNBOUND: Code = TermId::DEFAULT_GRAPH;

/// The first code of a term whose id carries its value.
const INLINE_FIRST: u64 = UNBOUND.0 + (1 << 59);

/// Is it the code of a term that the query numbered?
pub fn is_computed(code: Code) -> bool {
    code.0 > UNBOUND.0 && code.0 < INLINE_FIRST
}

/// Is it the id of a dictionary's term?
pub fn is_stored(code: Code) -> bool {
    code.0 < UNBOUND.0
}

/// The terms of one query beside those of its data, by code and by text.
#[derive(Debug, Default)]
pub struct Interner {
    /// Those of the query's text.
    constants: Known,
    /// Those of rows.
    passing: Known,
    /// Computed terms so far, those that were forgotten included: no code is given twice.
    count: u64,
}

#[derive(Debug, Default)]
struct Known {
    codes: HashMap<Text, Code>,
    texts: HashMap<u64, Text>,
    bytes: usize,
}

impl Known {
    fn add(&mut self, text: Text, code: Code) {
        // The text, its two places in the maps, and what maps leave empty.
        self.bytes += text.len() + 112;
        if is_computed(code) {
            self.texts.insert(code.0, text.clone());
        }
        self.codes.insert(text, code);
    }
}

impl Interner {
    /// The code of a text, if it has one.
    pub fn find(&self, text: &[u8]) -> Option<Code> {
        self.passing.codes.get(text).or_else(|| self.constants.codes.get(text)).copied()
    }

    /// Gives a text its id, or a number if the dictionary does not have it.
    pub fn add(&mut self, text: Text, id: Option<TermId>) -> Code {
        if let Some(code) = self.find(&text) {
            return code;
        }
        let code = id.unwrap_or_else(|| {
            self.count += 1;
            TermId(UNBOUND.0 + self.count)
        });
        self.passing.add(text, code);
        code
    }

    /// The text of a computed term.
    pub fn text(&self, code: Code) -> Option<&Text> {
        self.passing.texts.get(&code.0).or_else(|| self.constants.texts.get(&code.0))
    }

    /// Makes all terms so far constants.
    pub fn seal(&mut self) {
        let passing = std::mem::take(&mut self.passing);
        self.constants.codes.extend(passing.codes);
        self.constants.texts.extend(passing.texts);
        self.constants.bytes += passing.bytes;
    }

    /// Forgets all terms but constants: no row with one of them is left.
    pub fn release(&mut self) {
        self.passing = Known::default();
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.constants.bytes + self.passing.bytes
    }

    /// Bytes of the terms of rows.
    pub fn passing_bytes(&self) -> usize {
        self.passing.bytes
    }
}

/// The id of canonical bytes whose value an id can carry.
pub fn inline(text: &[u8]) -> Option<TermId> {
    let (first, rest) = text.split_first()?;
    if *first != b'D' {
        return None;
    }
    let at = rest.iter().position(|byte| *byte == 0)?;
    let (datatype, form) = (std::str::from_utf8(&rest[..at]).ok()?, std::str::from_utf8(&rest[at + 1..]).ok()?);
    term::inline_literal(form, NamedNodeRef::new_unchecked(datatype))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_equal_if_and_only_if_texts_are() {
        let mut interner = Interner::default();
        let text = |text: &str| Text::from(text.as_bytes());
        let one = interner.add(text("Sa"), None);
        assert!(is_computed(one) && !is_stored(one) && one != UNBOUND);
        assert_eq!(interner.add(text("Sa"), None), one);
        interner.seal();
        let two = interner.add(text("Sb"), None);
        assert_ne!(one, two);
        assert_eq!(interner.text(two).map(|text| &text[..]), Some(&b"Sb"[..]));
        interner.release();
        assert_eq!((interner.find(b"Sa"), interner.find(b"Sb")), (Some(one), None));
        assert!(interner.text(two).is_none());
        let again = interner.add(text("Sb"), None);
        assert!(again != two && again != one, "no code is given twice");
        assert_eq!(interner.add(text("Ic"), Some(TermId(8))), TermId(8));
        assert_eq!(interner.find(b"Ic"), Some(TermId(8)));
    }

    #[test]
    fn texts_of_inline_values_have_their_ids() {
        let bytes = |literal: oxrdf::Literal| {
            let mut bytes = Vec::new();
            term::encode(oxrdf::Term::from(literal).as_ref(), &mut bytes);
            bytes
        };
        let seven = oxrdf::Literal::from(7);
        assert_eq!(inline(&bytes(seven.clone())), term::inline_id(oxrdf::Term::from(seven).as_ref()));
        assert!(inline(&bytes(oxrdf::Literal::from(7))).is_some_and(|id| !is_computed(id) && id != UNBOUND));
        assert_eq!(inline(&bytes(oxrdf::Literal::new_simple_literal("7"))), None);
    }
}
