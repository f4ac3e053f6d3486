//! A cluster to measure: processes of the program `entail` on free ports of the loopback.
//!
//! ```text
//! Shape ──► launch (one process, or a coordinator and its nodes) ──► Cluster ──► load, rules, queries
//!                                                                       └─────► what it used: /proc, /metrics, files
//! ```

mod launch;
mod scrape;

pub use scrape::{Flow, Traffic};

use crate::Error;
use crate::process::{Usage, disk_bytes};
use crate::workload::{Answer, Query};
use entail_client::v1::{ApplyRulesRequest, ChangeSummary, FileHeader, QueryRequest, ResultFormat, StatusRequest};
use entail_client::{Client, Options, Source};
use launch::Processes;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long nodes may take to report what they have.
const REPORT_MAX: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(20);
/// What an answer may weigh: q06 of LUBM-1000 has some 600 MB.
const ANSWER_BYTES_MAX: usize = 8 << 30;

/// What a cluster is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shape {
    pub nodes: u16,
    pub shards: u32,
    pub layout: Layout,
    /// Each node has one processor to itself, the first of which the coordinator shares.
    pub pinned: bool,
    /// Of each node, as `entail serve --memory` takes it; none for its default.
    pub memory: Option<String>,
    /// Of each node; none for the processors, shared out.
    pub threads: Option<u16>,
}

/// How many processes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `entail serve`: coordinator and nodes in one process.
    One,
    /// `entail coordinator`, and `entail node` for each node.
    Many,
}

/// A cluster that serves; its processes end when it is dropped.
pub struct Cluster {
    processes: Processes,
    client: Client,
    url: String,
    data: PathBuf,
}

/// What a cluster holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    pub asserted: u64,
    pub derived: u64,
}

impl Cluster {
    /// Starts a cluster over an empty directory and waits until it serves.
    ///
    /// # Errors
    /// [`Error::Child`] with the end of the log if it does not.
    pub async fn start(program: &Path, shape: &Shape, directory: &Path) -> Result<Self, Error> {
        let (processes, url) = launch::start(program, shape, directory).await?;
        let client = Client::connect(&url, Options::default())?;
        Ok(Self { processes, client, url, data: directory.join(launch::DATA) })
    }

    /// Where clients call.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Loads a file.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn load(&self, file: &Path) -> Result<ChangeSummary, Error> {
        let source = Source::path(file, FileHeader::default());
        let summary = self.client.load(vec![source], &mut |_| {}).await?;
        Ok(summary.change.unwrap_or_default())
    }

    /// Applies rules.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn apply(&self, name: &str, text: &str) -> Result<ChangeSummary, Error> {
        let request = ApplyRulesRequest { name: name.to_owned(), text: text.to_owned(), ..Default::default() };
        Ok(self.client.apply_rules(request).await?.change.unwrap_or_default())
    }

    /// What there is to count in a query's answer, all of which comes here, and the seconds that the server took for it.
    ///
    /// # Errors
    /// [`Error::Client`], and [`Error::Input`] if a query that counts gives no number.
    pub async fn rows(&self, query: &Query) -> Result<(u64, f64), Error> {
        let format = ResultFormat::Tsv.into();
        let request = QueryRequest { query: query.text.to_owned(), format, ..Default::default() };
        let answer = self.client.query_all(request, ANSWER_BYTES_MAX).await?;
        let rows = match query.answer {
            Answer::Rows => answer.summary.rows,
            Answer::Count => {
                let text = String::from_utf8_lossy(&answer.data);
                let number = text.lines().nth(1).and_then(|row| row.trim().parse().ok());
                number.ok_or_else(|| Error::Input(format!("the query {} gives no number: {text}", query.name)))?
            }
        };
        Ok((rows, answer.summary.seconds))
    }

    /// The facts that the cluster says it has at an epoch or later. Nodes report from time to time, so that the status
    /// is a little behind.
    ///
    /// # Errors
    /// [`Error::Client`], and [`Error::Child`] if nodes do not report the epoch.
    pub async fn content(&self, epoch: u64) -> Result<Content, Error> {
        let started = Instant::now();
        while started.elapsed() < REPORT_MAX {
            let status = self.client.status(StatusRequest::default()).await?;
            // A node without shards has no part in epochs.
            if status.nodes.iter().filter(|node| node.shards > 0).all(|node| node.epoch >= epoch) {
                return Ok(Content { asserted: status.facts_asserted, derived: status.facts_derived });
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        let why = format!("no status of epoch {epoch} after {} s", REPORT_MAX.as_secs());
        Err(Error::Child { name: "the cluster".to_owned(), why })
    }

    /// The last epoch that was committed.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn epoch(&self) -> Result<u64, Error> {
        Ok(self.client.status(StatusRequest::default()).await?.epoch)
    }

    /// A client with a connection of its own.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub fn client(&self) -> Result<Client, Error> {
        Ok(Client::connect(&self.url, Options::default())?)
    }

    /// What all processes together have used.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn usage(&self) -> Result<Usage, Error> {
        self.processes.ids().map(Usage::of).sum()
    }

    /// What nodes have sent each other since the cluster began.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Input`] if a process does not tell.
    pub async fn traffic(&self, flow: Flow) -> Result<Traffic, Error> {
        let mut traffic = Traffic::default();
        for address in self.processes.http() {
            traffic += scrape::traffic(*address, flow).await?;
        }
        Ok(traffic)
    }

    /// What the data takes on disk.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn disk_bytes(&self) -> Result<u64, Error> {
        disk_bytes(&self.data)
    }

    /// Ends the cluster and waits for it.
    ///
    /// # Errors
    /// [`Error::Child`] if it does not end cleanly.
    pub async fn stop(self) -> Result<(), Error> {
        self.processes.stop().await
    }
}
