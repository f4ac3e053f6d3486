//! Connections between the processes of a cluster, with quick detection of unreachable hosts.
//!
//! A host that lost its power or its address closes no connection, and TCP alone notices only after a quarter of an
//! hour. So each connection sends keep-alive pings, also while it is idle: after a failure the next call reconnects and
//! resolves the name again, which finds the replacement of the host. Calls that wait for a connection fail together
//! when it cannot be made; the transport alone would make one attempt for each call, one after the other. An unread
//! stream does not stop the others of its connection ([`windows`]).

use crate::addressee;
use crate::windows;
use entail_model::{Fault, Reason};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;
use tonic::ConnectError;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, StdError, http};
use tonic::transport::{Channel, Endpoint};

/// The timeout for establishing a connection, including name resolution.
const CONNECT: Duration = Duration::from_secs(3);
/// The interval between keep-alive pings, and the timeout of their acknowledgement.
const SILENT: Duration = Duration::from_secs(2);
const SIGN: Duration = Duration::from_secs(4);

/// A connection to another process of the cluster; clones share it.
#[derive(Clone, Debug)]
pub struct Connection {
    channel: Channel,
    /// Wakes all waiting calls when a connection attempt fails.
    failed: Arc<Notify>,
    is_misled: Arc<AtomicBool>,
}

impl Connection {
    /// A connection to an address, `HOST:PORT`. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// `InvalidRequest` if the text is not an address.
    pub fn to(address: &str) -> Result<Self, Fault> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| Fault::new(Reason::InvalidRequest, format!("the address {address}: {error}")))?;
        Ok(Self::new(endpoint))
    }

    /// Connects when the first call needs it, and again when the connection is lost. Must be called inside a tokio
    /// runtime.
    pub fn new(endpoint: Endpoint) -> Self {
        let channel = windows::PEERS
            .endpoint(endpoint)
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(SILENT)
            .keep_alive_timeout(SIGN)
            .keep_alive_while_idle(true)
            .connect_lazy();
        Self { channel, failed: Arc::default(), is_misled: Arc::default() }
    }

    /// Has a node refused a call because it was for a different node? Then a new connection is needed.
    pub fn is_misled(&self) -> bool {
        self.is_misled.load(Ordering::Relaxed)
    }
}

impl Service<http::Request<Body>> for Connection {
    type Response = http::Response<Body>;
    type Error = StdError;
    type Future = BoxFuture<Self::Response, StdError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.channel.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let failed = Arc::clone(&self.failed).notified_owned();
        let call = self.channel.call(request);
        let connection = self.clone();
        Box::pin(async move {
            let reply = tokio::select! {
                reply = call => reply.map_err(StdError::from),
                () = failed => return Err(ConnectError(Box::new(NoConnection)).into()),
            };
            match &reply {
                Ok(response) if addressee::is_refused(response.headers()) => {
                    connection.is_misled.store(true, Ordering::Relaxed);
                }
                Err(error) if is_about_connecting(&**error) => connection.failed.notify_waiters(),
                _ => {}
            }
            reply
        })
    }
}

fn is_about_connecting(error: &(dyn Error + 'static)) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// The error of calls that waited for the same failed connection attempt.
#[derive(Debug)]
struct NoConnection;

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection can be made")
    }
}

impl Error for NoConnection {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::internal::HeartbeatRequest;
    use crate::internal::cluster_service_client::ClusterServiceClient;
    use crate::status;
    use entail_model::Reason;
    use std::net::SocketAddr;
    use std::time::Instant;
    use tokio::net::{TcpSocket, TcpStream};
    use tokio::time::timeout;

    /// A port whose accept queue is full: connection attempts are neither accepted nor refused. Returned with the
    /// sockets that keep it so.
    async fn silent() -> (SocketAddr, impl Sized) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let listener = socket.listen(1).expect("nobody else has the port");
        let address = listener.local_addr().expect("it is bound");
        let mut waiting = Vec::new();
        while let Ok(connected) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            waiting.push(connected.expect("there is room yet"));
        }
        (address, (listener, waiting))
    }

    /// Ten calls to a host that does not respond: each of them alone would wait for its own connection attempt.
    #[tokio::test]
    async fn calls_that_wait_for_a_connection_fail_together() {
        let (address, _held) = silent().await;
        let connection = Connection::new(Endpoint::from_shared(format!("http://{address}")).expect("a URL"));
        let started = Instant::now();
        let calls = (0..10).map(|_| {
            let mut client = ClusterServiceClient::new(connection.clone());
            tokio::spawn(async move { client.heartbeat(HeartbeatRequest::default()).await })
        });
        for call in calls.collect::<Vec<_>>() {
            let error = call.await.expect("no panic").expect_err("nobody is there");
            assert_eq!(status::to_fault(&error).reason, Reason::ShardsUnavailable, "{error:?}");
        }
        let took = started.elapsed();
        assert!(took >= CONNECT, "{took:?}: the attempts were refused, which shows nothing");
        assert!(took < CONNECT * 3, "{took:?}");
    }
}
