//! Queries on real clusters that must end early: enough rows, a cancelled call, no time left. And small queries, which
//! end when they are complete.
//!
//! Each long query would take hours: a product of all facts with themselves, several times over. So a query that ends
//! in time was stopped, and the nodes' counts of running queries show whether it was stopped on the nodes.

use entail_client::v1::{QueryMode, QueryRequest};
use entail_model::{Fault, Reason};
use entail_tests::cluster::{Cluster, fault};
use std::time::{Duration, Instant};

const NODES: usize = 3;

/// Far more than stopping takes, far less than the queries would.
const PATIENCE: Duration = Duration::from_secs(30);

/// 2,000 ^ 4 rows: practically endless.
const PRODUCT: &str = "SELECT * { ?a <urn:p> ?b . ?c <urn:p> ?d . ?e <urn:p> ?f . ?g <urn:p> ?h }";

/// As much work as the product, without a single row: neither a sent row nor a full buffer could stop it.
const BARREN: &str = "SELECT * { ?a <urn:p> ?b . ?c <urn:p> ?d . ?e <urn:p> ?f . ?g <urn:p> ?h \
                      FILTER(sameTerm(?a, ?d) || sameTerm(?c, ?f) || sameTerm(?e, ?h) || sameTerm(?g, ?b)) }";

/// The product below an operator of the coordinator.
const COUNTED: &str = "SELECT (COUNT(*) AS ?n) { ?a <urn:p> ?b . ?c <urn:p> ?d . ?e <urn:p> ?f . ?g <urn:p> ?h \
                       FILTER(sameTerm(?a, ?d) || sameTerm(?c, ?f) || sameTerm(?e, ?h) || sameTerm(?g, ?b)) }";

fn cluster() -> Cluster {
    let cluster = Cluster::start(NODES, 4);
    cluster.load("facts.nt", (0..2_000).map(|n| format!("<urn:n:{n}> <urn:p> <urn:o:{n}> .\n")).collect::<String>());
    cluster
}

fn request(query: &str) -> QueryRequest {
    QueryRequest { query: query.to_owned(), ..QueryRequest::default() }
}

/// Waits until this many nodes report a running query.
fn wait_for_nodes_at_work(cluster: &Cluster, wanted: usize) {
    let started = Instant::now();
    loop {
        let at_work = cluster.status().nodes.iter().filter(|node| node.queries > 0).count();
        if at_work == wanted {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{at_work} nodes are at work, and not {wanted}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until no node reports a running query. Heartbeats report the count, so a shorter query is never seen.
fn wait_until_idle(cluster: &Cluster) {
    std::thread::sleep(Duration::from_millis(600));
    wait_for_nodes_at_work(cluster, 0);
}

#[test]
fn enough_rows_end_the_work_on_all_nodes() {
    let cluster = cluster();
    let started = Instant::now();
    assert_eq!(cluster.rows(&format!("{PRODUCT} LIMIT 5")).len(), 5);
    assert_eq!(cluster.rows(&format!("SELECT DISTINCT ?a {{ {{ {PRODUCT} }} }} LIMIT 2")).len(), 2);
    let ask = PRODUCT.replace("SELECT *", "ASK");
    assert!(String::from_utf8_lossy(&cluster.query(&ask, Default::default()).expect("an answer")).contains("true"));
    assert!(started.elapsed() < PATIENCE);
    wait_until_idle(&cluster);
}

#[test]
fn a_profile_says_that_the_work_was_stopped() {
    let cluster = cluster();
    for (text, stopped) in [(format!("{PRODUCT} LIMIT 5"), true), ("SELECT ?a { ?a <urn:p> ?b }".to_owned(), false)] {
        let mut request = request(&text);
        request.set_mode(QueryMode::Profile);
        let answer =
            cluster.with_client(|client| async move { client.query_all(request, 1 << 20).await.map_err(fault) });
        let plan = answer.expect("an answer").summary.plan_json;
        let plan: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
        assert_eq!(plan["leaves"][0]["branches"][0]["stopped"], stopped, "{text}");
    }
}

#[test]
fn a_dropped_stream_ends_the_work_on_all_nodes() {
    let cluster = cluster();
    let mut answer =
        cluster.with_client(|client| async move { client.query(request(PRODUCT)).await.map_err(fault) }).expect("rows");
    cluster.with_client(|_| async { answer.next().await.map(drop) }).expect("more rows");
    wait_for_nodes_at_work(&cluster, NODES);
    drop(answer);
    wait_for_nodes_at_work(&cluster, 0);
}

#[test]
#[allow(clippy::async_yields_async, reason = "the task is at work while the test looks")]
fn a_caller_that_goes_before_the_first_row_ends_the_work_on_all_nodes() {
    let cluster = cluster();
    for query in [BARREN, COUNTED] {
        let waiting = cluster.with_client(|client| async move {
            tokio::spawn(async move { client.query(request(query)).await.map(drop) })
        });
        wait_for_nodes_at_work(&cluster, NODES);
        waiting.abort();
        wait_for_nodes_at_work(&cluster, 0);
    }
}

#[test]
fn a_deadline_ends_the_work_on_all_nodes() {
    let cluster = cluster();
    let late = |query: &'static str| -> Fault {
        let time = Some(Duration::from_millis(1_500));
        let asked = cluster.with_client(|client| async move {
            let client = client.with_timeout(time);
            client.query_all(request(query), usize::MAX).await.map_err(fault)
        });
        asked.expect_err("there is no time for it")
    };
    for query in [PRODUCT, BARREN, COUNTED] {
        let started = Instant::now();
        let reason = late(query).reason;
        assert_eq!(reason, Reason::DeadlineExceeded, "{query}");
        assert!(started.elapsed() < PATIENCE);
        wait_until_idle(&cluster);
    }
}

/// A text that becomes eight times as long with each step, as an expression.
fn grown(steps: usize, text: &str) -> String {
    (0..steps).fold(text.to_owned(), |inner, _| format!("REPLACE({inner}, \"(.)\", \"$1$1$1$1$1$1$1$1\")"))
}

/// The same as a chain of variables, whose text is short.
fn doubled_by_variables(steps: usize) -> String {
    let step = |n: usize| format!("BIND(CONCAT(?a{n}, ?a{n}) AS ?a{}) ", n + 1);
    format!(
        "SELECT (STRLEN(?a{steps}) AS ?n) {{ BIND(\"0123456789abcdef\" AS ?a0) {} }}",
        (0..steps).map(step).collect::<String>()
    )
}

/// Soon after the time that a query has, even on a busy machine.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn texts_that_grow_end_at_their_limit() {
    let cluster = cluster();
    let length = cluster.rows(&doubled_by_variables(10));
    assert!(format!("{length:?}").contains("16384"), "{length:?}");
    let started = Instant::now();
    for query in [doubled_by_variables(40), doubled_by_variables(1_000)] {
        let fault = cluster.query(&query, Default::default()).expect_err("no room for it");
        assert_eq!(fault.reason, Reason::LimitExceeded, "{fault:?}");
    }
    let where_grown = |steps| format!("{{ ?a <urn:p> ?b FILTER(STRLEN({}) > 3) }}", grown(steps, "STR(?a)"));
    assert_eq!(cluster.rows(&format!("SELECT * {}", where_grown(2))).len(), 2_000);
    let query = format!("SELECT * {}", where_grown(40));
    let rule = format!("RULE {{ ?a <urn:q> ?b }} WHERE {}", where_grown(40));
    let faults = [
        cluster.query(&query, Default::default()).expect_err("no room for it"),
        cluster.apply("grown", &rule).expect_err("no room for it"),
    ];
    assert!(faults.iter().all(|fault| fault.reason == Reason::LimitExceeded), "{faults:?}");
    assert!(started.elapsed() < SOON * 4, "{:?}", started.elapsed());
    wait_until_idle(&cluster);
}

#[test]
fn slow_expressions_end_with_their_query() {
    let cluster = cluster();
    let pattern = "?a <urn:p> ?b . ?c <urn:p> ?d . ?e <urn:p> ?f";
    let slow = "REGEX(CONCAT(STR(?a), STR(?d), STR(?e), STR(?f)), \"^(([a-z]+:?)*[0-9]*)*!$\")";
    for query in [
        format!("SELECT * {{ {pattern} FILTER({slow}) }}"),
        format!("SELECT (COUNT(?x) AS ?n) {{ {pattern} BIND({slow} AS ?x) }}"),
        format!(
            "SELECT (SUM(STRLEN(REPLACE(CONCAT(STR(?a), STR(?d)), \"([a-z]:)+\", \"$1$1\"))) AS ?n) {{ {pattern} }}"
        ),
        format!("SELECT * {{ {pattern} }} ORDER BY REPLACE(CONCAT(STR(?a), STR(?d)), \"([a-z]:)+\", \"$1$1\")"),
    ] {
        let started = Instant::now();
        let text = query.clone();
        let asked = cluster.with_client(|client| async move {
            let client = client.with_timeout(Some(Duration::from_secs(1)));
            client.query_all(request(&text), usize::MAX).await.map_err(fault)
        });
        let fault = asked.expect_err("there is no time for it");
        assert!(matches!(fault.reason, Reason::DeadlineExceeded | Reason::LimitExceeded), "{query}: {fault:?}");
        assert!(started.elapsed() < SOON, "{query}: {:?}", started.elapsed());
        wait_until_idle(&cluster);
    }
}

/// Regression: the last message of an answer waited for an acknowledgement that the receiver's system delays by 40 ms.
#[test]
fn small_answers_do_not_wait_for_acknowledgements() {
    let cluster = Cluster::start(1, 1);
    cluster.load("facts.nt", "<urn:a> <urn:p> <urn:b> .\n");
    let time = |_| {
        let started = Instant::now();
        assert_eq!(cluster.rows("SELECT ?o { <urn:a> <urn:p> ?o }").len(), 1);
        started.elapsed()
    };
    let fastest = (0..40).map(time).min().expect("there were some");
    assert!(fastest < Duration::from_millis(30), "{fastest:?}");
}
