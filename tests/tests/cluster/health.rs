//! gRPC health of the coordinator and of nodes: single checks, and watches until the end of the server.

use entail_tests::cluster::Cluster;
use std::time::Duration;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus::{self, NotServing, Serving};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

const OF_COORDINATOR: [&str; 5] =
    ["", "entail.v1.QueryService", "entail.v1.UpdateService", "entail.v1.RuleService", "entail.v1.AdminService"];
const OF_NODE: [&str; 3] = ["", "entail.internal.v1.NodeService", "entail.internal.v1.PeerService"];

async fn client(address: &str) -> HealthClient<Channel> {
    HealthClient::new(Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap())
}

fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

/// Does the service become healthy soon? Health follows the state of the server with a delay of a fraction of a second.
async fn serves(health: &mut HealthClient<Channel>, service: &str) -> bool {
    for _ in 0..100 {
        if health.check(request(service)).await.is_ok_and(|answer| answer.get_ref().status() == Serving) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

/// A watch whose first status has arrived.
async fn watch(address: &str, service: &str) -> (ServingStatus, Streaming<HealthCheckResponse>) {
    let mut stream = client(address).await.watch(request(service)).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap();
    (first.status(), stream)
}

/// All further statuses of a watch, until the server ends.
async fn rest(mut stream: Streaming<HealthCheckResponse>) -> Vec<ServingStatus> {
    let mut told = Vec::new();
    while let Ok(Some(response)) = stream.message().await {
        told.push(response.status());
    }
    told
}

#[test]
fn health_is_told_and_its_changes_are_seen() {
    let cluster = Cluster::start(2, 4);
    let coordinator = cluster.address.to_string();
    let nodes: Vec<String> = cluster.status().nodes.into_iter().map(|node| node.address).collect();
    let places = [(&coordinator, &OF_COORDINATOR[..]), (&nodes[0], &OF_NODE), (&nodes[1], &OF_NODE)];
    let runtime = Runtime::new().unwrap();
    let mut watches = Vec::new();
    for (address, services) in places {
        let mut health = runtime.block_on(client(address));
        for service in services {
            assert!(runtime.block_on(serves(&mut health, service)), "{service} at {address}");
            let (first, stream) = runtime.block_on(watch(address, service));
            assert_eq!(first, Serving, "{service} at {address}");
            watches.push((*service, runtime.spawn(rest(stream))));
        }
        let unknown = runtime.block_on(health.check(request("entail.v1.Nonsense"))).unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
    }
    drop(cluster);
    for (service, watch) in watches {
        assert_eq!(runtime.block_on(watch).unwrap(), [NotServing], "{service}");
    }
}
