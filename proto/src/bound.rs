//! An address that a server binds before it listens.
//!
//! A role binds its addresses first, so that a start that fails because of a port leaves nothing on disk. It listens
//! last, so that callers of a role that still opens its data are refused at once instead of waiting.

use entail_model::{Fault, Reason};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// A bound address that does not listen yet.
#[derive(Debug)]
pub struct Bound {
    asked: SocketAddr,
    socket: TcpSocket,
}

impl Bound {
    /// Binds an address; port 0 binds a free port.
    ///
    /// # Errors
    /// `InvalidRequest` if the address is in use, or does not belong to this machine.
    pub fn new(address: SocketAddr) -> Result<Self, Fault> {
        let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() };
        let bound = socket.and_then(|socket| {
            // As listeners do: connections of an earlier process that are in TIME_WAIT must not block the next process.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(socket)
        });
        Ok(Self { asked: address, socket: bound.map_err(|error| refused(address, &error))? })
    }

    /// The address, with the port that was bound.
    pub fn local_address(&self) -> Result<SocketAddr, Fault> {
        self.socket.local_addr().map_err(|error| refused(self.asked, &error))
    }

    /// Starts listening. Call it inside the runtime.
    ///
    /// # Errors
    /// `InvalidRequest` if another process listens on the address by now.
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
