//! Sends the same query to a running cluster repeatedly and records each outcome: during upgrades, failures of
//! machines, and other load.
//!
//! A failure is recorded and not retried: nothing is sent twice, so each line is one request and one response.

use crate::Error;
use entail_client::v1::{QueryRequest, ResultFormat};
use entail_client::{Client, Error as ClientError};
use serde::Serialize;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The largest answer, in bytes; it is recorded as a whole.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The largest number of outcomes that wait to be written.
const WAITING_MAX: usize = 256;

/// The query and how to send it.
#[derive(Clone, Debug)]
pub struct Request {
    pub query: String,
    /// The number of concurrent clients.
    pub clients: usize,
    /// The pause of each client between a response and the next request.
    pub pause: Duration,
    /// The duration; `None`: until interrupted.
    pub time: Option<Duration>,
}

/// A completed request.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// The time of completion, in seconds since 1970.
    pub at: f64,
    /// The duration of the request.
    pub seconds: f64,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The outcome of a request.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// The rows as CSV, without the line of names.
    Answer { answer: String, epoch: u64 },
    Failure {
        /// The reason from the closed list of reasons.
        reason: String,
        retryable: bool,
        shards: Vec<u16>,
        message: String,
    },
}

/// Sends requests until the duration is over. The client must not retry.
///
/// # Errors
/// The errors of `tell`, which end the run.
pub async fn run(
    client: &Client,
    request: &Request,
    mut tell: impl FnMut(&Asked) -> Result<(), Error>,
) -> Result<(), Error> {
    let (told, mut waiting) = mpsc::channel(WAITING_MAX);
    let mut clients = JoinSet::new();
    for _ in 0..request.clients {
        clients.spawn(ask_on(client.clone(), request.clone(), told.clone()));
    }
    drop(told);
    while let Some(asked) = waiting.recv().await {
        tell(&asked)?;
    }
    Ok(())
}

async fn ask_on(client: Client, request: Request, told: mpsc::Sender<Asked>) {
    let started = Instant::now();
    loop {
        let asked = ask(&client, &request.query).await;
        let is_over = request.time.is_some_and(|time| started.elapsed() >= time);
        if told.send(asked).await.is_err() || is_over {
            return;
        }
        tokio::time::sleep(request.pause).await;
    }
}

async fn ask(client: &Client, query: &str) -> Asked {
    let started = Instant::now();
    let request = QueryRequest { query: query.to_owned(), format: ResultFormat::Csv.into(), ..Default::default() };
    let outcome = match client.query_all(request, ANSWER_BYTES_MAX).await {
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer.data);
            // The answer of an ASK has no header.
            let rows = text.split_once('\n').map_or(&*text, |(_, rows)| rows);
            Outcome::Answer { answer: rows.trim_end().to_owned(), epoch: answer.summary.epoch }
        }
        Err(error) => failure(&error),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Asked { at: now.as_secs_f64(), seconds: started.elapsed().as_secs_f64(), outcome }
}

fn failure(error: &ClientError) -> Outcome {
    let fault = error.fault();
    Outcome::Failure {
        reason: fault.map_or("CLIENT", |fault| fault.reason.name()).to_owned(),
        retryable: error.is_retryable(),
        shards: fault.map_or_else(Vec::new, |fault| fault.shards.iter().map(|shard| shard.0).collect()),
        message: error.to_string(),
    }
}
