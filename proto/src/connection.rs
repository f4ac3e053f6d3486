//! How the processes of a cluster keep a connection: none waits for a host that has vanished.
//!
//! A host that lost its power, or its address, says no goodbye, and TCP by itself goes on for a quarter of an hour. So
//! each connection is asked for a sign of life, also while nobody uses it: what replaces the host is then found by the
//! next call, which connects anew and looks the name up again.

use std::time::Duration;
use tonic::transport::Endpoint;

/// How long to wait for a connection, names and all.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a connection may be silent until it is asked for a sign of life, and how long that may take.
const SILENT: Duration = Duration::from_secs(2);
const SIGN: Duration = Duration::from_secs(4);

/// The endpoint with these limits.
pub fn watched(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(SILENT)
        .keep_alive_timeout(SIGN)
        .keep_alive_while_idle(true)
}
