//! Membership: registration and heartbeats.
//!
//! A node that starts registers with its cluster, its epoch, what it has at it by count and digest, and its sealed attempts of
//! unknown outcome; the coordinator compares that with its log, and answers from it. Then the node sends heartbeats, which ask
//! for outcomes too: the coordinator sends each once, and a node refuses later attempts until it has it. It registers again
//! when the coordinator does not know it (for example after the coordinator's restart). A node that shuts down says so in
//! registrations and heartbeats: a coordinator that has just started must not take it for one that stays.

use crate::attempt::Attempts;
use crate::context::Context;
use crate::coordinator::Registration;
use crate::presence::{Presence, State};
use crate::queries::Queries;
use crate::retry::Backoff;
use entail_model::term::HashKey;
use entail_model::{Attempt, ClusterId, Epoch, Fault, Reason, Secret, ShardCount};
use entail_proto::connection::Connection;
use entail_proto::internal::cluster_service_client::ClusterServiceClient;
use entail_proto::internal::{
    Decision, HeartbeatRequest, LeaveRequest, NodeStats, RegisterRequest, RegisterResponse, ShardStats,
};
use entail_proto::status;
use std::sync::Arc;
use std::time::{Duration, Instant};

const HEARTBEAT: Duration = Duration::from_millis(500);
const REGISTER_DEADLINE: Duration = Duration::from_secs(10);
/// Short compared with the 10 s of silence after which the coordinator takes a node for lost: one heartbeat without an
/// answer must not make the node lost.
const HEARTBEAT_DEADLINE: Duration = Duration::from_secs(2);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// The time in which a coordinator that has just started learns of a node that wants to leave: some heartbeats.
const KNOWN_WITHIN: Duration = Duration::from_secs(2);

/// A node as it registers.
pub struct Member {
    pub context: Arc<Context>,
    pub attempts: Arc<Attempts>,
    pub queries: Arc<Queries>,
    pub address: String,
    pub name: String,
    pub presence: Arc<Presence>,
}

impl Member {
    /// Registers and sends heartbeats until the task is dropped. The node is healthy while it is registered and its
    /// heartbeats are answered: then it learned all earlier outcomes when it registered, and learns later ones.
    ///
    /// A node that was registered before waits for its coordinator even if another one answers at that address: that may be a
    /// mistake of an hour, and an end of all nodes would be an outage.
    ///
    /// # Errors
    /// Only those that no retry resolves: a damaged store, and before the first registration another cluster.
    pub async fn run(&self) -> Result<(), Fault> {
        let mut client = self.context.coordinator.client();
        let mut was_registered = false;
        loop {
            self.presence.change(State::lose_touch).await;
            let incarnation = loop {
                match self.register(&mut client).await {
                    Err(fault) if was_registered && fault.reason == Reason::WrongCluster => {
                        tracing::error!(coordinator = self.context.coordinator.url(), %fault, "waiting for this node's coordinator");
                        tokio::time::sleep(RETRY_MAX).await;
                    }
                    registered => break registered?,
                }
            };
            was_registered = true;
            self.presence.change(|state| state.registered(incarnation)).await;
            self.stay(&mut client, incarnation).await?;
        }
    }

    /// Tells the coordinator that the node shuts down, and waits until no request needs it any more, for at most `grace`. If
    /// the coordinator cannot be reached it does not wait: requests that need the node then fail.
    pub async fn leave(&self, grace: Duration) {
        self.presence.change(State::leave).await;
        match tokio::time::timeout(grace, self.say_goodbye(grace)).await {
            Ok(Ok(())) => tracing::info!("no request in progress needs this node any more"),
            Ok(Err(fault)) => tracing::debug!(%fault, "announcing the shutdown to the coordinator failed"),
            Err(_) => tracing::warn!(?grace, "requests that need this node did not finish within the grace period"),
        }
    }

    /// Calls `Leave`. A coordinator that has restarted meanwhile first learns of the node, by one of the next heartbeats.
    async fn say_goodbye(&self, grace: Duration) -> Result<(), Fault> {
        let mut client = self.context.coordinator.client();
        let started = Instant::now();
        loop {
            let no_life = || Fault::new(Reason::NotReady, "the node has not registered");
            let message = LeaveRequest {
                cluster: self.context.cluster()?.0,
                node: self.context.node.0,
                incarnation: self.presence.incarnation().ok_or_else(no_life)?,
                secret: self.secret(),
            };
            let mut request = tonic::Request::new(message);
            request.set_timeout(grace);
            let Err(status) = client.leave(request).await else { return Ok(()) };
            let fault = status::to_fault(&status);
            let may_pass = matches!(fault.reason, Reason::NotReady | Reason::Fenced);
            if !may_pass || started.elapsed() >= KNOWN_WITHIN {
                return Err(fault);
            }
            tokio::time::sleep(HEARTBEAT / 5).await;
        }
    }

    /// The secret of the last registration.
    fn secret(&self) -> u64 {
        self.context.coordinator.registration().map_or(0, |registration| registration.secret.0)
    }

    async fn register(&self, client: &mut ClusterServiceClient<Connection>) -> Result<u64, Fault> {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX, self.context.node.0);
        loop {
            let request = self.context.blocking({
                let (name, address) = (self.name.clone(), self.address.clone());
                move |context| Ok(register_request(context, name, address))
            });
            let request = RegisterRequest { leaving: self.presence.is_leaving(), ..request.await? };
            let mut request = tonic::Request::new(request);
            request.set_timeout(REGISTER_DEADLINE);
            match client.register(request).await {
                Ok(response) => return self.join(response.into_inner()).await,
                Err(error) => {
                    let fault = status::to_fault(&error);
                    // A coordinator without disk space for the registration may have some later.
                    let may_pass = matches!(fault.reason, Reason::DeadlineExceeded | Reason::DiskFull);
                    if !fault.is_retryable() && !may_pass {
                        return Err(fault);
                    }
                    tracing::info!(coordinator = self.context.coordinator.url(), %fault, "cannot register yet");
                }
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }

    async fn join(&self, response: RegisterResponse) -> Result<u64, Fault> {
        let incarnation = response.incarnation;
        let (attempts, name) = (Arc::clone(&self.attempts), self.name.clone());
        let cluster = self
            .context
            .blocking(move |context| {
                let key = <[u8; 16]>::try_from(&response.hash_key[..]);
                let key = HashKey(key.map_err(|_| Fault::corrupt("a hash key that is not 16 bytes"))?);
                let shards = ShardCount::new(response.shards).map_err(Fault::corrupt)?;
                let cluster = ClusterId(response.cluster);
                context.store.bind_cluster(cluster, key, shards)?;
                context.store.remember_name(&name)?;
                context.store.remember_registration(Secret(response.secret));
                decide(context, &attempts, &response.decisions)?;
                let RegisterResponse { incarnation, secret, first_query, .. } = response;
                let secret = Secret(secret);
                context.coordinator.registered(Registration { cluster: cluster.0, incarnation, secret, first_query });
                Ok(cluster)
            })
            .await?;
        tracing::info!(cluster = %format_args!("{:016x}", cluster.0), incarnation, "registered");
        Ok(incarnation)
    }

    /// Sends heartbeats until the coordinator asks for a new registration.
    async fn stay(&self, client: &mut ClusterServiceClient<Connection>, incarnation: u64) -> Result<(), Fault> {
        let mut heard = Instant::now();
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            self.queries.sweep();
            // A node that cannot read its disk's statistics, or has no file descriptors left, still sends heartbeats.
            let stats = self.context.blocking(node_stats).await.inspect_err(|fault| {
                tracing::warn!(%fault, "the statistics of this node cannot be read");
            });
            let stats = stats.ok().map(|stats| NodeStats { queries: self.queries.at_work() as u32, ..stats });
            let mut request = tonic::Request::new(HeartbeatRequest {
                cluster: self.context.cluster()?.0,
                node: self.context.node.0,
                incarnation,
                epoch: self.context.store.latest().epoch.0,
                stats,
                undecided: undecided(&self.context),
                leaving: self.presence.is_leaving(),
                secret: self.secret(),
            });
            request.set_timeout(HEARTBEAT_DEADLINE);
            match client.heartbeat(request).await {
                Ok(response) if response.get_ref().register_again => return Ok(()),
                Ok(response) => {
                    heard = Instant::now();
                    self.presence.change(State::answered).await;
                    self.learn(response.into_inner().decisions).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "a heartbeat was not answered");
                    self.presence.change(|state| state.unanswered(heard.elapsed())).await;
                }
            }
        }
    }

    /// Applies outcomes from a heartbeat's answer. Those that cannot be applied now are requested again with the next one.
    async fn learn(&self, decisions: Vec<Decision>) {
        if decisions.is_empty() {
            return;
        }
        let attempts = Arc::clone(&self.attempts);
        let learned = self.context.blocking(move |context| decide(context, &attempts, &decisions)).await;
        if let Err(fault) = learned {
            tracing::warn!(%fault, "the outcome of an attempt could not be applied; retrying");
        }
    }
}

fn decide(context: &Context, attempts: &Attempts, decisions: &[Decision]) -> Result<(), Fault> {
    decisions.iter().try_for_each(|decision| {
        let epoch = Some(Epoch(decision.epoch)).filter(|epoch| epoch.0 > 0);
        attempts.decide(context, Attempt(decision.attempt), epoch)
    })
}

/// Attempts that are sealed at this node without a known outcome.
fn undecided(context: &Context) -> Vec<u64> {
    context.store.undecided().iter().map(|attempt| attempt.0).collect()
}

fn register_request(context: &Context, name: String, address: String) -> RegisterRequest {
    // Read before the epoch: an attempt that is decided in between must be in at least one of the two.
    let undecided = undecided(context);
    let held = context.store.committed();
    let last = context.coordinator.registration();
    RegisterRequest {
        cluster: context.store.cluster().map_or(0, |cluster| cluster.0),
        node: context.node.0,
        name,
        address,
        epoch: held.epoch.0,
        asserted: Some(held.counts.facts_asserted()),
        derived: Some(held.counts.facts_derived()),
        digest: held.digest,
        undecided,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        has_secret: true,
        last_secret: last.map_or_else(|| context.store.last_registration(), |last| last.secret).0,
        ..RegisterRequest::default()
    }
}

fn node_stats(context: &Context) -> Result<NodeStats, Fault> {
    let disk = context.store.disk()?;
    let shards = context.store.shard_counts().into_iter().map(|(shard, counts)| ShardStats {
        shard: u32::from(shard.0),
        asserted: counts.asserted,
        derived: counts.derived,
        terms: counts.terms,
    });
    Ok(NodeStats {
        memory_bytes: entail_telemetry::metrics::resident_bytes(),
        cache_bytes: context.store.cache_bytes(),
        disk_bytes: disk.used,
        disk_free_bytes: disk.free,
        shards: shards.collect(),
        queries: 0,
    })
}

#[cfg(test)]
mod tests;
