//! Starts and stops the processes of a cluster.

use super::{Layout, Shape};
use crate::Error;
use crate::process::Owned;
use entail_client::retry::Policy;
use entail_client::v1::StatusRequest;
use entail_client::{Client, Options};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The timeout for a cluster to become ready, and for each process to stop.
const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(60);
/// A start takes some tens of milliseconds.
const START_POLL_EVERY: Duration = Duration::from_millis(2);
const POLL_MAX: Duration = Duration::from_secs(2);
/// More rows than any answer of a workload has; the servers' default is too low for q06 of LUBM-1000.
const ROWS_MAX: [&str; 2] = ["--rows-max", "1000000000"];
/// The number of log lines that are shown of a failed process.
const LOG_LINES: usize = 10;
/// The data directory below the directory of a run; the logs are beside it.
pub const DATA: &str = "data";

/// The processes of a cluster, the one with the coordinator first.
pub struct Processes {
    running: Vec<Running>,
    http: Vec<SocketAddr>,
}

struct Running {
    process: Owned,
    log: PathBuf,
}

impl Processes {
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.running.iter().map(|running| running.process.id())
    }

    /// The HTTP address of each process.
    pub fn http(&self) -> &[SocketAddr] {
        &self.http
    }

    /// Stops the coordinator first, so that it does not report the shards of stopping nodes as unavailable.
    ///
    /// # Errors
    /// [`Error::Child`] if one does not end cleanly.
    pub async fn stop(self) -> Result<(), Error> {
        for running in self.running {
            running.process.stop(STOP_MAX).await?;
        }
        Ok(())
    }

    /// # Errors
    /// [`Error::Child`] with the end of its log if a process has ended.
    fn check(&mut self) -> Result<(), Error> {
        for Running { process, log } in &mut self.running {
            if let Some(status) = process.ended()? {
                let why = format!("at its start: {status}\n{}", tail(log));
                return Err(Error::Child { name: process.name().to_owned(), why });
            }
        }
        Ok(())
    }
}

/// Starts the processes of a cluster, each of which runs the program `entail`, waits until all nodes serve, and returns
/// the processes and the cluster's URL.
///
/// # Errors
/// [`Error::Child`] with the end of a log if the cluster does not become ready.
pub async fn start(program: &Path, shape: &Shape, directory: &Path) -> Result<(Processes, String), Error> {
    let data = directory.join(DATA);
    fs::create_dir(&data).map_err(|error| Error::io(data.display(), error))?;
    let processes = Processes { running: Vec::new(), http: Vec::new() };
    let mut launch =
        Launch { program, shape, directory, data, free: free_addresses(3 + 2 * usize::from(shape.nodes))?, processes };
    let (listen, peer_listen) = (launch.address(), launch.address());
    match shape.layout {
        Layout::One => launch.serve(listen, peer_listen)?,
        Layout::Many => {
            launch.coordinator(listen, peer_listen)?;
            for index in 0..shape.nodes {
                launch.node(index, peer_listen)?;
            }
        }
    }
    let url = format!("http://{listen}");
    wait(&mut launch.processes, &url, usize::from(shape.nodes)).await?;
    Ok((launch.processes, url))
}

struct Launch<'a> {
    program: &'a Path,
    shape: &'a Shape,
    directory: &'a Path,
    data: PathBuf,
    /// Free ports: two for the coordinator, two for each node, and one more.
    free: Vec<SocketAddr>,
    processes: Processes,
}

impl Launch<'_> {
    fn address(&mut self) -> SocketAddr {
        self.free.pop().expect("there are as many as are needed")
    }

    fn serve(&mut self, listen: SocketAddr, peer_listen: SocketAddr) -> Result<(), Error> {
        let mut command = Command::new(self.program);
        command.arg("serve").arg("--data").arg(&self.data);
        command.args(["--listen", &listen.to_string(), "--peer-listen", &peer_listen.to_string()]);
        command.args(["--nodes", &self.shape.nodes.to_string(), "--shards", &self.shape.shards.to_string()]);
        command.args(ROWS_MAX);
        self.start("entail serve", "serve.log", command, 0)
    }

    fn coordinator(&mut self, listen: SocketAddr, peer_listen: SocketAddr) -> Result<(), Error> {
        let mut command = Command::new(self.program);
        command.arg("coordinator").arg("--data").arg(self.data.join("coordinator"));
        command.args(["--listen", &listen.to_string(), "--peer-listen", &peer_listen.to_string()]);
        command.args(["--min-nodes", &self.shape.nodes.to_string(), "--shards", &self.shape.shards.to_string()]);
        command.args(ROWS_MAX);
        self.start("entail coordinator", "coordinator.log", command, 0)
    }

    fn node(&mut self, index: u16, coordinator: SocketAddr) -> Result<(), Error> {
        let (name, listen) = (format!("node-{index}"), self.address());
        let mut command = Command::new(self.program);
        command.args(["node", "--name", &name, "--coordinator", &format!("http://{coordinator}")]);
        command.args(["--peer-listen", &listen.to_string()]).arg("--data").arg(self.data.join(&name));
        self.start("entail node", &format!("{name}.log"), command, usize::from(index))
    }

    /// Starts a process with the arguments that all of them share.
    fn start(&mut self, name: &'static str, log: &str, mut command: Command, processor: usize) -> Result<(), Error> {
        let http = self.address();
        command.args(["--http-listen", &http.to_string()]);
        if let Some(memory) = &self.shape.memory {
            command.args(["--memory", memory]);
        }
        if let (Some(threads), true) = (self.threads(), name != "entail coordinator") {
            command.args(["--threads", &threads.to_string()]);
        }
        // Variables of the user's shell for other clusters must not change this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ENTAIL_") {
                command.env_remove(name);
            }
        }
        let log = self.directory.join(log);
        let errors = File::create(&log).map_err(|error| Error::io(log.display(), error))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let process = match self.shape.pinned {
            true => Owned::start_pinned(name, &mut command, processor)?,
            false => Owned::start(name, &mut command)?,
        };
        self.processes.running.push(Running { process, log });
        self.processes.http.push(http);
        Ok(())
    }

    /// Nodes in separate processes do not know of each other, so each is given its share of the processors, computed as
    /// in `entail serve`. A pinned process sees only its own processor.
    fn threads(&self) -> Option<u16> {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let share = || u16::try_from(processors().div_ceil(usize::from(self.shape.nodes))).ok();
        match (self.shape.threads, self.shape.layout, self.shape.pinned) {
            (None, Layout::Many, false) => share(),
            (threads, _, _) => threads,
        }
    }
}

async fn wait(processes: &mut Processes, url: &str, nodes: usize) -> Result<(), Error> {
    let options = Options { timeout: Some(POLL_MAX), retry: Policy::never(), ..Options::default() };
    let client = Client::connect(url, options)?;
    let started = Instant::now();
    while started.elapsed() < START_MAX {
        processes.check()?;
        if let Ok(status) = client.status(StatusRequest::default()).await {
            let up = status.nodes.iter().filter(|node| node.state == "up").count();
            if status.state == "serving" && up == nodes {
                return Ok(());
            }
        }
        tokio::time::sleep(START_POLL_EVERY).await;
    }
    let logs: Vec<String> = processes.running.iter().map(|running| tail(&running.log)).collect();
    let why = format!("it does not serve after {} s\n{}", START_MAX.as_secs(), logs.join("\n"));
    Err(Error::Child { name: "the cluster".to_owned(), why })
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// Finds free ports. If another process takes one before the cluster does, the cluster fails to start and reports it.
fn free_addresses(count: usize) -> Result<Vec<SocketAddr>, Error> {
    let failed = |error| Error::io("a free port", error);
    // All are held at once, so that they differ.
    let held: Result<Vec<TcpListener>, Error> =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)).collect();
    held?.iter().map(|listener| listener.local_addr().map_err(failed)).collect()
}
