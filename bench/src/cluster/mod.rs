//! A cluster to measure: processes of the program `entail` on free loopback ports.
//!
//! ```text
//! Shape ──► launch (one process, or a coordinator and its nodes) ──► Cluster ──► load, rules, queries
//!                                                       └─────► resource use: /proc, /metrics, files
//! ```

mod launch;
mod scrape;

pub use scrape::{Flow, Traffic};

use crate::Error;
use crate::process::{Usage, disk_bytes};
use crate::workload::{Answer, Query};
use entail_client::v1::{
    ApplyRulesRequest, ChangeSummary, DropRulesRequest, FileHeader, QueryRequest, ResultFormat, StatusRequest,
};
use entail_client::{Client, Options, Source};
use launch::Processes;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest time until nodes have reported an epoch.
const REPORT_MAX: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(20);
/// The largest answer, in bytes: q06 of LUBM-1000 has some 600 MB.
const ANSWER_BYTES_MAX: usize = 8 << 30;

/// The configuration of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shape {
    pub nodes: u16,
    pub shards: u32,
    pub layout: Layout,
    /// Each node is pinned to one processor; the coordinator shares the first node's processor.
    pub pinned: bool,
    /// The memory of each node, as in `entail serve --memory`; `None` for its default.
    pub memory: Option<String>,
    /// The threads of each node; `None` for an equal share of the processors.
    pub threads: Option<u16>,
}

/// How the roles are distributed over processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `entail serve`: coordinator and nodes in one process.
    One,
    /// `entail coordinator`, and `entail node` for each node.
    Many,
}

/// A running cluster; its processes end when it is dropped.
pub struct Cluster {
    processes: Processes,
    client: Client,
    url: String,
    data: PathBuf,
}

/// The contents of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    pub asserted: u64,
    pub derived: u64,
}

impl Cluster {
    /// Starts a cluster over an empty directory and waits until it serves.
    ///
    /// # Errors
    /// [`Error::Child`] with the end of the log if it does not become ready.
    pub async fn start(program: &Path, shape: &Shape, directory: &Path) -> Result<Self, Error> {
        let (processes, url) = launch::start(program, shape, directory).await?;
        let client = Client::connect(&url, Options::default())?;
        Ok(Self { processes, client, url, data: directory.join(launch::DATA) })
    }

    /// The URL for clients.
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

    /// Drops rules.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn drop_rules(&self, name: &str) -> Result<ChangeSummary, Error> {
        let request = DropRulesRequest { name: name.to_owned(), ..Default::default() };
        Ok(self.client.drop_rules(request).await?.change.unwrap_or_default())
    }

    /// Runs a query and receives its whole answer; returns the count (see [`Query`]) and the server's time in seconds.
    ///
    /// # Errors
    /// [`Error::Client`], and [`Error::Input`] if a counting query returns no number.
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

    /// The number of facts that the cluster reports at this epoch or later. Nodes report periodically, so the status
    /// lags a little.
    ///
    /// # Errors
    /// [`Error::Client`], and [`Error::Child`] if nodes do not report the epoch.
    pub async fn content(&self, epoch: u64) -> Result<Content, Error> {
        let started = Instant::now();
        while started.elapsed() < REPORT_MAX {
            let status = self.client.status(StatusRequest::default()).await?;
            // A node without shards takes no part in epochs.
            if status.nodes.iter().filter(|node| node.shards > 0).all(|node| node.epoch >= epoch) {
                return Ok(Content { asserted: status.facts_asserted, derived: status.facts_derived });
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        let why = format!("no status of epoch {epoch} after {} s", REPORT_MAX.as_secs());
        Err(Error::Child { name: "the cluster".to_owned(), why })
    }

    /// The latest committed epoch.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn epoch(&self) -> Result<u64, Error> {
        Ok(self.client.status(StatusRequest::default()).await?.epoch)
    }

    /// A client with a new connection.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub fn client(&self) -> Result<Client, Error> {
        Ok(Client::connect(&self.url, Options::default())?)
    }

    /// The resources used by all processes together.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn usage(&self) -> Result<Usage, Error> {
        self.processes.ids().map(Usage::of).sum()
    }

    /// The traffic between nodes since the start of the cluster.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Input`] if a process does not report it.
    pub async fn traffic(&self, flow: Flow) -> Result<Traffic, Error> {
        let mut traffic = Traffic::default();
        for address in self.processes.http() {
            traffic += scrape::traffic(*address, flow).await?;
        }
        Ok(traffic)
    }

    /// The size of the data on disk.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn disk_bytes(&self) -> Result<u64, Error> {
        disk_bytes(&self.data)
    }

    /// Stops the cluster and waits for its end.
    ///
    /// # Errors
    /// [`Error::Child`] if it does not end cleanly.
    pub async fn stop(self) -> Result<(), Error> {
        self.processes.stop().await
    }
}
