//! Terms as bytes, as hashes and as inline ids.
//!
//! The dictionary stores a term as its *canonical bytes*, one encoding per term, so that equal bytes mean equal RDF
//! terms:
//!
//! ```text
//! I iri            B blank node label      S string
//! G language NUL value          W language NUL direction NUL value     D datatype NUL value     T triple (N-Triples)
//! ```
//!
//! Invariant: a literal is inline exactly when its lexical form is the canonical one of its value and the value fits,
//! so every process finds the same id for a term.

use crate::fault::Fault;
use crate::id::{ShardCount, ShardId, TermId, TermKind};
use oxrdf::vocab::{rdf, xsd};
use oxrdf::{BaseDirection, BlankNode, Literal, LiteralRef, NamedNode, NamedNodeRef, Term, TermRef, Triple};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::fmt;
use std::hash::Hasher;
use std::str::FromStr;

/// The 128-bit keyed hash of a term's canonical bytes: its identity in the dictionary, and the choice of its home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TermHash(pub u128);

/// The key of a cluster's term hash, fixed when the cluster is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKey(pub [u8; 16]);

impl HashKey {
    /// Hashes canonical term bytes (SipHash-1-3 with 128 bits of output).
    pub fn hash(&self, canonical: &[u8]) -> TermHash {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(canonical);
        TermHash(hasher.finish128().as_u128())
    }
}

impl TermHash {
    /// The shard that owns the term, by the lowest bits of the hash, which the dictionary's index entries do not contain.
    pub fn home(self, shards: ShardCount) -> ShardId {
        let bits = shards.get().trailing_zeros();
        ShardId((self.0 as u64 & ((1u64 << bits) - 1)) as u16)
    }
}

/// The canonical bytes of `rdf:type`.
pub fn rdf_type() -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_iri(rdf::TYPE, &mut bytes);
    bytes
}

/// The kind of the term with these canonical bytes.
pub fn kind_of(canonical: &[u8]) -> Result<TermKind, Fault> {
    match canonical.first() {
        Some(b'I') => Ok(TermKind::Iri),
        Some(b'B') => Ok(TermKind::BlankNode),
        Some(b'S' | b'G' | b'W' | b'D') => Ok(TermKind::Literal),
        Some(b'T') => Ok(TermKind::Triple),
        _ => Err(Fault::corrupt("a term with an unknown kind")),
    }
}

/// Appends the canonical bytes of `term` to `buffer`.
pub fn encode(term: TermRef<'_>, buffer: &mut Vec<u8>) {
    match term {
        TermRef::NamedNode(node) => encode_iri(node, buffer),
        TermRef::BlankNode(node) => {
            buffer.push(b'B');
            buffer.extend_from_slice(node.as_str().as_bytes());
        }
        TermRef::Literal(literal) => encode_literal(literal, buffer),
        TermRef::Triple(triple) => {
            buffer.push(b'T');
            buffer.extend_from_slice(triple.to_string().as_bytes());
        }
    }
}

fn encode_iri(node: NamedNodeRef<'_>, buffer: &mut Vec<u8>) {
    buffer.push(b'I');
    buffer.extend_from_slice(node.as_str().as_bytes());
}

fn encode_literal(literal: LiteralRef<'_>, buffer: &mut Vec<u8>) {
    match (literal.language(), literal.direction()) {
        (Some(language), Some(direction)) => {
            buffer.push(b'W');
            buffer.extend_from_slice(language.as_bytes());
            buffer.push(0);
            buffer.extend_from_slice(if direction == BaseDirection::Ltr { b"ltr" } else { b"rtl" });
            buffer.push(0);
        }
        (Some(language), None) => {
            buffer.push(b'G');
            buffer.extend_from_slice(language.as_bytes());
            buffer.push(0);
        }
        _ if literal.datatype() == xsd::STRING => buffer.push(b'S'),
        _ => {
            buffer.push(b'D');
            buffer.extend_from_slice(literal.datatype().as_str().as_bytes());
            buffer.push(0);
        }
    }
    buffer.extend_from_slice(literal.value().as_bytes());
}

/// The term with these canonical bytes.
///
/// # Errors
/// `Corrupt` for bytes that [`encode`] never makes.
pub fn decode(canonical: &[u8]) -> Result<Term, Fault> {
    let text = std::str::from_utf8(canonical).map_err(|_| Fault::corrupt("a term that is not UTF-8"))?;
    let (kind, rest) = text.split_at_checked(1).ok_or_else(|| Fault::corrupt("an empty term"))?;
    let split = |text| str::split_once(text, '\0').ok_or_else(|| Fault::corrupt("a literal without its separator"));
    Ok(match kind {
        "I" => NamedNode::new_unchecked(rest).into(),
        "B" => BlankNode::new_unchecked(rest).into(),
        "S" => Literal::new_simple_literal(rest).into(),
        "G" => {
            let (language, value) = split(rest)?;
            Literal::new_language_tagged_literal_unchecked(value, language).into()
        }
        "W" => {
            let (language, rest) = split(rest)?;
            let (direction, value) = split(rest)?;
            let direction = if direction == "ltr" { BaseDirection::Ltr } else { BaseDirection::Rtl };
            Literal::new_directional_language_tagged_literal_unchecked(value, language, direction).into()
        }
        "D" => {
            let (datatype, value) = split(rest)?;
            Literal::new_typed_literal(value, NamedNode::new_unchecked(datatype)).into()
        }
        "T" => {
            let triple = Triple::from_str(rest).map_err(|_| Fault::corrupt("a triple term that does not parse"))?;
            Term::Triple(Box::new(triple))
        }
        _ => return Err(Fault::corrupt("a term with an unknown kind")),
    })
}

const INTEGER: u8 = 1;
const BOOLEAN: u8 = 2;
const DATE: u8 = 3;
/// The offset with which integers are stored, so that ids sort as their values do.
const INTEGER_OFFSET: i64 = 1 << 58;

/// The inline id of a term, if its value is small and its lexical form canonical.
pub fn inline_id(term: TermRef<'_>) -> Option<TermId> {
    let TermRef::Literal(literal) = term else { return None };
    inline_literal(literal.value(), literal.datatype())
}

/// The inline id of the literal with this lexical form and datatype, as [`inline_id`] gives it.
pub fn inline_literal(value: &str, datatype: NamedNodeRef<'_>) -> Option<TermId> {
    if datatype == xsd::INTEGER {
        let number: i64 = canonical_integer(value)?;
        (-INTEGER_OFFSET..INTEGER_OFFSET)
            .contains(&number)
            .then(|| TermId::inline(INTEGER, (number + INTEGER_OFFSET) as u64))
    } else if datatype == xsd::BOOLEAN {
        match value {
            "false" => Some(TermId::inline(BOOLEAN, 0)),
            "true" => Some(TermId::inline(BOOLEAN, 1)),
            _ => None,
        }
    } else if datatype == xsd::DATE {
        canonical_date(value).map(|date| TermId::inline(DATE, date))
    } else {
        None
    }
}

fn canonical_integer(value: &str) -> Option<i64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let canonical = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (!digits.starts_with('0') || value == "0");
    canonical.then(|| value.parse().ok()).flatten()
}

/// `YYYY-MM-DD` without a time zone, year 0001 to 9999, as year << 16 | month << 8 | day.
fn canonical_date(value: &str) -> Option<u64> {
    let bytes = value.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| -> Option<u64> {
        let digits = &value.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    ((1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day))
        .then_some(year << 16 | month << 8 | day)
}

/// The value that an inline id carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InlineValue {
    Integer(i64),
    Boolean(bool),
    /// From 0001-01-01 to 9999-12-31, without a time zone. The month may have fewer days.
    Date {
        year: u16,
        month: u8,
        day: u8,
    },
}

impl InlineValue {
    /// The datatype of the literal.
    pub fn datatype(self) -> NamedNodeRef<'static> {
        match self {
            Self::Integer(_) => xsd::INTEGER,
            Self::Boolean(_) => xsd::BOOLEAN,
            Self::Date { .. } => xsd::DATE,
        }
    }
}

/// The lexical form of the literal.
impl fmt::Display for InlineValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => number.fmt(f),
            Self::Boolean(value) => value.fmt(f),
            Self::Date { year, month, day } => write!(f, "{year:04}-{month:02}-{day:02}"),
        }
    }
}

/// The value that an inline id carries; `None` for dictionary ids and the default graph.
#[inline]
pub fn inline_value(id: TermId) -> Option<InlineValue> {
    let (kind, payload) = id.inline_parts()?;
    match kind {
        INTEGER => Some(InlineValue::Integer(payload as i64 - INTEGER_OFFSET)),
        BOOLEAN => Some(InlineValue::Boolean(payload == 1)),
        DATE => Some(InlineValue::Date {
            year: (payload >> 16) as u16,
            month: (payload >> 8 & 255) as u8,
            day: (payload & 255) as u8,
        }),
        _ => None,
    }
}

/// The term that an inline id carries; `None` for dictionary ids and the default graph.
pub fn inline_term(id: TermId) -> Option<Term> {
    let value = inline_value(id)?;
    Some(Literal::new_typed_literal(value.to_string(), value.datatype()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn literal() -> impl Strategy<Value = Literal> {
        let datatypes = prop::sample::select(vec![xsd::INTEGER, xsd::BOOLEAN, xsd::DATE, xsd::DECIMAL, xsd::STRING]);
        let values = prop_oneof![
            "[-+]?[0-9]{1,20}",
            "(true|false|1|0)",
            "[0-9]{4}-[0-9]{2}-[0-9]{2}",
            any::<String>().prop_map(|value| value.replace('\0', ""))
        ];
        prop_oneof![
            (values.clone(), datatypes).prop_map(|(value, datatype)| Literal::new_typed_literal(value, datatype)),
            values.clone().prop_map(|value| Literal::new_language_tagged_literal_unchecked(value, "en-gb")),
            values.prop_map(|value| {
                Literal::new_directional_language_tagged_literal_unchecked(value, "ar", BaseDirection::Rtl)
            }),
        ]
    }

    proptest! {
        #[test]
        fn every_literal_comes_back(literal in literal()) {
            let term = Term::from(literal);
            let mut bytes = Vec::new();
            encode(term.as_ref(), &mut bytes);
            prop_assert_eq!(&decode(&bytes).expect("our own bytes"), &term);
            prop_assert_eq!(kind_of(&bytes).expect("our own bytes"), TermKind::Literal);
            if let Some(id) = inline_id(term.as_ref()) {
                prop_assert_eq!(inline_term(id), Some(term));
            }
        }

        #[test]
        fn integers_sort_as_their_ids(a in -(1i64 << 58)..(1 << 58), b in -(1i64 << 58)..(1 << 58)) {
            let id = |n: i64| inline_literal(&n.to_string(), xsd::INTEGER).expect("fits");
            prop_assert_eq!(a.cmp(&b), id(a).cmp(&id(b)));
        }
    }

    #[test]
    fn only_canonical_forms_are_inline() {
        for lexical in ["01", "+1", "-0", "", "-", "1.0", "9999999999999999999"] {
            assert_eq!(inline_literal(lexical, xsd::INTEGER), None, "{lexical}");
        }
        for lexical in ["2024-1-01", "2024-13-01", "0000-01-01", "2024-01-01Z"] {
            assert_eq!(inline_literal(lexical, xsd::DATE), None, "{lexical}");
        }
    }

    #[test]
    fn triple_terms_and_nodes_come_back() {
        let inner = Triple::new(BlankNode::new_unchecked("b"), xsd::DATE, Literal::from("a \"quoted\"\nline"));
        let terms: [Term; 3] =
            [xsd::DATE.into_owned().into(), BlankNode::new_unchecked("x1").into(), Term::Triple(Box::new(inner))];
        for term in terms {
            let mut bytes = Vec::new();
            encode(term.as_ref(), &mut bytes);
            assert_eq!(decode(&bytes).expect("our own bytes"), term);
        }
    }

    #[test]
    fn junk_is_corrupt() {
        for junk in [&b""[..], b"X", b"\xff\xfe", b"Gen", b"T not a triple"] {
            assert!(decode(junk).is_err(), "{junk:?}");
        }
    }
}
