//! A single failure must not block the writers for good: a lost outcome, a client that stops sending.

use entail_model::{Fault, Reason};
use entail_proto::status;
use entail_proto::v1::update_service_client::UpdateServiceClient;
use entail_proto::v1::{FileHeader, LoadRequest};
use entail_tests::cluster::{Cluster, Setting};
use futures::StreamExt;
use futures::stream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tonic::Status;

/// Two nodes. One has sealed, the other cannot: the attempt is aborted, and the message with the first one's outcome is
/// lost.
#[test]
fn a_lost_abort_does_not_stop_the_writers() {
    let (is_stormy, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let refuse = {
        let (is_stormy, lost) = (Arc::clone(&is_stormy), Arc::clone(&lost));
        move |node: usize, method: &str| match (node, method) {
            _ if !is_stormy.load(Ordering::Relaxed) => None,
            (1, "Seal") => Some(status::from_fault(&Fault::new(Reason::DiskFull, "on purpose"))),
            (0, "Decide") => {
                lost.fetch_add(1, Ordering::Relaxed);
                Some(Status::unavailable("lost on purpose"))
            }
            _ => None,
        }
    };
    let cluster = Cluster::start_as(&Setting { refuse: Some(Arc::new(refuse)), ..Setting::new(2, 4) });
    cluster.load("first.nt", "<urn:a> <urn:p> <urn:b> .");
    is_stormy.store(true, Ordering::Relaxed);
    let refused = cluster.try_load("second.nt", "<urn:c> <urn:p> <urn:d> .").unwrap_err();
    assert_eq!(refused.reason, Reason::DiskFull, "{refused}");
    while lost.load(Ordering::Relaxed) == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    is_stormy.store(false, Ordering::Relaxed);
    // The node receives the outcome with a heartbeat.
    std::thread::sleep(Duration::from_secs(2));
    cluster.load("third.nt", "<urn:e> <urn:p> <urn:f> .");
    assert_eq!(cluster.facts(), ["<urn:a>\t<urn:p>\t<urn:b>", "<urn:e>\t<urn:p>\t<urn:f>"]);
}

/// Sends a part of a load, and then nothing more; returns the fault that ends the load.
async fn send_and_fall_silent(url: String, text: String, commit_every: u64) -> Fault {
    let header = FileHeader {
        name: "endless.nt".to_owned(),
        commit_every: Some(commit_every).filter(|every| *every > 0),
        ..FileHeader::default()
    };
    let first = LoadRequest { file: Some(header), data: text.into() };
    let mut client = UpdateServiceClient::connect(url).await.unwrap();
    let mut responses = match client.load(stream::iter([first]).chain(stream::pending())).await {
        Ok(responses) => responses.into_inner(),
        Err(refused) => return status::to_fault(&refused),
    };
    loop {
        match responses.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a load that never ends has ended well"),
            Err(refused) => return status::to_fault(&refused),
        }
    }
}

/// More data than a parser buffers before it emits a batch.
fn enough_for_a_batch() -> String {
    (0..2_000).map(|number| format!("<urn:s{number}> <urn:p> <urn:o> .\n")).collect()
}

#[test]
fn a_silent_client_does_not_stop_the_writers() {
    let cluster = Cluster::start_as(&Setting { load_idle_max: Duration::from_secs(2), ..Setting::new(1, 4) });
    let silent = send_and_fall_silent(format!("http://{}", cluster.address), enough_for_a_batch(), 1_000_000);
    let other = cluster.spawn(silent);
    std::thread::sleep(Duration::from_millis(500));
    cluster.load("other.nt", "<urn:a> <urn:p> <urn:b> .");
    let fault = cluster.with_client(|_| other).unwrap();
    assert_eq!(fault.reason, Reason::DeadlineExceeded, "{fault}");
    assert_eq!(cluster.facts(), ["<urn:a>\t<urn:p>\t<urn:b>"], "nothing is left of the other load");
}

#[test]
fn a_load_that_has_nothing_yet_keeps_nobody_waiting() {
    let cluster = Cluster::start_as(&Setting { load_idle_max: Duration::from_secs(3600), ..Setting::new(1, 4) });
    let silent = send_and_fall_silent(format!("http://{}", cluster.address), "<urn:c> <urn:p>".to_owned(), 0);
    let other = cluster.spawn(silent);
    std::thread::sleep(Duration::from_millis(500));
    cluster.load("other.nt", "<urn:a> <urn:p> <urn:b> .");
    assert!(!other.is_finished(), "its client may still go on");
}
