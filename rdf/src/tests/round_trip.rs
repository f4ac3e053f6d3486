//! Facts written in any format and compression are read back unchanged.

use super::*;
use crate::batch::blank::BlankNames;
use crate::write::Serializer;
use oxrdf::{BaseDirection, BlankNode, GraphName, Literal, NamedNode, Triple};
use proptest::prelude::*;

fn iri() -> impl Strategy<Value = NamedNode> {
    prop_oneof![
        "[a-z]{1,3}".prop_map(|name| NamedNode::new_unchecked(format!("http://example.org/{name}"))),
        "[a-zé]{1,3}".prop_map(|name| NamedNode::new_unchecked(format!("urn:x:{name}#f-{name}?q=(1.5)"))),
        Just(NamedNode::new_unchecked("http://www.w3.org/1999/02/22-rdf-syntax-ns#type")),
    ]
}

fn blank() -> impl Strategy<Value = BlankNode> {
    // Some look as if a parser had drawn them at random.
    prop_oneof!["[a-c]{1,2}", "[a-f][0-9a-f]{31}", Just("abcdef0123456789abcdef0123456789".to_owned())]
        .prop_map(BlankNode::new_unchecked)
}

fn literal() -> impl Strategy<Value = Literal> {
    let text = prop_oneof![
        "[a-z ]{0,6}",
        "[ \t\n\"'\\\\<>&.#@{}é€😀-]{0,12}",
        Just("<<( x )>> _:b . \n \"\"\" ''' ".to_owned()),
        "[0-9]{1,3}",
        "[\\x00-\\x20\\x7f\u{85}\u{2028}\u{feff}\u{fffd}\u{fffe}\u{ffff}\u{10ffff}]{0,6}",
        "(\r|\n|\t| |a|]]>|&#13;|&amp;|<!--|-->){0,6}",
    ];
    let datatype = prop::sample::select(vec!["integer", "decimal", "boolean", "date", "double"])
        .prop_map(|name| NamedNode::new_unchecked(format!("http://www.w3.org/2001/XMLSchema#{name}")));
    prop_oneof![
        3 => text.clone().prop_map(Literal::from),
        1 => (text.clone(), datatype).prop_map(|(text, datatype)| Literal::new_typed_literal(text, datatype)),
        1 => text.clone().prop_map(|text| Literal::new_language_tagged_literal_unchecked(text, "en-gb")),
        1 => text.prop_map(|text| {
            Literal::new_directional_language_tagged_literal_unchecked(text, "ar", BaseDirection::Rtl)
        }),
        1 => any::<i64>().prop_map(Literal::from),
    ]
}

fn node() -> impl Strategy<Value = NamedOrBlankNode> {
    prop_oneof![iri().prop_map(Into::into), blank().prop_map(Into::into)]
}

fn term() -> impl Strategy<Value = Term> {
    let plain = prop_oneof![2 => iri().prop_map(Term::from), 1 => blank().prop_map(Term::from), 3 => literal().prop_map(Term::from)];
    plain.prop_recursive(2, 4, 1, |inner| {
        (node(), iri(), inner).prop_map(|(subject, predicate, object)| Triple::new(subject, predicate, object).into())
    })
}

fn quad() -> impl Strategy<Value = Quad> {
    let graph = prop_oneof![
        2 => Just(GraphName::DefaultGraph),
        1 => iri().prop_map(GraphName::from),
        1 => blank().prop_map(GraphName::from)
    ];
    (node(), iri(), term(), graph)
        .prop_map(|(subject, predicate, object, graph)| Quad::new(subject, predicate, object, graph))
}

/// The quad as loading renames its blank nodes.
fn renamed(quad: &Quad, names: &mut BlankNames) -> Quad {
    fn node(node: &NamedOrBlankNode, names: &mut BlankNames) -> NamedOrBlankNode {
        match node {
            NamedOrBlankNode::BlankNode(node) => BlankNode::new_unchecked(names.rename(node.as_ref())).into(),
            other => other.clone(),
        }
    }
    fn term(object: &Term, names: &mut BlankNames) -> Term {
        match object {
            Term::BlankNode(node) => BlankNode::new_unchecked(names.rename(node.as_ref())).into(),
            Term::Triple(triple) => {
                Triple::new(node(&triple.subject, names), triple.predicate.clone(), term(&triple.object, names)).into()
            }
            other => other.clone(),
        }
    }
    let graph = match &quad.graph_name {
        GraphName::BlankNode(node) => BlankNode::new_unchecked(names.rename(node.as_ref())).into(),
        other => other.clone(),
    };
    Quad::new(node(&quad.subject, names), quad.predicate.clone(), term(&quad.object, names), graph)
}

/// Writes the `quads` that the format can represent, and returns them.
fn written(format: Format, compression: Compression, quads: &[Quad]) -> (Vec<u8>, Vec<Quad>) {
    let mut serializer = Serializer::new(format, Vec::new(), &[]).expect("no prefixes");
    let can_hold = |quad: &&Quad| match serializer.write(quad.as_ref()) {
        Ok(()) => true,
        Err(fault) => {
            assert_eq!(fault.reason, Reason::Unsupported, "{fault}");
            false
        }
    };
    let held = quads.iter().filter(can_hold).cloned().collect();
    (compressed(compression, &serializer.finish().expect("to memory")), held)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_format_and_compression_comes_back(
        quads in prop::collection::vec(quad(), 0..40),
        block_bytes in 1usize..300,
        batch_facts in 1usize..20,
        trickle in 1usize..50,
        compression in prop::sample::select(Compression::ALL.to_vec()),
        threads in 1usize..4,
    ) {
        for format in Format::ALL {
            let (text, held) = written(format, compression, &quads);
            let mut names = BlankNames::labelled(1);
            let expected: HashSet<Quad> = held.iter().map(|quad| renamed(quad, &mut names)).collect();
            let limits = Limits { block_bytes, batch_facts, ..Limits::default() };
            let parsed = parse_all(ParseRequest { threads, limits, ..request(format) }, Trickle(&text, trickle));
            let parsed = match parsed {
                Ok(parsed) => parsed,
                Err(fault) => panic!("{format}: {fault}\n{}", String::from_utf8_lossy(&written(format, Compression::None, &quads).0)),
            };
            prop_assert_eq!(parsed.set(), expected, "{}", format);
            prop_assert_eq!(parsed.report.bytes_read, text.len() as u64);
        }
    }
}

#[test]
fn facts_without_a_graph_go_to_the_target() {
    let target = NamedNode::new_unchecked("http://target");
    let text = b"<a:s> <a:p> <a:o> .\n<a:s> <a:p> <a:o> <a:g> .\n";
    let parsed = parse_all(ParseRequest { graph: Some(target.clone()), ..request(Format::NQuads) }, &text[..]);
    let graphs: HashSet<_> = parsed.expect("well-formed").quads.into_iter().map(|quad| quad.graph_name).collect();
    assert_eq!(graphs, HashSet::from([target.into(), NamedNode::new_unchecked("a:g").into()]));
}

#[test]
fn relative_iris_are_resolved_against_the_base() {
    let base_iri = Some("http://base/dir/".to_owned());
    let cases: [(Format, &str); 4] = [
        (Format::Turtle, "<s> <http://base/p> <o> ."),
        (Format::TriG, "{ <s> <p> <o> }"),
        (
            Format::RdfXml,
            "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:b='http://base/'>\
             <rdf:Description rdf:about='s'><b:p rdf:resource='o'/></rdf:Description></rdf:RDF>",
        ),
        (Format::JsonLd, r#"{"@id": "s", "http://base/p": {"@id": "o"}}"#),
    ];
    for (format, text) in cases {
        let parsed = parse_all(ParseRequest { base_iri: base_iri.clone(), ..request(format) }, text.as_bytes());
        let quad = parsed.expect("well-formed").quads.pop().expect("a fact");
        assert_eq!(quad.subject.to_string(), "<http://base/dir/s>", "{format}");
        assert_eq!(quad.object.to_string(), "<http://base/dir/o>", "{format}");
    }
    let bad = ParseRequest { base_iri: Some("no base".to_owned()), ..request(Format::Turtle) };
    assert_eq!(parse_all(bad, &b""[..]).expect_err("a bad base").reason, Reason::InvalidRequest);
}

#[test]
fn files_without_facts_are_fine_where_the_grammar_says_so() {
    for format in Format::ALL {
        for text in ["", "\n", " \r\n ", "\u{feff}"] {
            for compression in Compression::ALL {
                let input = compressed(compression, text.as_bytes());
                let parsed = parse_all(request(format), &input[..]);
                if matches!(format, Format::RdfXml | Format::JsonLd) {
                    let fault = parsed.expect_err("no document");
                    assert!(fault.reason == Reason::Syntax && fault.message.contains("empty"), "{format}: {fault}");
                    assert!(fault.position.is_some_and(|at| at.line > 0), "{format}");
                    continue;
                }
                let parsed = parsed.unwrap_or_else(|fault| panic!("{format}: {fault}"));
                assert_eq!((parsed.report.triples, parsed.batches), (0, 0));
                assert_eq!(parsed.report.bytes_decoded, text.len() as u64);
            }
        }
        for compression in [Compression::Gzip, Compression::Zstd] {
            let named = ParseRequest { compression: Some(compression), ..request(format) };
            let fault = parse_all(named, &b""[..]).expect_err("an empty file");
            assert_eq!(fault.reason, Reason::InvalidRequest);
            assert!(fault.message.contains(compression.name()) && fault.message.contains("empty"), "{fault}");
        }
    }
    for text in ["[]", "{}", "[ ]\n"] {
        assert_eq!(parse_all(request(Format::JsonLd), text.as_bytes()).expect("a document").report.triples, 0);
    }
    let root = "<?xml version='1.0'?>\n<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'/>\n";
    assert_eq!(parse_all(request(Format::RdfXml), root.as_bytes()).expect("a document").report.triples, 0);
}

#[test]
fn blocks_may_be_cut_anywhere() {
    let texts = [
        "# comment\r\n<a:s> <a:p> \"é€😀\" .\r\n\r\n\n<a:s> <a:p> <a:o> . # comment\n<a:t> <a:p> \"x\\n\"@en .",
        "<a:s> <a:p> \"é€😀\" .\r<a:s> <a:p> <a:o> .\r\r\r<a:t> <a:p> \"x\\n\"@en .\r",
        "\u{feff}<a:s> <a:p> \"é€😀\" .\n\n\n<a:s> <a:p> <a:o> .\n<a:t> <a:p> \"x\\n\"@en .\n\n",
        "\t<a:s>\t<a:p>\t\"é€😀\".\n<a:s><a:p><a:o>.\n<a:t><a:p>\"x\\n\"@en.",
    ];
    let expected = parse_all(request(Format::NTriples), texts[0].as_bytes()).expect("well-formed").set();
    assert_eq!(expected.len(), 3);
    for text in texts {
        for block_bytes in 1..text.len() {
            for trickle in [1, 2, 7, 100] {
                let limits = Limits { block_bytes, ..Limits::default() };
                let request = ParseRequest { limits, threads: 2, ..request(Format::NTriples) };
                let parsed = parse_all(request, Trickle(text.as_bytes(), trickle)).expect("well-formed");
                assert_eq!(parsed.set(), expected, "{text:?} in blocks of {block_bytes}");
            }
        }
    }
}

#[test]
fn progress_counts_what_the_report_counts() {
    let line = "<a:s> <a:p> <a:o> .\n";
    let text = compressed(Compression::Gzip, line.repeat(10_000).as_bytes());
    let request = request(Format::NTriples);
    let progress = Arc::clone(&request.progress);
    let report = parse_all(request, &text[..]).expect("well-formed").report;
    assert_eq!(report.bytes_read, text.len() as u64);
    assert_eq!(report.bytes_decoded, 10_000 * line.len() as u64);
    assert_eq!(progress.bytes.load(Ordering::Relaxed), report.bytes_read);
    assert_eq!(progress.triples.load(Ordering::Relaxed), 10_000);
}
