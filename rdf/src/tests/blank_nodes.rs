//! Blank nodes: the same in every retry of a load, distinct between loads, consistent within a load.

use super::*;

const LABEL: &str = "abcdef0123456789abcdef0123456789";

fn documents() -> [(Format, String); 6] {
    let rdf = "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:a='http://a/'";
    [
        (
            Format::Turtle,
            format!("@prefix a: <http://a/> .\n[] a:p (1 \"x\" [ a:q _:{LABEL}, _:x ]) .\n_:{LABEL} a:p [], _:x .\n"),
        ),
        (
            Format::TriG,
            format!(
                "@prefix a: <http://a/> .\n[] {{ a:s a:p [] . a:s a:q _:{LABEL} . \n a:s a:r _:x . }}\n\
                 GRAPH _:{LABEL} {{ a:s a:p 1 . a:s a:p 2 .\n a:s a:p 3 }}\n _:{LABEL} a:p _:x .\n"
            ),
        ),
        (
            Format::RdfXml,
            format!(
                "<rdf:RDF {rdf}><rdf:Description><a:p><rdf:Description><a:q rdf:nodeID='{LABEL}'/></rdf:Description></a:p>\
                 </rdf:Description>\n<rdf:Description rdf:nodeID=\"{LABEL}\"><a:p rdf:nodeID='x'/><a:q rdf:parseType='Resource'>\
                 <a:r rdf:nodeID='x'/></a:q></rdf:Description></rdf:RDF>"
            ),
        ),
        (
            // A single node element is the root, open to the end.
            Format::RdfXml,
            format!("<a:C {rdf}><a:p>1</a:p><a:q><rdf:Description rdf:nodeID='{LABEL}'/></a:q><a:p>2</a:p></a:C>"),
        ),
        (
            Format::JsonLd,
            format!(
                r#"[{{"http://a/p": {{"@list": [1, {{"@id": "_:{LABEL}"}}]}}}}, {{"@id": "\u005f:{LABEL}", "http://a/p": [{{"http://a/q": {{"@id": "_:x"}}}}, {{"@id": "_:x"}}]}}]"#
            ),
        ),
        (Format::NQuads, format!("_:{LABEL} <a:p> _:x _:g .\n_:x <a:p> _:{LABEL} .\n")),
    ]
}

/// The blank nodes of a set of quads.
fn blanks(quads: &HashSet<Quad>) -> HashSet<String> {
    let mut found = HashSet::new();
    for quad in quads {
        for text in [quad.subject.to_string(), quad.object.to_string(), quad.graph_name.to_string()] {
            found.extend(text.starts_with("_:").then_some(text));
        }
    }
    found
}

#[test]
fn the_same_load_tried_again_gives_the_same_facts_and_another_shares_no_node() {
    for (format, text) in documents() {
        let first = parse_all(request(format), text.as_bytes()).expect("well-formed").set();
        for trickle in [1, 3, 1000] {
            let again = parse_all(request(format), Trickle(text.as_bytes(), trickle)).expect("well-formed").set();
            assert_eq!(first, again, "{format}");
        }
        let other = ParseRequest { blank_scope: 2, ..request(format) };
        let other = parse_all(other, text.as_bytes()).expect("well-formed").set();
        assert_eq!(first.len(), other.len());
        assert!(blanks(&first).is_disjoint(&blanks(&other)), "{format}");
    }
}

#[test]
fn nodes_are_neither_split_nor_joined() {
    let counts = [(8, 11), (4, 7), (5, 5), (2, 4), (6, 8), (3, 2)];
    for ((format, text), (nodes, facts)) in documents().into_iter().zip(counts) {
        let set = parse_all(request(format), text.as_bytes()).expect("well-formed").set();
        assert_eq!((blanks(&set).len(), set.len()), (nodes, facts), "{format}: {set:#?}");
    }
}

#[test]
fn labels_mean_the_same_in_every_part_of_a_file() {
    for filler in [0, 20_000] {
        let filler: String = (0..filler).map(|n| format!("<a:s> <a:p> \"filler {n}\" .\n")).collect();
        let text = format!("_:{LABEL} <a:p> <a:first> .\n{filler}_:{LABEL} <a:p> <a:last> .\n");
        for format in [Format::NTriples, Format::Turtle, Format::TriG, Format::NQuads] {
            let limits = Limits { block_bytes: 1000, ..Limits::default() };
            let parsed = parse_all(ParseRequest { limits, ..request(format) }, text.as_bytes()).expect("well-formed");
            assert_eq!(blanks(&parsed.set()).len(), 1, "{format}");
        }
    }
}

#[test]
fn anonymous_nodes_stay_whole_over_long_statements() {
    let values: String = (0..60_000).map(|n| format!(" a:p [ a:q {n} ] ;\n")).collect();
    let text = format!(
        "@prefix a: <http://a/> .\n[]{values} a:r a:s .\n[] {{ {} }}",
        "a:s a:p \"some more text\" .\n".repeat(60_000)
    );
    let parsed = parse_all(request(Format::TriG), text.as_bytes()).expect("well-formed");
    let subjects: HashSet<_> = parsed
        .quads
        .iter()
        .filter(|quad| quad.predicate.as_str() == "http://a/p" && quad.graph_name.is_default_graph())
        .map(|quad| &quad.subject)
        .collect();
    let graphs: HashSet<_> = parsed.quads.iter().map(|quad| &quad.graph_name).collect();
    assert_eq!((subjects.len(), graphs.len()), (1, 2));
    assert_eq!(parsed.report.triples, 60_000 * 3 + 1);
    assert_eq!(blanks(&parsed.set()).len(), 60_000 + 2);
}
