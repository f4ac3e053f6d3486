//! Converting files without a cluster.

use crate::harness::{Running, entail, lines, text};
use std::fs;
use std::process::Stdio;

const TURTLE: &str = "@prefix ex: <http://e/> .\nex:a ex:p ex:b , 1234567 , [ ex:q 'x'@en ] .\n";

#[test]
fn what_is_converted_there_and_back_is_the_same() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| text(&place.path().join(name)).to_owned();
    fs::write(path("a.ttl"), TURTLE).unwrap();
    let convert = |from: &str, to: &str| {
        let done = Running::new(entail(&["convert", &path(from), &path(to)]), Stdio::null()).done();
        assert_eq!((done.code, done.out.as_str()), (Some(0), ""), "{from} to {to}: {}", done.err);
        assert!(done.err.starts_with("converted 4 triples: "), "{}", done.err);
    };
    convert("a.ttl", "a.nt");
    let first = lines(&fs::read_to_string(path("a.nt")).unwrap());
    assert!(first.contains("<http://e/a> <http://e/p> <http://e/b> .") && first.len() == 4, "{first:?}");
    for name in ["b.rdf", "b.jsonld", "b.trig.gz", "b.nq.zst", "b.ttl"] {
        convert("a.nt", name);
        convert(name, "back.nt");
        // Labels of blank nodes are derived from those of the input: only facts without blank nodes are equal.
        let back = lines(&fs::read_to_string(path("back.nt")).unwrap());
        let named = |lines: &std::collections::BTreeSet<String>| {
            lines.iter().filter(|line| !line.contains("_:")).cloned().collect::<Vec<_>>()
        };
        assert_eq!((named(&back), back.len()), (named(&first), 4), "{name}");
    }
    let turtle = fs::read_to_string(path("b.ttl")).unwrap();
    assert!(turtle.contains("@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#>"), "{turtle}");
}

#[test]
fn a_mistake_is_told_with_its_place_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| text(&place.path().join(name)).to_owned();
    fs::write(path("bad.nt"), "<urn:a> <urn:p> <urn:b> .\nnonsense\n<urn:c> <urn:p> <urn:d> .\n").unwrap();
    let run = |words: &[&str]| Running::new(entail(&[&["convert"], words].concat()), Stdio::null()).done();
    let done = run(&[&path("bad.nt"), &path("out.nq")]);
    assert_eq!(done.code, Some(1), "{}", done.err);
    assert!(done.err.starts_with(&format!("error: {}:2:1: ", path("bad.nt"))), "{}", done.err);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing is left of what is not whole");
    let done = run(&[&path("bad.nt"), "--to", "nt", "--on-error", "skip"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert_eq!(lines(&done.out).len(), 2);
    assert!(done.err.contains("1 malformed skipped"), "{}", done.err);
    fs::write(path("named.nq"), "<urn:a> <urn:p> <urn:b> <urn:g> .\n").unwrap();
    let done = run(&[&path("named.nq"), &path("out.ttl")]);
    assert_eq!(done.code, Some(1), "{}", done.err);
    assert!(done.err.contains("turtle has no named graphs, such as <urn:g>"), "{}", done.err);
}
