//! Plain lines against oxttl: a line that is read as plain gives the same fact as oxttl, also with IRIs of earlier
//! lines.

use super::*;
use crate::batch::Slot;
use crate::read::lines::parser::each_quad;
use oxrdf::{GraphName, NamedNode, NamedOrBlankNode, Quad, Term};
use proptest::prelude::*;

/// Some IRIs, by their index.
struct Met(Vec<&'static str>);

impl Known for Met {
    fn iri(&self, bytes: &[u8], _: TermPosition) -> Option<(usize, Slot)> {
        let end = memchr::memchr(b'>', bytes)?;
        let slot = self.0.iter().position(|iri| iri.as_bytes() == &bytes[..end])?;
        Some((end, Slot::term(slot)))
    }
}

impl Met {
    fn term(&self, term: &PlainTerm<'_>) -> Term {
        match term {
            PlainTerm::Known(slot) => NamedNode::new_unchecked(self.0[slot.index().expect("a place")]).into(),
            PlainTerm::Term(term) => term.into_owned(),
        }
    }

    fn quad(&self, fact: &PlainFact<'_>) -> Quad {
        let node = |term| match self.term(term) {
            Term::NamedNode(node) => NamedOrBlankNode::from(node),
            Term::BlankNode(node) => node.into(),
            other => panic!("{other} as a node"),
        };
        let Term::NamedNode(predicate) = self.term(&fact.predicate) else { panic!("{fact:?}") };
        let graph = fact.graph.as_ref().map_or(GraphName::DefaultGraph, |graph| node(graph).into());
        Quad::new(node(&fact.subject), predicate, self.term(&fact.object), graph)
    }
}

/// The facts that oxttl reads from a line, or an error.
fn oracle(line: &str, format: LineFormat) -> Option<Vec<Quad>> {
    let mut quads = Vec::new();
    each_quad(line.as_bytes(), format, |quad| quad.map(|quad| quads.push(quad)).map_err(drop)).ok().map(|()| quads)
}

/// Checks a line, with known and with unknown IRIs; returns whether it was plain with unknown ones.
fn check(line: &str) -> bool {
    let known = ["http://e/a", "urn:x:1", "http://e/\u{e9}", "a:p"];
    let mut is_plain = false;
    for (known, format) in [
        (Met(vec![]), LineFormat::NTriples),
        (Met(vec![]), LineFormat::NQuads),
        (Met(known.to_vec()), LineFormat::NTriples),
        (Met(known.to_vec()), LineFormat::NQuads),
    ] {
        let expected = match parse(line, format, &known) {
            None => continue,
            Some(PlainLine::Nothing) => vec![],
            Some(PlainLine::Fact(fact)) => vec![known.quad(&fact)],
        };
        is_plain |= known.0.is_empty();
        assert_eq!(Some(expected), oracle(line, format), "{line:?} as {format:?}");
    }
    is_plain
}

#[test]
fn usual_lines_are_plain() {
    let lines = [
        "<http://www.example.org/a/b?c=d&e=(f)#g:h/i> <urn:isbn:1-2_3> <http://localhost:8080> .",
        "<http://e/> <http://e/p> \"two words, \u{e9}\u{1F600}\"@en .",
        "\t<a:b>\t<a:>  \"x\"@pt-br\t.\t",
        "<a:b> <mailto:x@y.z> \"1\"^^<http://www.w3.org/2001/XMLSchema#integer> .",
        "<a:b> <a:p> \"text\"^^<http://www.w3.org/2001/XMLSchema#string> .",
        "_:b0 <a:p> _:x7Y .",
        "<http:///path> <a://?q> \"\" .",
        "<file:///a//b> <a:/b> \"<a:b> . # \t'\" .",
        "",
        "  \t",
    ];
    for line in lines {
        assert!(check(line), "{line:?}");
    }
    assert!(check("<a:s> <a:p> <a:o> <a:g> .") && check("<a:s> <a:p> \"x\" _:g ."));
}

#[test]
fn unusual_lines_are_not() {
    let lines = [
        "<a:s> <a:p> \"a\\nb\" .",
        "<a:s> <a:p> \"x\"@EN .",
        "<a:s> <a:p> \"x\"@en--ltr .",
        "<a:s> <a:p> \"x\"@en-latn-de .",
        "<a:s> <a:p> \"x\"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#langString> .",
        "<a:s> <a:p> <<( <a:s> <a:p> <a:o> )>> .",
        "<a:s> <a:p> <a:o> . # why",
        "<a:s><a:p><a:o>.",
        "<a:s> <a:p> <http://[::1]/> .",
        "<a:s> <a:p> <http://user@host/> .",
        "<a:s> <a:p> <http://e/%20> .",
        "<a:s> <a:p> <http://e/\u{e9}> .",
        "<a:s> <a:p> <http://e/\\u00e9> .",
        "<a:s> <a:p> <relative> .",
        "<a:s> <a:p> <http://e/#a#b> .",
        "<a:s> <a:p> <http://e:80x/> .",
        "<1:s> <a:p> <a:o> .",
        "<a:s> <a:p> <a:o .",
        "<a:s> <a:p> <a:o>",
        "<a:s> <a:p> .",
        "<a:s> \"p\" <a:o> .",
        "_:b.1 <a:p> <a:o> .",
        "_: <a:p> <a:o> .",
        "<a:s> <a:p> \"open .",
        "<a:s> <a:p> \"x\r\" .",
        "<a:s> <a:p> <a:o> .\r<a:s> <a:p> <a:o> .",
        "# all of it",
        "VERSION \"1.2\"",
    ];
    for line in lines {
        assert!(!check(line), "{line:?}");
    }
}

/// Pieces of lines, some of them malformed, and single characters between and within them.
fn piece() -> impl Strategy<Value = String> {
    let whole = prop::sample::select(vec![
        "<http://e/a>",
        "<http://e/\u{e9}>",
        "<a:p>",
        "<urn:x:1>",
        "<a:b#c>",
        "<a://h:1/?#>",
        "<a:b",
        "_:b1",
        "_:x",
        "\"text\"",
        "\"t\"@en",
        "\"t\"@en-us",
        "\"1\"^^<a:t>",
        "\"\u{e9}\"",
        "\"\\t\"",
        " ",
        "\t",
        " . ",
        ".",
        "#",
        "<",
        ">",
        "\"",
        "@",
        "^^",
    ]);
    prop_oneof![
        4 => whole.prop_map(str::to_owned),
        1 => "[ -~]{1,3}",
        1 => r#"<[a-z]{1,2}:(//)?[a-zA-Z0-9:/?#@!$&'()*+,;=._~%\[\]-]{0,8}>"#,
        1 => any::<char>().prop_filter("one line", |c| *c != '\n').prop_map(String::from),
    ]
}

/// A fact of pieces in order, most of them well-formed, with blanks between them.
fn fact() -> impl Strategy<Value = String> {
    (piece(), piece(), piece(), prop::option::weighted(0.3, piece()), "[ \t]{0,2}").prop_map(
        |(subject, predicate, object, graph, blanks)| {
            let graph = graph.map_or_else(String::new, |graph| format!("{graph} "));
            format!("{subject} {predicate} {object}{blanks} {graph}.{blanks}")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn plain_lines_are_read_as_oxttl_reads_them(line in prop_oneof![
        prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat()),
        fact(),
    ]) {
        check(&line);
    }
}
