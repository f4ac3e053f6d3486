//! Facts that a rule set itself brings: other rules find all that follows from them, at whichever node either end is.

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
