//! Clusters of real processes in a temporary directory, and commands that connect to them.
//!
//! Every process is killed when its handle is dropped, also while a failed test unwinds; then the end of every log is
//! printed. Nodes listen on a new port after each start, as in a real deployment; the coordinator keeps its port.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The timeout of every wait.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The read timeout of an HTTP response.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The number of lines of each log that a failure shows.
const LOG_LINES: usize = 40;

/// The configuration of a cluster.
#[derive(Clone, Debug)]
pub struct Shape {
    pub nodes: usize,
    pub shards: u32,
    /// Memory of each node.
    pub memory: &'static str,
    /// A program and its arguments that start the first node and the coordinator in a modified environment.
    pub node_wrapper: Vec<String>,
    pub coordinator_wrapper: Vec<String>,
    /// Additional arguments of every role.
    pub arguments: Vec<&'static str>,
    /// Environment variables of all processes of the cluster.
    pub environment: Vec<(&'static str, String)>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            nodes: 3,
            shards: 8,
            memory: "64MiB",
            node_wrapper: Vec::new(),
            coordinator_wrapper: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }
}

/// A child process that can be restarted.
pub struct Process {
    pub name: String,
    line: Vec<OsString>,
    log: PathBuf,
    environment: Vec<(&'static str, String)>,
    child: Option<Child>,
}

impl Process {
    /// A role that is not started yet; its log is written to a file in `place`.
    pub fn new(name: &str, place: &Path, wrapper: &[String], arguments: &[&str]) -> Self {
        let mut line: Vec<OsString> = wrapper.iter().map(OsString::from).collect();
        line.push(env!("CARGO_BIN_EXE_entail").into());
        line.extend(arguments.iter().map(OsString::from));
        Self {
            name: name.to_owned(),
            line,
            log: place.join(format!("{name}.log")),
            environment: Vec::new(),
            child: None,
        }
    }

    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} is running", self.name);
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = clean(Command::new(&self.line[0]));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.args(&self.line[1..]).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    /// `kill -9`: the process cannot write anything that it holds in memory.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends a signal by its name: `TERM`, `INT`, `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) {
        send(self.pid(), signal);
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it was started").id()
    }

    /// Waits until the process ends by itself.
    pub fn ended(&mut self) -> ExitStatus {
        let status = wait_for_end(self.child.as_mut().expect("it was started"), &self.name);
        self.child = None;
        status
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// The HTTP response of a role: the status and the body. `None` if the role does not respond.
    pub fn http(&self, path: &str) -> Option<(u16, String)> {
        get(self.http_address(), path)
    }

    /// The current value of a role's metric, summed over all series.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, page) = self.http("/metrics").expect("the role answers");
        let series = page.lines().filter_map(|line| line.strip_prefix(name));
        let values = series.filter(|rest| rest.starts_with([' ', '{'])).filter_map(|rest| rest.rsplit(' ').next());
        values.map(|value| value.parse::<f64>().expect("a number")).sum()
    }

    /// The HTTP address of a role.
    pub fn http_address(&self) -> &str {
        let flag = self.line.iter().position(|word| word == "--http-listen").expect("roles answer HTTP");
        self.line[flag + 1].to_str().expect("addresses are plain")
    }

    /// The whole log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let end = &lines[lines.len().saturating_sub(LOG_LINES)..];
            eprintln!("--- {} ---\n{}\n", self.name, end.join("\n"));
        }
    }
}

/// A coordinator and its nodes.
pub struct Cluster {
    // Before the directory: dropped first.
    pub coordinator: Process,
    pub nodes: Vec<Process>,
    server: String,
    peers: String,
    shape: Shape,
    /// A program and its arguments that start commands in a modified environment.
    command_wrapper: Vec<String>,
    place: TempDir,
}

impl Cluster {
    /// Starts a cluster with eight shards.
    pub fn start(nodes: usize) -> Self {
        Self::of(Shape { nodes, ..Shape::default() })
    }

    pub fn of(shape: Shape) -> Self {
        Self::within(tempfile::tempdir().unwrap(), shape)
    }

    /// A cluster whose files are in a directory that the test has prepared.
    pub fn within(place: TempDir, shape: Shape) -> Self {
        let (listen, peers, http) = (free_address(), free_address(), free_address());
        let data = place.path().join("coordinator");
        let (shards, min_nodes) = (shape.shards.to_string(), shape.nodes.to_string());
        let arguments = [
            &["coordinator", "--data", text(&data), "--listen", &listen, "--peer-listen", &peers][..],
            &["--shards", &shards, "--min-nodes", &min_nodes, "--memory", "256MiB", "--http-listen", &http],
            &shape.arguments,
        ];
        let coordinator = Process::new("coordinator", place.path(), &shape.coordinator_wrapper, &arguments.concat());
        let server = format!("http://{listen}");
        let peers = format!("http://{peers}");
        let nodes = Vec::new();
        let command_wrapper = Vec::new();
        let mut cluster = Self { coordinator, nodes, server, peers, shape: shape.clone(), command_wrapper, place };
        for index in 0..shape.nodes {
            let wrapper = if index == 0 { shape.node_wrapper.clone() } else { Vec::new() };
            let name = format!("node-{index}");
            let node = cluster.node(&name, &cluster.data(&name), &wrapper);
            cluster.nodes.push(node);
        }
        cluster.serving()
    }

    /// A cluster of processes that the test has created; commands are started by a wrapper.
    pub fn assembled(place: TempDir, roles: (Process, Vec<Process>), server: String, wrapper: Vec<String>) -> Self {
        let (coordinator, nodes) = roles;
        let shape = Shape { nodes: nodes.len(), ..Shape::default() };
        Self { coordinator, nodes, server, peers: String::new(), shape, command_wrapper: wrapper, place }.serving()
    }

    /// Starts the cluster.
    fn serving(mut self) -> Self {
        let environment = self.shape.environment.clone();
        self.processes().for_each(|process| process.environment.extend(environment.iter().cloned()));
        self.processes().for_each(Process::start);
        self.ready();
        self
    }

    /// A node of this cluster that is not started yet.
    pub fn node(&self, name: &str, data: &Path, wrapper: &[String]) -> Process {
        let http = free_address();
        let arguments = [
            &["node", "--data", text(data), "--coordinator", &self.peers, "--peer-listen", "127.0.0.1:0"][..],
            &["--name", name, "--memory", self.shape.memory, "--threads", "2", "--http-listen", &http],
            &self.shape.arguments,
        ];
        Process::new(name, self.place.path(), wrapper, &arguments.concat())
    }

    /// A node of this cluster without a configured name, not started yet.
    pub fn nameless_node(&self, data: &Path) -> Process {
        let http = free_address();
        let arguments = [
            &["node", "--data", text(data), "--coordinator", &self.peers, "--peer-listen", "127.0.0.1:0"][..],
            &["--memory", self.shape.memory, "--threads", "2", "--http-listen", &http],
        ];
        Process::new("nameless", self.place.path(), &[], &arguments.concat())
    }

    pub fn place(&self) -> &Path {
        self.place.path()
    }

    /// The data directory of a role.
    pub fn data(&self, name: &str) -> PathBuf {
        self.place().join(name)
    }

    pub fn server(&self) -> &str {
        &self.server
    }

    /// The URL of the coordinator's port for nodes.
    pub fn peers(&self) -> &str {
        &self.peers
    }

    pub fn processes(&mut self) -> impl Iterator<Item = &mut Process> {
        std::iter::once(&mut self.coordinator).chain(&mut self.nodes)
    }

    /// Waits until every node is up and the cluster serves.
    pub fn ready(&self) {
        let nodes = self.shape.nodes.to_string();
        let done = self.run(&["status", "--wait", "--wait-nodes", &nodes, "--timeout", "30s"]);
        assert_eq!(done.code, Some(0), "the cluster does not serve: {}", done.err);
    }

    /// Writes a file beside the data directories.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.place().join(name);
        fs::write(&path, content).unwrap();
        text(&path).to_owned()
    }

    /// A command that connects to this cluster, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = within(&self.command_wrapper);
        command.args(arguments).args(["--server", &self.server]);
        command.envs(self.shape.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a command.
    pub fn begin(&self, arguments: &[&str]) -> Running {
        Running::new(self.command(arguments), Stdio::null())
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Done {
        self.begin(arguments).done()
    }

    /// Runs a command that must succeed; returns its standard output.
    pub fn must(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, Some(0), "entail {arguments:?}: {}", done.err);
        done.out
    }

    /// Runs a command that must succeed; returns its standard error.
    pub fn told(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert_eq!(done.code, Some(0), "entail {arguments:?}: {}", done.err);
        done.err
    }

    /// Loads a text of N-Triples, which must succeed.
    pub fn load(&self, name: &str, content: &str) {
        let file = self.file(name, content);
        self.must(&["load", &file]);
    }

    /// The lines of a dump, sorted.
    pub fn dump(&self, content: &str) -> BTreeSet<String> {
        lines(&self.must(&["dump", "--all-graphs", "--content", content]))
    }
}

/// `entail` with arguments, without the settings of the user who runs the tests.
pub fn entail(arguments: &[&str]) -> Command {
    let mut command = within(&[]);
    command.args(arguments);
    command
}

/// `entail` without arguments, started by a wrapper if there is one.
fn within(wrapper: &[String]) -> Command {
    let program = env!("CARGO_BIN_EXE_entail");
    let Some((first, rest)) = wrapper.split_first() else { return clean(Command::new(program)) };
    let mut command = clean(Command::new(first));
    command.args(rest).arg(program);
    command
}

fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("ENTAIL_") || name_text.starts_with("OTEL_") {
            command.env_remove(&name);
        }
    }
    // An empty file instead of the user's and the system's.
    command.env("ENTAIL_CONFIG", "/dev/null");
    command
}

/// A command that has been started. Its output goes to files, so that no thread has to read it meanwhile.
pub struct Running {
    child: Child,
    line: String,
    place: TempDir,
}

/// The result of a command.
#[derive(Debug)]
pub struct Done {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Running {
    pub fn new(mut command: Command, stdin: Stdio) -> Self {
        let place = tempfile::tempdir().unwrap();
        let create = |name| File::create(place.path().join(name)).unwrap();
        let child = command.stdin(stdin).stdout(create("out")).stderr(create("err")).spawn().unwrap();
        Self { child, line: format!("{command:?}"), place }
    }

    /// The standard input, if it was asked for as a pipe.
    pub fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("a pipe")
    }

    pub fn signal(&self, signal: &str) {
        send(self.child.id(), signal);
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The output so far.
    pub fn out(&self) -> String {
        fs::read_to_string(self.place.path().join("out")).unwrap()
    }

    /// Waits until it ends.
    pub fn done(mut self) -> Done {
        let status = wait_for_end(&mut self.child, &self.line);
        let read = |name| String::from_utf8_lossy(&fs::read(self.place.path().join(name)).unwrap()).into_owned();
        Done { code: status.code(), out: read("out"), err: read("err") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for_end(child: &mut Child, what: &str) -> ExitStatus {
    let until = Instant::now() + PATIENCE * 2;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < until, "{what} does not end");
        sleep(Duration::from_millis(3));
    }
}

/// Waits until a condition holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        sleep(Duration::from_millis(20));
    }
}

/// Sends an HTTP 1.0 request, whose response ends with the connection. `None` if the server is silent for too long.
pub fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(SILENCE_MAX)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: entail\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

fn send(pid: u32, signal: &str) {
    let line = format!("kill -{signal} {pid}");
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
}

pub fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}

/// A free loopback address. Its port is below the range of outgoing connections, so that a killed process finds its
/// port free again.
pub fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = (std::process::id() % 400) as u16 * 30;
    loop {
        let port = 18_000 + (base + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

/// Random-looking numbers for several threads, the same for the same seed.
pub struct Random(Mutex<entail_model::random::Random>);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(entail_model::random::Random::new(seed)))
    }

    /// A number below `bound`.
    pub fn below(&self, bound: u64) -> u64 {
        self.0.lock().expect("no thread panics with it").below(bound)
    }
}
