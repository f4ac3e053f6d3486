//! Facts in DATA of a rule set: other rules derive all their consequences, whatever the homes of subject and object.

use entail_tests::cluster::{Cluster, Setting};
use std::fmt::Write;

const PAIRS: usize = 60;

#[test]
fn what_follows_from_a_rule_sets_own_facts_is_found() {
    for nodes in [1, 2, 4] {
        let cluster = Cluster::start_as(&Setting::new(nodes, 8));
        let mut loaded = String::new();
        let mut rules = "PREFIX : <urn:own:>\nDATA {".to_owned();
        for n in 0..PAIRS {
            writeln!(loaded, "<urn:own:y{n}> <urn:own:s> <urn:own:z> .").unwrap();
            write!(rules, " :x{n} :p :y{n} .").unwrap();
        }
        rules += " }\nRULE { ?x :r ?z } WHERE { ?x :p ?y . ?y :s ?z }\nRULE { ?y :q ?x } WHERE { ?x :p ?y }\n";
        cluster.load("own.nt", loaded);
        cluster.apply("own", &rules).unwrap();
        for predicate in ["p", "r", "q"] {
            let rows = cluster.rows(&format!("SELECT * {{ ?x <urn:own:{predicate}> ?y }}"));
            assert_eq!(rows.len(), PAIRS, "{predicate} on {nodes} nodes");
        }
    }
}

/// Two stars that meet: `step` is every path through their centres, far more facts than the sizes of the stars suggest,
/// and more than may be broadcast: the attempt restarts, and derives the same facts as without the broadcast.
#[test]
fn what_follows_from_more_than_was_thought_is_found() {
    const ENDS: u64 = 1_030;
    const { assert!(ENDS * ENDS > entail_logic::plan::broadcast::FACTS_MAX) };
    let cluster = Cluster::start_as(&Setting::new(2, 8));
    let mut loaded = String::new();
    for n in 0..ENDS {
        writeln!(loaded, "<urn:own:s{n}> <urn:own:edge> <urn:own:c> .\n<urn:own:a{n}> <urn:own:edge> <urn:own:b{n}> .")
            .unwrap();
        writeln!(loaded, "<urn:own:c> <urn:own:more> <urn:own:t{n}> .\n<urn:own:b{n}> <urn:own:more> <urn:own:d{n}> .")
            .unwrap();
    }
    cluster.load("stars.nt", loaded);
    let rules = "PREFIX : <urn:own:>\nRULE { ?x :step ?z } WHERE { ?x :edge ?y . ?y :more ?z }
        RULE { ?x :path ?z } WHERE { ?x :step ?z }\nRULE { ?x :path ?z } WHERE { ?x :path ?y . ?y :step ?z }";
    let applied = cluster.apply("steps", rules).unwrap();
    let steps = ENDS * ENDS + ENDS;
    assert_eq!(applied.derived, 2 * steps);
}
