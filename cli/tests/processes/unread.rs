//! Clients that do not read their answers: they stop nobody else, and lose their places and buffers within seconds.

use crate::harness::{Cluster, Running, Shape, eventually};
use entail_proto::status;
use entail_proto::v1::admin_service_client::AdminServiceClient;
use entail_proto::v1::query_service_client::QueryServiceClient;
use entail_proto::v1::{DumpRequest, DumpResponse, QueryRequest, QueryResponse};
use std::io::Read;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tonic::Streaming;
use tonic::transport::Channel;

const FACTS: usize = 300_000;
const ALL: &str = "SELECT * { ?s ?p ?o }";

/// A cluster that gives up answers after `timeout`, with more facts than all buffers on the way to a client hold.
fn cluster(timeout: &str) -> Cluster {
    let environment = vec![("ENTAIL_UNREAD_TIMEOUT", timeout.to_owned())];
    let cluster = Cluster::of(Shape { nodes: 2, environment, ..Shape::default() });
    let name = |n: usize| format!("<http://example.org/a-name-of-usual-length/{n}>");
    let fact = |n: usize| format!("{} <urn:p:{}> {} .\n", name(n), n % 7, name(n * 7919 % FACTS));
    cluster.load("many.nt", &(0..FACTS).map(fact).collect::<String>());
    cluster
}

/// An answer that has begun, on a connection of its own.
struct Answer<T> {
    parts: Streaming<T>,
    _connection: Channel,
}

async fn query(url: String) -> Answer<QueryResponse> {
    let connection = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let mut client = QueryServiceClient::new(connection.clone());
    let mut request = tonic::Request::new(QueryRequest { query: ALL.to_owned(), ..QueryRequest::default() });
    request.set_timeout(Duration::from_secs(3600));
    Answer { parts: client.query(request).await.unwrap().into_inner(), _connection: connection }
}

async fn dump(url: String) -> Answer<DumpResponse> {
    let connection = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let mut client = AdminServiceClient::new(connection.clone());
    let parts = client.dump(DumpRequest::default()).await.unwrap().into_inner();
    Answer { parts, _connection: connection }
}

/// Others are served: a question to all nodes, and changes.
fn others_are_served(cluster: &Cluster, number: u32) {
    let count =
        cluster.must(&["query", "SELECT (COUNT(*) AS ?n) { ?s ?p ?o FILTER(?p != <urn:new>) }", "--timeout", "20s"]);
    assert!(count.contains("300000") || count.contains("300,000"), "{count}");
    let update = format!("INSERT DATA {{ <urn:{number}> <urn:new> <urn:{number}> }}");
    cluster.must(&["update", &update, "--timeout", "20s"]);
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn unread_answers_do_not_stop_the_cluster() {
    let cluster = cluster("3s");
    let runtime = runtime();
    let url = || cluster.server().to_owned();
    let mut queries: Vec<_> = (0..24).map(|_| runtime.block_on(query(url()))).collect();
    let dumps: Vec<_> = (0..5).map(|_| runtime.block_on(dump(url()))).collect();
    for number in 0..3 {
        others_are_served(&cluster, number);
        sleep(Duration::from_secs(1));
    }
    let in_flight = || cluster.coordinator.metric("entail_queries_in_flight");
    eventually("the places of unread answers are free", || in_flight() == 0.0);
    let parts = || cluster.nodes.iter().map(|node| node.metric("entail_query_parts_in_flight")).sum::<f64>();
    eventually("the nodes work for none of them", || parts() == 0.0);

    // A client that goes on reading is told what has become of its answer.
    let mut late = queries.pop().unwrap();
    let fault = runtime.block_on(async {
        loop {
            match late.parts.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("an answer that was given up is whole"),
                Err(error) => return status::to_fault(&error),
            }
        }
    });
    assert_eq!(fault.reason.name(), "ANSWER_UNREAD", "{fault}");
    assert!(fault.message.contains("nothing of the answer was read for "), "{fault}");
    drop(dumps);
}

/// As many unread queries as are admitted, of clients whose very connections are not read: the window of TCP is shut.
#[test]
fn unread_answers_do_not_hold_the_places_that_others_wait_for() {
    let cluster = cluster("1h");
    let unread: Vec<_> = (0..64)
        .map(|_| {
            // Nothing reads this runtime's sockets from now on.
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let answer = runtime.block_on(query(cluster.server().to_owned()));
            (answer, runtime)
        })
        .collect();
    let held = || cluster.coordinator.metric("entail_queries_in_flight");
    eventually("all places are taken", || held() > 60.0);
    let started = Instant::now();
    for number in 0..3 {
        others_are_served(&cluster, number);
    }
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    drop(unread);
}

/// `entail query | less`, of which nobody turns the page.
#[test]
fn a_command_whose_output_is_not_read_says_why_it_ends() {
    let cluster = cluster("2s");
    let mut command = cluster.command(&["query", ALL, "--output", "json", "--timeout", "1h"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    sleep(Duration::from_secs(6));
    eventually("its place is free", || cluster.coordinator.metric("entail_queries_in_flight") == 0.0);
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    let done = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(4), "{told}");
    assert!(told.contains("nothing of the answer was read for ") && told.contains("ANSWER_UNREAD"), "{told}");
}

/// A reader that takes a little now and then keeps its answer.
#[test]
fn a_slow_reader_gets_all_of_its_answer() {
    let cluster = cluster("2s");
    let mut command = cluster.command(&["dump", "--quiet", "--timeout", "1h"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let mut lines = 0;
    let mut buffer = vec![0; 4 << 20];
    for round in 0.. {
        let read = pipe.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count();
        // About 40 MB in pieces of a pipe: 64 KiB.
        if round % 40 == 0 {
            sleep(Duration::from_millis(700));
        }
    }
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), lines), (Some(0), FACTS), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A load that has the writer's turn and sends nothing ends when others have waited for some seconds.
#[test]
fn a_silent_load_does_not_keep_the_turn_that_others_wait_for() {
    let cluster = Cluster::of(Shape { nodes: 1, ..Shape::default() });
    let mut silent = Running::new(cluster.command(&["load", "-", "--format", "ntriples"]), Stdio::piped());
    let mut input = silent.stdin();
    let text: String = (0..200_000).map(|n| format!("<urn:s{n}> <urn:p> <urn:o> .\n")).collect();
    std::io::Write::write_all(&mut input, text.as_bytes()).unwrap();
    // It has the turn once facts have come to the nodes.
    eventually("the load has begun", || cluster.coordinator.metric("entail_load_triples_total") > 0.0);
    let started = Instant::now();
    cluster.must(&["update", "INSERT DATA { <urn:a> <urn:b> <urn:c> }", "--timeout", "40s"]);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    drop(input);
    let done = silent.done();
    assert!(done.err.contains("while other changes wait") && done.code == Some(4), "{done:?}");
}
