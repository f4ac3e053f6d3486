//! Statements and segments of small texts.

use super::*;

fn ends(text: &str) -> (usize, usize) {
    let mut scan = Scan::new(1000);
    scan.advance(text.as_bytes(), true).expect("within the limits");
    (scan.statement_end(), scan.token_end())
}

#[test]
fn statements_end_at_dots_outside_of_everything() {
    let complete = [
        "<a:b> <a:b> 1.5 . ",
        "ex:a.b ex:c ex:d.\n",
        "ex:a ex:b \"x . \\\" . \" .\n",
        "ex:a ex:b '''x ' '' . \n . ''' .\n",
        "ex:a ex:b [ ex:c ex:d . ] . # . \n",
        "ex:a ex:b \"\" . # a comment . \" \n",
        "ex:a ex:b ex:c\\. . ",
        "<a:. > ex:b 1. ",
        "ex:g { ex:a ex:b ex:c }",
        "ex:a ex:b <<( ex:c ex:d ( 1 . 2 ) )>> {| ex:e ex:f |} . ",
    ];
    for text in complete {
        let end = text.find(" #").map_or(text.len(), |at| at + 1);
        assert_eq!(ends(text).0, end, "{text}");
        let followed = format!("{text}ex:a ( ex:b . \"");
        assert_eq!(ends(&followed).0, end, "{followed}");
    }
}

#[test]
fn the_scan_does_not_depend_on_how_the_text_is_cut() {
    let text = "ex:a ex:b \"\"\"long \\\"\"\" and . \"\"\", 'short', <a:b> . # comment\n\
                _:abcdef0123456789abcdef0123456789 a [ <<( ex:a ex:b \"\" )>> ex:c ] .\n ex:a ex:b ex:c";
    let whole = ends(text);
    for cut in 0..text.len() {
        let mut scan = Scan::new(1000);
        scan.advance(&text.as_bytes()[..cut], false).expect("within the limits");
        let dropped = scan.statement_end();
        let mut labels: Vec<u128> = scan.take_labels(dropped).collect();
        scan.discard(dropped);
        scan.advance(&text.as_bytes()[dropped..], true).expect("within the limits");
        assert_eq!((scan.statement_end() + dropped, scan.token_end() + dropped), whole, "{cut}");
        labels.extend(scan.take_labels(usize::MAX));
        assert_eq!(labels, [0xabcdef0123456789abcdef0123456789], "{cut}");
    }
}

/// The segments of a text, each marked with what the scan knows of it.
fn segments(text: &str) -> Vec<String> {
    let mut scan = Scan::recovering(1000);
    scan.advance(text.as_bytes(), true).expect("within the limits");
    let mut start = 0;
    let marked = |segment: &Segment| {
        let text = text[start..segment.end].trim();
        start = segment.end;
        let marks = [segment.opens.map_or("", |_| "{"), if segment.closes { "}" } else { "" }];
        format!("{}{}{text}", marks.concat(), segment.broken.map_or("", |_| "!"))
    };
    scan.take_segments().iter().map(marked).collect()
}

#[test]
fn a_scan_in_recovery_ends_malformed_statements() {
    let cases: [(&str, &[&str]); 8] = [
        ("a b c . d e f .\n", &["a b c .", "d e f ."]),
        ("a b \"open .\nd e f .\n", &["!a b \"open .", "d e f ."]),
        ("a b \"open ;\n c d .\nd e f .\n", &["!a b \"open ;\n c d .", "d e f ."]),
        ("a b <open .\nd e f .\n", &["!a b <open .", "d e f ."]),
        ("a b [ c d .\nd ( e f .\n", &["a b [ c d .", "d ( e f ."]),
        ("a b \"x\\\nc .\nd e f .\n", &["!a b \"x\\\nc .", "d e f ."]),
        ("a { b c d . e f g } h { i j k . }\n", &["{a { b c d .", "}e f g }", "{h { i j k .", "}}"]),
        ("a b 'x' {| c d |} . # no . \n g {}", &["a b 'x' {| c d |} .", "{}# no . \n g {}"]),
    ];
    for (text, expected) in cases {
        assert_eq!(segments(text), expected, "{text}");
    }
}

#[test]
fn limits_are_kept() {
    let long = [format!("a \"{}", "x".repeat(2000)), format!("a #{}", "x".repeat(2000)), "x".repeat(2000)];
    for (text, start) in long.iter().zip([2, 2, 0]) {
        let (at, fault) = Scan::new(1000).advance(text.as_bytes(), true).expect_err("too long");
        assert_eq!((at, fault.reason), (start, Reason::LimitExceeded));
    }
    let spaced = "( ".repeat(NESTING_MAX + 1);
    let (at, _) = Scan::new(1000).advance(spaced.as_bytes(), true).expect_err("too deep");
    assert_eq!(at, 2 * NESTING_MAX);
    assert!(Scan::new(1000).advance("<<( ".repeat(65).as_bytes(), true).is_err());
}
