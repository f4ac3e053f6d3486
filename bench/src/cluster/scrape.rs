//! Reads a counter of a role from its `/metrics`.

use crate::Error;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The beginning of the lines that count messages; labels are in the order of their names.
const MESSAGES: &str = "entail_exchange_messages_total{direction=\"sent\",flow=\"reasoning\"";

/// Messages that all nodes of a process have sent to others while they reasoned.
///
/// # Errors
/// [`Error::Io`] if nobody answers, [`Error::Input`] for what is no number.
pub async fn messages(address: SocketAddr) -> Result<u64, Error> {
    let asked = tokio::time::timeout(ANSWER_MAX, get(address)).await;
    let text = asked.unwrap_or_else(|late| Err(late.into())).map_err(|error| Error::io(address, error))?;
    sum(&text).ok_or_else(|| Error::Input(format!("the metrics of {address} have no numbers")))
}

async fn get(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// A process without nodes has no such lines.
fn sum(metrics: &str) -> Option<u64> {
    let of_line = |line: &str| line.rsplit_once(' ')?.1.parse::<u64>().ok();
    metrics.lines().filter(|line| line.starts_with(MESSAGES)).map(of_line).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_all_nodes_are_added() {
        let line = |direction: &str, flow: &str, node: u8, count: &str| {
            format!(
                "entail_exchange_messages_total{{direction=\"{direction}\",flow=\"{flow}\",node=\"n{node}\"}} {count}"
            )
        };
        let text = [
            line("sent", "reasoning", 0, "7"),
            line("sent", "reasoning", 1, "5"),
            line("received", "reasoning", 0, "100"),
            line("sent", "query", 0, "1000"),
        ];
        assert_eq!(sum(&text.join("\r\n")), Some(12));
        assert_eq!(sum("HTTP/1.1 200 OK\r\n\r\n"), Some(0));
        assert_eq!(sum(&line("sent", "reasoning", 0, "many")), None);
    }
}
