//! The connection to the server, and one call over it: deadlines, retries, and the meaning of transport failures.
//!
//! Every call carries its remaining time (`grpc-timeout`), so that the server stops when the deadline has passed. The
//! client waits a moment longer, for the server's own error.

use crate::error::Error;
use crate::retry::{Budget, Effect, Event, Policy, Retry};
use entail_model::{Fault, Reason};
use entail_proto::{status, windows};
use std::collections::hash_map::RandomState;
use std::error::Error as _;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, ConnectError, Request, Status};

/// The largest message in either direction, in bytes: texts of rules and queries; data is sent in smaller chunks.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// The time that the client waits beyond the deadline for the server's own error.
const GRACE: Duration = Duration::from_millis(500);
/// The keep-alive interval while calls are in progress, and the timeout of its acknowledgement: an unreachable server
/// is detected within the timeout of most calls.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEP_ALIVE_MAX: Duration = Duration::from_secs(8);

/// Adds metadata to each call, such as the trace context.
pub type Outgoing = Arc<dyn Fn(&mut MetadataMap) + Send + Sync>;

/// The options of a connection.
#[derive(Clone)]
pub struct Options {
    /// The timeout of a call with all its retries; `None`: no timeout. See [`Client::with_timeout`].
    ///
    /// [`Client::with_timeout`]: crate::Client::with_timeout
    pub timeout: Option<Duration>,
    pub connect_timeout: Duration,
    pub retry: Policy,
    /// Called with the metadata of every send.
    pub outgoing: Option<Outgoing>,
    /// Appended to the message when the server cannot be reached: what the user can do. Empty: nothing is appended.
    pub unreached_hint: &'static str,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: None,
            connect_timeout: Duration::from_secs(5),
            retry: Policy::default(),
            outgoing: None,
            unreached_hint: "",
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timeout, connect_timeout, retry, outgoing: _, unreached_hint: _ } = self;
        write!(f, "Options {{ timeout: {timeout:?}, connect_timeout: {connect_timeout:?}, retry: {retry:?} }}")
    }
}

/// One server, shared by all clones of a client.
pub(crate) struct Connection {
    url: String,
    channel: Channel,
    pub(crate) options: Options,
    budget: Mutex<Budget>,
    seeds: AtomicU64,
}

impl Connection {
    /// Connects when the first call needs it.
    pub(crate) fn new(url: &str, options: Options) -> Result<Self, Error> {
        let refuse = |why: String| Error::Address { url: url.to_owned(), why };
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let endpoint = Endpoint::from_shared(full.clone()).map_err(|error| refuse(error.to_string()))?;
        if endpoint.uri().scheme_str() != Some("http") {
            return Err(refuse("only http is supported".to_owned()));
        }
        // A window that adapts is the same for a stream and for the connection: one unread answer would stop all calls.
        let channel = windows::CLIENTS
            .endpoint(endpoint)
            .connect_timeout(options.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
            .keep_alive_timeout(KEEP_ALIVE_MAX)
            .connect_lazy();
        let seeds = AtomicU64::new(RandomState::new().hash_one(std::process::id()));
        Ok(Self { url: full, channel, options, budget: Mutex::default(), seeds })
    }

    /// Makes a call, with retries as the policy allows.
    pub(crate) async fn call<T, F, R>(&self, timeout: Option<Duration>, kind: Kind<'_>, send: F) -> Result<T, Error>
    where
        F: Fn(Attempt) -> R,
        R: Future<Output = Result<T, Status>>,
    {
        let started = Instant::now();
        let mut retry = self.retry(timeout);
        let mut left = timeout;
        loop {
            let attempt = self.attempt(left);
            let deadline = attempt.deadline;
            match deadline.within(send(attempt)).await {
                Ok(answer) => return Ok(answer),
                Err(late) => {
                    let fault = self.fault(late, deadline, kind);
                    left = self.recover(&mut retry, fault, started).await?;
                }
            }
        }
    }

    /// Waits until a failed call may be sent again, and returns its remaining time.
    pub(crate) async fn recover(
        &self,
        retry: &mut Retry,
        fault: Fault,
        started: Instant,
    ) -> Result<Option<Duration>, Error> {
        let mut event = Event::Failed { fault, elapsed: started.elapsed() };
        loop {
            // The lock is not held while the call waits.
            let effect = retry.step(event, &mut self.budget());
            match effect {
                Effect::Wait(wait) => {
                    sleep(wait).await;
                    event = Event::Waited { elapsed: started.elapsed() };
                }
                Effect::Resend { timeout } => return Ok(timeout),
                Effect::GiveUp(fault) => return Err(Error::Failed(fault)),
                Effect::Proceed => unreachable!("a failure asks for something"),
            }
        }
    }

    pub(crate) fn retry(&self, timeout: Option<Duration>) -> Retry {
        let seed = self.seeds.fetch_add(1, Ordering::Relaxed);
        Retry::new(self.options.retry.clone(), timeout, seed, &mut self.budget())
    }

    pub(crate) fn attempt(&self, timeout: Option<Duration>) -> Attempt {
        let deadline = Deadline(timeout.map(|timeout| Instant::now() + timeout));
        Attempt { channel: self.channel.clone(), timeout, deadline, outgoing: self.options.outgoing.clone() }
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        // A panic cannot leave a budget in an inconsistent state: each operation is atomic.
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault of a failed call; `None` is a call whose response did not arrive in time.
    pub(crate) fn fault(&self, status: Option<Status>, deadline: Deadline, kind: Kind<'_>) -> Fault {
        let (origin, cause) = match &status {
            None => (Origin::Lost, "no answer".to_owned()),
            Some(status) => match Origin::of(status) {
                Origin::Server if kind.is_decided_by(status) => return status::to_fault(status),
                Origin::Server => (Origin::Lost, status.message().to_owned()),
                origin => (origin, cause(status)),
            },
        };
        match (origin, kind) {
            (Origin::Unreached, _) => {
                let hint = self.options.unreached_hint;
                let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
                Fault::new(Reason::NotReady, format!("cannot reach {}: {cause}{hint}", self.url))
            }
            (_, Kind::Write { request_id }) => {
                let message =
                    format!("it is not known yet whether the change was made ({cause}); request id {request_id}");
                Fault::new(Reason::OutcomeUnknown, message)
            }
            (_, Kind::Read) if deadline.is_past() => {
                Fault::new(Reason::DeadlineExceeded, "the deadline passed before the answer was complete")
            }
            (_, Kind::Read) => Fault::new(Reason::NotReady, format!("the connection to {} broke: {cause}", self.url)),
        }
    }
}

/// Is a call a read or a write?
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind<'a> {
    Read,
    /// The request id makes repeated sends harmless.
    Write {
        request_id: &'a str,
    },
}

impl Kind<'_> {
    /// Does a status from the wire say what became of the call? What a proxy or a timer in front of the service ended may
    /// have been applied.
    fn is_decided_by(self, status: &Status) -> bool {
        let is_cut =
            || matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded | Code::Unavailable | Code::Internal);
        matches!(self, Self::Read) || status::is_from_entail(status) || !is_cut()
    }
}

/// One send of a call.
pub(crate) struct Attempt {
    pub(crate) channel: Channel,
    timeout: Option<Duration>,
    pub(crate) deadline: Deadline,
    outgoing: Option<Outgoing>,
}

impl Attempt {
    /// The request with its metadata.
    pub(crate) fn request<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        if let Some(outgoing) = &self.outgoing {
            outgoing(request.metadata_mut());
        }
        request
    }
}

/// The time by which the response must arrive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    fn is_past(self) -> bool {
        self.0.is_some_and(|at| Instant::now() >= at)
    }

    /// The result of the call, or `None` if it does not arrive in time.
    pub(crate) async fn within<T>(self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Option<Status>> {
        let Some(at) = self.0 else {
            return call.await.map_err(Some);
        };
        timeout_at(at + GRACE, call).await.map_err(|_| None)?.map_err(Some)
    }
}

/// The origin of a status.
enum Origin {
    Server,
    /// The client's own transport, before the request was sent.
    Unreached,
    /// The client's own transport, when the request may have arrived.
    Lost,
}

impl Origin {
    fn of(status: &Status) -> Self {
        if sources(status).any(|source| source.is::<ConnectError>()) {
            return Self::Unreached;
        }
        // A status from the wire has no source, and an Entail server never returns Unknown without details.
        match status.source() {
            None if status.code() != Code::Unknown || !status.details().is_empty() => Self::Server,
            _ => Self::Lost,
        }
    }
}

fn sources(status: &Status) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(status.source(), |source: &&(dyn std::error::Error + 'static)| (**source).source())
}

/// The innermost cause, which is the most helpful one to users.
fn cause(status: &Status) -> String {
    sources(status).last().map_or_else(|| status.message().to_owned(), ToString::to_string)
}

/// An id that no other request has.
pub(crate) fn request_id() -> String {
    // Each hasher is keyed by random numbers of the operating system.
    let now = std::time::SystemTime::now();
    let half = || RandomState::new().hash_one((now, std::process::id(), std::thread::current().id()));
    format!("{:016x}{:016x}", half(), half())
}
