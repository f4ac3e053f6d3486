//! How servers accept connections.
//!
//! A silent connection occupies a file descriptor, and HTTP/2 keep-alive begins only after the connection preface: so a
//! connection whose preface (RFC 9113, section 3.4) does not arrive in time is closed.

use futures::{Stream, StreamExt};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

/// The longest time from the connection to the end of its preface.
const PREFACE_MAX: Duration = Duration::from_secs(10);

/// The preface's length in bytes.
const PREFACE_BYTES: usize = 24;

/// The connections of a listener, with `TCP_NODELAY`: otherwise the last message of a response would wait for the
/// caller's acknowledgement, which its system delays by 40 ms. (The server's own option applies only to listeners that
/// it opens.)
pub fn incoming(listener: TcpListener) -> impl Stream<Item = io::Result<Incoming>> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    incoming.map(|stream| stream.map(|stream| Incoming::new(stream, PREFACE_MAX)))
}

/// A connection that must send the preface in time.
#[derive(Debug)]
pub struct Incoming {
    stream: TcpStream,
    /// The missing bytes of the preface, and their deadline; `None` once the preface is complete.
    awaited: Option<(usize, Pin<Box<Sleep>>)>,
}

impl Incoming {
    fn new(stream: TcpStream, preface_max: Duration) -> Self {
        Self { stream, awaited: Some((PREFACE_BYTES, Box::pin(sleep(preface_max)))) }
    }
}

impl AsyncRead for Incoming {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if let Some((left, until)) = &mut self.awaited {
            *left = left.saturating_sub(into.filled().len() - before);
            if *left == 0 {
                self.awaited = None;
            } else if read.is_pending() && until.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl AsyncWrite for Incoming {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Incoming {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What a server reads from a client that sends these bytes and then nothing more, until the client or the server
    /// gives up.
    async fn read(sent: &[u8], time: Duration) -> (usize, Option<io::ErrorKind>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let mut client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("a listener");
        client.write_all(sent).await.expect("it is read");
        let mut server = Incoming::new(listener.accept().await.expect("a client").0, Duration::from_millis(100));
        let mut bytes = 0;
        loop {
            let mut buffer = [0; 64];
            match tokio::time::timeout(time, server.read(&mut buffer)).await {
                Err(_) => return (bytes, None),
                Ok(Err(error)) => return (bytes, Some(error.kind())),
                Ok(Ok(more)) => bytes += more,
            }
        }
    }

    #[tokio::test]
    async fn who_does_not_begin_is_let_go() {
        let patience = Duration::from_secs(5);
        assert_eq!(read(b"", patience).await, (0, Some(io::ErrorKind::TimedOut)));
        assert_eq!(read(b"PRI * HTTP/2.0\r\n", patience).await, (16, Some(io::ErrorKind::TimedOut)));
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        assert_eq!(read(preface, Duration::from_millis(400)).await, (24, None), "it may be silent now");
    }
}
