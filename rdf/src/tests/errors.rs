//! Malformed input: an error has its position, the first error of the file is reported, and skipping drops only the
//! malformed statements.

use super::*;

fn fault(format: Format, text: &str) -> Fault {
    parse_all(request(format), text.as_bytes()).expect_err("malformed")
}

/// Text, line, column, and a part of the message.
type Case = (Format, &'static str, u64, u64, &'static str);

const RDF: &str = "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:a='http://a/'>";

#[test]
fn errors_have_their_place() {
    let cases: [Case; 23] = [
        (Format::NTriples, "<a:s> <a:p> <a:o>\n", 1, 18, "dot"),
        (Format::NTriples, "<a:s> <a:p> <a:o> .\n# x\n\r\n<a:s> \"é\" <a:o> .\n", 4, 7, "predicate"),
        (Format::NTriples, "<a:s> <a:p> <a:o> .\r<a:s> <a:p> <a:o", 2, 13, "ends in the middle"),
        (Format::NTriples, "<a:s> <a:p> \"no end .\n<a:s> <a:p> \"x\" .\n", 1, 13, "ends in the middle"),
        (Format::NTriples, "<a:s> <relative> <a:o> .", 1, 7, ""),
        (Format::NTriples, "<a:s> <a:p> <a:o> . <a:s> <a:p> <a:o> .", 1, 21, "single triple"),
        (Format::NTriples, "<a:s> <a:p> <a:o> <a:g> .", 1, 19, "dot"),
        (Format::NQuads, "<a:s> <a:p> <a:o> <a:g> .\n<a:s> <a:p> <a:o> \"g\" .", 2, 19, "dot"),
        (Format::NQuads, "<a:s> <a:p> \"\\x\" .", 1, 14, "escape"),
        (Format::Turtle, "@prefix a: <http://a/> .\na:s a:p a:o .\n  b:s a:p a:o .", 3, 3, "b:"),
        (Format::Turtle, "@prefix a: <http://a/> .\na:s é\"x\" a:o .", 2, 5, "predicate"),
        (Format::Turtle, "<a:s> <a:p> \"\"\"long\n\n text", 1, 13, "Unexpected end"),
        (Format::Turtle, "<a:s> <a:p> <a:o> .\n\n<a:s> <a:p> ", 3, 13, "Unexpected end"),
        (Format::Turtle, "<a:s> <a:p> <a:o> \"x\" .", 1, 19, "dot is expected"),
        (Format::TriG, "<a:g> { <a:s> <a:p> <a:o> }\n<a:g> { <a:s> . }", 2, 15, "predicate"),
        (
            Format::RdfXml,
            "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\n <a:b/>\n</rdf:RDF>",
            2,
            2,
            "a:",
        ),
        (Format::RdfXml, "<a>\n  <b></c>\n</a>", 1, 1, "namespaces"),
        (Format::JsonLd, "{\"@id\": \"a:s\",\n \"a:p\": [1, 2,, 3]}", 2, 15, "comma"),
        (Format::JsonLd, "[{\"@id\": \"a:s\"},\n {\"@id\": 1}]", 2, 2, "@id"),
        (
            Format::JsonLd,
            "{\"@context\": {\"é\": 1},\n \"@graph\": [{\"@id\": \"a:s\"}, {\"@id\": \"a:t\"}]}",
            1,
            1,
            "",
        ),
        (Format::JsonLd, "{\"@graph\": [{\"@id\": \"a:s\"},\n  {\"@id\": [], \"a:p\": 1}, 3]}", 2, 3, "@id"),
        (Format::JsonLd, "{\"@id\": \"a:s\"} x", 1, 16, "after the end"),
        (Format::JsonLd, "{\"@id\": \"a:s\",\n \"a:p\": \"é", 2, 9, "closing quote"),
    ];
    for (format, text, line, column, says) in cases {
        for trickle in [1, 5, 10_000] {
            let fault = parse_all(request(format), Trickle(text.as_bytes(), trickle)).expect_err(text);
            let position = fault.position.clone().unwrap_or_default();
            assert_eq!((position.line, position.column), (line, column), "{format}: {fault}\n{text}");
            assert_eq!((position.file.as_deref(), fault.reason), (Some("file"), Reason::Syntax), "{fault}");
            assert!(fault.message.to_lowercase().contains(&says.to_lowercase()), "{format}: {fault}\n{text}");
        }
    }
}

#[test]
fn xml_errors_have_their_place() {
    let cases = [
        ("\n <rdf:Description>\n  <a:p>x</a:q>\n</rdf:Description></rdf:RDF>", 3, 9, "a:q"),
        ("\n <rdf:Description>\n  é text\n </rdf:Description></rdf:RDF>", 3, 3, "Unexpected text"),
        ("\n <rdf:Description rdf:about='no iri'/></rdf:RDF>", 2, 2, "no iri"),
        ("\n <rdf:Description><a:p>&nope;</a:p></rdf:Description></rdf:RDF>", 2, 24, "nope"),
        ("\n <rdf:Description><a:p>x</a:p>\n", 3, 1, "ends inside"),
        ("\n <rdf:Description><a:p x", 2, 25, "ends inside"),
        ("\n <rdf:Description rdf:nodeID='x y'/></rdf:RDF>", 2, 2, "nodeID"),
    ];
    for (body, line, column, says) in cases {
        for trickle in [1, 7, 10_000] {
            let text = format!("{RDF}{body}");
            let fault = parse_all(request(Format::RdfXml), Trickle(text.as_bytes(), trickle)).expect_err(&text);
            let position = fault.position.clone().unwrap_or_default();
            assert_eq!((position.line, position.column), (line, column), "{fault}\n{text}");
            assert!(fault.message.contains(says) && fault.reason == Reason::Syntax, "{fault}\n{text}");
        }
    }
}

#[test]
fn the_first_error_of_the_file_wins_however_it_is_divided() {
    let good = "<a:s> <a:p> \"some text\" .\n".repeat(50);
    let text = format!("{good}<a:s> bad\n{good}worse\n{good}<a:s>\n");
    for block_bytes in [1, 10, 100, 1000, 100_000] {
        for threads in 1..5 {
            let limits = Limits { block_bytes, ..Limits::default() };
            let request = ParseRequest { limits, threads, ..request(Format::NTriples) };
            let fault = parse_all(request, text.as_bytes()).expect_err("malformed");
            assert_eq!(fault.position.map(|position| (position.line, position.column)), Some((51, 7)));
        }
    }
}

#[test]
fn invalid_utf8_is_a_syntax_error_with_its_place() {
    let cases: [(Format, &[u8], u64); 6] = [
        (Format::NTriples, b"<a:s> <a:p> <a:o> .\n<a:s> <a:p> \"\xff\" .\n", 2),
        (Format::NQuads, b"<a:s> <a:p\xc3> <a:o> .\n", 1),
        (Format::Turtle, b"<a:s> <a:p> <a:o> .\n<a:s> <a:p> '''\xe2\x82''' .\n", 2),
        (Format::TriG, b"<a:g> { <a:s> <a:p> \"\xf0\" }", 1),
        (Format::RdfXml, b"\n<a:b xmlns:a='http://a/'><a:c>\xff</a:c></a:b>", 2),
        (Format::JsonLd, b"{\"@id\": \"a:s\",\n\"a:p\": \"\xff\"}", 2),
    ];
    for (format, text, line) in cases {
        let fault = parse_all(request(format), text).expect_err("not UTF-8");
        assert_eq!(fault.reason, Reason::Syntax, "{format}: {fault}");
        assert_eq!(fault.position.as_ref().map(|position| position.line), Some(line), "{format}: {fault}");
        let message = fault.message.to_lowercase();
        assert!(message.contains("utf-8") || message.contains("utf8"), "{format}: {fault}");
    }
}

#[test]
fn truncated_and_broken_archives_are_told() {
    let text = "<a:s> <a:p> <a:o> .\n".repeat(30_000);
    for (compression, format) in [
        (Compression::Gzip, Format::NTriples),
        (Compression::Gzip, Format::Turtle),
        (Compression::Zstd, Format::NTriples),
        (Compression::Zstd, Format::Turtle),
    ] {
        let whole = compressed(compression, text.as_bytes());
        for keep in [whole.len() - 1, whole.len() / 2, 12] {
            let fault = parse_all(request(format), &whole[..keep]).expect_err("truncated");
            assert_eq!(fault.reason, Reason::InvalidRequest, "{fault}");
            assert!(fault.message.contains("truncated") && fault.message.contains(compression.name()), "{fault}");
            assert_eq!(fault.position.and_then(|position| position.file).as_deref(), Some("file"));
        }
        let named = ParseRequest { compression: Some(compression), ..request(format) };
        let fault = parse_all(named, text.as_bytes()).expect_err("not compressed");
        assert_eq!(fault.reason, Reason::InvalidRequest, "{fault}");

        let twice = [whole.clone(), whole.clone()].concat();
        assert_eq!(parse_all(request(format), &twice[..]).expect("two members").report.triples, 60_000);
        for more in [1, 2, 3, 5, 10, 20, whole.len() - 1] {
            let cut = parse_all(request(format), &twice[..whole.len() + more]);
            let fault = cut.err().unwrap_or_else(|| panic!("{more} bytes of a second {compression} member"));
            assert_eq!(fault.reason, Reason::InvalidRequest, "{fault}");
        }
    }
}

#[test]
fn damaged_archives_are_called_so_and_not_malformed() {
    let text: String = (0..20_000).map(|n| format!("<a:s{}> <a:p> \"{n}\" .\n", n % 97)).collect();
    for compression in [Compression::Gzip, Compression::Zstd] {
        let whole = compressed(compression, text.as_bytes());
        let mut refused = 0;
        for at in (20..whole.len()).step_by(whole.len() / 40) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            for (format, on_error) in [
                (Format::NTriples, OnError::Stop),
                (Format::NTriples, OnError::Skip { limit: 3 }),
                (Format::Turtle, OnError::Stop),
                (Format::Turtle, OnError::Skip { limit: 3 }),
            ] {
                // Data of zstd without a checksum may hide the damage.
                let is_hidden =
                    |fault: &Fault| compression == Compression::Zstd && fault.reason != Reason::InvalidRequest;
                match parse_all(ParseRequest { on_error, ..request(format) }, &damaged[..]) {
                    Err(fault) if !is_hidden(&fault) => {
                        refused += 1;
                        assert_eq!(fault.reason, Reason::InvalidRequest, "{compression} {at}: {fault:?}");
                        assert!(fault.message.contains("bytes of text were read"), "{fault}");
                    }
                    other => assert_eq!(compression, Compression::Zstd, "{at}: {other:?}"),
                }
            }
        }
        assert!(refused > 20, "{compression}: {refused}");
    }
}

#[test]
fn web_pages_are_named() {
    let page = "<!DOCTYPE html>\n<html><head><title>Not Found</title></head><body>x</body></html>\n";
    for format in Format::ALL {
        for text in [page, &page[16..]] {
            for on_error in [OnError::Stop, OnError::Skip { limit: 1000 }] {
                let request = ParseRequest { on_error, ..request(format) };
                let fault = parse_all(request, Trickle(text.as_bytes(), 3)).expect_err("a web page");
                assert_eq!((fault.reason, fault.position.as_ref().map(|at| at.line)), (Reason::Syntax, Some(1)));
                assert!(fault.message.contains("web page") && fault.message.contains(format.name()), "{fault}");
            }
        }
    }
    let relative = ParseRequest { base_iri: Some("http://a/".to_owned()), ..request(Format::Turtle) };
    assert_eq!(parse_all(relative, &b"<html> a <x> ."[..]).expect("a relative IRI").report.triples, 1);
}

#[test]
fn relative_iris_are_named_with_the_remedy() {
    let rdf = format!("{RDF}<rdf:Description rdf:about='x/y'><a:p/></rdf:Description></rdf:RDF>");
    let cases: [(Format, &str, u64, &[&str]); 8] = [
        (Format::Turtle, "<a:s> <a:p>\n <x/y> .", 2, &["<x/y>", "--base", "@base"]),
        (Format::Turtle, "@prefix a: <x/y> .", 1, &["<x/y>", "--base"]),
        (Format::TriG, "{ <a:s>\n\n <a:p> <x/y> . }", 3, &["<x/y>", "--base"]),
        (Format::Turtle, "<x/y> <a:p> \"é\"^^<z> .", 1, &["<x/y>", "--base"]),
        (Format::NTriples, "<a:s> <a:p> <x/y> .", 1, &["<x/y>", "absolute"]),
        (Format::NQuads, "<a:s> <a:p> <a:o> <x/y> .", 1, &["<x/y>", "N-Quads"]),
        (Format::RdfXml, &rdf, 1, &["<x/y>", "--base", "xml:base"]),
        (Format::RdfXml, "<a:b xmlns:a='http://a/' xml:base='x/y'/>", 1, &["<x/y>", "--base"]),
    ];
    for (format, text, line, says) in cases {
        for on_error in [OnError::Stop, OnError::Skip { limit: 0 }] {
            let fault = parse_all(ParseRequest { on_error, ..request(format) }, text.as_bytes()).expect_err(text);
            assert_eq!(fault.position.as_ref().map(|at| at.line), Some(line), "{fault}");
            assert!(says.iter().all(|says| fault.message.contains(says)), "{format}: {fault}");
            assert!(!fault.message.contains("No scheme"), "{fault}");
        }
    }
}

#[test]
fn skipping_leaves_out_malformed_lines_and_nothing_else() {
    let good: String = (0..100).map(|n| format!("<a:s> <a:p> \"{n}\" .\n")).collect();
    let bad = "<a:s> <a:p> <a:o> <a:p> .\n<a:s> <a:p> <a:o> . more\n<a:s> <a:p> \"open\n<a:s> <a:p\n\"\n";
    let text = format!("{good}{bad}<a:last> <a:p> <a:o> .\n{bad}<a:very-last> <a:p> <a:o> .");
    for block_bytes in [10, 100, 10_000] {
        let limits = Limits { block_bytes, ..Limits::default() };
        let skip =
            |limit| ParseRequest { limits, threads: 3, on_error: OnError::Skip { limit }, ..request(Format::NTriples) };
        let parsed = parse_all(skip(10), text.as_bytes()).expect("within the limit");
        assert_eq!((parsed.report.skipped, parsed.set().len()), (10, 102));
        let lines: Vec<u64> =
            parsed.report.errors.iter().filter_map(|fault| fault.position.as_ref()).map(|at| at.line).collect();
        assert_eq!(lines, [101, 102, 103, 104, 105, 107, 108, 109, 110, 111]);
        assert!(!parsed.report.ended_early);

        let fault = parse_all(skip(9), text.as_bytes()).expect_err("past the limit");
        assert_eq!(fault.reason, Reason::LimitExceeded);
        assert_eq!(fault.position.map(|position| position.line), Some(101));
    }
}

#[test]
fn skipping_goes_on_as_far_as_the_format_lets_it() {
    let turtle = "@prefix a: <http://a/> .\na:s a:p a:o .\na:s nope:p a:o .\na:s a:p a:o2 .\na:s \"x\" a:o ; a:p a:o .\na:t a:p a:o .";
    let rdf = format!(
        "{RDF}<rdf:Description rdf:about='a:s'><a:p>1</a:p></rdf:Description>\n<rdf:Description rdf:nodeID='a b'/>\n\
         <rdf:Description rdf:about='a:s'><a:p>2</a:p></rdf:Description></rdf:RDF>"
    );
    let json = r#"[{"@id": "a:s", "a:p": 1}, {"@id": 3, "a:p": 1}, {"@id": "a:t", "a:p": {"a:q": {"@type": 1}}}, {"@id": "a:s", "a:p": 2}]"#;
    let broken_json = r#"[{"@id": "a:s", "a:p": 1}, {"@id": "a:s", "a:p": 2}; {"@id": "a:s", "a:p": 3}]"#;
    let cases = [
        (Format::Turtle, turtle, 3, 2, false),
        (Format::TriG, turtle, 3, 2, false),
        (Format::RdfXml, &rdf, 1, 1, true),
        (Format::JsonLd, json, 2, 2, false),
        (Format::JsonLd, broken_json, 2, 1, true),
    ];
    for (format, text, facts, skipped, ended_early) in cases {
        let skip = ParseRequest { on_error: OnError::Skip { limit: 5 }, ..request(format) };
        let parsed = parse_all(skip, text.as_bytes()).unwrap_or_else(|fault| panic!("{format}: {fault}"));
        let report = &parsed.report;
        assert_eq!(
            (parsed.set().len(), report.skipped, report.ended_early),
            (facts, skipped, ended_early),
            "{format}: {parsed:#?}"
        );
        assert_eq!(report.errors.len() as u64, skipped);
        let none = ParseRequest { on_error: OnError::Skip { limit: 0 }, ..request(format) };
        assert_eq!(parse_all(none, text.as_bytes()).expect_err("none to skip").reason, Reason::LimitExceeded);
    }
}

#[test]
fn failures_of_the_sink_and_the_input_come_out_as_they_are() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other(Fault::new(Reason::Cancelled, "the client went away")))
        }
    }
    let line = "<a:s> <a:p> <a:o> .\n".repeat(1000);
    for format in [Format::NTriples, Format::Turtle] {
        let full = parse(request(format), line.as_bytes(), &|_| Err(Fault::new(Reason::DiskFull, "full")));
        assert_eq!(full, Err(Fault::new(Reason::DiskFull, "full")));
        let gone = parse_all(request(format), line.as_bytes().chain(Broken)).expect_err("broken");
        assert_eq!(gone, Fault::new(Reason::Cancelled, "the client went away"));
        let named = ParseRequest { compression: Some(Compression::Gzip), ..request(format) };
        let zipped = compressed(Compression::Gzip, line.as_bytes());
        let gone = parse_all(named, zipped[..zipped.len() - 3].chain(Broken)).expect_err("broken");
        assert_eq!(gone.reason, Reason::Cancelled);
    }
}

#[test]
fn remote_contexts_are_not_fetched() {
    for text in
        [r#"{"@context": "https://example.org/c", "a:p": 1}"#, r#"[{"@context": ["https://example.org/c"]}, {}]"#]
    {
        let refused = fault(Format::JsonLd, text);
        assert_eq!(refused.reason, Reason::Unsupported);
        assert!(refused.message.contains("https://example.org/c"), "{refused}");
    }
}
