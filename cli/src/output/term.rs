//! Terms in a readable form: IRIs shortened by prefixes, plain literals without quotes. The result formats have the
//! exact terms.

use crate::prefixes::{Known, Prefix};
use crate::units;
use oxrdf::vocab::xsd;
use oxrdf::{LiteralRef, NamedNodeRef, TermRef};
use std::fmt::Write;

/// The largest depth to which triple terms are shown; deeper ones are truncated.
const DEPTH_MAX: u32 = 16;

/// Prefixes for shortening IRIs.
#[derive(Clone, Debug)]
pub struct Prefixes(Vec<(String, String)>);

impl Prefixes {
    /// The prefixes that a text declares, and the known ones whose names it does not redefine.
    pub fn new(declared: Vec<Prefix>, known: &Known) -> Self {
        let is_free = |(name, _): &&Prefix| declared.iter().all(|(other, _)| other != name);
        let mut all = declared.clone();
        all.extend(known.all().iter().filter(is_free).cloned());
        all.retain(|(_, iri)| !iri.is_empty());
        // The longest namespace has precedence; of equal ones the one that was declared first.
        all.sort_by_key(|(_, iri)| std::cmp::Reverse(iri.len()));
        Self(all)
    }

    /// The term for a cell of a table: one line, without control characters.
    pub fn shown(&self, term: TermRef<'_>) -> String {
        let mut text = String::new();
        self.term(term, 0, &mut text);
        text
    }

    /// A text with its IRIs, which are in angle brackets, shortened. Quoted parts stay unchanged.
    pub fn shorten(&self, text: &str) -> String {
        let mut short = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['<', '"']) {
            short.push_str(&rest[..at]);
            rest = &rest[at..];
            let end = if rest.starts_with('"') { end_of_quoted(rest) } else { end_of_iri(rest) };
            match end {
                Some(end) if rest.starts_with('<') => self.iri(NamedNodeRef::new_unchecked(&rest[1..end]), &mut short),
                // Quoted, or an operator.
                end => short.push_str(&rest[..=end.unwrap_or(0)]),
            }
            rest = &rest[end.unwrap_or(0) + 1..];
        }
        short + rest
    }

    fn term(&self, term: TermRef<'_>, depth: u32, text: &mut String) {
        match term {
            TermRef::NamedNode(node) => self.iri(node, text),
            TermRef::BlankNode(node) => {
                let _ = write!(text, "_:{}", node.as_str());
            }
            TermRef::Literal(literal) => self.literal(literal, text),
            TermRef::Triple(_) if depth >= DEPTH_MAX => text.push_str("<<( … )>>"),
            TermRef::Triple(triple) => {
                text.push_str("<<( ");
                self.term(triple.subject.as_ref().into(), depth + 1, text);
                text.push(' ');
                self.iri(triple.predicate.as_ref(), text);
                text.push(' ');
                self.term(triple.object.as_ref(), depth + 1, text);
                text.push_str(" )>>");
            }
        }
    }

    fn iri(&self, node: NamedNodeRef<'_>, text: &mut String) {
        let iri = node.as_str();
        let short = self.0.iter().find_map(|(name, start)| {
            let local = iri.strip_prefix(start.as_str())?;
            is_local(local).then_some((name, local))
        });
        match short {
            Some((name, local)) => text.extend([name, ":", local]),
            None => {
                text.push('<');
                escaped(iri, text);
                text.push('>');
            }
        }
    }

    fn literal(&self, literal: LiteralRef<'_>, text: &mut String) {
        let value = literal.value();
        if let Some(grouped) = grouped(literal) {
            return text.push_str(&grouped);
        }
        if literal.datatype() == xsd::STRING || is_plain(literal.datatype()) {
            return escaped(value, text);
        }
        text.push('"');
        escaped(value, text);
        text.push('"');
        match literal.language() {
            Some(language) => {
                text.extend(["@", language]);
                if let Some(direction) = literal.direction() {
                    let _ = write!(text, "--{direction}");
                }
            }
            None => {
                text.push_str("^^");
                self.iri(literal.datatype(), text);
            }
        }
    }
}

/// The end of the quoted string at the start of a text.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    let ends = |(_, c): &(usize, char)| {
        let ends = *c == '"' && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        ends
    };
    text.char_indices().skip(1).find(ends).map(|(at, _)| at)
}

/// The end of the IRI at the start of a text; `None` if the bracket is an operator.
fn end_of_iri(text: &str) -> Option<usize> {
    let end = text.find(|c: char| matches!(c, '>' | '"') || c.is_whitespace())?;
    (end > 1 && text[end..].starts_with('>')).then_some(end)
}

/// Is this a local name that needs no escapes?
fn is_local(text: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    text.chars().all(is_name) && !text.starts_with(['-', '.']) && !text.ends_with('.')
}

/// An integer of five digits or more with thousands separators. Shorter ones stay unchanged: they may be years.
fn grouped(literal: LiteralRef<'_>) -> Option<String> {
    let is_fraction = [xsd::DECIMAL, xsd::DOUBLE, xsd::FLOAT].contains(&literal.datatype());
    let is_whole = is_number(literal.datatype()) && !is_fraction;
    let (sign, digits) = literal.value().strip_prefix('-').map_or(("", literal.value()), |digits| ("-", digits));
    let is_long = digits.len() >= 5 && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = Some(digits).filter(|_| is_whole && is_long)?.parse().ok()?;
    Some(format!("{sign}{}", units::count(number)))
}

/// Datatypes that are evident from their values.
fn is_plain(datatype: NamedNodeRef<'_>) -> bool {
    is_number(datatype) || [xsd::BOOLEAN, xsd::DATE, xsd::DATE_TIME, xsd::TIME, xsd::DURATION].contains(&datatype)
}

fn is_number(datatype: NamedNodeRef<'_>) -> bool {
    [xsd::INTEGER, xsd::DECIMAL, xsd::DOUBLE, xsd::FLOAT, xsd::INT, xsd::LONG].contains(&datatype)
        || [xsd::NON_NEGATIVE_INTEGER, xsd::POSITIVE_INTEGER, xsd::UNSIGNED_LONG].contains(&datatype)
}

/// Is the term right-aligned in its column?
pub fn is_numeric(term: TermRef<'_>) -> bool {
    matches!(term, TermRef::Literal(literal) if is_number(literal.datatype()))
}

/// Escapes line breaks and control characters, so that a value stays on its line and cannot control the terminal.
fn escaped(value: &str, text: &mut String) {
    for character in value.chars() {
        match character {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(text, "\\u{:04X}", u32::from(c));
            }
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxrdf::{BlankNode, Literal, NamedNode, Term, Triple};

    fn iri(text: &str) -> NamedNode {
        NamedNode::new_unchecked(text)
    }

    #[test]
    fn terms_are_short_and_harmless() {
        let declared = [("ex", "http://e/"), ("deep", "http://e/a/"), ("owl", "http://birds/")];
        let declared = declared.map(|(name, iri)| (name.to_owned(), iri.to_owned()));
        let prefixes = Prefixes::new(declared.into(), &Known::default());
        let cases: Vec<(Term, &str)> = vec![
            (iri("http://e/x").into(), "ex:x"),
            (iri("http://e/a/x").into(), "deep:x"),
            (iri("http://e/a/x/y").into(), "<http://e/a/x/y>"),
            (iri("http://e/").into(), "ex:"),
            (iri("http://e/x.").into(), "<http://e/x.>"),
            (iri("http://e/é-1").into(), "ex:é-1"),
            (iri("http://birds/eagle").into(), "owl:eagle"),
            (iri("http://www.w3.org/2002/07/owl#Class").into(), "<http://www.w3.org/2002/07/owl#Class>"),
            (iri("http://www.w3.org/2000/01/rdf-schema#label").into(), "rdfs:label"),
            (BlankNode::new_unchecked("b1").into(), "_:b1"),
            (Literal::new_simple_literal("two\nlines \u{1b}[31m").into(), "two\\nlines \\u001B[31m"),
            (Literal::new_language_tagged_literal_unchecked("hi", "en").into(), "\"hi\"@en"),
            (Literal::from(-7).into(), "-7"),
            (Literal::from(2026).into(), "2026"),
            (Literal::from(-1_234_567).into(), "-1,234,567"),
            (Literal::new_typed_literal("00012345", xsd::INTEGER).into(), "00012345"),
            (Literal::new_typed_literal("12345.5", xsd::DECIMAL).into(), "12345.5"),
            (Literal::from(true).into(), "true"),
            (Literal::new_typed_literal("x", iri("http://e/t")).into(), "\"x\"^^ex:t"),
            (
                Term::Triple(Box::new(Triple::new(iri("http://e/s"), iri("http://e/p"), Literal::from(1)))),
                "<<( ex:s ex:p 1 )>>",
            ),
        ];
        for (term, expected) in cases {
            assert_eq!(prefixes.shown(term.as_ref()), expected);
        }
    }

    #[test]
    fn texts_keep_what_is_no_iri() {
        let prefixes = Prefixes::new(vec![("ex".to_owned(), "http://e/".to_owned())], &Known::default());
        let cases = [
            ("match ?a <http://e/p> <urn:o> by subject", "match ?a ex:p <urn:o> by subject"),
            ("keep if ?a < 3 && ?b > <http://e/x>", "keep if ?a < 3 && ?b > ex:x"),
            (
                r#"keep if ?a = "<http://e/x> \" <http://e/x>" || ?a<?b"#,
                r#"keep if ?a = "<http://e/x> \" <http://e/x>" || ?a<?b"#,
            ),
            (r#"?a = "x"^^<http://e/t>"#, r#"?a = "x"^^ex:t"#),
            ("<", "<"),
            ("\"open <http://e/x>", "\"open ex:x"),
        ];
        for (text, expected) in cases {
            assert_eq!(prefixes.shorten(text), expected);
        }
    }

    #[test]
    fn triple_terms_are_cut_off_somewhere() {
        let mut term = Term::from(Literal::from(1));
        for _ in 0..100 {
            term = Term::Triple(Box::new(Triple::new(iri("http://e/s"), iri("http://e/p"), term)));
        }
        assert!(Prefixes::new(vec![], &Known::default()).shown(term.as_ref()).contains("<<( … )>>"));
    }
}
