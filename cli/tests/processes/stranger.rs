//! A stranger at the peer ports: it knows every address, id and number that anybody is told, and nothing that it sends
//! changes anything.

use crate::harness::{Cluster, Running, Shape, eventually};
use entail_model::{Fault, NodeId, Reason};
use entail_proto::internal::cluster_service_client::ClusterServiceClient;
use entail_proto::internal::exchange_request::Flow;
use entail_proto::internal::node_service_client::NodeServiceClient;
use entail_proto::internal::peer_service_client::PeerServiceClient;
use entail_proto::internal::*;
use entail_proto::v1::StatusRequest;
use entail_proto::v1::admin_service_client::AdminServiceClient;
use entail_proto::{addressee, status};
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

/// What `Status` tells anybody of a node.
#[derive(Clone)]
struct Target {
    cluster: u64,
    node: u64,
    name: String,
    channel: Channel,
}

fn hexadecimal(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap()
}

async fn targets(server: &str) -> Vec<Target> {
    let mut client = AdminServiceClient::connect(server.to_owned()).await.unwrap();
    let told = client.status(StatusRequest::default()).await.unwrap().into_inner();
    let mut targets = Vec::new();
    for node in told.nodes {
        let channel = Channel::from_shared(format!("http://{}", node.address)).unwrap().connect().await.unwrap();
        let (cluster, id) = (hexadecimal(&told.cluster_id), hexadecimal(&node.node_id));
        targets.push(Target { cluster, node: id, name: node.name, channel });
    }
    targets
}

impl Target {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        addressee::address(&mut request, NodeId(self.node));
        request.set_timeout(Duration::from_secs(10));
        request
    }

    /// Sends every message that works on an attempt; gives the reasons of the refusals.
    async fn attempt(&self, attempt: u64, secret: u64) -> Vec<(&'static str, Reason)> {
        let (cluster, previous) = (self.cluster, 0);
        let mut node = NodeServiceClient::new(self.channel.clone());
        let mut peer = PeerServiceClient::new(self.channel.clone());
        let stage = StageRequest { cluster, attempt, previous, secret, ..StageRequest::default() };
        let reason = ReasonRequest { cluster, attempt, round: 2, secret, ..ReasonRequest::default() };
        let intern = InternRequest { cluster, attempt, secret, ..InternRequest::default() };
        let flow = Some(Flow::Attempt(attempt));
        let exchange = ExchangeRequest { cluster, flow, from: self.node, secret, ..ExchangeRequest::default() };
        vec![
            ("Stage", refused(node.stage(self.request(stage)).await)),
            ("Intern", refused(node.intern(self.request(intern)).await)),
            ("Reason", refused(node.reason(self.request(reason)).await)),
            ("Seal", refused(node.seal(self.request(SealRequest { cluster, attempt, secret })).await)),
            ("Exchange", refused(peer.exchange(self.request(exchange)).await)),
        ]
    }

    /// Tells outcomes of an attempt.
    async fn decide(&self, attempt: u64) -> Vec<Result<(), Reason>> {
        let mut node = NodeServiceClient::new(self.channel.clone());
        let mut told = Vec::new();
        for epoch in [0, 2, 99] {
            let (cluster, decision) = (self.cluster, Some(Decision { attempt, epoch }));
            let reply = node.decide(self.request(DecideRequest { cluster, decision, secret: 7 })).await;
            told.push(reply.map(drop).map_err(|error| status::to_fault(&error).reason));
        }
        told
    }

    /// Sends every message that names a query.
    async fn query(&self, query: u64) -> Vec<(&'static str, Reason)> {
        let cluster = self.cluster;
        let mut node = NodeServiceClient::new(self.channel.clone());
        let mut peer = PeerServiceClient::new(self.channel.clone());
        let execute = ExecuteRequest { cluster, query, ..ExecuteRequest::default() };
        let scan = ScanRequest { cluster, query, epoch: 1, asserted: true, ..ScanRequest::default() };
        let flow = Some(Flow::Query(query));
        let exchange = ExchangeRequest { cluster, flow, from: self.node, ..ExchangeRequest::default() };
        vec![
            ("Execute", refused(node.execute(self.request(execute)).await)),
            ("Scan", refused(node.scan(self.request(scan)).await)),
            ("Exchange", refused(peer.exchange(self.request(exchange)).await)),
        ]
    }
}

fn refused<T>(reply: Result<Response<T>, Status>) -> Reason {
    let fault: Fault = status::to_fault(&reply.err().expect("a stranger's message is refused"));
    fault.reason
}

fn all_are(refusals: &[(&'static str, Reason)], expected: Reason) {
    for (message, reason) in refusals {
        assert_eq!(*reason, expected, "{message}");
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn writes(cluster: &Cluster, number: u32) {
    let update = format!("INSERT DATA {{ <urn:{number}> <urn:p> <urn:o> }}");
    cluster.must(&["update", &update, "--timeout", "20s"]);
}

#[test]
fn attempts_that_never_began_block_nothing() {
    let cluster = Cluster::of(Shape { nodes: 2, ..Shape::default() });
    let runtime = runtime();
    writes(&cluster, 0);
    let targets = runtime.block_on(targets(cluster.server()));
    assert_eq!(targets.len(), 2);
    for (number, attempt) in [1 << 63, u64::MAX, 1_000, 40, 30, 20].into_iter().enumerate() {
        for target in &targets {
            all_are(&runtime.block_on(target.attempt(attempt, 0)), Reason::Fenced);
            all_are(&runtime.block_on(target.attempt(attempt, 7)), Reason::Fenced);
            assert_eq!(runtime.block_on(target.decide(attempt)), [Err(Reason::Fenced); 3]);
        }
        writes(&cluster, number as u32 + 1);
    }
    assert_eq!(cluster.dump("asserted").len(), 7);
}

/// The attempt that is open, and those beside it, while a load is at work.
#[test]
fn an_open_attempt_takes_nothing_from_a_stranger() {
    let cluster = Cluster::of(Shape { nodes: 2, ..Shape::default() });
    let runtime = runtime();
    let mut load = Running::new(cluster.command(&["load", "-", "--format", "ntriples"]), Stdio::piped());
    let mut input = load.stdin();
    let text: String = (0..200_000).map(|n| format!("<urn:s{n}> <urn:p> <urn:o{n}> .\n")).collect();
    input.write_all(text.as_bytes()).unwrap();
    eventually("the load has begun", || cluster.coordinator.metric("entail_load_triples_total") > 0.0);
    let targets = runtime.block_on(targets(cluster.server()));
    // A new log's first entries: the cluster, two nodes, the placement; the attempt is among these.
    for attempt in 1..12 {
        for target in &targets {
            all_are(&runtime.block_on(target.attempt(attempt, 0)), Reason::Fenced);
            // The coordinator's own word counts, whatever was told: so nothing changes.
            runtime.block_on(target.decide(attempt));
        }
    }
    drop(input);
    let done = load.done();
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert_eq!(cluster.dump("asserted").len(), 200_000);
}

#[test]
fn queries_of_a_stranger_are_refused() {
    let cluster = Cluster::of(Shape { nodes: 2, ..Shape::default() });
    let runtime = runtime();
    writes(&cluster, 0);
    let targets = runtime.block_on(targets(cluster.server()));
    // More than the places that a node has for queries.
    for query in 0..300 {
        for target in &targets {
            all_are(&runtime.block_on(target.query(0x0123_4567_89AB_CDEF_u64.wrapping_mul(query))), Reason::NotReady);
        }
    }
    cluster.must(&["query", "SELECT (COUNT(*) AS ?n) { ?s ?p ?o . ?o ?q ?r }", "--timeout", "10s"]);
}

/// Messages to the coordinator in the name of a node: a goodbye, a heartbeat, a registration.
#[test]
fn a_stranger_does_not_speak_for_a_node() {
    let cluster = Cluster::of(Shape { nodes: 2, ..Shape::default() });
    let runtime = runtime();
    writes(&cluster, 0);
    let targets = runtime.block_on(targets(cluster.server()));
    runtime.block_on(async {
        let mut client = ClusterServiceClient::connect(cluster.peers().to_owned()).await.unwrap();
        for Target { cluster, node, name, .. } in targets.iter().cloned() {
            for incarnation in 0..20 {
                let leave = LeaveRequest { cluster, node, incarnation, ..LeaveRequest::default() };
                assert_eq!(refused(client.leave(leave).await), Reason::Fenced);
                let beat =
                    HeartbeatRequest { cluster, node, incarnation, leaving: true, ..HeartbeatRequest::default() };
                assert!(client.heartbeat(beat).await.unwrap().into_inner().register_again);
                let ask = OpenAttemptRequest { cluster, node, incarnation, ..OpenAttemptRequest::default() };
                assert_eq!(refused(client.open_attempt(ask).await), Reason::NotReady);
            }
            let address = "127.0.0.1:1".to_owned();
            for has_secret in [false, true] {
                let (name, address) = (name.clone(), address.clone());
                let register =
                    RegisterRequest { cluster, node, name, address, has_secret, ..RegisterRequest::default() };
                assert_eq!(refused(client.register(register).await), Reason::NotReady);
            }
        }
    });
    let told = cluster.must(&["status"]);
    assert_eq!(told.matches("  up  ").count(), 2, "{told}");
    writes(&cluster, 1);
    assert_eq!(cluster.dump("asserted").len(), 2);
}

/// A node that was killed comes back at once: it still has the secret of its registration.
#[test]
fn a_killed_node_registers_again_without_waiting() {
    let mut cluster = Cluster::of(Shape { nodes: 2, ..Shape::default() });
    writes(&cluster, 0);
    for number in 1..3 {
        cluster.nodes[0].kill();
        cluster.nodes[0].start();
        cluster.ready();
        assert!(!cluster.nodes[0].log().contains("is running; another can register"), "{}", cluster.nodes[0].log());
        writes(&cluster, number);
    }
    // Without it, the coordinator waits until the node before has been silent for some seconds.
    cluster.nodes[0].kill();
    std::fs::remove_file(cluster.data("node-0").join("REGISTRATION")).unwrap();
    cluster.nodes[0].start();
    // It is not believed before the coordinator takes the one before for down.
    eventually("a change", || {
        cluster.run(&["update", "INSERT DATA { <urn:3> <urn:p> <urn:o> }", "--timeout", "20s"]).code == Some(0)
    });
    assert_eq!(cluster.dump("asserted").len(), 4);
}
