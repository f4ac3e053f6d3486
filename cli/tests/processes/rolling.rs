//! A rolling restart of every role, one by one, under a steady load of queries: each failure is typed and retryable, a
//! client with retries sees none, and no data is lost.

use crate::harness::{Cluster, Shape};
use entail_client::retry::Policy;
use entail_client::v1::{QueryRequest, ResultFormat};
use entail_client::{Client, Options};
use entail_model::{Fault, Reason};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PEOPLE: usize = 3000;
const QUERY: &str = "SELECT (COUNT(*) AS ?n) { ?a <urn:parent>/<urn:parent> ?b }";

/// A policy that outlasts the restart of a node.
fn patient() -> Policy {
    Policy { sends_max: 200, wait_first: Duration::from_millis(100), wait_max: Duration::from_millis(500) }
}

async fn ask(client: &Client) -> Result<String, Fault> {
    let request = QueryRequest { query: QUERY.to_owned(), format: ResultFormat::Csv.into(), ..Default::default() };
    let answer = client.query_all(request, 1 << 20).await?;
    Ok(String::from_utf8(answer.data.to_vec()).unwrap())
}

/// The results of one client.
#[derive(Default)]
struct Seen {
    answers: AtomicU64,
    failures: std::sync::Mutex<BTreeMap<Reason, u64>>,
}

async fn load(server: String, policy: Policy, expected: String, stop: Arc<AtomicBool>, seen: Arc<Seen>) {
    let options = Options { timeout: Some(Duration::from_secs(60)), retry: policy, ..Options::default() };
    let client = Client::connect(&server, options).unwrap();
    while !stop.load(Ordering::Relaxed) {
        match ask(&client).await {
            Ok(answer) => {
                assert_eq!(answer, expected, "an answer is complete or an error");
                seen.answers.fetch_add(1, Ordering::Relaxed);
            }
            Err(fault) => {
                assert!(fault.is_retryable(), "{fault:?}");
                *seen.failures.lock().unwrap().entry(fault.reason).or_default() += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn nothing_is_lost_while_every_role_restarts() {
    let mut cluster = Cluster::of(Shape::default());
    let mut people = String::new();
    (0..PEOPLE).for_each(|n| writeln!(people, "<urn:p:{n}> <urn:parent> <urn:p:{}> .", n / 3).unwrap());
    cluster.load("people.nt", &people);
    let rules =
        cluster.file("grand.srl", "RULE { ?a <urn:grand> ?c } WHERE { ?a <urn:parent> ?b . ?b <urn:parent> ?c }");
    cluster.must(&["rules", "apply", &rules]);
    let before = cluster.dump("all");

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let once = Options { retry: Policy::never(), ..Options::default() };
    let expected = runtime.block_on(async { ask(&Client::connect(cluster.server(), once).unwrap()).await.unwrap() });
    let stop = Arc::new(AtomicBool::new(false));
    let (hasty, steady) = (Arc::new(Seen::default()), Arc::new(Seen::default()));
    let start = |policy, seen: &Arc<Seen>| {
        let (server, expected) = (cluster.server().to_owned(), expected.clone());
        runtime.spawn(load(server, policy, expected, Arc::clone(&stop), Arc::clone(seen)))
    };
    let clients = [start(Policy::never(), &hasty), start(patient(), &steady)];
    std::thread::sleep(Duration::from_millis(300));
    for index in [0, 1, 2, 3] {
        // The coordinator comes last.
        let process = if index < 3 { &mut cluster.nodes[index] } else { &mut cluster.coordinator };
        let begun = Instant::now();
        process.signal("TERM");
        assert_eq!(process.ended().code(), Some(0), "{}", process.log());
        let ended = begun.elapsed();
        process.start();
        cluster.ready();
        println!("role {index}: ended after {ended:?}, the cluster was ready again after {:?}", begun.elapsed());
        let answers = steady.answers.load(Ordering::Relaxed);
        crate::harness::eventually("queries are answered again", || {
            steady.answers.load(Ordering::Relaxed) > answers + 5
        });
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        runtime.block_on(client).expect("every failure could be retried, every answer was right");
    }
    let failures = hasty.failures.lock().unwrap();
    println!("hasty: {} answers, {failures:?}", hasty.answers.load(Ordering::Relaxed));
    println!("steady: {} answers", steady.answers.load(Ordering::Relaxed));
    assert!(failures.values().sum::<u64>() > 0, "the restarts were not felt: the test shows nothing");
    assert_eq!(*steady.failures.lock().unwrap(), BTreeMap::new(), "a client that retries sees no failure");
    assert_eq!(cluster.dump("all"), before);
}
