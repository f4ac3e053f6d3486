//! Queries at this node: each runs the answer machine on its own thread and streams its rows.
//!
//! A peer's message can arrive before the coordinator's request: it waits in the query's inbox. Dropping the stream stops
//! the thread: every wait checks the flag within 50 ms, and every operator before each piece of rows. A part that ends,
//! also by a panic, frees its place.

use crate::context::{AddressedShardMap, Context, StoreTexts};
use crate::inbox::Inbox;
use crate::peers::Envelope;
use crate::traffic::Traffic;
use crate::waiting::{LOOK, wait};
use entail_logic::answer::{Answer, Committed, Effect, Event, Setup};
use entail_logic::eval::meter::{Clock, Meter};
use entail_model::{ClusterId, Fault, Reason, Secret};
use entail_node_api::{Exchange, Execute, FlowId, Part, Rows, Summary};
use entail_telemetry::{count, fail, text};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{Span, info_span};

/// The number of ended queries whose late messages are recognised.
const ENDED_KEPT: usize = 10_000;

/// The most queries that run at once at one node.
const RUNNING_MAX: usize = 256;

/// How long a message waits for its query.
const UNCLAIMED: Duration = Duration::from_secs(60);

/// The system's monotonic clock.
struct Monotonic(Instant);

impl Clock for Monotonic {
    fn nanoseconds(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// All queries that this node knows of.
#[derive(Default)]
pub struct Queries {
    known: Mutex<Known>,
    /// Running parts that are answered at once, for which there are no messages.
    at_once: AtomicUsize,
}

/// A running part that is answered at once.
pub struct PartAtOnce<'q>(&'q AtomicUsize);

impl Drop for PartAtOnce<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
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

    /// The inbox for messages of a query, made if its part has not been requested yet; `None` when the query has ended.
    pub fn inbox_of(&self, context: &Context, query: u64) -> Result<Option<Arc<Inbox<Event>>>, Fault> {
        self.inbox(context, query, false)
    }

    fn inbox(&self, context: &Context, query: u64, claim: bool) -> Result<Option<Arc<Inbox<Event>>>, Fault> {
        let mut known = self.lock();
        // Nearly all messages are of a query that is running; the ended ones are many, and searched one by one.
        if !known.running.contains_key(&query) {
            if known.ended.contains(&query) {
                return Ok(None);
            }
            if known.running.len() >= RUNNING_MAX {
                return Err(Fault::new(Reason::Overloaded, format!("{RUNNING_MAX} queries are running")));
            }
        }
        let running = known.running.entry(query).or_insert_with(|| Running {
            inbox: Arc::new(Inbox::new(Arc::clone(&context.room))),
            since: Instant::now(),
            is_claimed: false,
        });
        running.is_claimed |= claim;
        Ok(Some(Arc::clone(&running.inbox)))
    }

    fn end(&self, query: u64) {
        let mut known = self.lock();
        known.running.remove(&query);
        known.ended.push_back(query);
        if known.ended.len() > ENDED_KEPT {
            known.ended.pop_front();
        }
    }

    /// The number of queries with a running part at this node.
    pub fn at_work(&self) -> usize {
        let at_once = self.at_once.load(Ordering::Relaxed);
        at_once + self.lock().running.values().filter(|running| running.is_claimed).count()
    }

    /// Counts a part that is answered at once, until the returned value is dropped.
    pub fn begin_at_once(&self) -> PartAtOnce<'_> {
        self.at_once.fetch_add(1, Ordering::Relaxed);
        PartAtOnce(&self.at_once)
    }

    /// Drops messages whose query was never requested.
    pub fn sweep(&self) {
        self.lock().running.retain(|_, running| running.is_claimed || running.since.elapsed() < UNCLAIMED);
    }

    /// Starts a query's part; its rows arrive on the channel.
    pub fn start(
        self: &Arc<Self>,
        context: &Arc<Context>,
        request: Execute,
        shard_maps: AddressedShardMap,
        deadline: Option<Duration>,
    ) -> Result<(mpsc::Receiver<Result<Part, Fault>>, StopOnDrop), Fault> {
        let cluster = context.cluster()?;
        let place = self.place(context, request.query)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (parts, stream) = mpsc::channel(4);
        let inbox = Arc::clone(&place.inbox);
        let part = Worker { context: Arc::clone(context), cluster, inbox, stop: Arc::clone(&stop), parts };
        let timer = deadline.map(|deadline| stop_after(&context.runtime, deadline, Arc::clone(&stop)));
        let span = info_span!("execute", "entail.epoch" = request.epoch.0 as i64);
        if !span.is_disabled() {
            text(&span, "entail.shards", &shard_maps.own_shards());
        }
        context.runtime.spawn_blocking(move || {
            let (_place, _timer) = (place, timer);
            let timed = part.context.metrics.part_seconds.start_timer();
            let result = span.in_scope(|| caught("query's part", || part.run(request, &shard_maps)));
            drop(timed);
            if let Err(fault) = &result
                // A query that has enough rows ends by being stopped.
                && fault.reason != Reason::Cancelled
            {
                fail(&span, fault.reason.name(), &fault.message);
            }
            // Before the caller gets the result.
            drop(span);
            _ = part.hand_on(result.map(Part::Done));
        });
        Ok((stream, StopOnDrop(stop)))
    }

    /// Claims the query's place.
    fn place(self: &Arc<Self>, context: &Context, query: u64) -> Result<Place, Fault> {
        let inbox = self.inbox(context, query, true)?;
        let inbox = inbox.ok_or_else(|| Fault::new(Reason::Fenced, "the query has ended at this node"))?;
        Ok(Place { queries: Arc::clone(self), query, inbox })
    }
}

/// A query's place among the running ones, freed on drop.
struct Place {
    queries: Arc<Queries>,
    query: u64,
    inbox: Arc<Inbox<Event>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inbox.close();
        self.queries.end(self.query);
    }
}

/// Runs work; a panic, which is a defect, becomes the fault of this work alone.
pub(crate) fn caught<T>(what: &str, run: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err(Fault::internal(format!("the {what} has panicked: see the node's log"))))
}

/// Sets the flag after the deadline; dropping the timer cancels that.
fn stop_after(runtime: &Handle, deadline: Duration, stop: Arc<AtomicBool>) -> JoinSet<()> {
    let mut timer = JoinSet::new();
    timer.spawn_on(
        async move {
            tokio::time::sleep(deadline).await;
            stop.store(true, Ordering::Relaxed);
        },
        runtime,
    );
    timer
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
    /// Sends a part when the channel has room, or stops waiting when the query is stopped.
    fn hand_on(&self, part: Result<Part, Fault>) -> Result<(), Fault> {
        let sent = wait(&self.context.runtime, &self.stop, self.parts.send(part))?;
        sent.map_err(|_| Fault::new(Reason::Cancelled, "the client cancelled the request or disconnected"))
    }

    fn run(&self, request: Execute, shard_maps: &AddressedShardMap) -> Result<Summary, Fault> {
        let started = Instant::now();
        let snapshot = self.context.snapshot(request.epoch, &|| self.stop.load(Ordering::Relaxed))?;
        let plan = Arc::clone(request.plan.value());
        let meter = request
            .profile
            .map(|profile| Arc::new(Meter::new(Arc::new(Monotonic(started)), Arc::clone(&plan), profile.rdf_type)));
        let mut answer = Answer::new(Setup {
            shard_map: shard_maps.shard_map.clone(),
            plan,
            meter: meter.clone(),
            facts: Arc::new(Committed(snapshot.relations.clone())),
            texts: Arc::new(StoreTexts(Arc::clone(&self.context.store))),
            rows_max: request.rows_max,
            rows_left: None,
            stop: Arc::clone(&self.stop),
        })?;
        let failed: Arc<Mutex<Option<Fault>>> = Arc::default();
        let span = Span::current();
        let mut traffic = Traffic::new(span.clone());
        let mut bytes = 0;
        let mut emit = |effect| match effect {
            Effect::Rows(batch) => {
                bytes += batch.bytes();
                self.hand_on(Ok(Part::Rows(Rows::Batch(batch))))
            }
            Effect::Send { to, message } => {
                let receipt = traffic.goes(to, || shard_maps.address(to), &message.payload)?;
                let exchange = Exchange { flow: FlowId::Query(request.query), from: self.context.node, message };
                let (cluster, metrics) = (self.cluster, &self.context.metrics);
                let envelope = Envelope { cluster, secret: Secret::NONE, to, exchange, stop: &self.stop, metrics };
                let failed = Arc::clone(&failed);
                self.context.peers.send(&self.context.runtime, shard_maps, envelope, move |result| match result {
                    Ok(()) => receipt.came(),
                    Err(fault) => {
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
            if let Some(event) = self.inbox.pop(LOOK)? {
                answer.step(event, &mut emit)?;
            }
        }
        self.context.metrics.part_rows.inc_by(answer.rows());
        let summary = Summary {
            rows: answer.rows(),
            nanoseconds: started.elapsed().as_nanos() as u64,
            work: meter.map(|meter| meter.report()).unwrap_or_default(),
        };
        drop(traffic);
        count(&span, "entail.rows", summary.rows);
        count(&span, "entail.bytes", bytes);
        Ok(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::Epoch;

    fn context(place: &std::path::Path) -> Context {
        Context::of_directory(place, Handle::current())
    }

    #[tokio::test]
    async fn a_part_that_panics_leaves_its_place() {
        let place = tempfile::tempdir().expect("a directory");
        let context = context(place.path());
        let queries = Arc::new(Queries::default());
        for query in 0..2 * RUNNING_MAX as u64 {
            let place = queries.place(&context, query).expect("there is room");
            assert_eq!(queries.at_work(), 1);
            let failed = std::thread::spawn(move || {
                let _place = place;
                caught::<()>("part", || panic!("a defect"))
            });
            let fault = failed.join().expect("the panic was caught").expect_err("it has failed");
            assert_eq!(fault.reason, Reason::Internal);
            assert_eq!(queries.at_work(), 0);
        }
        assert_eq!(queries.place(&context, 0).map(drop).expect_err("it has ended").reason, Reason::Fenced);
    }

    #[tokio::test]
    async fn a_deadline_stops_the_part() {
        let stop = Arc::new(AtomicBool::new(false));
        let mut timer = stop_after(&Handle::current(), Duration::from_millis(20), Arc::clone(&stop));
        timer.join_next().await;
        assert!(stop.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn every_reader_waits_for_an_epoch_that_is_not_told_yet() {
        let place = tempfile::tempdir().expect("a directory");
        let context = context(place.path());
        let started = Instant::now();
        let stopped = || started.elapsed() > Duration::from_millis(100);
        let fault = context.snapshot(Epoch(1), &stopped).map(drop).expect_err("it is never committed");
        assert_eq!(fault.reason, Reason::Cancelled, "it has waited until it was stopped");
        assert!(context.snapshot(Epoch(0), &|| true).is_ok(), "a kept epoch is given at once");
    }
}
