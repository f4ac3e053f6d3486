//! The normal form of a query's text: what does not matter is left out, and IRIs that may stand for any other are holes.
//!
//! ```text
//! SELECT ?o {  <http://e/a> ?p ?o } # all      text
//! SELECT ?o { <> ?p ?o }                       key, with http://e/a in its hole
//! ```
//!
//! Two texts with one key are the same query but for what is in the holes. Whether that says enough is decided by whoever
//! knows what the query means: an IRI may also name a function.

use crate::text::tokens::{Token, tokens};
use oxrdf::NamedNode;

/// Begins the IRIs that stand in holes when a key must be parsed.
const STAND_IN: &str = "entail:hole:";

/// A text's normal form.
#[derive(Debug, PartialEq, Eq)]
pub struct Normal {
    pub key: String,
    /// What is in the holes, in order.
    pub holes: Vec<NamedNode>,
}

/// The normal form; `None` for a text whose IRIs are not what they seem to be, or that is damaged.
pub fn normal(text: &str) -> Option<Normal> {
    let mut holes = Vec::new();
    let key = scan(text, |iri, key| {
        // An absolute IRI without escapes stands for itself.
        holes.push(NamedNode::new(&iri[1..iri.len() - 1]).ok()?);
        key.push_str("<>");
        Some(())
    })?;
    Some(Normal { key, holes })
}

/// The text with all its IRIs, without what does not matter.
pub fn exact(text: &str) -> Option<String> {
    scan(text, |iri, key| {
        key.push_str(iri);
        Some(())
    })
}

/// The text with stand-ins in its holes; `None` if it could have made one by itself.
pub fn with_stand_ins(text: &str) -> Option<String> {
    let mut next = 0;
    let text = Some(text).filter(|text| !text.contains(STAND_IN));
    scan(text?, |_, open| {
        open.push_str(&format!("<{STAND_IN}{next}>"));
        next += 1;
        Some(())
    })
}

/// The hole that an IRI stands in.
pub fn hole_of(iri: &str) -> Option<usize> {
    iri.strip_prefix(STAND_IN)?.parse().ok()
}

/// Copies a text; `hole` writes what comes for an IRI that may be a hole.
fn scan(text: &str, mut hole: impl FnMut(&str, &mut String) -> Option<()>) -> Option<String> {
    let mut pieces = tokens(text);
    let mut normal = String::with_capacity(text.len());
    let (mut is_apart, mut takes_name) = (false, false);
    while let Some((piece, token)) = pieces.piece() {
        if piece.starts_with([' ', '\t', '\r', '\n', '#']) {
            is_apart = true;
            continue;
        }
        if std::mem::take(&mut is_apart) && !normal.is_empty() {
            normal.push(' ');
        }
        match token {
            // Every IRI would be resolved against it.
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("base") => return None,
            None if piece.len() > 1 && piece.starts_with('<') && !takes_name => hole(piece, &mut normal)?,
            _ => normal.push_str(piece),
        }
        // What comes then is no term of a pattern: the IRI of a prefix, a datatype, a graph.
        let names = ["from", "named", "graph", "service"];
        takes_name = piece.ends_with([':', '^']) || names.iter().any(|name| piece.eq_ignore_ascii_case(name));
    }
    pieces.is_at_end().then_some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Option<(String, Vec<String>)> {
        normal(text).map(|normal| (normal.key, normal.holes.into_iter().map(NamedNode::into_string).collect()))
    }

    fn some(key: &str, holes: &[&str]) -> Option<(String, Vec<String>)> {
        Some((key.to_owned(), holes.iter().map(|hole| (*hole).to_owned()).collect()))
    }

    #[test]
    fn only_what_does_not_matter_is_left_out() {
        let text = " PREFIX e: <http://e/>\n\tSELECT ?o # <x>\n{ <http://e/a>e:p ?o; e: \"a  # <http://b>\" } ";
        assert_eq!(
            key(text),
            some("PREFIX e: <http://e/> SELECT ?o { <>e:p ?o; e: \"a  # <http://b>\" }", &["http://e/a"])
        );
        assert_eq!(key("ASK{?x<http://a>?y}"), some("ASK{?x<>?y}", &["http://a"]));
        assert_eq!(key("ASK { ?x < ?y && ?y > ?z }"), some("ASK { ?x < ?y && ?y > ?z }", &[]));
        assert_eq!(key("ASK FROM <http://g> { ?s ?p 1 }"), some("ASK FROM <http://g> { ?s ?p 1 }", &[]));
        assert_eq!(key("ASK { ?s ?p '1'^^<http://d> }"), some("ASK { ?s ?p '1'^^<http://d> }", &[]));
    }

    #[test]
    fn texts_that_are_not_what_they_seem_have_no_form() {
        for text in
            ["BASE <http://e/> ASK { <a> ?p ?o }", "ASK { <a> ?p ?o }", "ASK { <http://e/\\u0061> ?p ?o }", "\\é"]
        {
            assert_eq!(key(text), None, "{text}");
        }
        assert_eq!(with_stand_ins("PREFIX h: <entail:hole:> ASK { <http://e/a> ?p h:0 }"), None);
    }

    #[test]
    fn holes_are_numbered() {
        let open = with_stand_ins("ASK { <http://a>  ?p <http://b> }").unwrap();
        assert_eq!(open, "ASK { <entail:hole:0> ?p <entail:hole:1> }");
        assert_eq!(["entail:hole:1", "http://a"].map(hole_of), [Some(1), None]);
    }
}
