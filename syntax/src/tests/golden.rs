//! Golden scripts: files of texts with the error that they get, or `fine`.
//!
//! A case is `=== name`, a text, `---`, the expected lines. `ENTAIL_GOLDEN=write` rewrites what is expected.

use crate::{parse_query, parse_update};
use entail_model::Fault;
use std::fmt::Write;
use std::path::PathBuf;

#[test]
fn query_errors() {
    run("query", |text| parse_query(text, None).map(drop));
}

#[test]
fn scope_errors() {
    run("scope", |text| parse_query(text, None).map(drop));
}

#[test]
fn update_errors() {
    run("update", |text| parse_update(text, None).map(drop));
}

fn run(file: &str, act: fn(&str) -> Result<(), Fault>) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "src/tests/golden", &format!("{file}.txt")].iter().collect();
    let script = std::fs::read_to_string(&path).expect("the script is part of the crate");
    let (opening, cases) = script.split_once("=== ").expect("a first case");
    let mut fresh = opening.to_owned();
    for case in cases.split("\n=== ") {
        let (name, rest) = case.split_once('\n').expect("a name line");
        let (text, _) = rest.split_once("\n---").expect("a `---` line");
        let found = match act(text) {
            Ok(()) => "fine".to_owned(),
            Err(fault) => format!("{}: {fault}", fault.reason.name()),
        };
        write!(fresh, "=== {name}\n{text}\n---\n{found}\n\n").expect("a string");
    }
    let fresh = format!("{}\n", fresh.trim_end());
    if std::env::var("ENTAIL_GOLDEN").is_ok_and(|mode| mode == "write") {
        std::fs::write(&path, fresh).expect("the script can be written");
    } else {
        assert!(fresh == script, "{file}.txt differs; found:\n{fresh}");
    }
}
