//! Golden scripts: files of rule texts, each with its result or its error.
//!
//! A case is `=== name`, a text, `---`, the expected lines. `ENTAIL_GOLDEN=write` rewrites the expected lines.

use super::super::{Filter, RuleSet, check, check_stratified, check_wellformed, expression_text, parse, parse_syntax};
use entail_model::Fault;
use std::fmt::Write;
use std::path::PathBuf;

/// The function that a file of cases tests.
type Act = fn(&str) -> Result<String, Fault>;

#[test]
fn lowering() {
    run("lowering", rules);
}

#[test]
fn data() {
    run("data", rules);
}

#[test]
fn expressions() {
    run("expressions", rules);
}

#[test]
fn syntax_errors() {
    run("syntax", rules);
}

#[test]
fn refused() {
    run("refused", |text| {
        // Refused features are valid syntax.
        parse_syntax(text).expect("a refused feature is valid syntax");
        rules(text)
    });
}

#[test]
fn negation() {
    run("negation", rules);
}

#[test]
fn wellformed() {
    run("wellformed", |text| check_wellformed(&parse_syntax(text)?).map(|()| "well-formed\n".to_owned()));
}

#[test]
fn stratified() {
    run("stratified", |text| check_stratified(&parse_syntax(text)?).map(|()| "stratified\n".to_owned()));
}

#[test]
fn the_two_steps_are_the_one() {
    let text = "PREFIX : <http://e/> RULE { ?x :p ?y } WHERE { ?x :q/^:r ?y FILTER(?y > 1) } DATA { [] :q (1) }";
    assert_eq!(parse(text), parse_syntax(text).and_then(check));
}

fn rules(text: &str) -> Result<String, Fault> {
    Ok(show(&parse(text)?))
}

/// A rule set, a line each.
fn show(rules: &RuleSet) -> String {
    let mut shown = String::new();
    for rule in &rules.rules {
        let name = rule.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        writeln!(shown, "rule{name} at {}:{}: {}", rule.line, rule.column, rule.text).expect("a string");
        rule.head.iter().for_each(|triple| writeln!(shown, "  head {triple}").expect("a string"));
        rule.body.iter().for_each(|triple| writeln!(shown, "  body {triple}").expect("a string"));
        for filter in &rule.filters {
            let text = expression_text(&filter.expression).expect("no EXISTS in a rule");
            writeln!(shown, "  filter {text}").expect("a string");
        }
        for negated in &rule.negated {
            let patterns = negated.patterns.iter().map(ToString::to_string);
            let text = |filter: &Filter| expression_text(&filter.expression).expect("no EXISTS in a rule");
            let filters = negated.filters.iter().map(|filter| format!("filter {}", text(filter)));
            let parts: Vec<String> = patterns.chain(filters).collect();
            writeln!(shown, "  not {}", parts.join(" . ")).expect("a string");
        }
    }
    rules.data.iter().for_each(|triple| writeln!(shown, "data {triple}").expect("a string"));
    shown
}

fn run(file: &str, act: Act) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "src/rules/tests/golden", &format!("{file}.txt")].iter().collect();
    let script = std::fs::read_to_string(&path).expect("the script is part of the crate");
    let (opening, cases) = script.split_once("=== ").expect("a first case");
    let mut fresh = opening.to_owned();
    for case in cases.split("\n=== ") {
        let (name, rest) = case.split_once('\n').expect("a name line");
        let (text, _) = rest.split_once("\n---").expect("a `---` line");
        let found = act(text).unwrap_or_else(|fault| format!("{}: {fault}\n", fault.reason.name()));
        write!(fresh, "=== {name}\n{text}\n---\n{found}\n").expect("a string");
    }
    let fresh = format!("{}\n", fresh.trim_end());
    if std::env::var("ENTAIL_GOLDEN").is_ok_and(|mode| mode == "write") {
        std::fs::write(&path, fresh).expect("the script can be written");
    } else {
        assert!(fresh == script, "{file}.txt differs; found:\n{fresh}");
    }
}
