//! A cluster to measure: `entail serve` as a process of its own, on free ports of the loopback.

use crate::Error;
use crate::process::{Owned, Usage, disk_bytes, this_program};
use entail_client::retry::Policy;
use entail_client::v1::{ApplyRulesRequest, ChangeSummary, FileHeader, QueryRequest, ResultFormat, StatusRequest};
use entail_client::{Client, Options, Source};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a cluster may take to serve, and to end.
const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(60);
/// How long nodes may take to report what they have.
const REPORT_MAX: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_secs(2);
/// What an answer may weigh.
const ANSWER_BYTES_MAX: usize = 1 << 30;
/// As much of a log as is shown of a cluster that failed.
const LOG_LINES: usize = 10;

/// How large a cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub nodes: u16,
    pub shards: u32,
    /// As `entail serve --memory` takes it; none for its default.
    pub memory: Option<String>,
    /// Of each node; none for the processors, shared out.
    pub threads: Option<usize>,
}

/// A cluster that serves; its process ends when it is dropped.
pub struct Cluster {
    process: Owned,
    client: Client,
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
    pub async fn start(shape: &Shape, directory: &Path) -> Result<Self, Error> {
        let (data, log) = (directory.join("data"), directory.join("serve.log"));
        fs::create_dir(&data).map_err(|error| Error::io(data.display(), error))?;
        let [listen, peer_listen] = free_addresses()?;
        let errors = File::create(&log).map_err(|error| Error::io(log.display(), error))?;
        let mut command = Command::new(this_program()?);
        command.arg("serve").arg("--data").arg(&data);
        command.args(["--listen", &listen.to_string(), "--peer-listen", &peer_listen.to_string()]);
        command.args(["--nodes", &shape.nodes.to_string(), "--shards", &shape.shards.to_string()]);
        if let Some(memory) = &shape.memory {
            command.args(["--memory", memory]);
        }
        if let Some(threads) = shape.threads {
            command.args(["--threads", &threads.to_string()]);
        }
        // What the user's shell says about other clusters must not change this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ENTAIL_") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let mut process = Owned::start("entail serve", &mut command)?;
        let url = format!("http://{listen}");
        wait(&mut process, &url, usize::from(shape.nodes), &log).await?;
        Ok(Self { process, client: Client::connect(&url, Options::default())?, data })
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

    /// The rows of a query's answer, all of which come here.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn rows(&self, query: &str) -> Result<u64, Error> {
        let format = ResultFormat::Tsv.into();
        let request = QueryRequest { query: query.to_owned(), format, ..Default::default() };
        Ok(self.client.query_all(request, ANSWER_BYTES_MAX).await?.summary.rows)
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
            if status.nodes.iter().all(|node| node.epoch >= epoch) {
                return Ok(Content { asserted: status.facts_asserted, derived: status.facts_derived });
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        let why = format!("no status of epoch {epoch} after {} s", REPORT_MAX.as_secs());
        Err(Error::Child { name: "entail serve".to_owned(), why })
    }

    /// What the process has used.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn usage(&self) -> Result<Usage, Error> {
        Usage::of(self.process.id())
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
        self.process.stop(STOP_MAX).await
    }
}

/// Waits until a cluster serves with all its nodes.
async fn wait(process: &mut Owned, url: &str, nodes: usize, log: &Path) -> Result<(), Error> {
    let failed = |why: String| Error::Child { name: "entail serve".to_owned(), why: format!("{why}\n{}", tail(log)) };
    let options = Options { timeout: Some(POLL_MAX), retry: Policy::never(), ..Options::default() };
    let client = Client::connect(url, options)?;
    let started = Instant::now();
    while started.elapsed() < START_MAX {
        if let Some(status) = process.ended()? {
            return Err(failed(format!("at its start: {status}")));
        }
        if let Ok(status) = client.status(StatusRequest::default()).await {
            let up = status.nodes.iter().filter(|node| node.state == "up").count();
            if status.state == "serving" && up == nodes {
                return Ok(());
            }
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
    Err(failed(format!("it does not serve after {} s", START_MAX.as_secs())))
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// Two free ports. Somebody else may take one before the cluster does; then it says so and ends.
fn free_addresses() -> Result<[SocketAddr; 2], Error> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| Error::io("a free port", error));
    let address = |listener: &TcpListener| listener.local_addr().map_err(|error| Error::io("a free port", error));
    // Both are held at once, so that they differ.
    let (first, second) = (bind()?, bind()?);
    Ok([address(&first)?, address(&second)?])
}
