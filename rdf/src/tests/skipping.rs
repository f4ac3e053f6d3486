//! A malformed statement is one error, whatever is wrong with it; every other statement is read, in its graph.

use super::*;
use proptest::prelude::*;

fn skip(format: Format, bytes: &[u8], trickle: usize) -> Parsed {
    let limits = Limits { block_bytes: 50, ..Limits::default() };
    let request = ParseRequest { on_error: OnError::Skip { limit: 1_000_000 }, limits, ..request(format) };
    parse_all(request, Trickle(bytes, trickle)).unwrap_or_else(|fault| panic!("{format}: {fault}"))
}

/// The lines of the reported errors.
fn lines(parsed: &Parsed) -> Vec<u64> {
    parsed.report.errors.iter().filter_map(|fault| Some(fault.position.as_ref()?.line)).collect()
}

fn subjects(parsed: &Parsed) -> HashSet<String> {
    parsed.quads.iter().map(|quad| quad.subject.to_string()).collect()
}

/// Statements that are malformed, each in a single way.
const BAD: [&[u8]; 23] = [
    b"<a:bad> <a:p> \"\xff\" .",
    b"<a:bad> <a:p> \"x \xe2\x82\" .",
    b"<a:bad> <a:p> \"\xff and <a:x> . and \xfe\" .",
    b"<a:bad> <a:p\xc3> <a:o> .",
    b"<a:bad> <a:p> <a:o\xff> .",
    b"<a:bad> <a:p> _:b\xff .",
    b"<a:bad> <a:p> \"x\"@en\xff .",
    b"<a:bad> <a:p> \"\\x\" .",
    b"<a:bad> <a:p> \"\\u12\" .",
    b"<a:bad> <a:p> \"\\U12\" .",
    b"<a:bad> <a:p> \"\\uD800\" .",
    b"<a:bad> <a:p> <a:\\x> .",
    b"<a:bad> <a:p> <a: b> .",
    b"<a:bad> <a:p> \"open .",
    b"<a:bad> <a:p> \"open\\ .",
    b"<a:bad> <a:p> <a:open .",
    b"<a:bad> <a:p> .",
    b"<a:bad> \"x\" <a:o> .",
    b"<a:bad> <a:p> <a:o> <a:g> <a:h> .",
    b"<a:bad> <a:p> <relative> .",
    b"\xff .",
    b"<a:bad> <a:p> \"x\"^^\"y\" .",
    b"<a:bad> <a:p> <<( <a:s> <a:p> )>> .",
];

/// Malformed statements that only Turtle and TriG have.
const BAD_TURTLE: [&[u8]; 12] = [
    b"a:bad a:p '''long \xff\n . \n <a:x> . ''' .",
    b"a:bad a:p 'x\xff' ; a:q 1 .",
    b"a:bad a:p [ a:q 1 .",
    b"a:bad a:p ( 1 2 .",
    b"a:bad a:p 1 ; nope:p 2 .",
    b"a:bad a:p ( 1 nope:x ) .",
    b"a:bad a:p ] .",
    b"a:bad a:p 'open ;\n a:q 1 .",
    b"a:bad a:p '''\\x''' .",
    b"a:bad a:p 1e .",
    b"a:bad a:p a:\xff .",
    b"a:bad a:p a:x {| a:q 1 .",
];

fn good(number: usize) -> String {
    format!("<a:good{number}> <a:p> \"{number}\" .\n")
}

fn check(format: Format, start: &str, bad: &[u8]) {
    let [one, two, three, four] = [1, 2, 3, 4].map(good);
    let parts = [start, &one, &two].map(str::as_bytes);
    let text = [&parts.concat()[..], bad, b"\n", three.as_bytes(), bad, b"\n", four.as_bytes()].concat();
    let shown = String::from_utf8_lossy(bad).into_owned();
    for trickle in [1, 3, 64, 100_000] {
        let parsed = skip(format, &text, trickle);
        let expected: HashSet<String> = (1..5).map(|number| format!("<a:good{number}>")).collect();
        assert_eq!(subjects(&parsed), expected, "{format}: {shown}: {:?}", parsed.report.errors);
        assert_eq!(parsed.report.skipped, 2, "{format}: {shown}: {:?}", parsed.report.errors);
        let (lines, first_bad) = (lines(&parsed), 3 + start.lines().count() as u64);
        assert!(lines[0] >= first_bad && lines[0] < lines[1], "{format}: {shown}: {lines:?}");
    }
}

#[test]
fn a_malformed_statement_is_one_error_and_the_next_one_is_read() {
    for bad in BAD {
        for format in [Format::NTriples, Format::NQuads, Format::Turtle, Format::TriG] {
            check(format, "", bad);
        }
    }
    for bad in BAD_TURTLE {
        for format in [Format::Turtle, Format::TriG] {
            check(format, "@prefix a: <http://a/> .\n", bad);
        }
    }
}

#[test]
fn the_end_of_a_file_and_comments() {
    let ends: [(&[u8], u64); 7] = [
        (b"<a:s> <a:p> \"\xff", 1),
        (b"<a:s> <a:p> <a:o>", 1),
        (b"<a:s> <a:p> \"open", 1),
        (b"<a:s", 1),
        (b"\xff", 1),
        (b"# \xff\n", 0),
        (b"# \xff", 0),
    ];
    for format in [Format::NTriples, Format::NQuads, Format::Turtle, Format::TriG] {
        for (end, skipped) in ends {
            let text = [good(1).as_bytes(), b"# no \xff UTF-8 . \" <\n", good(2).as_bytes(), end].concat();
            for trickle in [1, 7, 1000] {
                let parsed = skip(format, &text, trickle);
                let found = (parsed.set().len(), parsed.report.skipped);
                assert_eq!(found, (2, skipped), "{format}: {:?}", parsed.report.errors);
            }
        }
    }
}

/// The graph and the subject of each fact, and the number of errors.
fn places(text: &str) -> (Vec<String>, u64) {
    let parsed = skip(Format::TriG, text.as_bytes(), 1000);
    for trickle in [1, 5] {
        let cut = skip(Format::TriG, text.as_bytes(), trickle);
        assert_eq!((cut.set(), cut.report.skipped), (parsed.set(), parsed.report.skipped), "{text}");
    }
    let place = |quad: &Quad| format!("{} {}", quad.graph_name, quad.subject).replace(['<', '>'], "");
    let mut found: Vec<String> = parsed.quads.iter().map(place).collect();
    found.sort();
    (found, parsed.report.skipped)
}

/// A document, its facts, and the number of its errors.
type Case = (&'static str, &'static [&'static str], u64);

#[test]
fn a_malformed_statement_does_not_move_facts_to_another_graph() {
    let cases: [Case; 9] = [
        (
            "<a:g> { <a:1> <a:p> 1 . <a:2> \"p\" 2 . <a:3> <a:p> 3 } <a:4> <a:p> 4 .",
            &["DEFAULT a:4", "a:g a:1", "a:g a:3"],
            1,
        ),
        ("GRAPH <a:g> { <a:1> \"p\" 1 . <a:2> <a:p> 2 } <a:h> { <a:3> <a:p> 3 }", &["a:g a:2", "a:h a:3"], 1),
        ("<a:g> { <a:1> <a:p> 1 . <a:2> \"p\" 2 } <a:3> <a:p> 3 .", &["DEFAULT a:3", "a:g a:1"], 1),
        // The graph of a malformed name is left out with it.
        ("nope:g { <a:1> <a:p> 1 . <a:2> <a:p> 2 } <a:3> <a:p> 3 .", &["DEFAULT a:3"], 1),
        ("<a:1> <a:p> { <a:2> <a:p> 2 } . <a:3> <a:p> 3 .", &["DEFAULT a:3"], 1),
        ("<a:1> <a:p> { <a:2> <a:p> 2 . <a:x> <a:p> 2 } . <a:3> <a:p> 3 .", &["DEFAULT a:3"], 1),
        // A graph that is not closed ends where the next one begins.
        ("<a:g> { <a:1> <a:p> 1 . <a:h> { <a:2> <a:p> 2 } <a:3> <a:p> 3 .", &["DEFAULT a:3", "a:g a:1", "a:h a:2"], 1),
        ("<a:g> { <a:1> <a:p> 1 . <a:2> <a:p> \"open .\n<a:3> <a:p> 3 . }", &["a:g a:1", "a:g a:3"], 1),
        ("<a:g> { <a:1> <a:p> 1 . <a:2> <a:p> 2 . ", &["a:g a:1", "a:g a:2"], 1),
    ];
    for (text, expected, skipped) in cases {
        let expected: Vec<String> = expected.iter().map(|place| (*place).to_owned()).collect();
        assert_eq!(places(text), (expected, skipped), "{text}");
    }
}

#[test]
fn an_anonymous_graph_stays_one_graph() {
    let filler = "<a:s> <a:p> \"some text to fill a piece\" .\n".repeat(20);
    let text = format!(
        "[] {{ <a:1> <a:p> 1 .\n{filler} <a:2> \"p\" 2 . {filler} <a:3> <a:p> 3 }} GRAPH [ ] {{ <a:4> <a:p> 4 }}"
    );
    let (found, skipped) = places(&text);
    let graphs: HashSet<&str> = found.iter().filter_map(|place| place.split(' ').next()).collect();
    assert_eq!((graphs.len(), skipped), (2, 1), "{found:?}");
}

#[test]
fn declarations_stay_in_force() {
    let text = "PREFIX a: <http://a/>\na:1 \"p\" a:o .\na:2 a:p a:o .\n@prefix b <http://b/> .\n@base <http://c/> .\n\
                b:3 a:p 1 .\n<4> a:p \"\\x\" .\n<5> a:p 5 .\n";
    for trickle in [1, 1000] {
        let parsed = skip(Format::Turtle, text.as_bytes(), trickle);
        assert_eq!(subjects(&parsed), HashSet::from(["<http://a/2>".to_owned(), "<http://c/5>".to_owned()]));
        assert_eq!(lines(&parsed), [2, 4, 6, 7]);
    }
}

#[test]
fn a_long_statement_is_left_out_from_its_error_on() {
    let values: String = (0..60_000).map(|n| format!(" <a:p> \"value {n}\" ;\n")).collect();
    for (format, open, close) in [(Format::Turtle, "", ""), (Format::TriG, "<a:g> {", "}")] {
        for bad in [&b" <a:p> \"\xff\" ;\n"[..], b" \"p\" 1 ;\n"] {
            let start = [open, "<a:s>", &values].concat();
            let end = [&values, " <a:p> 1 . <a:next> <a:p> 2 .", close, "<a:last> <a:p> 3 .\n"].concat();
            let parsed = skip(format, &[start.as_bytes(), bad, end.as_bytes()].concat(), 100_000);
            assert_eq!((parsed.report.skipped, &lines(&parsed)[..]), (1, &[60_001][..]), "{:?}", parsed.report.errors);
            let place = |quad: &Quad| format!("{} {}", quad.graph_name, quad.subject);
            let found: HashSet<String> = parsed.quads.iter().map(place).collect();
            let next = if open.is_empty() { "DEFAULT <a:next>" } else { "<a:g> <a:next>" };
            assert!(found.contains("DEFAULT <a:last>") && found.contains(next) && found.len() == 3, "{found:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn what_is_left_out_does_not_depend_on_the_pieces(
        picks in prop::collection::vec((0usize..BAD.len() + BAD_TURTLE.len() + 20, any::<bool>()), 1..12),
        trickle in 1usize..60,
        is_graph in any::<bool>(),
    ) {
        let mut text = b"@prefix a: <http://a/> .\n".to_vec();
        if is_graph {
            text.extend_from_slice(b"[] { ");
        }
        for (number, (pick, is_anonymous)) in picks.iter().enumerate() {
            match BAD.iter().chain(&BAD_TURTLE).nth(*pick) {
                Some(bad) => text.extend_from_slice(bad),
                None if *is_anonymous => text.extend_from_slice(format!("[] a:p ( {number} [] ) .").as_bytes()),
                None => text.extend_from_slice(good(number).trim_end().as_bytes()),
            }
            text.extend_from_slice(if *pick % 3 == 0 { b"\n" } else { b" " });
        }
        let whole = skip(Format::TriG, &text, 1_000_000);
        let cut = skip(Format::TriG, &text, trickle);
        prop_assert_eq!(whole.set(), cut.set());
        prop_assert_eq!(whole.report.errors, cut.report.errors);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_good_statement_is_read_and_every_bad_one_counted(
        picks in prop::collection::vec(0usize..BAD.len() + BAD_TURTLE.len() + 20, 1..15),
        trickle in 1usize..60,
        graphs in 0usize..3,
    ) {
        let mut text = b"@prefix a: <http://a/> .\n".to_vec();
        let (mut expected, mut bad_count) = (HashSet::new(), 0);
        for graph in 0..=graphs {
            if graph > 0 {
                text.extend_from_slice(format!("<a:g{graph}> {{\n").as_bytes());
            }
            for (number, pick) in picks.iter().enumerate() {
                match BAD.iter().chain(&BAD_TURTLE).nth(*pick) {
                    Some(bad) => {
                        bad_count += 1;
                        text.extend_from_slice(bad);
                        text.push(b'\n');
                    }
                    None => {
                        text.extend_from_slice(good(number).as_bytes());
                        let name = if graph > 0 { format!("<a:g{graph}>") } else { "DEFAULT".to_owned() };
                        expected.insert(format!("{name} <a:good{number}>"));
                    }
                }
            }
            if graph > 0 {
                text.extend_from_slice(b"}\n");
            }
        }
        let parsed = skip(Format::TriG, &text, trickle);
        let found: HashSet<String> =
            parsed.quads.iter().map(|quad| format!("{} {}", quad.graph_name, quad.subject)).collect();
        prop_assert_eq!(found, expected, "{}", String::from_utf8_lossy(&text));
        prop_assert_eq!(parsed.report.skipped, bad_count, "{}", String::from_utf8_lossy(&text));
    }
}
