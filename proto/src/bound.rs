//! An address that a server takes before it listens there.
//!
//! A role takes its addresses first, so that a start which fails for a port leaves nothing on disk, and listens last, so
//! that callers of a role that still opens its data are refused at once instead of waiting.

use entail_model::{Fault, Reason};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// An address that nobody else can take.
#[derive(Debug)]
pub struct Bound {
    asked: SocketAddr,
    socket: TcpSocket,
}

impl Bound {
    /// Takes an address; port 0 takes a free one.
    ///
    /// # Errors
    /// `InvalidRequest` if the address is in use, or is none of this machine.
    pub fn new(address: SocketAddr) -> Result<Self, Fault> {
        let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() };
        let bound = socket.and_then(|socket| {
            // As listeners have it: connections of an earlier process that linger must not keep the next one away.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(socket)
        });
        Ok(Self { asked: address, socket: bound.map_err(|error| refused(address, &error))? })
    }

    /// The address, with the port that was taken.
    pub fn local_address(&self) -> Result<SocketAddr, Fault> {
        self.socket.local_addr().map_err(|error| refused(self.asked, &error))
    }

    /// Listens; to be called inside the runtime.
    ///
    /// # Errors
    /// `InvalidRequest` if another process has listened there in the meantime.
    pub fn listen(self) -> Result<TcpListener, Fault> {
        self.socket.listen(BACKLOG).map_err(|error| refused(self.asked, &error))
    }
}

fn refused(address: SocketAddr, error: &io::Error) -> Fault {
    Fault::new(Reason::InvalidRequest, format!("cannot listen on {address}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn an_address_is_taken_before_anybody_listens() {
        let first = Bound::new("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_address().unwrap();
        assert_ne!(address.port(), 0);
        assert!(TcpStream::connect(address).await.is_err(), "callers are refused, and do not wait");
        let _listener = first.listen().unwrap();
        TcpStream::connect(address).await.unwrap();
        let refused = Bound::new(address).unwrap_err();
        assert_eq!(refused.reason, Reason::InvalidRequest);
        assert!(refused.message.starts_with(&format!("cannot listen on {address}: ")), "{refused}");
    }
}
