//! Loads with malformed lines: stopped, skipped, or after a part has been committed.

use crate::harness::{Cluster, Shape, lines};
use serde_json::Value;
use std::collections::BTreeSet;

fn line(number: usize) -> String {
    format!("<urn:n:{number}> <urn:p> <urn:n:{}> .\n", number + 1)
}

/// Good lines, with a broken one after each of some numbers of good ones.
fn broken_after(count: usize, breaks: &[usize]) -> String {
    let broken = |number: &usize| if breaks.contains(number) { "<urn:a> <urn:p> .\n" } else { "" };
    (1..=count).map(|number| line(number) + broken(&number)).collect()
}

fn good(count: usize) -> BTreeSet<String> {
    (1..=count).flat_map(|number| lines(&line(number))).collect()
}

#[test]
fn a_malformed_line_stops_a_load_with_its_place() {
    let cluster = Cluster::of(Shape { nodes: 2, ..Shape::default() });
    let file = cluster.file("bad.nt", broken_after(30_000, &[25_000]));
    let done = cluster.run(&["load", &file]);
    assert_eq!(done.code, Some(1));
    // The subject and the predicate stand there, the object does not.
    assert!(done.err.starts_with(&format!("error: {file}:25001:")), "{}", done.err);
    // The message, the line, and a caret.
    assert_eq!(done.err.lines().count(), 3, "{}", done.err);
    assert!(done.err.contains("  25001 | <urn:a> <urn:p> ."), "{}", done.err);
    let place: Vec<&str> = done.err.trim_end()[format!("error: {file}:").len()..].splitn(3, ':').collect();
    assert!(place[1].parse::<u64>().is_ok_and(|column| (17..=18).contains(&column)), "{}", done.err);
    assert!(place[2].len() > 5, "a reason: {}", done.err);
    assert_eq!(cluster.dump("all"), BTreeSet::new());
}

#[test]
fn malformed_lines_are_skipped_up_to_a_limit() {
    let cluster = Cluster::of(Shape { nodes: 2, ..Shape::default() });
    let file = cluster.file("bad.nt", broken_after(2000, &[10, 500, 1999]));
    let few = cluster.run(&["load", &file, "--on-error", "skip", "--skip-max", "2"]);
    assert_eq!(few.code, Some(1), "{}", few.err);
    let told = format!("error: {file}:11:17: more than 2 malformed places; the first: ");
    assert!(few.err.starts_with(&told), "{}", few.err);
    assert_eq!(cluster.dump("all"), BTreeSet::new());
    let enough = cluster.run(&["load", &file, "--on-error", "skip", "--skip-max", "3", "--output", "json"]);
    assert_eq!(enough.code, Some(0), "{}", enough.err);
    let said: Value = serde_json::from_str(&enough.out).unwrap();
    assert_eq!((&said["skipped"], &said["triples"]), (&3.into(), &2000.into()));
    for place in ["11", "502", "2002"] {
        assert!(enough.err.contains(&format!("skipped: {file}:{place}:")), "{place}: {}", enough.err);
    }
    assert_eq!(cluster.dump("asserted"), good(2000));
}

/// Commits of ten thousand triples, then a malformed line: the committed part is the beginning of the file, and the
/// message names its end.
#[test]
fn committed_parts_of_a_load_stay_and_are_told() {
    let cluster = Cluster::of(Shape { nodes: 2, ..Shape::default() });
    let file = cluster.file("long.nt", broken_after(12_000, &[9500]));
    let done = cluster.run(&["load", &file, "--commit-every", "1000"]);
    assert_eq!(done.code, Some(1), "{}", done.err);
    assert!(done.err.starts_with(&format!("error: {file}:9501:")), "{}", done.err);
    let told = done.err.split("; the first ").nth(1).and_then(|rest| rest.split(' ').next());
    let told: usize = told.unwrap_or_else(|| panic!("nothing is said of what stays: {}", done.err)).parse().unwrap();
    assert!((8000..=9500).contains(&told), "{}", done.err);
    assert_eq!(cluster.dump("asserted"), good(told));
    // The corrected file completes the load; existing facts are not counted as new.
    let mended = cluster.file("mended.nt", broken_after(12_000, &[]));
    let said: Value =
        serde_json::from_str(&cluster.must(&["load", &mended, "--commit-every", "5000", "--output", "json"])).unwrap();
    assert_eq!((&said["triples"], &said["asserted"]), (&12_000.into(), &(12_000 - told).into()));
    assert!(said["epochs"].as_u64().is_some_and(|epochs| epochs >= 3), "{said}");
    assert_eq!(cluster.dump("asserted"), good(12_000));
}

/// A load in parts that is sent again, as after a lost connection: what is committed is skipped, and nothing is committed
/// twice. One part more than before is committed when the file has grown.
#[test]
fn a_load_in_parts_that_is_sent_again_goes_on_where_it_ended() {
    let cluster = Cluster::of(Shape { nodes: 2, ..Shape::default() });
    let file = cluster.file("long.nt", broken_after(12_000, &[9500]));
    let load = ["load", &file, "--commit-every", "1000", "--request-id", "again", "--output", "json"];
    let failed = cluster.run(&load);
    assert_eq!(failed.code, Some(1), "{}", failed.err);
    let epoch = |cluster: &Cluster| {
        let status: Value = serde_json::from_str(&cluster.must(&["status", "--output", "json"])).unwrap();
        status["epoch"].as_u64().expect("an epoch")
    };
    let before = epoch(&cluster);
    let failed_again = cluster.run(&load);
    assert_eq!((failed_again.code, &failed_again.err), (Some(1), &failed.err));
    assert_eq!(epoch(&cluster), before);
    cluster.file("long.nt", broken_after(12_000, &[]));
    let done: Value = serde_json::from_str(&cluster.must(&load)).unwrap();
    assert_eq!((&done["triples"], &done["asserted"]), (&12_000.into(), &12_000.into()), "{done}");
    assert_eq!(cluster.dump("asserted"), good(12_000));
    let repeated: Value = serde_json::from_str(&cluster.must(&load)).unwrap();
    for name in ["triples", "asserted", "epoch", "epochs"] {
        assert_eq!(repeated[name], done[name], "{name}: {repeated} {done}");
    }
}

/// What an earlier send has committed is named also when the file can no longer be read that far.
#[test]
fn a_load_that_fails_within_what_it_skips_names_what_stays() {
    let cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    let file = cluster.file("long.nt", broken_after(12_000, &[]));
    let load = ["load", &file, "--commit-every", "5000", "--request-id", "again"];
    cluster.must(&load);
    for line in [1, 4000] {
        cluster.file("long.nt", broken_after(12_000, &[line]));
        let failed = cluster.run(&load);
        assert_eq!(failed.code, Some(1), "{}", failed.err);
        assert!(failed.err.starts_with(&format!("error: {file}:{}:", line + 1)), "{}", failed.err);
        let told = failed.err.split("; the first ").nth(1).and_then(|rest| rest.split(' ').next());
        let told: usize =
            told.unwrap_or_else(|| panic!("nothing is said of what stays: {}", failed.err)).parse().unwrap();
        assert!((5000..12_000).contains(&told), "{}", failed.err);
    }
    assert_eq!(cluster.dump("asserted"), good(12_000));
}

/// The parts of a load have ids of their own, and the load's id is that of one request.
#[test]
fn a_load_in_parts_has_one_request_id() {
    let cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    let file = cluster.file("long.nt", broken_after(3_000, &[]));
    let insert = "INSERT DATA { <urn:a> <urn:p> <urn:b> }";
    cluster.must(&["load", &file, "--commit-every", "1000", "--request-id", "R"]);
    for id in ["R#0", "R0", "other"] {
        cluster.must(&["update", insert, "--request-id", id]);
    }
    for taken in [
        &["update", insert, "--request-id", "R"][..],
        &["load", &file, "--request-id", "R"],
        &["load", &file, "--commit-every", "1000", "--request-id", "other"],
    ] {
        let done = cluster.run(taken);
        assert_eq!(done.code, Some(1), "{taken:?}: {}", done.err);
        assert!(done.err.contains("belongs to another request, which became epoch "), "{taken:?}: {}", done.err);
    }
    let refused = cluster.run(&["update", insert, "--request-id", "R\u{1f}0"]);
    assert!(refused.err.contains("the request id has control characters"), "{}", refused.err);
}

#[test]
fn input_that_is_no_rdf_is_refused_and_leaves_nothing() {
    let cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    cluster.load("empty.nt", "");
    // The last number is that of lines: a place in a readable file is shown.
    let cases: [(&str, &[u8], &str, usize); 10] = [
        ("data.csv", b"a,b,c\n", "INVALID_REQUEST", 1),
        ("utf8.nt", b"<urn:a> <urn:p> \"\xff\" .\n", "utf8.nt:1:", 3),
        ("cut.ttl", b"@prefix x: <urn:x:> .\nx:a x:b x:c", "cut.ttl:2:", 3),
        ("cut.nt.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "cut.nt.gz", 1),
        ("half.jsonld", b"{\"@id\": \"urn:a\", ", "half.jsonld", 3),
        ("page.ttl", b"<!DOCTYPE html>\n<html></html>\n", "web page", 3),
        ("relative.ttl", b"<x> <urn:p> 1 .\n", "--base", 3),
        ("empty.rdf", b"", "empty", 1),
        ("empty.jsonld", b"", "empty", 1),
        ("empty.nt.zst", b"", "empty", 1),
    ];
    for (name, content, expected, lines) in cases {
        let file = cluster.file(name, content);
        let done = cluster.run(&["load", &file]);
        assert_eq!(done.code, Some(1), "{name}: {}", done.err);
        assert!(done.err.starts_with("error: ") && done.err.contains(expected), "{name}: {}", done.err);
        assert_eq!(done.err.lines().count(), lines, "{name}: {}", done.err);
    }
    assert_eq!(cluster.dump("all"), BTreeSet::new());
}
