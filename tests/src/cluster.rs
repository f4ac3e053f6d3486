//! A whole cluster in this process: a coordinator and some nodes, as in `entail serve`, over loopback.

use crate::door::{self, Refuse};
use crate::w3c::Answer;
use entail_client::{Client, Options as ClientOptions, Source};
use entail_model::Fault;
use entail_node_api::LocalNodes;
use entail_proto::v1::{
    ApplyRulesRequest, ChangeSummary, DumpRequest, FileHeader, LoadSummary, QueryRequest, ResultFormat, StatusResponse,
    UpdateRequest,
};
use entail_telemetry::Instruments;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// The grace period for requests in progress when a cluster ends.
const GRACE: Duration = Duration::from_secs(5);

/// The settings of a cluster.
#[derive(Clone)]
pub struct Setting {
    pub nodes: usize,
    pub shards: u32,
    /// Do nodes and coordinator call each other in-process instead of over sockets? In-process calls bypass the `door`.
    pub is_near: bool,
    /// The silence of a client after which its load is aborted.
    pub load_idle_max: Duration,
    /// The time after which an answer that its client does not read is given up.
    pub unread_max: Duration,
    /// The calls to nodes that fail, if any.
    pub refuse: Option<Refuse>,
}

impl Setting {
    /// The default settings.
    pub fn new(nodes: usize, shards: u32) -> Self {
        // A single node calls its coordinator in-process, as in `serve`; several nodes use sockets, as separate
        // processes do.
        let is_near = nodes == 1;
        Self {
            nodes,
            shards,
            is_near,
            load_idle_max: entail_coordinator::options::LOAD_IDLE_MAX,
            unread_max: entail_coordinator::options::UNREAD_MAX,
            refuse: None,
        }
    }
}

/// A running cluster; it stops when it is dropped.
pub struct Cluster {
    /// The address for clients.
    pub address: SocketAddr,
    runtime: Runtime,
    client: Client,
    stop: watch::Sender<bool>,
    roles: Vec<tokio::task::JoinHandle<Result<(), Fault>>>,
    _data: tempfile::TempDir,
}

/// A free port of this machine; another process may take it before it is bound.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound address")
}

impl Cluster {
    /// Starts a cluster of empty nodes and waits until it serves.
    pub fn start(nodes: usize, shards: u32) -> Self {
        Self::start_as(&Setting::new(nodes, shards))
    }

    /// Starts a cluster with these settings.
    pub fn start_as(setting: &Setting) -> Self {
        // Another process may have taken a port in between.
        let tries = (0..5).map(|_| Self::try_start(setting));
        let mut failures = Vec::new();
        for cluster in tries {
            match cluster {
                Ok(cluster) => return cluster,
                Err(why) => failures.push(why),
            }
        }
        panic!("no cluster can be started: {failures:?}");
    }

    fn try_start(setting: &Setting) -> Result<Self, String> {
        let Setting { nodes, shards, is_near, load_idle_max, unread_max, .. } = *setting;
        let runtime = Runtime::new().expect("a runtime");
        let of_process: Arc<LocalNodes> = Arc::default();
        let data = tempfile::tempdir().expect("a directory");
        let (stop, stopped) = watch::channel(false);
        let (listen, peer_listen) = (free_address(), free_address());
        let mut roles = Vec::new();
        let is_near = is_near && setting.refuse.is_none();
        let local_nodes = || if is_near { Arc::clone(&of_process) } else { Arc::default() };
        let end = |mut stopped: watch::Receiver<bool>| async move {
            _ = stopped.wait_for(|stop| *stop).await;
        };
        roles.push(runtime.spawn(entail_coordinator::run(
            entail_coordinator::Options {
                data: data.path().join("coordinator"),
                listen,
                peer_listen,
                shards: Some(shards),
                min_nodes: nodes,
                query_timeout_default: Duration::from_secs(60),
                rows_max: 10_000_000,
                load_idle_max,
                unread_max,
                memory: 1 << 30,
                grace: GRACE,
                instruments: Instruments::default(),
                local_nodes: local_nodes(),
            },
            end(stopped.clone()),
        )));
        for index in 0..nodes {
            let mut node_listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let mut advertise = None;
            if let Some(refuse) = &setting.refuse {
                node_listen = free_address();
                let door = runtime.block_on(door::open(index, node_listen, Refuse::clone(refuse)))?;
                advertise = Some(door.to_string());
            }
            roles.push(runtime.spawn(entail_node::run(
                entail_node::Options {
                    data: data.path().join(format!("node-{index}")),
                    peer_listen: node_listen,
                    advertise,
                    coordinator: format!("http://{peer_listen}"),
                    name: Some(format!("node-{index}")),
                    memory: 256 << 20,
                    threads: 2,
                    grace: GRACE,
                    instruments: Instruments::default(),
                    local_nodes: local_nodes(),
                },
                end(stopped.clone()),
            )));
        }
        let client = {
            let _inside = runtime.enter();
            Client::connect(&format!("http://{listen}"), ClientOptions::default()).expect("an address")
        };
        let mut cluster = Self { address: listen, runtime, client, stop, roles, _data: data };
        cluster.wait_until_serving(nodes)?;
        Ok(cluster)
    }

    fn wait_until_serving(&mut self, nodes: usize) -> Result<(), String> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            let status = self.runtime.block_on(self.client.status(Default::default()));
            // Checked first: if a port was taken, the server on it belongs to another cluster.
            if let Some(ended) = self.roles.iter().position(|role| role.is_finished()) {
                let role = self.roles.swap_remove(ended);
                return Err(format!("a role ended: {:?}", self.runtime.block_on(role)));
            }
            if status.is_ok_and(|status| status.nodes.iter().filter(|node| node.state == "up").count() == nodes) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("the cluster does not serve after a minute".to_owned())
    }

    /// Loads a document into the default graph, or into the graphs that it names.
    ///
    /// # Panics
    /// If the cluster refuses it.
    pub fn load(&self, name: &str, document: impl Into<Vec<u8>>) -> LoadSummary {
        self.try_load(name, document).expect("the document is loaded")
    }

    /// Loads a document; returns the fault if the cluster refuses it.
    pub fn try_load(&self, name: &str, document: impl Into<Vec<u8>>) -> Result<LoadSummary, Fault> {
        self.load_as(FileHeader { name: name.to_owned(), ..FileHeader::default() }, document)
    }

    /// Loads a document with other settings of its header, whose name is `name`.
    pub fn load_as(&self, header: FileHeader, document: impl Into<Vec<u8>>) -> Result<LoadSummary, Fault> {
        let source = Source::bytes(document.into(), header);
        self.runtime.block_on(self.client.load(vec![source], &mut |_| {})).map_err(fault)
    }

    /// Applies an update.
    pub fn update(&self, update: &str) -> Result<ChangeSummary, Fault> {
        self.update_as(UpdateRequest { update: update.to_owned(), ..UpdateRequest::default() })
    }

    /// Applies an update, or says what it would change.
    pub fn update_as(&self, request: UpdateRequest) -> Result<ChangeSummary, Fault> {
        let response = self.runtime.block_on(self.client.update(request)).map_err(fault)?;
        Ok(response.change.unwrap_or_default())
    }

    /// Applies a rule set to the default graph; returns the fault if the cluster refuses it.
    pub fn apply(&self, name: &str, text: &str) -> Result<ChangeSummary, Fault> {
        let request =
            ApplyRulesRequest { name: name.to_owned(), text: text.to_owned(), ..ApplyRulesRequest::default() };
        let response = self.runtime.block_on(self.client.apply_rules(request)).map_err(fault)?;
        Ok(response.change.unwrap_or_default())
    }

    /// Drops a rule set.
    pub fn drop_rules(&self, name: &str) -> Result<ChangeSummary, Fault> {
        let request = entail_proto::v1::DropRulesRequest { name: name.to_owned(), ..Default::default() };
        let response = self.runtime.block_on(self.client.drop_rules(request)).map_err(fault)?;
        Ok(response.change.unwrap_or_default())
    }

    /// Runs a future that uses the cluster's client.
    pub fn with_client<T, W: Future<Output = T>>(&self, work: impl FnOnce(Client) -> W) -> T {
        self.runtime.block_on(work(self.client.clone()))
    }

    /// Spawns a future that uses the cluster's client.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.runtime.spawn(work)
    }

    /// The whole answer to a request whose format is unspecified.
    pub fn answer(&self, request: QueryRequest) -> Result<Answer, Fault> {
        let answer = self.runtime.block_on(self.client.query_all(request, ANSWER_BYTES_MAX)).map_err(fault)?;
        Ok(Answer::read(&answer.header.media_type, &answer.data))
    }

    /// The status of the cluster.
    pub fn status(&self) -> StatusResponse {
        self.runtime.block_on(self.client.status(Default::default())).expect("the cluster tells its status")
    }

    /// The answer to a query, in the given format.
    pub fn query(&self, query: &str, format: ResultFormat) -> Result<Vec<u8>, Fault> {
        let mut request = QueryRequest { query: query.to_owned(), ..QueryRequest::default() };
        request.set_format(format);
        let answer = self.runtime.block_on(self.client.query_all(request, ANSWER_BYTES_MAX)).map_err(fault)?;
        Ok(answer.data.to_vec())
    }

    /// The rows of a SELECT as sorted lines of tab-separated terms, without the line of variables.
    pub fn rows(&self, query: &str) -> Vec<String> {
        let answer = self.query(query, ResultFormat::Tsv).expect("the query is answered");
        let text = String::from_utf8(answer).expect("answers are UTF-8");
        let mut rows: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
        rows.sort_unstable();
        rows
    }

    /// Every asserted fact of all graphs, as N-Quads.
    pub fn dump(&self) -> Vec<u8> {
        let request = DumpRequest { format: "nquads".to_owned(), all_graphs: true, ..DumpRequest::default() };
        let dump = async {
            let mut answer = self.client.dump(request).await?;
            answer.collect(ANSWER_BYTES_MAX).await
        };
        self.runtime.block_on(dump).expect("the cluster is dumped").to_vec()
    }

    /// Every fact of the default graph, as sorted lines of N-Triples terms.
    pub fn facts(&self) -> Vec<String> {
        self.rows("SELECT ?s ?p ?o { ?s ?p ?o }")
    }
}

/// The fault of a failed call.
pub fn fault(error: entail_client::Error) -> Fault {
    error.fault().cloned().unwrap_or_else(|| Fault::internal(error.to_string()))
}

impl Drop for Cluster {
    fn drop(&mut self) {
        _ = self.stop.send(true);
        for role in self.roles.drain(..) {
            _ = self.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(15), role).await });
        }
    }
}
