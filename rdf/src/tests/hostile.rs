//! Input that is long, deep, or malicious.

use super::*;
use proptest::prelude::*;

fn small(format: Format) -> ParseRequest {
    let limits = Limits { term_bytes: 300_000, line_bytes: 600_000, ..Limits::default() };
    ParseRequest { limits, ..request(format) }
}

/// One fact with a long literal, in each format.
fn with_literal(format: Format, value: &str) -> String {
    match format {
        Format::NTriples | Format::NQuads => format!("<a:s> <a:p> \"{value}\" .\n"),
        Format::Turtle => format!("<a:s> <a:p> '''{value}''' .\n"),
        Format::TriG => format!("{{ <a:s> <a:p> \"{value}\" }}"),
        Format::RdfXml => format!("<a:b xmlns:a='http://a/'><a:p>{value}</a:p></a:b>"),
        Format::JsonLd => format!("{{\"@id\": \"a:s\", \"a:p\": \"{value}\"}}"),
    }
}

#[test]
fn literals_of_sixteen_mebibytes_work() {
    let value = "0123456789abcdef".repeat(1 << 20);
    for format in Format::ALL {
        let parsed = parse_all(request(format), with_literal(format, &value).as_bytes());
        let parsed = parsed.unwrap_or_else(|fault| panic!("{format}: {fault}"));
        let literal = parsed.quads.iter().find_map(|quad| match &quad.object {
            Term::Literal(literal) => Some(literal.value() == value),
            _ => None,
        });
        assert_eq!(literal, Some(true), "{format}");
    }
}

#[test]
fn longer_terms_and_lines_are_refused() {
    for format in Format::ALL {
        for length in [299_000, 301_000, 2_000_000] {
            let text = with_literal(format, &"x".repeat(length));
            for text in [text.clone(), text.repeat(3)] {
                let result = parse_all(small(format), text.as_bytes());
                match result {
                    Ok(_) => assert!(length < 300_000, "{format} took {length}"),
                    Err(fault) if fault.reason == Reason::LimitExceeded => {
                        assert!(length > 300_000, "{format}: {fault}")
                    }
                    // Three documents in one are neither XML nor JSON.
                    Err(fault) => assert!(length < 300_000 && fault.reason == Reason::Syntax, "{format}: {fault}"),
                }
            }
        }
    }
    let fault = parse_all(small(Format::NTriples), "x".repeat(2_000_000).as_bytes()).expect_err("a long line");
    assert_eq!((fault.reason, fault.position.map(|at| at.line)), (Reason::LimitExceeded, Some(1)));
    let long_line = format!("<a:s> <a:p> <a:o> .\n#{}\n", "x".repeat(2_000_000));
    let fault = parse_all(small(Format::NQuads), long_line.as_bytes()).expect_err("a long line");
    assert_eq!((fault.reason, fault.position.map(|at| at.line)), (Reason::LimitExceeded, Some(2)));
}

#[test]
fn deep_input_is_refused_or_read_but_never_overflows() {
    let nested =
        |open: &str, middle: &str, close: &str, depth| [&*open.repeat(depth), middle, &close.repeat(depth)].concat();
    let rdf = "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:a='http://a/'";
    for depth in [60, 250, 10_000, 300_000] {
        let triple_terms = format!("<a:s> <a:p> {} .\n", nested("<<( <a:s> <a:p> ", "<a:o>", " )>>", depth));
        let xml_triples = nested(
            "<rdf:Description><a:p rdf:parseType='Triple'>",
            "<rdf:Description><a:p/></rdf:Description>",
            "</a:p></rdf:Description>",
            depth,
        );
        let cases: [(Format, String, usize); 9] = [
            (Format::NTriples, triple_terms.clone(), 64),
            (Format::Turtle, triple_terms, 64),
            (Format::Turtle, format!("<a:s> <a:p> {} .", nested("[ <a:p> ", "<a:o>", "]", depth)), 100_000),
            (Format::TriG, format!("{{ <a:s> <a:p> {} }}", nested("(", "<a:o>", ")", depth)), 100_000),
            (Format::RdfXml, format!("<rdf:RDF {rdf} rdf:version='1.2'>{xml_triples}</rdf:RDF>"), 63),
            (
                Format::RdfXml,
                format!(
                    "<rdf:RDF {rdf}>{}</rdf:RDF>",
                    nested("<rdf:Description><a:p>", "", "</a:p></rdf:Description>", depth)
                ),
                999,
            ),
            (Format::JsonLd, format!("{{\"@id\": \"a:s\", \"a:p\": {}}}", nested("{\"a:p\": ", "1", "}", depth)), 256),
            (Format::JsonLd, nested("[", "", "]", depth), 257),
            (Format::JsonLd, format!("{{\"@context\": {}}}", nested("{\"a\": ", "1", "}", depth)), 0),
        ];
        for (format, text, fits) in cases {
            match parse_all(request(format), text.as_bytes()) {
                Ok(_) => assert!(depth <= fits, "{format} took {depth}: {}", &text[..60]),
                Err(fault) if fits > 0 => {
                    assert_eq!(fault.reason, Reason::LimitExceeded, "{format}: {fault}");
                    assert!(depth > fits, "{format} refused {depth}: {fault}");
                }
                Err(fault) => assert!(fault.reason != Reason::Internal, "{format}: {fault}"),
            }
        }
    }
}

#[test]
fn entities_cannot_blow_up() {
    let laughs: String = (1..30).map(|n| format!("<!ENTITY l{n} \"&l{0};&l{0};\">", n - 1)).collect();
    let text = format!("<!doctype r [<!ENTITY l0 \"ha\">{laughs}]><a:b xmlns:a='http://a/'><a:p>&l29;</a:p></a:b>");
    let fault = parse_all(request(Format::RdfXml), text.as_bytes()).expect_err("too much");
    assert_eq!(fault.reason, Reason::LimitExceeded);
    let value = "x".repeat(1000);
    let text = format!(
        "<!DOCTYPE r [<!ENTITY e \"{value}\">]><a:b xmlns:a='http://a/'><a:p>{}</a:p></a:b>",
        "&e;".repeat(400)
    );
    let fault = parse_all(small(Format::RdfXml), text.as_bytes()).expect_err("too much");
    assert_eq!(fault.reason, Reason::LimitExceeded);
    let text = text.replace(&"&e;".repeat(400), "&e;&e;");
    assert_eq!(parse_all(small(Format::RdfXml), text.as_bytes()).expect("small").report.triples, 2);
    let children = "<a:c>text</a:c>".repeat(30_000);
    let literal = format!(
        "<a:b xmlns:a='http://a/' xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><a:p r:parseType='Literal'>{children}</a:p></a:b>"
    );
    let fault = parse_all(small(Format::RdfXml), literal.as_bytes()).expect_err("too long");
    assert_eq!(fault.reason, Reason::LimitExceeded);
}

fn seeds() -> Vec<(Format, &'static str)> {
    vec![
        (Format::NTriples, "<a:s> <a:p> \"x\\u00e9\"@en-gb .\n_:b <a:p> <<( <a:s> <a:p> \"1\"^^<a:d> )>> .\n"),
        (Format::NQuads, "<a:s> <a:p> \"x\" _:g . # comment\r\n<a:s> <a:p> <a:o> .\n"),
        (
            Format::Turtle,
            "@prefix a: <http://a/> . @base <http://b/> .\na:s a:p [ a:q (1 2.5 1e3 true) ], '''x'y''' ; a <o> {| a:r \"z\"@ar--rtl |} ~ _:r .\n<< a:s a:p a:o >> a:q _:b.1 .\n",
        ),
        (
            Format::TriG,
            "PREFIX a: <http://a/>\nGRAPH a:g { a:s a:p 1 , 2 . [] a:p <<( a:s a:p 7 )>> } a:t a:p a:o . [] { a:s a:p a:o }\n",
        ),
        (
            Format::RdfXml,
            "<?xml version=\"1.0\"?><!DOCTYPE r [<!ENTITY e \"http://e/\">]><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\" xmlns:a=\"http://a/\"><!-- c --><a:C rdf:about=\"&e;x\" a:q=\"v\"><a:p rdf:parseType=\"Collection\"><a:C/></a:p><a:l rdf:parseType=\"Literal\"><b>x</b></a:l><a:r xml:lang=\"en\"><![CDATA[x]]></a:r></a:C></rdf:RDF>",
        ),
        (
            Format::JsonLd,
            "{\"@context\": {\"p\": {\"@id\": \"a:p\", \"@container\": \"@list\"}, \"@base\": \"http://b/\"}, \"@id\": \"a:g\", \"@graph\": [{\"@id\": \"s\", \"p\": [1, true, null, {\"@value\": \"x\", \"@language\": \"en\"}]}, {\"@type\": \"a:C\", \"@reverse\": {\"a:q\": {\"@id\": \"_:b\"}}}]}",
        ),
    ]
}

#[test]
fn the_seeds_are_well_formed() {
    for (format, text) in seeds() {
        let parsed = parse_all(request(format), text.as_bytes()).unwrap_or_else(|fault| panic!("{format}: {fault}"));
        assert!(parsed.report.triples > 1, "{format}");
    }
}

#[derive(Clone, Debug)]
enum Change {
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let junk = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..4),
        prop::sample::select(vec![
            "<", ">", "\"", "'''", "{", "}", "[", "]", "(", ")", "<<(", ")>>", ".", "\\", "\\u12", "#", "_:", "@",
            "^^", "&#x;", "<!--", "]]>", "<!", "<?", "/>", "~", "{|", "|}", "\u{0}", "\n"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop_oneof![
        (any::<usize>(), 1usize..20).prop_map(|(at, count)| Change::Remove(at, count)),
        (any::<usize>(), junk).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<usize>(), 1usize..30).prop_map(|(at, count)| Change::Repeat(at, count)),
    ]
}

fn changed(text: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for change in changes {
        let at = |place: usize, bytes: &Vec<u8>| place % (bytes.len() + 1);
        match change {
            Change::Remove(place, count) => {
                let start = at(*place, &bytes);
                bytes.drain(start..(start + count).min(bytes.len()));
            }
            Change::Insert(place, junk) => {
                let start = at(*place, &bytes);
                bytes.splice(start..start, junk.iter().copied());
            }
            Change::Repeat(place, count) => {
                let start = at(*place, &bytes);
                let again = bytes[start..(start + count).min(bytes.len())].to_vec();
                bytes.splice(start..start, again);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn broken_input_is_an_error_or_skipped_and_nothing_worse(
        seed in prop::sample::select(seeds()),
        changes in prop::collection::vec(change(), 1..6),
        trickle in 1usize..100,
        block_bytes in 1usize..200,
    ) {
        let (format, text) = seed;
        let bytes = changed(text, &changes);
        let limits = Limits { block_bytes, ..Limits::default() };
        let strict = ParseRequest { limits, ..request(format) };
        let skipping = ParseRequest { on_error: OnError::Skip { limit: 1_000 }, ..strict.clone() };
        let whole = parse_all(strict.clone(), &bytes[..]);
        let cut = parse_all(ParseRequest { threads: 2, ..strict }, Trickle(&bytes, trickle));
        match (&whole, &cut) {
            (Ok(whole), Ok(cut)) => prop_assert_eq!(whole.set(), cut.set()),
            (Err(whole), Err(cut)) => {
                prop_assert_eq!((whole.reason, &whole.position), (cut.reason, &cut.position));
                // Which of several errors of a JSON-LD context the parser finds first is up to a hash map.
                prop_assert!(format == Format::JsonLd || whole == cut, "{whole:?} {cut:?}");
            }
            _ => prop_assert!(false, "{:?} {:?}", whole, cut),
        }
        let skipped = parse_all(skipping, &bytes[..]);
        if let Ok(whole) = &whole {
            prop_assert_eq!(whole.set(), skipped.as_ref().expect("nothing to skip").set());
        }
        for fault in [whole.err(), skipped.err()].into_iter().flatten() {
            prop_assert!(fault.reason != Reason::Internal && fault.reason != Reason::Corrupt, "{format}: {fault:?}");
        }
    }
}
