//! Texts that mean harm: junk, mutations of good texts, depth, size. All get an answer, none a panic.

use crate::limits::{DEPTH_MAX, OPERATORS_MAX, TEXT_BYTES_MAX, TOKENS_MAX};
use crate::{parse_query, parse_rules, parse_update};
use entail_model::{Fault, Reason};
use proptest::prelude::*;

/// Pieces of the languages, to be put together at random.
const PIECES: &str = "SELECT * DISTINCT WHERE { } ( ) [ ] . ; , ?x $y ? :p e:a _:b <http://e/a> <rel> < > 1 -2.5 .5 \"s\" \
    '''l\n''' \"open @en @en--ltr ^^ true FILTER OPTIONAL UNION MINUS GRAPH SERVICE SILENT BIND AS VALUES UNDEF GROUP BY \
    HAVING ORDER ASC DESC LIMIT OFFSET COUNT SUM GROUP_CONCAT SEPARATOR = ! && || + - * / | ^ IN NOT EXISTS IF BOUND STR \
    << >> <<( )>> {| |} ~ a CONSTRUCT DESCRIBE ASK FROM NAMED INSERT DELETE DATA WITH USING LOAD INTO CLEAR DROP CREATE ADD \
    MOVE COPY TO ALL DEFAULT PREFIX BASE VERSION #c\n \u{e9} \\";

const QUERY: &str = "PREFIX : <http://e/>\nSELECT DISTINCT ?x (COUNT(DISTINCT ?o) AS ?n) FROM :g WHERE { ?x :p/^:q*|!(:r|^a) [ :s (1 'a'@en) ] ; \
    :t ?o {| :u 1 |} . FILTER(?o > -1 + 2*?y && ?o NOT IN (1, :a)) OPTIONAL { ?x :v ?w BIND(STR(?w) AS ?z) } \
    { SELECT * { ?x a :C } LIMIT 3 } UNION { GRAPH ?g { << ?x :p ?o ~ :r >> :w <<( ?x a 1 )>> } } MINUS { ?x :p 2 } \
    VALUES (?a ?b) { (1 UNDEF) (:a \"\"\"l\"\"\") } FILTER NOT EXISTS { ?x :y _:b } } GROUP BY ?x HAVING(COUNT(*) > 1) \
    ORDER BY DESC(?n) ?x LIMIT 10 OFFSET 1 VALUES ?x { :a }";

const UPDATE: &str = "PREFIX : <http://e/>\nINSERT DATA { :a :b _:c . GRAPH :g { :a :b 1 } } ; DELETE WHERE { ?s :p ?o } ; \
    WITH :g DELETE { ?s :p ?o } INSERT { ?s :q [ :r ?o ] } USING NAMED :h WHERE { ?s :p ?o } ; COPY DEFAULT TO :g ; \
    LOAD SILENT <http://e/f> INTO GRAPH :g ; CLEAR ALL";

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(PIECES.split(' ').collect::<Vec<_>>())
}

/// Runs everything there is on a text. The results do not matter; that there are results does.
fn run_all(text: &str) {
    let _ = (parse_query(text, None), parse_update(text, None), parse_rules(text));
}

fn fault(text: &str) -> Fault {
    parse_query(text, None).expect_err("this text is refused")
}

#[test]
fn the_texts_that_are_mutated_are_good() {
    assert_eq!(parse_query(QUERY, None).map(drop), Ok(()));
    assert_eq!(parse_update(UPDATE, None).map(drop), Ok(()));
}

proptest! {
    #[test]
    fn junk_never_panics(text in any::<String>()) {
        run_all(&text);
    }

    #[test]
    fn any_order_of_tokens_never_panics(pieces in prop::collection::vec((piece(), any::<bool>()), 0..60)) {
        let text: String = pieces.iter().flat_map(|&(piece, space)| [piece, if space { " " } else { "" }]).collect();
        run_all(&text);
        run_all(&format!("PREFIX : <http://e/> PREFIX e: <http://e/> SELECT * {{ {text} }}"));
        run_all(&format!("PREFIX : <http://e/> PREFIX e: <http://e/> INSERT DATA {{ {text} }}"));
    }

    #[test]
    fn mutations_never_panic(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize, piece()), 1..6),
        is_query in any::<bool>(),
    ) {
        let mut text: Vec<char> = if is_query { QUERY } else { UPDATE }.chars().collect();
        for (at, removed, piece) in cuts {
            let from = at.index(text.len());
            let to = (from + removed).min(text.len());
            text.splice(from..to, piece.chars());
        }
        run_all(&text.into_iter().collect::<String>());
    }
}

/// Texts that open one bracket after another, and the deepest that are fine, on a small stack.
#[test]
fn depth_is_an_error_and_no_overflow() {
    let ask = |inner: &str| format!("PREFIX : <http://e/>\nASK {{ {inner} }}");
    let kinds: [(&str, &str, &str); 16] = [
        ("FILTER(1 = ", "(", ")"),
        ("FILTER(1 = ", "STR(", ")"),
        ("FILTER(1 IN (", "1 IN (", ")"),
        ("FILTER(1 = ", ":f(", ")"),
        ("FILTER(1 = ", "<<( :a :p ", ")>>"),
        ("FILTER(", "! ", ""),
        ("", "{ ", "}"),
        ("", "OPTIONAL { ", "}"),
        ("", "MINUS { ", "}"),
        ("", "GRAPH :g { ", "}"),
        ("", "{ SELECT * { ", "} }"),
        ("", "FILTER EXISTS { ", "}"),
        ("?x :p ", "[ :p ", "]"),
        ("?x :p ", "( ", ")"),
        ("?x ", "(", ")"),
        ("?x :p ", "<<( :s :p ", ")>>"),
    ];
    let run = move || {
        for (start, open, close) in kinds {
            let deep = ask(&format!("{start}{}", open.repeat(10_000)));
            let fault = fault(&deep);
            assert_eq!(fault.reason, Reason::LimitExceeded, "{open}: {fault}");
            assert!(fault.position.is_some_and(|position| position.line == 2 && position.column > 1), "{open}");
            let middle = if start.is_empty() {
                ""
            } else if start == "?x " {
                ":p"
            } else {
                "1"
            };
            let end = if start == "?x " { " 1" } else { "" };
            let filter = ")".repeat(start.matches('(').count());
            let levels = (DEPTH_MAX - 3) / open.matches(['(', '{', '[', '!']).count();
            let fine = ask(&format!("{start}{}{middle}{}{end}{filter}", open.repeat(levels), close.repeat(levels)));
            assert_eq!(parse_query(&fine, None).map(drop), Ok(()), "{open}");
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).expect("a thread").join().expect("no panic");
}

#[test]
fn depth_is_measured_at_the_bracket() {
    let text = format!("SELECT *\nWHERE {{ FILTER {}1", "(".repeat(10_000));
    let position = fault(&text).position.unwrap_or_default();
    assert_eq!((position.line, position.column), (2, 16 + DEPTH_MAX as u64 - 1));
}

#[test]
fn brackets_in_strings_iris_and_comments_do_not_count() {
    let open = "(".repeat(1_000);
    for text in [format!("\"{open}\""), format!("'''{open}\n'''"), format!("<http://e/{open}>")] {
        let query = format!("ASK {{ ?s ?p {text} }} # {open}");
        assert_eq!(parse_query(&query, None).map(|parsed| parsed.nesting.depth), Ok(1), "{text}");
    }
}

#[test]
fn long_chains_are_refused() {
    let filter = |chain: String| format!("ASK {{ FILTER(1{chain}) }}");
    let group = |chain: String| format!("ASK {{ {{}} {chain} }}");
    let made: [(&dyn Fn(String) -> String, &str); 7] = [
        (&filter, "+1"),
        (&filter, " -1"),
        (&filter, " && 1"),
        (&filter, "||1"),
        (&group, " UNION {}"),
        (&group, " OPTIONAL {}"),
        (&group, " FILTER(1)"),
    ];
    for (make, link) in made {
        assert_eq!(fault(&make(link.repeat(OPERATORS_MAX + 1))).reason, Reason::LimitExceeded, "{link}");
        assert!(parse_query(&make(link.repeat(400)), None).is_ok(), "{link}");
    }
    let rows = "(-1 +2 <e:a-b>) ".repeat(10_000);
    assert!(parse_query(&format!("SELECT * {{ VALUES (?x ?y ?z) {{ {rows} }} }}"), None).is_ok());
    let variables = "?x ".repeat(TOKENS_MAX + 1);
    assert_eq!(fault(&format!("SELECT {variables} {{}}")).reason, Reason::LimitExceeded);
}

#[test]
fn texts_are_bounded() {
    assert_eq!(fault(&" ".repeat(TEXT_BYTES_MAX + 1)).reason, Reason::LimitExceeded);
    let long = format!("PREFIX p: <http://e/{}>", "x".repeat(1 << 19));
    let text = format!("{long} SELECT * {{ {} }}", "?x p:b p:c . ".repeat(1_000));
    assert_eq!(fault(&text).reason, Reason::LimitExceeded);
    let path = format!("{long} ASK {{ ?x p:b/p:b {} 1 }}", "1, ".repeat(1_000));
    assert_eq!(fault(&path).reason, Reason::LimitExceeded);
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert!(parse_query("\u{FEFF}ASK {}", None).is_ok());
    assert!(parse_update("\u{FEFF}CLEAR ALL", None).is_ok());
    assert!(parse_rules("\u{FEFF}DATA { }").is_ok());
}
