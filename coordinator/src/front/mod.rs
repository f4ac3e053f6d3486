//! The front door: the services of `entail.v1`.
//!
//! Services check and translate; the work is the [`writer`](crate::writer)'s, the [`query`](entail_sparql)'s and the
//! [`members`](crate::members)'.

mod admin;
mod bounds;
mod dump;
mod load;
mod query;
mod rules;
mod trace;
mod update;

pub use admin::Admin;
pub use query::Queries;
pub use rules::Rules;
pub use update::Updates;

use crate::QUERIES_AT_WORK;
use crate::balance::Balancer;
use crate::members::Members;
use crate::options::Options;
use crate::reader::{Reader, Shared, Until};
use crate::writer::{Identity, Writer};
use entail_model::{Fault, Reason};
use entail_proto::status;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};
use tracing::{Instrument, Span, info_span};

/// What all services share.
pub struct House {
    pub options: Options,
    pub members: Arc<Members>,
    pub shared: Arc<Shared>,
    pub writer: Arc<Writer>,
    pub started: Instant,
    /// Queries at work.
    pub admission: Arc<Semaphore>,
    /// Cancelled when the coordinator is going to end.
    pub leaving: CancellationToken,
    /// Picks the replica of each shard that answers a query.
    pub balancer: Box<dyn Balancer>,
}

/// Requests that have traces: not those that look at the cluster, or at a trace.
pub fn is_traced(path: &str) -> bool {
    path.starts_with("/entail.v1.") && !["/Status", "/Trace"].iter().any(|method| path.ends_with(method))
}

/// What a request's span says of it, by OpenTelemetry's names for databases.
fn describe(operation: &str, text: &str) {
    let span = Span::current();
    entail_telemetry::text(&span, "db.system.name", "entail");
    entail_telemetry::text(&span, "db.operation.name", operation);
    if !text.is_empty() {
        entail_telemetry::text(&span, "db.query.text", text);
    }
}

type Reply<T> = Result<Response<T>, Status>;

/// The status of a request that failed. What nobody should ever see is logged loudly.
fn refuse(fault: Fault) -> Status {
    match fault.reason {
        Reason::Internal | Reason::Corrupt => tracing::error!(%fault, "request failed"),
        _ => tracing::debug!(%fault, "request failed"),
    }
    status::from_fault(&fault)
}

impl House {
    /// Can the cluster be asked now?
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(&self) -> Result<(), String> {
        if self.leaving.is_cancelled() {
            return Err("shutting down".to_owned());
        }
        self.members.not_ready().map_or(Ok(()), |fault| Err(fault.message))
    }

    /// Queries that were admitted and have not ended.
    pub fn queries_at_work(&self) -> usize {
        QUERIES_AT_WORK - self.admission.available_permits().min(QUERIES_AT_WORK)
    }

    /// A place among those who evaluate, once there is one.
    ///
    /// # Errors
    /// `Overloaded` after `time`, `NotReady` when the coordinator is stopping.
    async fn admitted(&self, time: Duration) -> Result<OwnedSemaphorePermit, Fault> {
        let span = info_span!("admission");
        if let Ok(permit) = span.in_scope(|| Arc::clone(&self.admission).try_acquire_owned()) {
            return Ok(permit);
        }
        tokio::time::timeout(time, Arc::clone(&self.admission).acquire_owned())
            .instrument(span)
            .await
            .map_err(|_| Fault::new(Reason::Overloaded, "too many queries are running"))?
            .map_err(|_| Fault::new(Reason::NotReady, "the coordinator is shutting down"))
    }

    /// A reader of the last committed epoch, or of a given one.
    fn reader(&self, epoch: Option<entail_model::Epoch>) -> Result<Reader, Fault> {
        let latest = self.members.log.read(|state| state.epoch());
        let epoch = epoch.unwrap_or(latest);
        if epoch > latest {
            return Err(Fault::new(
                Reason::EpochUnavailable,
                format!("epoch {epoch} is not there yet; the latest is {latest}"),
            ));
        }
        let mut holders = self.members.holders()?;
        if holders.links.len() > 1 {
            // One choice for the whole query: its parts tell each other by shard who has which rows.
            // The hasher's keys come from the system's randomness.
            let random = RandomState::new();
            holders = holders.picked(&*self.balancer, |shard| random.hash_one(shard));
        }
        if epoch.0 == 0 {
            // Before the first change there is nothing: no node needs to be asked.
            holders.links.clear();
        }
        Ok(Reader {
            shared: Arc::clone(&self.shared),
            holders: Arc::new(holders),
            epoch,
            runtime: tokio::runtime::Handle::current(),
            until: Until::default(),
            started: AtomicU64::new(0),
        })
    }
}

impl House {
    /// The identity of a request that asks for `parts`; a client that gave no id gets one of ours.
    fn identity(&self, id: String, parts: &[&[u8]]) -> Result<Identity, Fault> {
        const LENGTH_MAX: usize = 200;
        if id.len() > LENGTH_MAX {
            return Err(Fault::new(Reason::InvalidRequest, format!("a request id has at most {LENGTH_MAX} bytes")));
        }
        let id = match id.is_empty() {
            true => format!("server-{:032x}", crate::random::<16>().map(u128::from_le_bytes)?),
            false => id,
        };
        let mut text = Vec::new();
        for part in parts {
            text.extend_from_slice(&(part.len() as u64).to_le_bytes());
            text.extend_from_slice(part);
        }
        Ok(Identity { id, fingerprint: self.shared.key.hash(&text).0 as u64 })
    }
}
