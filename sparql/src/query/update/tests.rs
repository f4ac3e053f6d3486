//! Operations and their changes, over a cluster without facts; clusters with facts are in the crate of tests.

use super::*;
use crate::cluster::{Interrupt, Rows, Texts, Wanted};
use entail_logic::plan::Plan;
use entail_logic::plan::compile::{Context, RelationStats};
use entail_model::{Relation, ShardId, TermKind};

/// A cluster whose dictionary knows one graph, which has facts; its plans find nothing.
#[derive(Default)]
struct Empty;

const GRAPH: &str = "http://e/known";

fn graph_id() -> TermId {
    TermId::dictionary(ShardId(0), 1, TermKind::Iri)
}

impl Cluster for Empty {
    fn context(&self) -> Result<Arc<Context>, Fault> {
        let relation = Relation { graph: graph_id(), predicate: TermId(4) };
        let stats = RelationStats { facts: 1, subjects: 1, objects: 1 };
        Ok(Arc::new(Context { stats: [(relation, stats)].into(), ..Context::default() }))
    }

    fn lookup(&self, terms: &[Vec<u8>]) -> Result<Vec<Option<TermId>>, Interrupt> {
        let known = format!("I{GRAPH}");
        Ok(terms.iter().map(|term| (*term == known.as_bytes()).then(graph_id)).collect())
    }

    fn texts(&self, _: &[TermId], _: u64) -> Result<Texts, Interrupt> {
        Err(Fault::internal("nothing has a text").into())
    }

    fn execute(&self, _: Arc<Plan>, _: Wanted) -> Result<Box<dyn Rows>, Interrupt> {
        Err(Fault::internal("nothing is executed").into())
    }

    fn graphs(&self) -> Result<Vec<TermId>, Fault> {
        Ok(vec![graph_id()])
    }
}

/// Writes down what it gets.
#[derive(Default)]
struct Log(Vec<String>);

impl Target for Log {
    fn facts(&mut self, operation: u32, changes: Changes) -> Result<(), Fault> {
        let Changes { removed, added } = changes;
        self.0.push(format!("{operation}: -{} +{}", removed.len(), added.len()));
        Ok(())
    }

    fn clear(&mut self, operation: u32, graphs: &GraphTarget) -> Result<(), Fault> {
        self.0.push(format!("{operation}: clear {graphs:?}"));
        Ok(())
    }

    fn transfer(&mut self, operation: u32, from: &GraphName, to: &GraphName) -> Result<(), Fault> {
        self.0.push(format!("{operation}: {from} to {to}"));
        Ok(())
    }
}

fn run_with(text: &str, rules: &[Influence]) -> Result<Vec<String>, Fault> {
    let request = UpdateRequest {
        text: format!("PREFIX e: <http://e/> {text}"),
        base: None,
        cancel: Cancellation::default(),
        held_bytes_max: 1 << 20,
        now: None,
    };
    let mut log = Log::default();
    run(&request, rules, Arc::new(Empty), &mut log)?;
    Ok(log.0)
}

fn changes(text: &str) -> Result<Vec<String>, Fault> {
    run_with(text, &[])
}

#[test]
fn neighbouring_facts_are_one_operation_and_the_last_one_counts() {
    let one = "INSERT DATA { e:a e:p e:b , e:c }";
    assert_eq!(changes(one), Ok(vec!["0: -0 +2".to_owned()]));
    let taken_back = format!("{one} ; DELETE DATA {{ e:a e:p e:b }}");
    assert_eq!(changes(&taken_back), Ok(vec!["0: -1 +1".to_owned()]));
    let given_again = format!("{taken_back} ; INSERT DATA {{ e:a e:p e:b }}");
    assert_eq!(changes(&given_again), Ok(vec!["0: -0 +2".to_owned()]));
    let apart = format!("{one} ; CLEAR DEFAULT ; {one}");
    assert_eq!(changes(&apart).unwrap(), ["0: -0 +2", "1: clear DefaultGraph", "2: -0 +2"]);
}

#[test]
fn graphs_are_cleared_and_moved() {
    let named = "NamedNode(NamedNode { iri: \"http://e/g\" })";
    let known = "NamedNode(NamedNode { iri: \"http://e/known\" })";
    let cases: [(&str, Vec<String>); 8] = [
        ("CLEAR ALL", vec!["0: clear AllGraphs".to_owned()]),
        ("DROP NAMED", vec!["0: clear NamedGraphs".to_owned()]),
        // A graph that is not there: nothing is removed, which is no failure.
        ("DROP GRAPH e:g", vec![format!("0: clear {named}")]),
        ("CREATE GRAPH e:g", Vec::new()),
        ("ADD e:known TO e:g", vec!["0: <http://e/known> to <http://e/g>".to_owned()]),
        ("COPY e:known TO e:g", vec![format!("0: clear {named}"), "1: <http://e/known> to <http://e/g>".to_owned()]),
        (
            "MOVE e:known TO e:g",
            vec![
                format!("0: clear {named}"),
                "1: <http://e/known> to <http://e/g>".to_owned(),
                format!("2: clear {known}"),
            ],
        ),
        ("MOVE e:known TO e:known ; COPY DEFAULT TO DEFAULT", Vec::new()),
    ];
    for (text, expected) in cases {
        assert_eq!(changes(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn silent_operations_do_not_fail() {
    for (text, reason) in [
        ("CREATE GRAPH e:known", Reason::AlreadyExists),
        ("INSERT DATA { GRAPH e:g { e:a e:p e:b } } ; CREATE GRAPH e:g", Reason::AlreadyExists),
        ("ADD e:g TO DEFAULT", Reason::NotFound),
        ("COPY e:g TO e:known", Reason::NotFound),
        ("DROP GRAPH e:known ; MOVE e:known TO e:g", Reason::NotFound),
    ] {
        let fault = changes(text).expect_err(text);
        assert_eq!(fault.reason, reason, "{text}: {fault}");
        assert!(fault.position.is_some(), "{text}: {fault}");
        let (before, last) = text.rsplit_once("; ").map_or((String::new(), text), |(a, b)| (format!("{a}; "), b));
        let (verb, rest) = last.split_once(' ').unwrap();
        let silent = format!("{before}{verb} SILENT {rest}");
        let transfers = changes(&silent).expect(&silent);
        assert!(!transfers.iter().any(|line| line.contains(" to ")), "{silent}: {transfers:?}");
    }
    assert!(changes("DROP GRAPH e:known ; CREATE GRAPH e:known").is_ok(), "it has no facts any more");
    assert!(changes("ADD DEFAULT TO e:g").is_ok(), "the default graph always exists");
}

#[test]
fn load_is_refused_by_name() {
    for text in ["LOAD <http://e/file>", "CLEAR ALL ; LOAD SILENT <http://e/file>"] {
        let fault = changes(text).expect_err(text);
        assert_eq!(fault.reason, Reason::Unsupported, "{text}");
        assert!(fault.message.contains("LOAD") && fault.position.is_some(), "{fault}");
    }
}

/// A rule of the default graph.
fn rule(reads: &[&str], derives: &[&str]) -> Influence {
    let predicates = |names: &[&str]| {
        let predicate = |name: &&str| (*name != "?").then(|| NamedNode::new_unchecked(format!("http://e/{name}")));
        names.iter().map(predicate).collect()
    };
    Influence { graph: GraphName::DefaultGraph, reads: predicates(reads), derives: predicates(derives) }
}

#[test]
fn a_where_that_would_have_to_see_earlier_changes_is_refused() {
    let rules = [rule(&["p"], &["q"]), rule(&["q", "x"], &["r"])];
    let insert = "INSERT DATA { e:a e:p e:b } ; ";
    // What comes after the insertion, and the pattern that it reads.
    let cases = [
        ("?s e:p ?o", false),
        ("?s e:other ?o", true),
        ("?s ?p ?o", false),
        ("?s e:q ?o", false),
        ("?s e:r ?o", false),
        ("?s e:x ?o", true),
        ("GRAPH e:g { ?s e:p ?o }", true),
        ("GRAPH ?g { ?s e:p ?o }", true),
        ("GRAPH ?g {}", true),
        ("?s e:other ?o FILTER EXISTS { ?o e:r ?x }", false),
        ("?s e:other ?o OPTIONAL { ?o e:p ?x }", false),
        ("?s e:other ?o MINUS { ?s e:q ?o }", false),
        ("{ SELECT (COUNT(*) AS ?s) { ?x e:p ?y } }", false),
        ("?s e:other/e:x ?o", true),
        ("?s e:other/^e:p ?o", false),
        ("?s e:other* ?o", false),
        ("?s !e:other ?o", false),
        ("", true),
    ];
    for (pattern, is_allowed) in cases {
        let text = format!("{insert}INSERT {{ ?s e:new ?o }} WHERE {{ {pattern} }}");
        match run_with(&text, &rules) {
            Err(fault) if fault.reason == Reason::Unsupported => {
                assert!(!is_allowed, "{pattern}: {fault}");
                let names = ["operation 1 (INSERT DATA at 1:", "operation 2 (INSERT .. WHERE at 1:", "two requests"];
                assert!(names.iter().all(|name| fault.message.contains(name)), "{fault}");
            }
            // The cluster executes nothing.
            other => assert!(is_allowed, "{pattern}: {other:?}"),
        }
    }
}

#[test]
fn graphs_that_are_changed_as_a_whole_are_not_read_afterwards() {
    let reads = |graph: &str| format!("; INSERT {{ ?s e:new ?o }} WHERE {{ {graph} {{ ?s e:p ?o }} }}");
    let cases = [
        ("CLEAR GRAPH e:g", "GRAPH e:g", false),
        ("CLEAR GRAPH e:g", "GRAPH e:h", true),
        ("CLEAR GRAPH e:g", "GRAPH ?g", false),
        ("CLEAR GRAPH e:g", "", true),
        ("CLEAR NAMED", "GRAPH e:h", false),
        ("CLEAR NAMED", "", true),
        ("CLEAR ALL", "", false),
        ("ADD e:known TO e:h", "GRAPH e:h", false),
        ("ADD e:known TO e:h", "GRAPH e:known", true),
        ("MOVE e:known TO e:h", "GRAPH e:known", false),
        ("CREATE GRAPH e:h", "GRAPH e:h", true),
    ];
    for (before, graph, is_allowed) in cases {
        let text = format!("{before} {}", reads(graph));
        let is_refused = matches!(changes(&text), Err(fault) if fault.reason == Reason::Unsupported);
        assert_eq!(is_refused, !is_allowed, "{text}");
    }
    let using =
        "CLEAR GRAPH e:g ; DELETE { ?s e:p ?o } USING e:h USING NAMED e:k WHERE { ?s e:p ?o GRAPH ?x { ?o e:q ?z } }";
    assert!(!matches!(changes(using), Err(fault) if fault.reason == Reason::Unsupported));
}

#[test]
fn a_rule_reaches_only_its_own_graph() {
    let elsewhere = Influence { graph: NamedNode::new_unchecked("http://e/g").into(), ..rule(&["?"], &["?"]) };
    let text = "INSERT DATA { e:a e:p e:b } ; INSERT { ?s e:new ?o } WHERE { ?s e:q ?o }";
    let is_refused =
        |rules: &[Influence]| matches!(run_with(text, rules), Err(fault) if fault.reason == Reason::Unsupported);
    assert!(!is_refused(&[elsewhere]));
    assert!(is_refused(&[rule(&["?"], &["?"])]));
}

#[test]
fn requests_of_facts_alone_are_told_apart() {
    let data = |text: &str| {
        let checked = check(&format!("PREFIX e: <http://e/> {text}"), None).expect(text);
        checked.data.map(|Changes { removed, added }| (removed.len(), added.len()))
    };
    assert_eq!(data("INSERT DATA { e:a e:p e:b , e:c }"), Some((0, 2)));
    assert_eq!(data("INSERT DATA { e:a e:p e:b , e:c } ; DELETE DATA { e:a e:p e:b , e:d }"), Some((2, 1)));
    for other in ["", "DELETE WHERE { ?s ?p ?o }", "INSERT DATA { e:a e:p e:b } ; CLEAR ALL", "CREATE GRAPH e:g"] {
        assert_eq!(data(other), None, "{other}");
    }
    assert!(check("DELETE WHERE { ?s ?p ?o }", None).unwrap().has_where);
    assert!(!check("CLEAR ALL", None).unwrap().has_where);
}
