//! The HTTP server of a role (`--http-listen`, port 7402): health, readiness and metrics of one process.
//!
//! ```text
//! listener ──► connection (at most CONNECTIONS_MAX, HTTP/1.1, keep-alive) ──► pages::router
//! ```
//! Invariant: a request for metrics never delays a request for health. A scrape that hangs, or a client that sends or
//! reads slowly, affects only its own response: connections, scrapes, bodies and times are bounded.

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

/// The largest number of open connections; further ones wait.
const CONNECTIONS_MAX: usize = 64;
/// With fewer free connections than this, a new connection serves one request, under a short timeout.
const FREE_MIN: usize = CONNECTIONS_MAX / 2;
/// The largest number of concurrent scrapes; further ones are refused.
const SCRAPES_MAX: usize = 4;
/// The largest body of a request; no page reads it.
const BODY_BYTES_MAX: u64 = 64 << 10;

/// The timeouts of the server.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// From the last response of a connection until the headers of its next request are complete: longer than most
    /// scrape intervals.
    idle: Duration,
    /// Replaces `idle` while connections are scarce.
    request: Duration,
    /// A write, until the client has read some of it.
    write: Duration,
    /// Reading the metrics.
    scrape: Duration,
    /// A connection, until it is asked to close after the response in progress, and then once more until it is closed.
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

/// The pages of a process. Clones share them.
#[derive(Clone)]
pub struct Pages(Arc<Parts>);

struct Parts {
    /// The name and the instruments of each role.
    roles: Vec<(String, Instruments)>,
    registries: Vec<Registry>,
    /// Cancelled when the process shuts down.
    stop: CancellationToken,
    limits: Limits,
    scrapes: Arc<Semaphore>,
    /// Held while metrics are read: a source that hangs blocks one thread, not one for each scrape.
    reading: Arc<Mutex<()>>,
}

impl Pages {
    /// The pages of a process that runs these roles until `stop`. Call it inside the process's runtime.
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

    /// Serves a listener until the runtime ends, so that health and readiness report the shutdown as well.
    pub fn serve(self, listener: TcpListener) {
        tokio::spawn(self.accept(listener));
    }

    async fn accept(self, listener: TcpListener) {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let service = TowerToHyperService::new(pages::router(self.clone()));
        loop {
            let permit = Arc::clone(&connections).acquire_owned().await.expect("the semaphore is never closed");
            let Ok((stream, _)) = listener.accept().await else {
                // Most likely too many files are open; some will be closed.
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
                // Errors and slowness of one client do not affect the others.
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
