//! A dump has the same meaning as the loaded data, in every format.

use crate::harness::{Cluster, Running, Shape, lines};
use std::collections::BTreeSet;
use std::process::Stdio;

const FORMATS: [&str; 6] = ["ntriples", "nquads", "turtle", "trig", "rdfxml", "jsonld"];
const GRAPH: &str = "http://example.org/g";

/// Terms that are difficult to write and read. Every predicate has a name that RDF/XML can express.
const DATA: &str = r#"
@prefix : <http://example.org/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
:a :knows :b . :b :knows :c . :c :knows :d .
:a :name "quotes \" and \\ and \n newline & <tag> ]]>" , "Zoë"@fr , "" , " space " .
:a :age 42 , 42.50 , 4.2e1 , true , "2024-02-29"^^xsd:date , "042"^^xsd:integer , "x"^^:own .
:a a :Person . <http://example.org/%C3%A4?x=1&y=2#z> :knows :a .
"#;
const RULES: &str = "PREFIX : <http://example.org/>\nRULE { ?a :above ?c } WHERE { ?a :knows ?b . ?b :knows ?c }\n\
                     RULE { ?a :above ?c } WHERE { ?a :above ?b . ?b :knows ?c }\n";

/// Asserted and derived facts in the default graph and in a named one.
fn source() -> Cluster {
    let cluster = Cluster::of(Shape { nodes: 2, ..Shape::default() });
    let (data, rules) = (cluster.file("data.ttl", DATA), cluster.file("above.srl", RULES));
    cluster.must(&["load", &data]);
    cluster.must(&["rules", "apply", &rules]);
    let more = cluster.file("more.ttl", DATA.replace(":d .", ":e ."));
    cluster.must(&["load", &more, "--graph", GRAPH]);
    cluster.must(&["rules", "apply", &rules, "--name", "above-g", "--graph", GRAPH]);
    cluster
}

/// The dump of a graph as N-Triples.
fn held(cluster: &Cluster, content: &str, graph: Option<&str>) -> BTreeSet<String> {
    let mut arguments = vec!["dump", "--format", "ntriples", "--content", content];
    arguments.extend(graph.iter().flat_map(|graph| ["--graph", *graph]));
    lines(&cluster.must(&arguments))
}

#[test]
fn every_format_brings_back_the_same_facts() {
    let cluster = source();
    let target = Cluster::of(Shape { nodes: 1, shards: 4, ..Shape::default() });
    let mut number = 0;
    for graph in [None, Some(GRAPH)] {
        let (asserted, derived) = (held(&cluster, "asserted", graph), held(&cluster, "derived", graph));
        assert_eq!((asserted.len(), derived.len()), (16, 6), "{asserted:?} {derived:?}");
        assert!(asserted.is_disjoint(&derived));
        let all = asserted.union(&derived).cloned().collect();
        for (content, expected) in [("asserted", &asserted), ("derived", &derived), ("all", &all)] {
            assert_eq!(&held(&cluster, content, graph), expected);
            for format in FORMATS {
                let mut arguments = vec!["dump", "--format", format, "--content", content];
                arguments.extend(graph.iter().flat_map(|graph| ["--graph", *graph]));
                let file = cluster.file("dump", cluster.must(&arguments));
                // A format with graphs names the graph itself; for the others the load has to.
                number += 1;
                let into = format!("http://example.org/target/{number}");
                let is_named = graph.is_some() && ["nquads", "trig", "jsonld"].contains(&format);
                let told = target.run(&["load", &file, "--format", format, "--graph", &into]);
                assert_eq!(told.code, Some(0), "{format} {content} {graph:?}: {}", told.err);
                let found = held(&target, "asserted", Some(if is_named { GRAPH } else { &into }));
                let is_right = if is_named { expected.is_subset(&found) } else { expected == &found };
                assert!(is_right, "{format} {content} {graph:?}: {found:#?}");
            }
        }
    }
}

/// `entail dump | entail load -`: all graphs at once, through a pipe.
#[test]
fn a_dump_can_be_loaded_through_a_pipe() {
    let cluster = source();
    let target = Cluster::of(Shape { nodes: 3, shards: 16, ..Shape::default() });
    for format in ["nquads", "trig", "jsonld"] {
        let mut dump = cluster.command(&["dump", "--all-graphs", "--content", "all", "--format", format, "--quiet"]);
        let mut writer = dump.stdout(Stdio::piped()).spawn().unwrap();
        let pipe = writer.stdout.take().unwrap();
        let done = Running::new(target.command(&["load", "-", "--format", format]), pipe.into()).done();
        assert_eq!(done.code, Some(0), "{format}: {}", done.err);
        assert!(writer.wait().unwrap().success());
        assert_eq!(target.dump("asserted"), cluster.dump("all"), "{format}");
    }
    assert_eq!(target.dump("asserted").len(), 44);
}

/// A closed pipe ends a dump without an error.
#[test]
fn a_reader_may_leave() {
    let cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    let many: String = (0..100_000).map(|n| format!("<urn:n:{n}> <urn:p> <urn:n:{}> .\n", n + 1)).collect();
    cluster.load("many.nt", &many);
    let mut command = cluster.command(&["dump", "--quiet"]);
    let mut dump = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(dump.stdout.take());
    let output = dump.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn triples_only_formats_refuse_all_graphs() {
    let cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    let done = cluster.run(&["dump", "--all-graphs", "--format", "turtle"]);
    assert_eq!(done.code, Some(1));
    assert!(
        done.err.contains("turtle cannot hold named graphs") && done.err.contains("INVALID_REQUEST"),
        "{}",
        done.err
    );
    assert_eq!(done.out, "");
}
