//! Rule sets that are applied concurrently.

use crate::graph::{RULE_SETS, State, document, facts, lines};
use crate::harness::{Cluster, Random};

/// Each change of the rules builds on the previous one: none is lost, in whatever order they arrive.
#[test]
fn rule_sets_that_come_together_are_all_kept() {
    let cluster = Cluster::start(2);
    let mut state = State { asserted: facts(&Random::new(3), 600), ..State::default() };
    cluster.load("first.nt", &document(&state.asserted));
    let together: Vec<_> = RULE_SETS
        .iter()
        .map(|set| cluster.begin(&["rules", "apply", &cluster.file(&format!("{}.srl", set.name), set.text())]))
        .collect();
    for running in together {
        let done = running.done();
        assert_eq!(done.code, Some(0), "{}", done.err);
    }
    state.rules.extend(0..RULE_SETS.len());
    assert_eq!(cluster.dump("derived"), lines(&state.derived()));
    let listed = cluster.must(&["rules", "list"]);
    assert!(RULE_SETS.iter().all(|set| listed.contains(set.name)), "{listed}");
}

/// Dropping rules reports the facts that go; the facts of other rules are not derived anew.
#[test]
fn a_drop_tells_what_is_gone() {
    let cluster = Cluster::start(1);
    cluster.load("facts.nt", "<urn:a> <urn:p> <urn:b> .\n<urn:b> <urn:p> <urn:c> .\n");
    for (name, head) in [("turned", "?y <urn:q> ?x"), ("named", "?x <urn:r> ?y . ?y <urn:r> ?x")] {
        let rules = cluster.file(&format!("{name}.srl"), format!("RULE {{ {head} }} WHERE {{ ?x <urn:p> ?y }}"));
        let said = cluster.told(&["rules", "apply", &rules]);
        assert!(!said.contains("than before"), "{said}");
    }
    let said = cluster.told(&["rules", "drop", "named"]);
    assert!(said.contains("0 facts derived and 4 no longer"), "{said}");
}

/// The ready rules of RDF Schema: what they derive of each of their rules.
#[test]
fn the_rules_of_rdf_schema_apply() {
    let cluster = Cluster::start(2);
    let schema = "PREFIX : <urn:> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>\n\
                  :manages rdfs:subPropertyOf :knows ; rdfs:domain :Manager ; rdfs:range :Person . :age rdfs:range :Number .\n\
                  :Manager rdfs:subClassOf :Employee . :Employee rdfs:subClassOf :Person .\n\
                  :ann :manages :bob ; :age 40 .\n";
    cluster.load("company.ttl", schema);
    cluster.must(&["rules", "apply", concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/rdfs.srl")]);
    let rdf_type = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>";
    let below = "<http://www.w3.org/2000/01/rdf-schema#subClassOf>";
    let mut expected: Vec<String> = ["Manager", "Employee", "Person"]
        .iter()
        .map(|class| format!("<urn:ann> {rdf_type} <urn:{class}> ."))
        .chain([
            format!("<urn:bob> {rdf_type} <urn:Person> ."),
            "<urn:ann> <urn:knows> <urn:bob> .".to_owned(),
            format!("<urn:Manager> {below} <urn:Person> ."),
        ])
        .collect();
    expected.sort();
    let derived = cluster.dump("derived");
    assert_eq!(derived.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
}

/// A request id belongs to one request: the same request again returns the first response, a different one is refused.
#[test]
fn a_request_id_is_of_one_request() {
    let cluster = Cluster::start(1);
    let one = cluster.file("one.nt", "<urn:a> <urn:p> <urn:b> .\n");
    let other = cluster.file("other.nt", "<urn:c> <urn:p> <urn:d> .\n");
    let rules = cluster.file("r.srl", "RULE { ?y <urn:q> ?x } WHERE { ?x <urn:p> ?y }");
    let insert = "INSERT DATA { <urn:e> <urn:p> <urn:f> }";
    for again in
        [["load", &one, "--request-id", "1"], ["update", insert, "--request-id", "3"]].into_iter().flat_map(|c| [c, c])
    {
        cluster.must(&again);
    }
    let applied = ["rules", "apply", &rules, "--request-id", "2"];
    for _ in 0..2 {
        assert!(cluster.told(&applied).contains("epoch 3: 0 facts asserted, 2 facts derived"));
    }
    for other in [
        &["load", &other, "--request-id", "1"][..],
        &["load", &one, "--graph", "urn:g", "--request-id", "1"],
        &["update", insert, "--request-id", "1"],
        &["rules", "apply", &rules, "--name", "s", "--request-id", "2"],
        &["rules", "drop", "r", "--request-id", "2"],
        &["update", "INSERT DATA { <urn:e> <urn:p> <urn:g> }", "--request-id", "3"],
    ] {
        let done = cluster.run(other);
        assert_eq!(done.code, Some(1), "{other:?}: {}", done.err);
        assert!(done.err.contains("belongs to another request, which became epoch "), "{other:?}: {}", done.err);
        assert!(done.err.contains("ALREADY_EXISTS"), "{other:?}: {}", done.err);
    }
    assert_eq!(cluster.dump("asserted").len(), 2);
}

/// A summary is one line on the standard error, omitted in JSON; well-known prefixes need no declaration.
#[test]
fn rules_are_summed_up_in_one_line_and_shown_again() {
    let cluster = Cluster::start(1);
    cluster.load("facts.nt", "<urn:a> <urn:p> <urn:b> .\n");
    let text: String =
        (0..20).map(|n| format!("RULE {{ ?x rdfs:seeAlso <urn:{n}> }} WHERE {{ ?x <urn:p> ?y }}\n")).collect();
    let rules = cluster.file("many.srl", text.trim_end());
    let done = cluster.run(&["rules", "apply", &rules]);
    assert_eq!((done.code, done.out.as_str(), done.err.lines().count()), (Some(0), "", 1), "{}", done.err);
    assert!(done.err.starts_with("many, 20 rules, epoch 2: 0 facts asserted, 20 facts derived"), "{}", done.err);
    let done = cluster.run(&["rules", "apply", &rules, "--quiet", "--output", "json"]);
    assert_eq!(done.err, "");
    let applied: serde_json::Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&applied["name"], &applied["rule_count"]), (&"many".into(), &20.into()), "{applied}");
    let shown = cluster.must(&["rules", "show", "many"]);
    let prologue = "PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>\n";
    assert_eq!(shown, format!("{prologue}{text}"));
    let shown: serde_json::Value =
        serde_json::from_str(&cluster.must(&["rules", "show", "many", "--output", "json"])).unwrap();
    assert_eq!((&shown["rule_count"], &shown["graph"]), (&20.into(), &"".into()), "{shown}");
    let done = cluster.run(&["rules", "show", "nothing"]);
    assert_eq!(done.code, Some(1));
    assert!(done.err.contains("there is no rule set nothing; there are: many"), "{}", done.err);
}
