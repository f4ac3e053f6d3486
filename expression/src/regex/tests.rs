//! Regular expressions and replacements, by the examples of XPath Functions 3.1 and of reports about other stores.

use super::*;
use proptest::prelude::*;
use std::cell::Cell;

fn endless() -> impl Fn() -> Result<(), Fault> {
    || Ok(())
}

fn matches(text: &str, pattern: &str, flags: &str) -> Result<bool, Refusal> {
    let check = endless();
    Pattern::compile(pattern, flags).map(|pattern| {
        let mut budget = Budget::new(u64::MAX, &check);
        let found = pattern.is_match(text, &mut budget).unwrap();
        let stepwise = pattern.slow.captures(text, 0, pattern.ends_with_line(text), &mut budget).unwrap();
        assert_eq!(stepwise.is_some(), found, "both engines agree");
        if !pattern.ends_with_line(text) {
            assert_eq!(pattern.slow.is_match(text, &mut budget).unwrap(), found, "the lazy automaton agrees");
        }
        found
    })
}

fn replaced(text: &str, pattern: &str, replacement: &str, flags: &str) -> Option<String> {
    let check = endless();
    let pattern = Pattern::compile(pattern, flags).unwrap();
    let replacement = pattern.replacement(replacement).ok()?;
    pattern.replace(text, &replacement, &mut Budget::new(u64::MAX, &check)).unwrap()
}

#[test]
fn matching_is_that_of_xpath() {
    for (text, pattern, flags, expected) in [
        ("abracadabra", "bra", "", true),
        ("abracadabra", "^a.*a$", "", true),
        ("abracadabra", "^bra", "", false),
        ("helloworld", "hello world", "x", true),
        ("helloworld", "hello[ ]world", "x", false),
        ("hello world", "hello\\ sworld", "x", true),
        ("hello world", "hello world", "x", false),
        ("Mum", "mum", "i", true),
        ("a\nb", "a.b", "", false),
        ("a\rb", "a.b", "", false),
        ("a\nb", "a.b", "s", true),
        ("a\nb", "^b", "", false),
        ("a\nb", "^b$", "m", true),
        ("a\n", "a$", "", false),
        ("a\n", "a$", "m", true),
        // Not after a newline at the end.
        ("a\n", "\n^", "m", false),
        ("a\nb", "\n^", "m", true),
        ("a\n", "\n$", "m", false),
        ("a\n\n", "\n$", "m", true),
        ("a.b*c", ".b*", "q", true),
        ("axb*c", ".b*", "q", false),
        ("A.B", "a.b", "qi", true),
        ("b", "[a-z-[aeiou]]", "", true),
        ("e", "[a-z-[aeiou]]", "", false),
        ("B", "[a-z-[aeiou]]", "i", true),
        ("E", "^[a-z-[aeiou]]$", "i", false),
        ("e", "[^a-z-[A-C]]", "", false),
        ("B", "[^a-z-[A-C]]", "", false),
        ("D", "[^a-z-[A-C]]", "", true),
        ("-", "[a-]", "", true),
        ("-", "[-a]", "", true),
        ("^", "[a^]", "", true),
        ("é", "^\\i\\c*$", "", true),
        ("1a", "^\\i\\c*$", "", false),
        ("a-b.c", "^\\i\\c*$", "", true),
        ("٣", "^\\d$", "", true),
        ("x", "\\p{Lu}", "i", false),
        ("X", "\\p{Lu}", "i", true),
        ("x", "[\\p{Lu}]", "i", false),
        ("α", "^\\p{IsGreek}$", "", true),
        ("a", "\\P{IsBasicLatin}", "", false),
        ("\u{a0}", "\\s", "", false),
        ("$1", "\\$1", "", true),
        ("aaa", "^a{2,3}$", "", true),
        ("aaaa", "^a{2,3}$", "", false),
        ("a{2}", "^a\\{2\\}$", "", true),
        ("", "", "", true),
        ("ab", "(?:a|b)+?$", "", true),
        ("ſ", "S", "i", true),
        ("K", "\u{212a}", "i", true),
    ] {
        assert_eq!(matches(text, pattern, flags), Ok(expected), "{text:?} {pattern:?} {flags:?}");
    }
}

#[test]
fn what_is_not_in_the_language_is_an_error() {
    for pattern in [
        "(",
        ")",
        "a)",
        "[",
        "[]",
        "[a",
        "a**",
        "a+*",
        "*a",
        "{2}",
        "a{",
        "a{,2}",
        "a{3,2}",
        "a{x}",
        "}",
        "]",
        "\\",
        "\\b",
        "\\e",
        "\\x41",
        "\\u0041",
        "(?i)a",
        "(?=a)",
        "(?<n>a)",
        "(?",
        "[z-a]",
        "[a-\\d]",
        "[a--b]",
        "[[a]]",
        "[a[b]]",
        "\\p",
        "\\pL",
        "\\p{",
        "\\p{Letter}",
        "\\p{IsNowhere}",
        "[a-z&&[b]]",
        "[a-z-[b]c]",
        "a|*",
    ] {
        assert!(matches!(matches("a", pattern, ""), Err(Refusal::Invalid(_))), "{pattern}");
    }
    for flags in ["z", "ii-", "u", "I"] {
        assert!(matches!(matches("a", "a", flags), Err(Refusal::Invalid(_))), "{flags}");
    }
}

#[test]
fn what_is_not_evaluated_is_refused_by_name() {
    let refused = |pattern: &str| match matches("a", pattern, "") {
        Err(Refusal::Refused(fault)) => (fault.reason, fault.message),
        other => panic!("{pattern} is refused, not {other:?}"),
    };
    let (reason, message) = refused("(a)\\1");
    assert_eq!(
        (reason, message.as_str()),
        (Reason::Unsupported, "back references in regular expressions are not supported")
    );
    for pattern in
        ["(a{1000}){1000}", &"(".repeat(200), &"a".repeat(PATTERN_BYTES_MAX + 1), "a{100001}", "\\p{L}{5000}"]
    {
        assert_eq!(refused(pattern).0, Reason::LimitExceeded, "{pattern:.20}");
    }
}

#[test]
fn replacing_is_that_of_xpath() {
    for (text, pattern, replacement, flags, expected) in [
        ("abracadabra", "bra", "*", "", Some("a*cada*")),
        ("abracadabra", "a.*a", "*", "", Some("*")),
        ("abracadabra", "a.*?a", "*", "", Some("*c*bra")),
        ("abracadabra", "a", "", "", Some("brcdbr")),
        ("abracadabra", "a(.)", "a$1$1", "", Some("abbraccaddabbra")),
        ("abracadabra", ".*?", "$1", "", None),
        ("AAAA", "A+", "b", "", Some("b")),
        ("AAAA", "A+?", "b", "", Some("bbbb")),
        ("darted", "^(.*?)d(.*)$", "$1c$2", "", Some("carted")),
        ("abc", "(b)", "$1a", "", Some("abac")),
        ("abc", "(b)", "$12", "", Some("ab2c")),
        ("abc", "b", "\\$9", "", Some("a$9c")),
        ("abc", "b", "\\\\", "", Some("a\\c")),
        ("abc", "b", "$0$0", "", Some("abbc")),
        ("abc", "b", "$1", "", Some("ac")),
        ("abc", "b", "$x", "", None),
        ("abc", "(a)|(b)", "[$1$2]", "", Some("[a][b]c")),
        ("abc", "b", "$1\\", "q", Some("a$1\\c")),
        ("abc", "B", "z", "i", Some("azc")),
        ("日本語", "本", "x", "", Some("日x語")),
        ("aXbxc", "x", "-", "i", Some("a-b-c")),
        ("a\nb\n", "^", "> ", "m", None),
        ("a\nb\n", "^(.)", "> $1", "m", Some("> a\n> b\n")),
        ("abc", "x*", "-", "", None),
    ] {
        assert_eq!(
            replaced(text, pattern, replacement, flags).as_deref(),
            expected,
            "{text:?} {pattern:?} {replacement:?}"
        );
    }
}

#[test]
fn long_searches_ask_the_budget_and_end() {
    let text = "a".repeat(4 << 20) + "c";
    let pattern = Pattern::compile("(a*)*(a|aa)*b", "").unwrap();
    let calls = Cell::new(0);
    let check = || {
        calls.set(calls.get() + 1);
        if calls.get() > 20 { Err(Fault::new(Reason::Cancelled, "enough")) } else { Ok(()) }
    };
    let fault = pattern.is_match(&text, &mut Budget::new(u64::MAX, &check)).unwrap_err();
    assert_eq!((fault.reason, calls.get()), (Reason::Cancelled, 21));
    calls.set(0);
    let replacement = pattern.replacement("x").unwrap();
    let fault = pattern.replace(&text, &replacement, &mut Budget::new(u64::MAX, &check)).unwrap_err();
    assert_eq!((fault.reason, calls.get()), (Reason::Cancelled, 21));
}

#[test]
fn a_replacement_that_grows_is_stopped_before_it_is_built() {
    let check = endless();
    let mut budget = Budget::new(u64::MAX, &check);
    budget.literal_bytes_max = 1000;
    let pattern = Pattern::compile("a", "").unwrap();
    let replacement = pattern.replacement(&"$0".repeat(100)).unwrap();
    let fault = pattern.replace(&"a".repeat(100), &replacement, &mut budget).unwrap_err();
    assert_eq!(fault.reason, Reason::LimitExceeded);
}

proptest! {
    #[test]
    fn both_engines_find_the_same_groups(
        text in "[abc\\n]{0,12}",
        parts in prop::collection::vec(prop::sample::select(vec!["a", "b", "(a|ab)", "(c|bc)", "[^a]", ".", "(a*?)", "(b+)", "^", "$", "(a?){2}", "(?:b|)"]), 1..6),
        flags in prop::sample::select(vec!["", "i", "m", "s"]),
    ) {
        let pattern = Pattern::compile(&parts.concat(), flags).unwrap();
        prop_assume!(!pattern.ends_with_line(&text));
        let check = endless();
        let mut budget = Budget::new(u64::MAX, &check);
        let fast = pattern.captures(&text, 0, &mut budget).unwrap();
        let slow = pattern.slow.captures(&text, 0, false, &mut budget).unwrap();
        prop_assert_eq!(&fast, &slow, "{:?} on {:?}", parts.concat(), text);
        prop_assert_eq!(pattern.slow.is_match(&text, &mut budget).unwrap(), fast.is_some());
    }

    #[test]
    fn no_pattern_panics(pattern in "[\\\\\\[\\](){}?*+|^$.a-c,0-9 pPLi-]{0,20}", text in "[a-c]{0,8}") {
        let _ = matches(&text, &pattern, "");
    }
}
