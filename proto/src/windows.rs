//! Flow control by stream: what a connection may receive before the receiver has read it.
//!
//! HTTP/2 counts unread bytes twice: for each stream, and for the connection that streams share. A connection whose
//! window is smaller than those of its streams together stands still when a few of them are not read, and every other
//! call on it waits.
//!
//! Invariant: a connection's window is the sum of the windows of all streams that it may have. So unread streams never
//! fill it, and a stream waits only for its own reader. Both ends keep it: the server limits the streams, and each end
//! sizes what it receives.

use tonic::transport::{Endpoint, Server};

/// What one end of a connection may receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Streams that are open at a time; more calls wait for one.
    streams_max: u32,
    /// Unread bytes of one stream.
    stream_bytes: u32,
}

/// Between the processes of a cluster. A stream has room for some blocks of rows, which keeps a sender busy for longer
/// than an answer takes within a data centre. A node refuses more parts of queries than half of the streams.
pub const PEERS: Windows = Windows::new(1024, 512 << 10);

/// Between a client and the coordinator, which may be far apart.
pub const CLIENTS: Windows = Windows::new(256, 2 << 20);

impl Windows {
    const fn new(streams_max: u32, stream_bytes: u32) -> Self {
        Self { streams_max, stream_bytes }
    }

    /// Unread bytes of all streams together.
    const fn connection_bytes(self) -> u32 {
        self.streams_max * self.stream_bytes
    }

    /// A server that receives by these windows, and takes so many streams at a time.
    pub fn server(self) -> Server {
        Server::builder()
            .max_concurrent_streams(self.streams_max)
            .initial_stream_window_size(self.stream_bytes)
            .initial_connection_window_size(self.connection_bytes())
    }

    /// An endpoint whose connections receive by these windows.
    #[must_use]
    pub fn endpoint(self, endpoint: Endpoint) -> Endpoint {
        endpoint.initial_stream_window_size(self.stream_bytes).initial_connection_window_size(self.connection_bytes())
    }
}

/// The largest window of HTTP/2 (RFC 9113, section 6.9.1).
const WINDOW_BYTES_MAX: u64 = (1 << 31) - 1;

const _: () = assert!(PEERS.streams_max as u64 * PEERS.stream_bytes as u64 <= WINDOW_BYTES_MAX);
const _: () = assert!(CLIENTS.streams_max as u64 * CLIENTS.stream_bytes as u64 <= WINDOW_BYTES_MAX);

#[cfg(test)]
mod tests;
