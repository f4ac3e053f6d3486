//! Queries at this node: each runs the answering machine on a thread of its own and streams what it finds.
//!
//! A peer's message can come before the coordinator's request: it waits in the query's inbox. Dropping the stream stops
//! the thread within a twentieth of a second, wherever it is.

use crate::context::{Context, StoreTexts, Territories};
use crate::inbox::Inbox;
use crate::peers::{Owner, Parcel};
use entail_logic::answer::{Answer, Committed, Effect, Event, Setup};
use entail_logic::eval::Batch;
use entail_logic::eval::meter::{Clock, Meter, Report};
use entail_logic::exchange::Message;
use entail_logic::plan::Plan;
use entail_model::{ClusterId, Epoch, Fault, NodeId, Reason, TermId};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Ended queries whose late messages are recognised.
const ENDED_KEPT: usize = 10_000;

/// Queries that run at once at one node.
const RUNNING_MAX: usize = 256;

/// How long a message waits for its query.
const UNCLAIMED: Duration = Duration::from_secs(60);

/// How often a waiting thread looks whether it should stop.
const LOOK: Duration = Duration::from_millis(40);

/// What a query's stream carries.
pub enum Part {
    Rows(Batch),
    Done(Summary),
}

/// What a node says when its part is done.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub rows: u64,
    /// From the start to the end, waiting included.
    pub nanoseconds: u64,
    /// What the operators did, if that was asked for.
    pub report: Report,
}

/// Measures a query's work.
pub struct Profile {
    /// The id of `rdf:type`, if the dictionary knows it.
    pub rdf_type: Option<TermId>,
}

/// The time of the machine.
struct Monotonic(Instant);

impl Clock for Monotonic {
    fn nanoseconds(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// What the coordinator asks for.
pub struct Request {
    pub query: u64,
    pub epoch: Epoch,
    pub plan: Plan,
    pub territories: Territories,
    pub rows_max: Option<u64>,
    pub profile: Option<Profile>,
}

/// All queries that this node knows of.
#[derive(Default)]
pub struct Queries {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    running: HashMap<u64, Running>,
    ended: VecDeque<u64>,
}

struct Running {
    inbox: Arc<Inbox<Event>>,
    since: Instant,
    is_claimed: bool,
}

/// Stops the query's thread when the stream is dropped.
pub struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Queries {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox(&self, context: &Context, query: u64, claim: bool) -> Result<Option<Arc<Inbox<Event>>>, Fault> {
        let mut known = self.lock();
        if known.ended.contains(&query) {
            return Ok(None);
        }
        if !known.running.contains_key(&query) && known.running.len() >= RUNNING_MAX {
            return Err(Fault::new(Reason::Overloaded, format!("{RUNNING_MAX} queries are running")));
        }
        let running = known.running.entry(query).or_insert_with(|| Running {
            inbox: Arc::new(Inbox::new(context.inbox_bytes_max)),
            since: Instant::now(),
            is_claimed: false,
        });
        running.is_claimed |= claim;
        Ok(Some(Arc::clone(&running.inbox)))
    }

    /// Takes a message of a peer; one for an ended query is dropped.
    pub fn receive(
        &self,
        context: &Context,
        query: u64,
        from: NodeId,
        message: Message,
        bytes: u64,
    ) -> Result<(), Fault> {
        match self.inbox(context, query, false)? {
            Some(inbox) => inbox.push(Event::Received { from, message }, bytes),
            None => Ok(()),
        }
    }

    fn end(&self, query: u64) {
        let mut known = self.lock();
        known.running.remove(&query);
        known.ended.push_back(query);
        if known.ended.len() > ENDED_KEPT {
            known.ended.pop_front();
        }
    }

    /// Queries whose part is at work here.
    pub fn at_work(&self) -> usize {
        self.lock().running.values().filter(|running| running.is_claimed).count()
    }

    /// Drops messages whose query never came.
    pub fn sweep(&self) {
        self.lock().running.retain(|_, running| running.is_claimed || running.since.elapsed() < UNCLAIMED);
    }

    /// Starts a query's part; what it finds comes from the channel.
    pub fn start(
        self: &Arc<Self>,
        context: &Arc<Context>,
        request: Request,
    ) -> Result<(mpsc::Receiver<Result<Part, Fault>>, StopOnDrop), Fault> {
        let cluster = context.cluster()?;
        let inbox = self
            .inbox(context, request.query, true)?
            .ok_or_else(|| Fault::new(Reason::Fenced, "the query has ended here"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (parts, stream) = mpsc::channel(4);
        let part = Worker { context: Arc::clone(context), cluster, inbox, stop: Arc::clone(&stop), parts };
        let queries = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let query = request.query;
            if let Err(fault) = part.run(request) {
                _ = part.parts.blocking_send(Err(fault));
            }
            part.inbox.close();
            queries.end(query);
        });
        Ok((stream, StopOnDrop(stop)))
    }
}

/// A running part.
struct Worker {
    context: Arc<Context>,
    cluster: ClusterId,
    inbox: Arc<Inbox<Event>>,
    stop: Arc<AtomicBool>,
    parts: mpsc::Sender<Result<Part, Fault>>,
}

impl Worker {
    fn run(&self, request: Request) -> Result<(), Fault> {
        let started = Instant::now();
        let snapshot = self.snapshot(request.epoch)?;
        let plan = Arc::new(request.plan);
        let meter = request
            .profile
            .map(|profile| Arc::new(Meter::new(Arc::new(Monotonic(started)), Arc::clone(&plan), profile.rdf_type)));
        let mut answer = Answer::new(Setup {
            territory: request.territories.territory.clone(),
            plan,
            meter: meter.clone(),
            facts: Arc::new(Committed(snapshot)),
            texts: Arc::new(StoreTexts(Arc::clone(&self.context.store))),
            rows_max: request.rows_max,
            stop: Arc::clone(&self.stop),
        })?;
        let failed: Arc<Mutex<Option<Fault>>> = Arc::default();
        let mut emit = |effect| match effect {
            Effect::Rows(batch) => {
                let sent = self.parts.blocking_send(Ok(Part::Rows(batch)));
                sent.map_err(|_| Fault::new(Reason::Cancelled, "the caller went away"))
            }
            Effect::Send { to, message } => {
                let owner = Owner::Query(request.query);
                let parcel = Parcel { cluster: self.cluster, owner, from: self.context.node, to, message };
                let failed = Arc::clone(&failed);
                self.context.peers.send(&self.context.runtime, &request.territories, parcel, move |result| {
                    if let Err(fault) = result {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
                    }
                })
            }
            Effect::Done => Ok(()),
        };
        answer.step(Event::Start, &mut emit)?;
        while !answer.is_done() {
            if let Some(fault) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Err(fault);
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(Fault::new(Reason::Cancelled, "the query was cancelled"));
            }
            if let Some(event) = self.inbox.pop(LOOK) {
                answer.step(event, &mut emit)?;
            }
        }
        let summary = Summary {
            rows: answer.rows(),
            nanoseconds: started.elapsed().as_nanos() as u64,
            report: meter.map(|meter| meter.report()).unwrap_or_default(),
        };
        _ = self.parts.blocking_send(Ok(Part::Done(summary)));
        Ok(())
    }

    /// The snapshot of the epoch; waits a little for one that was just committed.
    fn snapshot(&self, epoch: Epoch) -> Result<Arc<entail_logic::fixpoint::state::Base>, Fault> {
        let started = Instant::now();
        loop {
            if let Some(snapshot) = self.context.store.snapshot(epoch) {
                return Ok(Arc::clone(&snapshot.relations));
            }
            let latest = self.context.store.latest().epoch;
            if latest >= epoch || started.elapsed() > Duration::from_secs(2) {
                let text = format!("epoch {epoch} is not kept at this node, whose latest is {latest}");
                return Err(Fault::new(Reason::EpochUnavailable, text));
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(Fault::new(Reason::Cancelled, "the query was cancelled"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
