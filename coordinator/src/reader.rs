//! The cluster as a query sees it: one pinned epoch, calls to the nodes that hold it.

mod local;
mod shared;

pub use local::LocalSnapshot;
pub use shared::Shared;

use crate::fanout::{FanOut, TimedCall};
use crate::nodes::{Holders, Link};
use bytes::Bytes;
use entail_logic::eval::Batch;
use entail_logic::plan::compile::{Context, RelationStats};
use entail_logic::plan::{Plan, Route};
use entail_model::{Cancellation, Epoch, Fault, NodeId, Reason, Relation, ShardId, TermId, term};
use entail_node_api::{self as node, Encoded, Execute, Profile, Summary};
use entail_sparql::cluster::{Cluster, Interrupt, NodeProfile, OperatorWork, Rows, Texts, Wanted};
use futures::StreamExt;
use futures::future::try_join_all;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{Instrument, Span, info_span};

/// Batches of all nodes together that wait for the query's thread.
const BATCHES_WAITING: usize = 8;

/// Plans of one query whose calls have spans. A property path or EXISTS may make any number of lookups: too many to read
/// one by one.
const PLANS_TRACED_MAX: u64 = 64;

/// Terms to decode from which on each node is called by a task of its own: fewer take less than a task does.
const TERMS_APART_MIN: usize = 512;

/// The cluster at one epoch.
pub struct Reader {
    pub shared: Arc<Shared>,
    pub holders: Arc<Holders>,
    pub epoch: Epoch,
    pub runtime: Handle,
    /// Cancels the request that this reader serves.
    pub cancel: Cancellation,
    /// Plans that were started.
    pub started: AtomicU64,
}

impl Reader {
    /// Waits for a call, on a thread that may block, until the call or the request ends.
    pub fn block<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        self.runtime.block_on(self.cancel.race(work))
    }

    async fn fetch_context(&self) -> Result<Context, Fault> {
        let (epoch, until) = (self.epoch, self.cancel.deadline());
        let calls = self.holders.links.values();
        let calls = calls.map(|link| link.call(until, move |node, call| node.sizes(call, epoch)));
        let mut stats: HashMap<Relation, RelationStats> = HashMap::new();
        let mut objects: HashMap<(Relation, TermId), u64> = HashMap::new();
        for size in try_join_all(calls).await?.into_iter().flatten() {
            let relation = Relation { graph: TermId(size.graph), predicate: TermId(size.predicate) };
            let sum = stats.entry(relation).or_default();
            sum.facts += size.facts;
            sum.subjects += size.subjects;
            // Scattered objects are counted at each node: the sum overestimates, which is good enough for a planner.
            sum.objects += size.objects;
            for (class, facts) in size.classes.iter().zip(size.class_facts) {
                *objects.entry((relation, TermId(*class))).or_default() += facts;
            }
        }
        let rdf_type = self.fetch_ids(&[term::rdf_type()]).await?[0];
        let nodes = self.holders.links.len();
        Ok(Context { single_node: nodes <= 1, nodes, rdf_type, stats, objects })
    }

    /// Statistics of the epoch, cached.
    pub async fn context(&self) -> Result<Arc<Context>, Fault> {
        if let Some(context) = self.shared.known_context(self.epoch) {
            return Ok(context);
        }
        let context = Arc::new(self.fetch_context().await?);
        self.shared.keep_context(self.epoch, &context);
        Ok(context)
    }

    /// The local fast path, if it applies: one node of this process holds all shards, and the epoch's statistics are cached.
    /// Chosen here only.
    pub fn local(&self) -> Option<LocalSnapshot> {
        self.holders.only()?.at_once(|_, _| Ok(()))?.ok()?;
        Some(LocalSnapshot {
            context: self.shared.known_context(self.epoch)?,
            shared: Arc::clone(&self.shared),
            holders: Arc::clone(&self.holders),
            epoch: self.epoch,
            cancel: self.cancel.clone(),
        })
    }

    /// The ids of terms by their canonical bytes.
    pub async fn fetch_ids(&self, terms: &[Vec<u8>]) -> Result<Vec<Option<TermId>>, Fault> {
        if self.holders.links.is_empty() {
            // Epoch 0 has no terms; the cache may have those of later epochs.
            return Ok(vec![None; terms.len()]);
        }
        let mut ids: Vec<Option<TermId>> = terms.iter().map(|text| self.shared.ids.get(text)).collect();
        self.shared.metrics.cached("ids", ids.len(), ids.iter().flatten().count());
        let mut by_node: BTreeMap<NodeId, Vec<usize>> = BTreeMap::new();
        for (index, text) in terms.iter().enumerate().filter(|(index, _)| ids[*index].is_none()) {
            let home = self.shared.key.hash(text).home(self.shared.shards);
            by_node.entry(self.holders.holder(home)?.node).or_default().push(index);
        }
        let calls = by_node.into_iter().map(|(node, indexes)| async move {
            let link = &self.holders.links[&node];
            let wanted: Vec<&[u8]> = indexes.iter().map(|index| &terms[*index][..]).collect();
            let found = link.call(self.cancel.deadline(), |node, call| node.lookup(call, &wanted)).await?;
            Ok::<_, Fault>((indexes, found))
        });
        for (indexes, found) in try_join_all(calls).await? {
            for (index, id) in indexes.into_iter().zip(found).filter_map(|(index, id)| Some((index, id?))) {
                self.shared.ids.insert(terms[index].clone(), id);
                ids[index] = Some(id);
            }
        }
        Ok(ids)
    }

    /// The canonical bytes of dictionary ids: of each node's ids in order up to the one with which they have more than
    /// `bytes_max` bytes.
    pub async fn fetch_texts(&self, ids: &[TermId], bytes_max: u64) -> Result<HashMap<TermId, Bytes>, Fault> {
        let mut texts = HashMap::with_capacity(ids.len());
        let mut by_node: BTreeMap<NodeId, Vec<TermId>> = BTreeMap::new();
        for id in ids {
            let Some(home) = id.home() else { continue };
            match self.shared.terms.get(id) {
                Some(text) => _ = texts.insert(*id, text),
                None => by_node.entry(self.holders.holder(home)?.node).or_default().push(*id),
            }
        }
        let missing: usize = by_node.values().map(Vec::len).sum();
        self.shared.metrics.cached("texts", texts.len() + missing, texts.len());
        if missing == 0 {
            return Ok(texts);
        }
        let span = info_span!("decode", "entail.terms" = missing as i64);
        let calls = by_node.into_iter().map(|(node, ids)| {
            let (holders, until) = (Arc::clone(&self.holders), self.cancel.deadline());
            async move { decode(&holders.links[&node], ids, bytes_max, until).await }
        });
        let found = match missing < TERMS_APART_MIN {
            true => try_join_all(calls).instrument(span).await?,
            false => self.apart(calls, &span).await?,
        };
        for (ids, found) in found {
            let bytes: u64 = found.iter().map(|text| text.len() as u64).sum();
            if found.len() > ids.len() || found.len() < ids.len() && bytes <= bytes_max {
                return Err(Fault::corrupt("a node gave texts of other terms"));
            }
            for (id, text) in ids.into_iter().zip(found) {
                self.shared.terms.insert(id, text.clone());
                texts.insert(id, text);
            }
        }
        Ok(texts)
    }

    /// The results of calls that run in parallel also if their nodes are in this process, where a call works on the thread
    /// that polls it.
    async fn apart<T: Send + 'static>(
        &self,
        calls: impl Iterator<Item = impl Future<Output = Result<T, Fault>> + Send + 'static>,
        span: &Span,
    ) -> Result<Vec<T>, Fault> {
        let mut tasks = JoinSet::new();
        for call in calls {
            tasks.spawn_on(call.instrument(span.clone()), &self.runtime);
        }
        let mut results = Vec::with_capacity(tasks.len());
        while let Some(result) = tasks.join_next().await {
            results.push(result.map_err(|error| Fault::internal(format!("a call ended: {error}")))??);
        }
        Ok(results)
    }

    /// The nodes that take part in a plan: one, if the plan never leaves a shard.
    fn participants(&self, plan: &Plan) -> Result<Vec<Link>, Fault> {
        match (&plan.stages[0].route, plan.stages.len()) {
            (Route::Shard(shard), 1) => Ok(vec![self.holders.holder(*shard)?.clone()]),
            _ => Ok(self.holders.links.values().cloned().collect()),
        }
    }
}

/// The canonical bytes of the first dictionary ids of one node, with the ids, in their order.
async fn decode(
    link: &Link,
    mut ids: Vec<TermId>,
    bytes_max: u64,
    until: Option<Instant>,
) -> Result<(Vec<TermId>, Vec<Bytes>), Fault> {
    ids.sort_unstable();
    ids.dedup();
    let mut found = Vec::with_capacity(ids.len());
    // A copy: the received buffer holds the whole answer.
    let mut keep = |text: &[u8]| found.push(Bytes::copy_from_slice(text));
    link.call(until, |node, call| node.texts(call, &ids, bytes_max, &mut keep)).await?;
    Ok((ids, found))
}

impl Cluster for Reader {
    fn context(&self) -> Result<Arc<Context>, Fault> {
        self.block(Self::context(self))
    }

    fn lookup(&self, terms: &[Vec<u8>]) -> Result<Vec<Option<TermId>>, Interrupt> {
        match self.local() {
            Some(local) => local.lookup(terms),
            None => Ok(self.block(self.fetch_ids(terms))?),
        }
    }

    fn texts(&self, ids: &[TermId], bytes_max: u64) -> Result<Texts, Interrupt> {
        if let Some(local) = self.local() {
            return local.first_texts(ids, bytes_max);
        }
        let found = self.block(self.fetch_texts(ids, bytes_max))?;
        let mut texts = Texts::new();
        for id in ids {
            // Each node's texts end somewhere, but none before its first.
            let Some(text) = found.get(id) else { break };
            texts.push(text);
            if texts.bytes() as u64 > bytes_max {
                break;
            }
        }
        match texts.is_empty() && !ids.is_empty() {
            true => Err(Fault::internal(format!("{:?} has no text", ids[0])).into()),
            false => Ok(texts),
        }
    }

    fn execute(&self, plan: Arc<Plan>, wanted: Wanted) -> Result<Box<dyn Rows>, Interrupt> {
        let is_traced = self.started.fetch_add(1, Ordering::Relaxed) < PLANS_TRACED_MAX;
        let span = if is_traced { info_span!("fan-out") } else { Span::none() };
        if !wanted.profile
            && let Some(local) = self.local()
            && let Some(rows) = local.answer(Arc::clone(&plan), wanted, None, &span)?
        {
            return Ok(rows);
        }
        let participants = self.participants(&plan)?;
        let profile = match wanted.profile {
            true => Some(Profile { rdf_type: Cluster::context(self)?.rdf_type }),
            false => None,
        };
        let request = Execute {
            query: self.shared.next_query(),
            epoch: self.epoch,
            plan: Encoded::new(plan),
            placement: Arc::clone(&self.holders.map),
            participants: participants.iter().map(|link| link.node).collect(),
            rows_max: wanted.rows_max,
            profile,
        };
        let (send, batches) = mpsc::channel(BATCHES_WAITING);
        let until = self.cancel.deadline();
        let mut tasks = JoinSet::new();
        let fan_out = FanOut::new(&self.shared.metrics, participants.len());
        for link in participants {
            let (send, call) = (send.clone(), fan_out.call());
            let ask = Ask { link, request: request.clone(), until };
            tasks.spawn_on(
                async move {
                    if let Err(fault) = follow(ask, &send, call).await {
                        _ = send.send(Err(fault)).await;
                    }
                }
                .instrument(span.clone()),
                &self.runtime,
            );
        }
        let (runtime, cancel) = (self.runtime.clone(), self.cancel.clone());
        Ok(Box::new(Streams { batches, _tasks: tasks, profile: Vec::new(), runtime, cancel }))
    }

    fn graphs(&self) -> Result<Vec<TermId>, Fault> {
        Ok(graphs(&*self.block(Self::context(self))?))
    }

    fn holders(&self) -> Vec<String> {
        let shards = (0..self.shared.shards.get()).map(ShardId);
        shards
            .map(|shard| self.holders.holder(shard).map_or_else(|_| String::new(), |link| link.name.clone()))
            .collect()
    }
}

/// The named graphs that have facts.
fn graphs(context: &Context) -> Vec<TermId> {
    let graphs =
        context.stats.iter().filter(|(relation, stats)| relation.graph != TermId::DEFAULT_GRAPH && stats.facts > 0);
    let mut graphs: Vec<TermId> = graphs.map(|(relation, _)| relation.graph).collect();
    graphs.sort_unstable();
    graphs.dedup();
    graphs
}

enum Part {
    Rows(node::Rows),
    Done(NodeProfile),
}

/// A request to one node, with its deadline.
struct Ask {
    link: Link,
    request: Execute,
    until: Option<Instant>,
}

/// Forwards one node's stream. Ends early when the receiver is gone, which stops the node.
async fn follow(ask: Ask, send: &mpsc::Sender<Result<Part, Fault>>, mut call: TimedCall) -> Result<(), Fault> {
    let Ask { link, request, until } = ask;
    let _at_work = link.begin();
    let mut parts = link.call(until, |node, call| node.execute(call, request)).await?;
    while let Some(part) = parts.next().await {
        let part = match part.map_err(|fault| link.fault(fault))? {
            node::Part::Rows(rows) => Part::Rows(rows),
            node::Part::Done(summary) => Part::Done(profile(&link, summary)),
        };
        let is_last = matches!(part, Part::Done(_));
        if call.aside(send.send(Ok(part))).await.is_err() {
            return Ok(());
        }
        if is_last {
            call.ended(&link.name);
            return Ok(());
        }
    }
    Err(Fault::new(Reason::ShardsUnavailable, format!("node {} ended its stream early", link.name))
        .with_shards(link.shards.clone()))
}

fn profile(link: &Link, summary: Summary) -> NodeProfile {
    let work = summary.work.into_iter().map(|(((stage, operator), shard), work)| OperatorWork {
        stage,
        operator,
        shard: shard.map(|shard| shard.0),
        work,
    });
    NodeProfile {
        node: link.node,
        name: link.name.clone(),
        rows: summary.rows,
        seconds: summary.nanoseconds as f64 / 1e9,
        work: work.collect(),
    }
}

/// The streams of all nodes, merged. Dropping it aborts the tasks, which drops the streams, which stops the nodes.
struct Streams {
    batches: mpsc::Receiver<Result<Part, Fault>>,
    _tasks: JoinSet<()>,
    profile: Vec<NodeProfile>,
    runtime: Handle,
    cancel: Cancellation,
}

impl Rows for Streams {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        loop {
            let batches = &mut self.batches;
            match self.runtime.block_on(self.cancel.race(async { Ok(batches.recv().await) }))? {
                None => return Ok(None),
                Some(Ok(Part::Rows(rows))) => return rows.into_batch().map(Some),
                Some(Ok(Part::Done(profile))) => self.profile.push(profile),
                Some(Err(fault)) => return Err(fault),
            }
        }
    }

    fn profile(&mut self) -> Vec<NodeProfile> {
        std::mem::take(&mut self.profile)
    }
}
