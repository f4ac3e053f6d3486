//! A JSON-LD document that is too large for memory is cut, with the same meaning.

use super::*;

fn elements(count: usize) -> String {
    (0..count)
        .map(|n| format!("{{\"@id\": \"a:{n}\", \"p\": {{\"q\": [{n}, {{\"@id\": \"_:b\"}}]}}}}"))
        .collect::<Vec<_>>()
        .join(",\n")
}

fn small() -> ParseRequest {
    let limits = Limits { object_bytes: 1000, ..Limits::default() };
    ParseRequest { limits, ..request(Format::JsonLd) }
}

const CONTEXT: &str = "\"@context\": {\n \"p\": \"a:p\", \"q\": \"a:q\"}";

#[test]
fn graphs_that_are_cut_mean_what_they_meant() {
    let documents = [
        format!("{{{CONTEXT},\n \"@graph\": [{}]}}", elements(200)),
        format!("{{{CONTEXT}, \"@id\": \"a:g\", \"@graph\": [{}]\n}}", elements(200)),
        format!("{{\"@id\": \"a:g\", {CONTEXT}, \"@graph\" : [ ]}}"),
        format!(
            "[{{\"@id\": \"a:1\"}}, {{\"@id\": \"a:g\", {CONTEXT}, \"@graph\": [{}]}}, {{\"@id\": \"a:2\", \"a:p\": 1}}]",
            elements(200)
        ),
        format!("[{{{CONTEXT}, \"@id\": \"x:y\", \"p\": 1}}, [{{\"@id\": \"a:s\", \"a:p\": 2}}], 3, null]"),
    ];
    for text in documents {
        let held = parse_all(request(Format::JsonLd), text.as_bytes()).expect("well-formed");
        let cut = parse_all(small(), text.as_bytes()).expect("well-formed");
        assert_eq!(held.set(), cut.set(), "{}", &text[..60]);
        assert_eq!(held.report.triples, cut.report.triples);
    }
}

#[test]
fn errors_in_what_is_cut_have_their_place() {
    let bad = "{\"@id\": 7}";
    let text = format!("{{{CONTEXT},\n \"@graph\": [\n{},\n   {bad},\n{}]}}", elements(100), elements(100));
    for request in [request(Format::JsonLd), small()] {
        let fault = parse_all(request.clone(), text.as_bytes()).expect_err("malformed");
        assert_eq!(fault.position.map(|at| (at.line, at.column)), Some((2 + 1 + 100 + 1, 4)));
        let skip = ParseRequest { on_error: OnError::Skip { limit: 1 }, ..request };
        let parsed = parse_all(skip, text.as_bytes()).expect("one to skip");
        // The anonymous node in each element keeps equal elements apart.
        assert_eq!((parsed.report.skipped, parsed.set().len()), (1, 600));
    }
}

#[test]
fn what_cannot_be_cut_is_refused_when_it_is_too_large() {
    let refused = [
        format!("{{\"a:p\": 1, \"@graph\": [{}]}}", elements(100)),
        format!("[{{\"@graph\": [{}]}}]", elements(100)),
        format!("{{\"@id\": \"a:s\", \"a:p\": [{}]}}", elements(100)),
    ];
    for text in refused {
        let fault = parse_all(small(), text.as_bytes()).expect_err("too large");
        assert_eq!(fault.reason, Reason::LimitExceeded, "{fault}");
        parse_all(request(Format::JsonLd), text.as_bytes()).expect("small enough to hold");
    }
    let late = format!("{{\"@graph\": [{}], {CONTEXT}}}", elements(100));
    assert_eq!(parse_all(small(), late.as_bytes()).expect_err("too late").reason, Reason::Unsupported);
    parse_all(request(Format::JsonLd), late.as_bytes()).expect("small enough to hold");
}
