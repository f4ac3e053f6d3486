//! Many clients that write one fact each, again and again, at the same time.

use super::Made;
use crate::Error;
use crate::cluster::{Cluster, Content};
use crate::debian;
use crate::graphs;
use crate::lubm;
use crate::measurement::{Measurement, percentile};
use crate::run::Bench;
use crate::workload::Kind;
use entail_client::Client;
use entail_client::v1::UpdateRequest;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The number of clients, each with its own connection, and the duration.
const CLIENTS: u16 = 64;
const TIME: Duration = Duration::from_secs(5);

impl Bench<'_> {
    /// Measures many clients; each waits until its fact is committed before it sends the next one.
    pub(super) async fn written_together(&mut self, cluster: &Cluster, content: Content) -> Result<(), Error> {
        self.note(&format!("write_one by {CLIENTS}"));
        let kind = self.request.workload.kind();
        let (epoch, started) = (cluster.epoch().await?, Instant::now());
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            clients.spawn(write(cluster.client()?, kind, number));
        }
        let mut made = Vec::new();
        while let Some(written) = clients.join_next().await {
            let written = written.map_err(|error| Error::Input(format!("a client failed: {error}")))?;
            made.extend(written?);
        }
        let seconds = started.elapsed().as_secs_f64();
        let times: Vec<f64> = made.iter().map(|made| made.seconds).collect();
        let calls = times.len() as u64;
        self.tell(Measurement {
            calls: Some(calls),
            clients: Some(CLIENTS),
            seconds: percentile(&times, 50),
            p99_seconds: Some(percentile(&times, 99)),
            per_second: Some(calls as f64 / seconds),
            epochs: Some(cluster.epoch().await? - epoch),
            ..self.step("entail", "write_one")
        })?;
        let written = cluster.content(cluster.epoch().await?).await?.asserted;
        match content.asserted + calls {
            expected if expected == written => Ok(()),
            expected => {
                let (what, other) = (format!("{}, facts after writes", self.name), "its answers".to_owned());
                Err(Error::Mismatch { what, entail: written, other, expected })
            }
        }
    }
}

async fn write(client: Client, kind: Kind, number: u16) -> Result<Vec<Made>, Error> {
    let started = Instant::now();
    let mut made = Vec::new();
    while started.elapsed() < TIME {
        let update = format!("INSERT DATA {{ {} }}", new_fact(kind, &format!("c{number}n{}", made.len())));
        let request = UpdateRequest { update, ..Default::default() };
        let (one, change) =
            super::timed(async { Ok(client.update(request).await?.change.unwrap_or_default()) }).await?;
        if change.asserted != 1 {
            return Err(Error::Input(format!("{} facts were asserted instead of one", change.asserted)));
        }
        made.push(one);
    }
    Ok(made)
}

/// A fact that no input has, from which some rule derives another one.
fn new_fact(kind: Kind, name: &str) -> String {
    let (subject, predicate, object) = match kind {
        Kind::Lubm => {
            let department = "http://www.Department0.University0.edu".to_owned();
            (format!("http://bench.entail/{name}"), lubm::term("headOf"), department)
        }
        Kind::Closure | Kind::SameGeneration => {
            let vertex = |end: &str| format!("{}{name}{end}", graphs::NAMESPACE);
            (vertex("a"), format!("{}edge", graphs::NAMESPACE), vertex("b"))
        }
        Kind::Debian => {
            let package = |end: &str| format!("urn:debian:package:{name}{end}");
            (package("a"), debian::term("conflictsWith"), package("b"))
        }
    };
    format!("<{subject}> <{predicate}> <{object}>")
}
