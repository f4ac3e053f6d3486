//! The HTTP server of a role (`--http-listen`, port 7402): health, readiness and metrics of one process.
//!
//! ```text
//! listener ──► connection (at most CONNECTIONS_MAX, HTTP/1.1, keep-alive) ──► pages::router
//! ```
//! Invariant: a request for metrics never keeps a request for health waiting. A scrape that hangs, or a client that is
//! slow to send or to read, costs its own answer only: connections, scrapes, bodies and times are bounded.

mod pages;
#[cfg(test)]
mod tests;

use crate::metrics::{self, Registry};
use crate::readiness::Instruments;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 64;
/// With fewer free ones than this a new connection has one request, and little time for it.
const FREE_MIN: usize = CONNECTIONS_MAX / 2;
/// Scrapes at a time; more are refused.
const SCRAPES_MAX: usize = 4;
/// The largest body of a request; no page reads it.
const BODY_BYTES_MAX: u64 = 64 << 10;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// A connection until the headers of its next request are complete: longer than most scrapers wait in between.
    idle: Duration,
    /// The same while connections are scarce.
    request: Duration,
    /// A write until the client has taken some of it.
    write: Duration,
    /// Metrics until they are read.
    scrape: Duration,
    /// A connection until it is asked to close after the answer in progress, and then until it is cut off.
    connection: Duration,
    closing: Duration,
}

const LIMITS: Limits = Limits {
    idle: Duration::from_secs(65),
    request: Duration::from_secs(5),
    write: Duration::from_secs(5),
    scrape: Duration::from_secs(5),
    connection: Duration::from_secs(3600),
    closing: Duration::from_secs(15),
};

/// The pages of a process. Clones are the same pages.
#[derive(Clone)]
pub struct Pages(Arc<Parts>);

struct Parts {
    /// Each role's name and instruments.
    roles: Vec<(String, Instruments)>,
    registries: Vec<Registry>,
    /// Cancelled when the process is shutting down.
    stop: CancellationToken,
    limits: Limits,
    scrapes: Arc<Semaphore>,
    /// Held while metrics are read: a source that hangs blocks one thread, not one for each scrape.
    reading: Arc<Mutex<()>>,
}

impl Pages {
    /// Of a process that runs these roles until `stop`; to be called inside its runtime.
    pub fn new(roles: Vec<(String, Instruments)>, version: &'static str, stop: &CancellationToken) -> Self {
        Self::with_limits(roles, version, stop, LIMITS)
    }

    fn with_limits(
        roles: Vec<(String, Instruments)>,
        version: &'static str,
        stop: &CancellationToken,
        limits: Limits,
    ) -> Self {
        let own = metrics::process(version);
        let registries = roles.iter().map(|(_, instruments)| instruments.metrics.clone()).chain([own]).collect();
        Self(Arc::new(Parts {
            roles,
            registries,
            stop: stop.clone(),
            limits,
            scrapes: Arc::new(Semaphore::new(SCRAPES_MAX)),
            reading: Arc::default(),
        }))
    }

    /// Answers on a listener until the runtime ends: also while the process shuts down, to say so.
    pub fn serve(self, listener: TcpListener) {
        tokio::spawn(self.accept(listener));
    }

    async fn accept(self, listener: TcpListener) {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let service = TowerToHyperService::new(pages::router(self.clone()));
        loop {
            let permit = Arc::clone(&connections).acquire_owned().await.expect("the semaphore is never closed");
            let Ok((stream, _)) = listener.accept().await else {
                // Too many open files, most likely; some will be closed.
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let limits = self.0.limits;
            let are_scarce = connections.available_permits() < FREE_MIN;
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).keep_alive(!are_scarce);
            http.header_read_timeout(if are_scarce { limits.request } else { limits.idle });
            let connection = http.serve_connection(slow_writes_fail(stream, limits.write), service.clone());
            tokio::spawn(async move {
                let mut connection = pin!(connection);
                // A client's mistakes and its slowness concern nobody else.
                if timeout(limits.connection, connection.as_mut()).await.is_err() {
                    connection.as_mut().graceful_shutdown();
                    _ = timeout(limits.closing, connection).await;
                }
                drop(permit);
            });
        }
    }
}

type Stream = TokioIo<Pin<Box<TimeoutStream<TcpStream>>>>;

fn slow_writes_fail(stream: TcpStream, after: Duration) -> Stream {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(after));
    TokioIo::new(Box::pin(stream))
}
