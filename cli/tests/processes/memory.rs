//! A graph several times larger than a node's memory: loaded and queried within the memory limit.

use crate::harness::{Cluster, Shape, lines};
use std::fmt::Write;
use std::fs;

/// The budget of the node.
const BUDGET_MIB: u64 = 16;

/// The memory of a node beyond its budget: the program and its threads' heaps, batches of up to 8 MiB in transit, the
/// database's write buffers, and most of all freed memory that the allocator retains.
const OVERHEAD_MIB: u64 = 128;

const SUBJECTS: u64 = 400_000;

/// The memory of a node beyond its budget for the graph of many predicates, which has few terms.
const OVERHEAD_OF_PAIRS_MIB: u64 = 80;

const PREDICATES: u64 = 300;
const TERMS: u64 = 2000;
const FACTS_OF_A_TERM: u64 = 10;

/// Facts with random-looking objects, so that they do not pack well.
fn document() -> String {
    let mut text = String::new();
    for n in 0..SUBJECTS {
        let (a, b) = (n * 7919 % SUBJECTS, n * 104_729 % SUBJECTS);
        writeln!(text, "<http://example.org/thing/{n}> <urn:a> <http://example.org/thing/{a}> .").unwrap();
        writeln!(text, "<http://example.org/thing/{n}> <urn:b> <http://example.org/thing/{b}> .").unwrap();
        writeln!(text, "<http://example.org/thing/{n}> <urn:label> \"the thing of number {n}, said at length\" .")
            .unwrap();
    }
    text
}

/// Many relations, none of which is large, of the same few terms.
fn document_of_many_predicates() -> String {
    let mut text = String::from("@prefix : <urn:> .\n");
    for n in 0..TERMS {
        for predicate in 0..PREDICATES {
            write!(text, ":{n} :p{predicate} ").unwrap();
            let objects = (0..FACTS_OF_A_TERM).map(|m| format!(":{}", (n * 7919 + predicate * 31 + m * 101) % TERMS));
            writeln!(text, "{} .", objects.collect::<Vec<_>>().join(",")).unwrap();
        }
    }
    text
}

#[test]
fn many_relations_are_loaded_within_bounds() {
    // Large blocks go back to the system when they are freed: what is left is what the node holds.
    let settings = ["env", "MALLOC_ARENA_MAX=1", "MALLOC_MMAP_THRESHOLD_=65536"];
    let node_wrapper = settings.map(str::to_owned).to_vec();
    let cluster = Cluster::of(Shape { nodes: 1, memory: "16MiB", node_wrapper, ..Shape::default() });
    cluster.load("many.ttl", &document_of_many_predicates());
    let facts = TERMS * PREDICATES * FACTS_OF_A_TERM;
    let pairs_mib = (facts * 2 * 16) >> 20;
    let ask = |query: &str| cluster.must(&["query", query, "--output", "csv"]);
    for predicate in [0, PREDICATES - 1] {
        let count = ask(&format!("SELECT (COUNT(*) AS ?n) {{ ?s <urn:p{predicate}> ?o }}"));
        assert_eq!(count.lines().nth(1), Some((TERMS * FACTS_OF_A_TERM).to_string().as_str()));
    }
    let Some(peak) = peak_mib(cluster.nodes[0].pid()) else {
        eprintln!("skipped: this system does not report the memory of a process");
        return;
    };
    println!("{pairs_mib} MiB of pairs, a budget of {BUDGET_MIB} MiB, a peak of {peak} MiB");
    assert!(pairs_mib > BUDGET_MIB + OVERHEAD_OF_PAIRS_MIB, "the pairs alone are larger than what is allowed");
    assert!(peak <= BUDGET_MIB + OVERHEAD_OF_PAIRS_MIB, "a peak of {peak} MiB for a budget of {BUDGET_MIB} MiB");
}

fn peak_mib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib >> 10)
}

#[test]
fn a_graph_larger_than_memory_is_answered_within_bounds() {
    // The C library's allocator keeps heaps for every processor, which is not what this measures.
    let node_wrapper = ["env", "MALLOC_ARENA_MAX=2"].map(str::to_owned).to_vec();
    let cluster = Cluster::of(Shape { nodes: 1, memory: "16MiB", node_wrapper, ..Shape::default() });
    let text = document();
    let document_mib = text.len() as u64 >> 20;
    assert!(document_mib > 5 * BUDGET_MIB, "the text alone is several times larger than the budget");
    cluster.load("large.nt", &text);
    drop(text);
    let ask = |query: &str| cluster.must(&["query", query, "--output", "csv"]);
    let count = ask("SELECT (COUNT(*) AS ?n) { ?s <urn:a> ?b . ?s <urn:b> ?c }");
    assert_eq!(count.lines().nth(1), Some(SUBJECTS.to_string().as_str()));
    for n in [0, 77_777, SUBJECTS - 1] {
        let thing = |n: u64| format!("http://example.org/thing/{n}");
        let two = ask(&format!("SELECT ?x ?l {{ <{}> <urn:a>/<urn:b> ?x . ?x <urn:label> ?l }}", thing(n)));
        let x = n * 7919 % SUBJECTS * 104_729 % SUBJECTS;
        let expected = format!("{},\"the thing of number {x}, said at length\"", thing(x));
        assert_eq!(lines(&two), lines(&format!("x,l\n{expected}\n")));
    }
    let Some(peak) = peak_mib(cluster.nodes[0].pid()) else {
        eprintln!("skipped: this system does not report the memory of a process");
        return;
    };
    println!("{document_mib} MiB of text, a budget of {BUDGET_MIB} MiB, a peak of {peak} MiB");
    assert!(peak <= BUDGET_MIB + OVERHEAD_MIB, "a peak of {peak} MiB for a budget of {BUDGET_MIB} MiB");
}
