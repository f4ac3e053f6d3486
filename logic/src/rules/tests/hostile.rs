//! Hostile texts: junk, mutations of valid texts, depth, size. Each gives a result or a fault, never a panic.

use super::super::{DEPTH_MAX, check, check_stratified, check_wellformed, parse, parse_bytes, parse_syntax};
use entail_model::{Fault, Reason};
use entail_syntax::limits::{RULE_ELEMENTS_MAX, RULE_TEXT_BYTES_MAX, RULES_MAX};
use proptest::prelude::*;

/// Pieces of the language, to be put together at random.
const PIECES: &str = "RULE WHERE DATA NOT SET FILTER PREFIX BASE VERSION IMPORTS { } ( ) [ ] << >> <<( )>> {| |} ~ ^ / \
    := . ; , a ?x $y ? :p : e:a\\~b _:b _: <http://e/a> <rel> < > 1 -2.5 +1e9 .5 1. \"s\" '''l\n''' \"\\u0041\" \
    \"open @en--ltr @en ^^ true IN = ! && || + IF REGEX NOW #c\n \u{e9}";

const GOOD: &str = "PREFIX : <http://e/>\nPREFIX xsd: <http://www.w3.org/2001/XMLSchema#>\nBASE <http://e/b/>\n\
    DATA { :s :p 1, 'two'@en ; a :T {| :q [ :r (1 <x> \"\"\"l\"\"\") ] |} . << :a :b :c ~ _:r >> :d _:e }\n\
    RULE :name { ?x :p ?y ; a :C } WHERE { ?x :q/^(:r/a) [ :s ?y ] . (?y 1.5) :t ?z FILTER(?z * 2 <= 1e3 && ?y IN (1, :a)) }\n\
    RULE { ?x :n <<( ?x :p [] )>> } WHERE DATA { ?x ?p ?o ~?r NOT { ?x :q 1 FILTER(!isIRI(?o)) } SET(?v := xsd:integer(?o) + 1) }";

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(PIECES.split(' ').collect::<Vec<_>>())
}

/// Runs every function of the module on a text. Only panics and endless loops count as failures.
fn run_all(text: &str) {
    let _ = parse(text);
    if let Ok(ast) = parse_syntax(text) {
        let _ = check_wellformed(&ast);
        let _ = check_stratified(&ast);
    }
}

fn fault(text: &str) -> Fault {
    parse(text).expect_err("this text is refused")
}

#[test]
fn the_text_that_is_mutated_is_good() {
    let ast = parse_syntax(GOOD).expect("good");
    assert_eq!(check_wellformed(&ast), Ok(()));
    assert_eq!(check(ast).expect_err("a part of it is out of scope").reason, Reason::Unsupported);
}

proptest! {
    #[test]
    fn junk_never_panics(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        run_all(&text);
        let _ = parse_bytes(&bytes);
    }

    #[test]
    fn any_order_of_tokens_never_panics(pieces in prop::collection::vec((piece(), any::<bool>()), 0..60)) {
        let text: String = pieces.iter().flat_map(|&(piece, space)| [piece, if space { " " } else { "" }]).collect();
        run_all(&text);
        run_all(&format!("PREFIX : <http://e/> PREFIX e: <http://e/> RULE {{ }} WHERE {{ {text} }}"));
        run_all(&format!("PREFIX : <http://e/> PREFIX e: <http://e/> DATA {{ {text} }}"));
    }

    #[test]
    fn mutations_never_panic(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize, piece()), 1..6),
    ) {
        let mut text: Vec<char> = GOOD.chars().collect();
        for (at, removed, piece) in cuts {
            let from = at.index(text.len());
            let to = (from + removed).min(text.len());
            text.splice(from..to, piece.chars());
        }
        run_all(&text.into_iter().collect::<String>());
    }
}

/// Texts that open one bracket after another.
#[test]
fn depth_is_an_error_and_no_overflow() {
    let body = |inner: String| format!("PREFIX : <http://e/>\nRULE {{}} WHERE {{ {inner} }}");
    let many = |open: &str| open.repeat(10_000);
    let texts = [
        body(format!("FILTER{}1{}", many("("), many(")"))),
        body(format!("FILTER({}1{})", many("STR("), many(")"))),
        body(format!("FILTER(1 IN {}1{})", many("(1 IN "), many(")"))),
        body(format!("FILTER(1{})", many(" + 1"))),
        body(format!("FILTER(1{})", many(" * 1"))),
        body(format!("FILTER(1 = {}1{})", many("<<( 1 :p "), many(" )>>"))),
        body(format!("?x :p {}1", many("("))),
        body(format!("?x :p {}1", many("[ :p "))),
        body(format!("?x {}:p", many("("))),
        body(format!("?x {}:p", many("^("))),
        body(format!("?x :p {}", many("<<( :s :p "))),
        body(many("<< ")),
        body(format!("?x :p 1 {}", many("{| :p 1 "))),
        format!("PREFIX : <http://e/>\nDATA {{ :s :p {} }}", many("[ :p ")),
    ];
    // A small stack, which shows that the limit is safe.
    let run = move || {
        for text in texts {
            let fault = fault(&text);
            assert_eq!(fault.reason, Reason::LimitExceeded, "{fault}: {}", &text[..80]);
            assert!(fault.position.is_some_and(|position| position.line == 2 && position.column > 1), "{text:.80}");
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).expect("a thread").join().expect("no panic");
}

#[test]
fn what_fits_the_depth_is_fine() {
    let nested = |depth: usize| {
        format!("RULE {{ <x:a> <x:b> 1 }} WHERE {{ FILTER{}1{} }}", "(".repeat(depth), ")".repeat(depth))
    };
    assert!(parse(&nested(DEPTH_MAX as usize)).is_ok());
    assert_eq!(fault(&nested(DEPTH_MAX as usize + 1)).reason, Reason::LimitExceeded);
    let chained = format!("RULE {{ <x:a> <x:b> 1 }} WHERE {{ FILTER(1{}) }}", " || 1 && 2".repeat(20_000));
    assert!(parse(&chained).is_ok(), "chains of && and || are balanced, not deep");
}

#[test]
fn size_is_an_error_and_no_exhaustion() {
    let long = format!("PREFIX p: <http://e/{}>", "x".repeat(1 << 20));
    let texts = [
        " ".repeat(RULE_TEXT_BYTES_MAX + 1),
        format!("{long} DATA {{ {} }}", "p:a p:b p:c . ".repeat(1_000)),
        format!("{long} DATA {{ <x:s> p:b {} 1 }}", "1, ".repeat(1_000)),
        format!("{long} RULE {{}} WHERE {{ FILTER(1 IN ({} 1)) }}", "p:a, ".repeat(1_000)),
        "RULE {} WHERE {} ".repeat(RULES_MAX + 1),
        format!("RULE {{ {} }} WHERE {{}}", "?x ?y ?z . ".repeat(RULE_ELEMENTS_MAX + 1)),
        format!("RULE {{}} WHERE {{ {} }}", "?x ?y ?z . ".repeat(RULE_ELEMENTS_MAX + 1)),
        format!("RULE {{}} WHERE {{ {} }}", "FILTER(1) ".repeat(RULE_ELEMENTS_MAX + 1)),
        format!("RULE {{}} WHERE {{ ?x {}<x:p> {} 1 }}", "<x:p>/".repeat(3_000), "1, ".repeat(3_000)),
    ];
    for text in texts {
        assert_eq!(fault(&text).reason, Reason::LimitExceeded, "{text:.80}");
    }
}

#[test]
fn a_long_literal_is_fine() {
    let text = format!("DATA {{ <x:s> <x:p> '{}' }}", "x".repeat(RULE_TEXT_BYTES_MAX - 100));
    assert_eq!(parse(&text).expect("within the limits").data.len(), 1);
}

#[test]
fn bytes_that_are_no_text_have_a_position() {
    let fault = parse_bytes(b"DATA { }\n# \xc3\xa9\xff").expect_err("not UTF-8");
    assert_eq!((fault.reason, fault.to_string()), (Reason::Syntax, "2:4: the text is not UTF-8".to_owned()));
    assert_eq!(parse_bytes(b"\xef\xbb\xbfDATA { }").map(|rules| rules.rules.len()), Ok(0));
}

#[test]
fn line_ends_of_all_kinds_count_once() {
    for end in ["\n", "\r\n", "\r"] {
        let text = format!("# c{end}DATA {{ }}{end}{end}  RULE");
        assert_eq!(fault(&text).position.map(|position| (position.line, position.column)), Some((4, 7)), "{end:?}");
    }
}

#[test]
fn an_empty_text_is_an_empty_rule_set() {
    assert_eq!(parse("").map(|rules| (rules.rules, rules.data)), Ok((vec![], vec![])));
}
