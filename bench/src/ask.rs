//! Asks a cluster that runs somewhere the same question again and again, and tells what came of each: while it is
//! upgraded, while machines are lost, while others work.
//!
//! A failure is told and not made good: nothing is sent twice, so that each line is one question and one answer.

use crate::Error;
use entail_client::v1::{QueryRequest, ResultFormat};
use entail_client::{Client, Error as ClientError};
use serde::Serialize;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The largest answer: it is told whole.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Answers that wait to be told.
const WAITING_MAX: usize = 256;

/// What to ask, and how.
#[derive(Clone, Debug)]
pub struct Request {
    pub query: String,
    /// How many ask at the same time.
    pub clients: usize,
    /// How long each waits between an answer and the next question.
    pub pause: Duration,
    /// When to stop; none: never.
    pub time: Option<Duration>,
}

/// A question that was asked.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// When it was over, in seconds since 1970.
    pub at: f64,
    /// How long it took.
    pub seconds: f64,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// The rows as CSV, without the line of names.
    Answer { answer: String, epoch: u64 },
    Failure {
        /// From the list of reasons.
        reason: String,
        retryable: bool,
        shards: Vec<u16>,
        message: String,
    },
}

/// Asks until the time is over. The client must not retry.
///
/// # Errors
/// Those of `tell`, which end it.
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
            let rows = text.split_once('\n').map_or("", |(_, rows)| rows);
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
