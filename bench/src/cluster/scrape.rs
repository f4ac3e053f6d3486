//! Reads the traffic between nodes from the `/metrics` of a role.

use crate::Error;
use std::net::SocketAddr;
use std::ops::{AddAssign, Sub};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The timeout of a response.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// The purpose of messages between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Reasoning,
    Query,
}

/// The messages sent by nodes to other nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub messages: u64,
    pub bytes: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { messages: self.messages - earlier.messages, bytes: self.bytes - earlier.bytes }
    }
}

/// The traffic of all nodes of a process.
///
/// # Errors
/// [`Error::Io`] if the process does not respond, [`Error::Input`] if a value is not a number.
pub async fn traffic(address: SocketAddr, flow: Flow) -> Result<Traffic, Error> {
    let asked = tokio::time::timeout(ANSWER_MAX, get(address)).await;
    let text = asked.unwrap_or_else(|late| Err(late.into())).map_err(|error| Error::io(address, error))?;
    let of = |what| sum(&text, what, flow);
    let traffic = of("messages").zip(of("bytes")).map(|(messages, bytes)| Traffic { messages, bytes });
    traffic.ok_or_else(|| Error::Input(format!("the metrics of {address} have no numbers")))
}

async fn get(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The sum of a counter's lines; a process without nodes has none.
fn sum(metrics: &str, what: &str, flow: Flow) -> Option<u64> {
    let flow = match flow {
        Flow::Reasoning => "reasoning",
        Flow::Query => "query",
    };
    // Labels are sorted by name.
    let beginning = format!("entail_exchange_{what}_total{{direction=\"sent\",flow=\"{flow}\"");
    let of_line = |line: &str| line.rsplit_once(' ')?.1.parse::<u64>().ok();
    metrics.lines().filter(|line| line.starts_with(&beginning)).map(of_line).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_nodes_have_sent_is_added() {
        let line = |what: &str, direction: &str, flow: &str, node: u8, count: &str| {
            let labels = format!("direction=\"{direction}\",flow=\"{flow}\",node=\"n{node}\"");
            format!("entail_exchange_{what}_total{{{labels}}} {count}")
        };
        let text = [
            line("messages", "sent", "reasoning", 0, "7"),
            line("messages", "sent", "reasoning", 1, "5"),
            line("messages", "received", "reasoning", 0, "100"),
            line("messages", "sent", "query", 0, "1000"),
            line("bytes", "sent", "query", 1, "10000"),
        ]
        .join("\r\n");
        assert_eq!(sum(&text, "messages", Flow::Reasoning), Some(12));
        assert_eq!((sum(&text, "messages", Flow::Query), sum(&text, "bytes", Flow::Query)), (Some(1000), Some(10_000)));
        assert_eq!(sum("HTTP/1.1 200 OK\r\n\r\n", "bytes", Flow::Query), Some(0));
        assert_eq!(sum(&line("bytes", "sent", "query", 0, "many"), "bytes", Flow::Query), None);
    }
}
