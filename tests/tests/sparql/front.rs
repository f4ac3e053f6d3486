//! Guarantees of the SPARQL engine other than right answers: streams that stop, limits, formats, plans, updates.

use crate::ask;
use bytes::Bytes;
use entail_logic::plan::Plan;
use entail_logic::plan::compile::Context;
use entail_model::{Cancellation, Fault, Reason, TermId};
use entail_sparql::update::{Changes, GraphTarget, Node, Target, UpdateRequest, run as run_update};
use entail_sparql::{Cluster, Format, Interrupt, Mode, Part, Request, Rows, Summary, Texts, Tuning, Wanted, run};
use entail_tests::memory_cluster::MemoryCluster;
use entail_tests::w3c::Answer;
use oxrdf::vocab::xsd;
use oxrdf::{GraphName, Literal, NamedNode, Quad, Term};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn node(name: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("http://e/{name}"))
}

fn fact(subject: &str, predicate: &str, object: impl Into<Term>) -> Quad {
    Quad::new(node(subject), node(predicate), object.into(), GraphName::DefaultGraph)
}

/// `n0 next n1 next .. n99`, each with its number as value.
fn chain(length: usize) -> Vec<Quad> {
    let next = (1..length).map(|n| fact(&format!("n{}", n - 1), "next", node(&format!("n{n}"))));
    let value = |n: usize| fact(&format!("n{n}"), "value", Literal::new_typed_literal(n.to_string(), xsd::INTEGER));
    next.chain((0..length).map(value)).collect()
}

fn cluster(facts: Vec<Quad>) -> Arc<MemoryCluster> {
    Arc::new(MemoryCluster::new(facts, 4, 3))
}

fn request(text: &str) -> Request {
    Request { text: text.to_owned(), ..Request::default() }
}

fn fault(text: &str) -> Fault {
    ask::answer(request(text), cluster(chain(3))).expect_err("a query that is refused")
}

fn count(answer: &Answer) -> usize {
    match answer {
        Answer::Solutions { rows, .. } => rows.len(),
        Answer::Graph(triples) => triples.len(),
        Answer::Boolean(_) => 1,
    }
}

#[test]
fn errors_have_their_place() {
    let syntax = fault("SELECT * WHERE {\n  ?s ?p }");
    assert_eq!(syntax.reason, Reason::Syntax);
    let place = syntax.position.expect("a place");
    assert_eq!((place.line, place.column), (2, 9));
    let deep = fault(&format!("SELECT * WHERE {{ FILTER {}1{} }}", "(".repeat(10_000), ")".repeat(10_000)));
    assert_eq!(deep.reason, Reason::LimitExceeded);
    assert!(deep.position.is_some());
    assert_eq!(fault("SELECT * { ?s a foo:Bar }").message, "the prefix `foo:` is not declared");
    assert_eq!(fault("SELECT * {\n ?s <urn:p> }").message, "expected a term, found `}`");
    assert_eq!(fault("INSERT DATA { <urn:a> <urn:p> 1 }").message, "this is an update, not a query");
    for service in
        ["SERVICE <http://e/s> { ?s ?p ?o }", "FILTER EXISTS { SERVICE <http://e/s> { ?s ?p ?o } }", "SERVICE ?s {}"]
    {
        assert_eq!(fault(&format!("SELECT * {{ ?s ?p ?o {service} }}")).reason, Reason::Unsupported, "{service}");
    }
}

#[test]
fn what_is_within_the_limits_overflows_no_stack() {
    let deep = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    let texts = [
        format!("SELECT * WHERE {{ ?s ?p ?o FILTER {} }}", deep("(", "1 < 2", ")", 150)),
        format!("SELECT * WHERE {}", deep("{ ?s ?p ?o ", "", "}", 150)),
        format!("SELECT * WHERE {}", deep("{ OPTIONAL ", "{ ?s ?p ?o }", "}", 150)),
        format!("ASK {{ FILTER(1 {} > 0) }}", "+ 1 ".repeat(3_900)),
        format!("ASK {{ ?s ?p ?o FILTER(?o = 1 {}) }}", "|| ?o = 2 ".repeat(1_900)),
        format!("SELECT * WHERE {{ {{ ?s ?p 1 }} {} }}", "UNION { ?s ?p 2 }".repeat(490)),
        format!("SELECT * WHERE {{ ?s ?p 1 {} }}", "OPTIONAL { ?s <http://e/value> ?v }".repeat(490)),
        format!("SELECT * WHERE {{ ?s <http://e/next>{} ?o }}", "/<http://e/next>".repeat(300)),
        format!("SELECT * WHERE {{ ?s ?p ?o {} }}", "FILTER(?o != 5) ".repeat(390)),
    ];
    for text in texts {
        let started = Instant::now();
        let result = ask::answer(request(&text), cluster(chain(3)));
        println!("{:?} for {} ..", started.elapsed(), &text[..60]);
        assert!(result.is_ok(), "{}: {:?}", &text[..80], result.err());
    }
}

#[test]
fn a_limit_stops_the_work_early() {
    let cluster = cluster(chain(100));
    let answer = ask::answer(request("SELECT ?a WHERE { ?a <http://e/next> ?b } LIMIT 3 OFFSET 1"), cluster.clone());
    assert_eq!(count(&answer.expect("an answer")), 3);
    let endless = Arc::new(Endless::new(chain(100)));
    let text = "SELECT DISTINCT ?b WHERE { ?a <http://e/next> ?b } LIMIT 2";
    assert_eq!(count(&ask::answer(request(text), endless.clone()).expect("an answer")), 2);
    assert!(endless.dropped.load(Ordering::Relaxed), "the rows are dropped when there are enough");
    assert_eq!(count(&ask::answer(request("ASK { ?a ?p ?b }"), endless).expect("an answer")), 1);
}

#[test]
fn unknown_terms_ask_no_node() {
    let cluster = cluster(chain(10));
    let text = "SELECT * WHERE { ?a <http://e/nowhere> ?b . ?b <http://e/next> ?c }";
    assert_eq!(count(&ask::answer(request(text), cluster.clone()).expect("an answer")), 0);
    assert_eq!(cluster.executed.load(Ordering::Relaxed), 0);
}

#[test]
fn a_pattern_is_one_plan() {
    let texts = [
        "SELECT * WHERE { ?a <http://e/next> ?b . { ?b <http://e/next> ?c } ?c <http://e/value> ?v FILTER(?v > 5) }",
        "SELECT ?c WHERE { ?a <http://e/next>/^<http://e/next>/<http://e/next> ?c FILTER(?a = <http://e/n1>) }",
        "SELECT ?a WHERE { ?a <http://e/next> ?b FILTER EXISTS { ?b <http://e/next> <http://e/n5> } }",
    ];
    for text in texts {
        let cluster = cluster(chain(10));
        ask::answer(request(text), cluster.clone()).expect("an answer");
        assert_eq!(cluster.executed.load(Ordering::Relaxed), 1, "{text}");
    }
}

#[test]
fn answers_are_bounded_and_cut() {
    let too_many =
        ask::answer(Request { rows_max: Some(5), ..request("SELECT * WHERE { ?s ?p ?o }") }, cluster(chain(10)));
    assert_eq!(too_many.expect_err("too many rows").reason, Reason::LimitExceeded);
    let fed = Request { held_bytes_max: 1_000, ..request("SELECT * WHERE { ?s ?p ?o OPTIONAL { ?o ?q ?r } }") };
    assert_eq!(ask::answer(fed, cluster(chain(100))).expect_err("too much").reason, Reason::LimitExceeded);
    let counted = Request { held_bytes_max: 1_000, ..request("SELECT (COUNT(*) AS ?n) { ?s ?p ?o . ?t ?q ?r }") };
    let (_, counted, _) = ask::bytes(counted, Tuning::default(), cluster(chain(100))).expect("counting holds nothing");
    assert!(String::from_utf8_lossy(&counted).contains("39601"), "199 facts, all pairs");
    let large = vec![fact("s", "p", Literal::from("x".repeat(5 << 20)))];
    let mut parts: Vec<Bytes> = Vec::new();
    let request = Request { format: Format::NTriples, ..request("CONSTRUCT WHERE { ?s ?p ?o }") };
    let summary = run(request, cluster(large), &mut |part| {
        if let Part::Data(data) = part {
            parts.push(data);
        }
        Ok(())
    });
    assert_eq!(summary.expect("an answer").rows, 1);
    assert!(parts.len() >= 5 && parts.iter().all(|part| part.len() <= 1 << 20));
}

/// Every node leads to every node.
fn complete(nodes: usize) -> Vec<Quad> {
    let pairs = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
    pairs.map(|(from, to)| fact(&format!("n{from}"), "next", node(&format!("n{to}")))).collect()
}

#[test]
fn steps_within_a_closure_do_not_multiply() {
    let cluster = cluster(complete(40));
    let next = "<http://e/next>";
    let five = [next; 5].join("/");
    for text in [format!("SELECT * {{ ?x ({five})+ ?y }}"), format!("SELECT * {{ ?x ({five})? ?y }}")] {
        let cancel = Cancellation::until(Instant::now() + Duration::from_secs(60));
        let answer = ask::answer(Request { cancel, held_bytes_max: 1 << 20, ..request(&text) }, cluster.clone());
        assert_eq!(count(&answer.expect("an answer in time")), 1_600, "{text}");
    }
}

#[test]
fn ways_along_a_path_are_counted_memory() {
    let four = ["<http://e/next>"; 4].join("/");
    // An alternative counts ways: 40 ^ 4 of them, none of which leads on.
    let text = format!("ASK {{ FILTER EXISTS {{ <http://e/n1> ({four}/<http://e/no>|<http://e/none>*) ?y }} }}");
    let little = Request { held_bytes_max: 1 << 20, ..request(&text) };
    let refused = ask::answer(little, cluster(complete(40))).expect_err("too many ways");
    assert_eq!(refused.reason, Reason::LimitExceeded);
    assert_eq!(count(&ask::answer(request(&text), cluster(complete(5))).expect("an answer")), 1);
}

#[test]
fn triples_in_exists_are_limited() {
    let numbers = (0..20_000).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    for text in [
        format!("SELECT * {{ ?s ?p ?o FILTER EXISTS {{ <urn:a> <urn:b> {numbers} }} }}"),
        format!("SELECT * {{ ?s ?p ?o BIND(EXISTS {{ <urn:a> <urn:b> {numbers} }} AS ?e) }}"),
    ] {
        assert_eq!(fault(&text).reason, Reason::LimitExceeded, "{text:.60}");
    }
}

#[test]
fn formats_fit_the_kind_of_answer() {
    let bytes = |text: &str, format: Format| {
        ask::bytes(Request { format, ..request(text) }, Tuning::default(), cluster(chain(3)))
            .map(|(media, bytes, _)| (media, bytes))
    };
    let table = "SELECT ?s ?o WHERE { ?s <http://e/next> ?o } ORDER BY ?s";
    let (media, csv) = bytes(table, Format::Csv).expect("CSV");
    assert_eq!(media, "text/csv; charset=utf-8");
    assert_eq!(String::from_utf8(csv).expect("UTF-8"), "s,o\r\nhttp://e/n0,http://e/n1\r\nhttp://e/n1,http://e/n2\r\n");
    assert_eq!(bytes(table, Format::Xml).expect("XML").0, "application/sparql-results+xml");
    assert_eq!(
        bytes(table, Format::Tsv).expect("TSV").1,
        b"?s\t?o\n<http://e/n0>\t<http://e/n1>\n<http://e/n1>\t<http://e/n2>\n"
    );
    assert_eq!(bytes(table, Format::Turtle).expect_err("a table").reason, Reason::InvalidRequest);
    assert_eq!(bytes("CONSTRUCT WHERE { ?s ?p ?o }", Format::Csv).expect_err("a graph").reason, Reason::InvalidRequest);
    let (media, turtle) = bytes("DESCRIBE <http://e/n2>", Format::Turtle).expect("Turtle");
    assert_eq!((media.as_str(), turtle.as_slice()), ("text/turtle", &b"<http://e/n2> <http://e/value> 2 .\n"[..]));
}

#[test]
fn plans_are_explained() {
    let text = "SELECT ?c WHERE { ?a <http://e/next> ?b . ?b <http://e/value> ?c FILTER(?c > 3) OPTIONAL { ?a <http://e/none> ?d } }";
    let plan = |mode| -> Summary {
        ask::bytes(Request { mode, ..request(text) }, Tuning::default(), cluster(chain(10))).expect("a plan").2
    };
    let explained = plan(Mode::Explain);
    assert_eq!(explained.rows, 0);
    let explained = explained.plan.expect("a plan").to_string();
    for word in ["<http://e/next>", "keep if (?c > ", "optional", "estimate"] {
        assert!(explained.contains(word), "{word} in {explained}");
    }
    assert!(!explained.contains("measured"), "{explained}");
}

/// The columns of an answer.
fn columns(text: &str) -> Vec<String> {
    match ask::answer(request(text), cluster(chain(3))).expect("an answer") {
        Answer::Solutions { variables, .. } => variables,
        other => panic!("no table: {other:?}"),
    }
}

#[test]
fn columns_come_as_they_were_written() {
    for (text, expected) in [
        ("SELECT * { ?s <http://e/next> ?o . ?o ?p ?b }", "s o p b"),
        (
            "PREFIX select: <http://e/> # ?a\nselect distinct * { ?z select:value ?y OPTIONAL { ?z select:next $a } } LIMIT 1",
            "z y a",
        ),
        (
            "SELECT REDUCED * { ?z <http://e/value> ?v FILTER(?v > 0) BIND(?v + 1 AS ?n) VALUES ?m { 1 } } ORDER BY ?n",
            "z v n m",
        ),
        (
            "SELECT * { { SELECT ?y ?x { ?x <http://e/next> ?y } } \"?a\" ^<http://e/none?b>|^!<http://e/c> ?z . ?x ?p ?a }",
            "y x z p a",
        ),
        ("SELECT ?o ?s { ?s <http://e/next> ?o }", "o s"),
        ("SELECT (1 * ?v AS ?b) ?a { ?a <http://e/value> ?v }", "b a"),
    ] {
        assert_eq!(columns(text).join(" "), expected, "{text}");
    }
}

#[test]
fn the_request_may_choose_the_graphs() {
    let mut facts = chain(3);
    facts.extend(chain(5).into_iter().map(|fact| Quad { graph_name: node("g").into(), ..fact }));
    facts.extend(chain(7).into_iter().map(|fact| Quad { graph_name: node("h").into(), ..fact }));
    let rows = |change: &dyn Fn(&mut Request)| {
        let mut request = request("SELECT * WHERE { ?a <http://e/next> ?b }");
        change(&mut request);
        count(&ask::answer(request, cluster(facts.clone())).expect("an answer"))
    };
    assert_eq!(rows(&|_| ()), 2);
    assert_eq!(rows(&|request| request.default_graphs = vec!["http://e/g".into()]), 4);
    assert_eq!(rows(&|request| request.default_graphs = vec!["http://e/g".into(), "http://e/h".into()]), 6);
    assert_eq!(rows(&|request| request.default_graphs = vec!["http://e/unknown".into()]), 0);
    assert_eq!(rows(&|request| request.named_graphs = vec!["http://e/g".into()]), 0);
    assert_eq!(rows(&|request| request.union_default_graph = true), 6);
    assert_eq!(rows(&|request| request.text = "SELECT * { GRAPH ?g { ?a <http://e/next> ?b } }".into()), 10);
    assert_eq!(rows(&|request| request.text = "SELECT * { GRAPH ?g {} }".into()), 2);
    assert_eq!(
        rows(&|request| request.text = "SELECT * { GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }".into()),
        2
    );
}

#[test]
fn a_cancelled_or_late_query_ends() {
    let product = "SELECT (COUNT(*) AS ?n) { { SELECT ?a { ?a ?p ?x } } { SELECT ?b { ?b ?q ?y } } { SELECT ?c { ?c ?r ?z } } \
                   { SELECT ?d { ?d ?s ?w } } FILTER(sameTerm(?a, ?unbound)) }";
    let late = Cancellation::default();
    let started = Instant::now();
    let timer = std::thread::spawn({
        let late = late.clone();
        move || {
            std::thread::sleep(Duration::from_millis(200));
            late.expire();
        }
    });
    let result = ask::answer(Request { cancel: late, ..request(product) }, cluster(chain(200)));
    timer.join().expect("the timer");
    assert_eq!(result.expect_err("it takes for ever").reason, Reason::DeadlineExceeded);
    assert!(started.elapsed() < Duration::from_secs(5));
    let cancelled = Cancellation::default();
    cancelled.cancel();
    let result = ask::answer(Request { cancel: cancelled, ..request("SELECT * { ?s ?p ?o }") }, cluster(chain(3)));
    assert_eq!(result.expect_err("cancelled").reason, Reason::Cancelled);
}

#[test]
fn a_fault_of_the_cluster_is_never_fewer_rows() {
    let texts = [
        "SELECT * { ?s <http://e/next> ?o MINUS { ?s <http://e/value> ?v . ?v ?x ?y } }",
        "SELECT * { ?s ?p ?o OPTIONAL { ?s <http://e/value> ?v } FILTER(STR(?v) = \"1\") }",
        "SELECT * { ?s ?p ?o FILTER NOT EXISTS { ?s <http://e/next>+ ?z } }",
        "ASK { ?s ?p ?o MINUS { ?s ?q ?r } }",
    ];
    for text in texts {
        for good in 0..4 {
            let failing = Arc::new(Failing { inner: MemoryCluster::new(chain(5), 4, 3), good: good.into() });
            let whole = ask::answer(request(text), cluster(chain(5))).expect("an answer");
            match ask::answer(request(text), failing) {
                Err(fault) => assert_eq!(fault.reason, Reason::ShardsUnavailable, "{text}"),
                Ok(answer) => assert_eq!(count(&answer), count(&whole), "{text}"),
            }
        }
    }
}

/// Collects the changes of an update, by operation.
#[derive(Default)]
struct Collected(Vec<(u32, Changes)>);

impl Target for Collected {
    fn facts(&mut self, operation: u32, changes: Changes) -> Result<(), Fault> {
        self.0.push((operation, changes));
        Ok(())
    }

    fn clear(&mut self, _: u32, graphs: &GraphTarget) -> Result<(), Fault> {
        Err(Fault::internal(format!("{graphs:?} is not to be cleared")))
    }

    fn transfer(&mut self, _: u32, from: &GraphName, to: &GraphName) -> Result<(), Fault> {
        Err(Fault::internal(format!("{from} is not to be added to {to}")))
    }
}

#[test]
fn updates_give_their_changes_block_by_block() {
    const LINKS: usize = 20_000;
    let cluster = cluster(chain(LINKS + 1));
    let update = |text: &str| {
        let request = UpdateRequest {
            text: format!("PREFIX e: <http://e/> {text}"),
            base: None,
            cancel: Cancellation::default(),
            held_bytes_max: 64 << 20,
            now: None,
        };
        let mut collected = Collected::default();
        run_update(&request, &[], cluster.clone(), &mut collected).map(|()| collected.0)
    };
    let counts = |changes: &[(u32, Changes)]| {
        let sum = |of: fn(&Changes) -> usize| changes.iter().map(|(_, changes)| of(changes)).sum::<usize>();
        (sum(|changes| changes.removed.len()), sum(|changes| changes.added.len()))
    };
    let is_id = |node: &Node| matches!(node, Node::Id(_));
    let data = update("INSERT DATA { e:a e:b 1 . GRAPH e:g { e:a e:b e:c } } ; CREATE GRAPH e:h").expect("changes");
    assert_eq!(counts(&data), (0, 2));
    let all = update("DELETE WHERE { ?s ?p ?o }").expect("changes");
    assert!(all.len() > 2, "in blocks");
    assert_eq!(counts(&all), (2 * LINKS + 1, 0));
    let facts = || all.iter().flat_map(|(_, changes)| &changes.removed);
    // No term is decoded.
    assert!(facts().all(|fact| is_id(&fact.subject) && is_id(&fact.predicate) && is_id(&fact.object)));
    let turned = "DELETE { ?a e:next ?b } INSERT { ?b e:before ?a . GRAPH e:g { ?a e:x [] } } WHERE { ?a e:next ?b }";
    let turned = update(turned).expect("changes");
    assert_eq!(counts(&turned), (LINKS, 2 * LINKS));
    let computed = update("INSERT { ?a e:label ?l } WHERE { ?a e:next ?b BIND(STR(?a) AS ?l) } ").expect("changes");
    let added = computed.iter().flat_map(|(_, changes)| &changes.added);
    assert!(added.clone().all(|fact| matches!(fact.object, Node::Term(Term::Literal(_)))));
    // What is no fact is left out: a literal as subject, an unbound variable.
    let none = "INSERT { ?l e:of ?a . ?a e:to ?c . ?a ?l ?b } WHERE { ?a e:next ?b BIND(STR(?a) AS ?l) }";
    assert_eq!(counts(&update(none).expect("changes")), (0, 0));
    let quoted = "INSERT { ?a e:says <<( ?a e:next ?b )>> } WHERE { ?a e:next ?b }";
    let quoted = update(quoted).expect("changes");
    assert_eq!(counts(&quoted), (0, LINKS));
    for (text, name) in [
        ("LOAD <http://e/file>", "LOAD"),
        ("INSERT DATA { e:a e:b 1 } ; INSERT { ?s ?p 1 } WHERE { ?s ?p ?o }", "INSERT .. WHERE"),
    ] {
        let fault = update(text).expect_err(text);
        assert_eq!(fault.reason, Reason::Unsupported, "{text}");
        assert!(fault.message.contains(name), "{name} in {}", fault.message);
    }
    assert_eq!(update("INSERT DATA {").expect_err("syntax").reason, Reason::Syntax);
}

#[test]
fn names_of_ours_cannot_be_written() {
    let text = "SELECT * { ?s ?p ?o SERVICE <\\u0000leaf:0> { ?x ?y ?z } }";
    assert!(ask::answer(request(text), cluster(chain(3))).is_err());
    let silent = "SELECT * { ?s <http://e/next> ?o SERVICE SILENT <http://e/s> { ?x ?y ?z } }";
    assert_eq!(count(&ask::answer(request(silent), cluster(chain(3))).expect("an answer")), 2);
}

/// A cluster whose rows never end.
struct Endless {
    inner: MemoryCluster,
    dropped: Arc<AtomicBool>,
}

impl Endless {
    fn new(facts: Vec<Quad>) -> Self {
        Self { inner: MemoryCluster::new(facts, 1, 1), dropped: Arc::default() }
    }
}

struct EndlessRows {
    batch: entail_logic::eval::Batch,
    dropped: Arc<AtomicBool>,
}

impl Rows for EndlessRows {
    fn next(&mut self) -> Result<Option<entail_logic::eval::Batch>, Fault> {
        Ok(Some(self.batch.clone()))
    }

    fn profile(&mut self) -> Vec<entail_sparql::NodeProfile> {
        Vec::new()
    }
}

impl Drop for EndlessRows {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::Relaxed);
    }
}

impl Cluster for Endless {
    fn context(&self) -> Result<Arc<Context>, Fault> {
        self.inner.context()
    }

    fn lookup(&self, terms: &[Vec<u8>]) -> Result<Vec<Option<TermId>>, Interrupt> {
        self.inner.lookup(terms)
    }

    fn texts(&self, ids: &[TermId], bytes_max: u64) -> Result<Texts, Interrupt> {
        self.inner.texts(ids, bytes_max)
    }

    fn execute(&self, plan: Arc<Plan>, wanted: Wanted) -> Result<Box<dyn Rows>, Interrupt> {
        let batch = self.inner.execute(plan, wanted)?.next()?.expect("rows");
        Ok(Box::new(EndlessRows { batch, dropped: Arc::clone(&self.dropped) }))
    }

    fn graphs(&self) -> Result<Vec<TermId>, Fault> {
        self.inner.graphs()
    }
}

/// A cluster that fails after this many plans.
struct Failing {
    inner: MemoryCluster,
    good: std::sync::atomic::AtomicI64,
}

impl Cluster for Failing {
    fn context(&self) -> Result<Arc<Context>, Fault> {
        self.inner.context()
    }

    fn lookup(&self, terms: &[Vec<u8>]) -> Result<Vec<Option<TermId>>, Interrupt> {
        self.inner.lookup(terms)
    }

    fn texts(&self, ids: &[TermId], bytes_max: u64) -> Result<Texts, Interrupt> {
        self.inner.texts(ids, bytes_max)
    }

    fn execute(&self, plan: Arc<Plan>, wanted: Wanted) -> Result<Box<dyn Rows>, Interrupt> {
        if self.good.fetch_sub(1, Ordering::Relaxed) <= 0 {
            return Err(Fault::new(Reason::ShardsUnavailable, "a node is gone").into());
        }
        self.inner.execute(plan, wanted)
    }

    fn graphs(&self) -> Result<Vec<TermId>, Fault> {
        self.inner.graphs()
    }
}
