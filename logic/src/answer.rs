//! One node's part in answering a query, as a machine.
//!
//! A query has one round, over one committed snapshot, with one plan whose rows are a bag and go to the coordinator. Rows
//! are handed on as they are found; the levels' counts show when no more rows can arrive.
//!
//! Invariant: each answer of the plan is emitted at exactly one node, as often as the bag has it; after
//! [`Effect::Done`] nothing more is emitted.

use crate::columns::Run;
use crate::eval::meter::Meter;
use crate::eval::{Batch, Conditions, Facts, RowBudget, Scope, Texts, Visit, run_stage};
use crate::exchange::endpoint::{Kind, Opening, Progress};
use crate::exchange::route::ShardMap;
use crate::exchange::{Endpoint, Message, Payload, PlanKey};
use crate::fixpoint::Base;
use crate::plan::{Plan, Sink, View};
use entail_model::{Direction, Fault, Mark, NodeId, Reason, Relation, Round, TermId};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The one round of a query, and its one plan.
const ROUND: Round = Round(1);
const PLAN: PlanKey = PlanKey { rule: 0, pivot: None };

/// A committed snapshot as facts.
#[derive(Clone, Debug)]
pub struct Committed(pub Base);

impl Facts for Committed {
    fn runs(&self, relation: Relation, copy: Direction, _view: View) -> Vec<Arc<Run>> {
        let runs = self.0.get(relation).map(|copies| &copies[copy as usize]);
        runs.into_iter().flatten().filter(|run| run.mark != Mark::Promoted).cloned().collect()
    }

    fn visit_runs(&self, graph: TermId, copy: Direction, _view: View, visit: Visit<'_>) -> Result<(), Fault> {
        self.0.of_graph(graph).try_for_each(|(relation, copies)| {
            let mut runs = copies[copy as usize].iter().filter(|run| run.mark != Mark::Promoted);
            runs.try_for_each(|run| visit(relation.predicate, run))
        })
    }

    fn relations(&self) -> Vec<Relation> {
        self.0.iter().map(|(relation, _)| relation).collect()
    }
}

/// An input of the machine.
#[derive(Clone, Debug)]
pub enum Event {
    /// Start with this node's facts.
    Start,
    /// A message from a peer arrived.
    Received { from: NodeId, message: Message },
}

/// An output of the machine, for its shell to carry out.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Deliver a message to a peer.
    Send { to: NodeId, message: Message },
    /// Rows of the answer.
    Rows(Batch),
    /// This node is done.
    Done,
}

/// The parts of an answer machine.
pub struct Setup {
    pub shard_map: ShardMap,
    pub plan: Arc<Plan>,
    pub facts: Arc<dyn Facts + Send + Sync>,
    pub texts: Arc<dyn Texts + Send + Sync>,
    /// The rows of this node after which no further rows are needed.
    pub rows_max: Option<u64>,
    /// Ends the work with a fault when the budget does not suffice.
    pub rows_left: Option<Arc<RowBudget>>,
    pub stop: Arc<AtomicBool>,
    /// Measures the work, if the query has a profile.
    pub meter: Option<Arc<Meter>>,
}

/// One node's part in answering a query.
pub struct Answer {
    setup: Setup,
    conditions: Conditions,
    endpoint: Endpoint,
    rows: u64,
}

type Emit<'e> = &'e mut dyn FnMut(Effect) -> Result<(), Fault>;

impl Answer {
    /// A part that has not started.
    ///
    /// # Errors
    /// `Corrupt` for a damaged plan.
    pub fn new(setup: Setup) -> Result<Self, Fault> {
        setup.plan.check()?;
        let conditions = Conditions::of([&*setup.plan])?;
        let endpoint = Endpoint::new(Kind::Query, setup.shard_map.peers());
        Ok(Self { setup, conditions, endpoint, rows: 0 })
    }

    /// Rows of the answer that this node gave.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Is there nothing left to do?
    pub fn is_done(&self) -> bool {
        self.endpoint.round() == ROUND && !self.endpoint.is_open()
    }

    /// Handles one event.
    ///
    /// # Errors
    /// Any fault of the facts, the texts or `emit`; `Cancelled` when the stop flag is set; `Corrupt` for messages that do
    /// not fit the plan.
    pub fn step(&mut self, event: Event, emit: Emit<'_>) -> Result<(), Fault> {
        match event {
            Event::Start => self.start(emit)?,
            Event::Received { from, message } => self.receive(from, message, emit)?,
        }
        let meter = self.setup.meter.clone();
        match self.endpoint.advance(&mut |to, message| send(meter.as_deref(), to, message, emit))? {
            Progress::Closed => emit(Effect::Done),
            Progress::Waiting | Progress::BroadcastComplete => Ok(()),
        }
    }

    fn start(&mut self, emit: Emit<'_>) -> Result<(), Fault> {
        self.endpoint.open(ROUND, self.setup.plan.stages.len() - 1, Opening::Work);
        if self.setup.shard_map.starts(&self.setup.plan) {
            self.run(0, Batch::unit(self.setup.plan.width), emit)?;
        }
        let meter = self.setup.meter.clone();
        self.endpoint.end_own_work(&mut |to, message| send(meter.as_deref(), to, message, emit))?;
        let mut deferred = self.endpoint.take_deferred().into_iter();
        deferred.try_for_each(|(from, message)| self.receive(from, message, emit))
    }

    fn receive(&mut self, from: NodeId, message: Message, emit: Emit<'_>) -> Result<(), Fault> {
        match self.endpoint.receive(from, message)? {
            Some((level, Payload::Rows { stage, batch, .. })) => {
                self.endpoint.check_rows(&self.setup.plan, level, stage, &batch)?;
                self.run(stage, batch, emit)
            }
            None | Some((_, Payload::Close { .. })) => Ok(()),
            Some(_) => Err(Fault::corrupt("facts in a query's messages")),
        }
    }

    /// Runs a stage and the stages after it as far as rows stay here.
    fn run(&mut self, stage: usize, batch: Batch, emit: Emit<'_>) -> Result<(), Fault> {
        let plan = Arc::clone(&self.setup.plan);
        let (facts, texts) = (Arc::clone(&self.setup.facts), Arc::clone(&self.setup.texts));
        let conditions = std::mem::take(&mut self.conditions);
        let (stop, meter) = (Arc::clone(&self.setup.stop), self.setup.meter.clone());
        let rows_left = self.setup.rows_left.clone();
        let scope = Scope {
            facts: &*facts,
            texts: &*texts,
            conditions: &conditions,
            stop: Some(&stop),
            meter: meter.as_deref(),
            groups: None,
            key_sets: None,
            rows_left: rows_left.as_deref(),
        };
        let result = self.run_in(&scope, &plan, stage, batch, emit);
        self.conditions = conditions;
        result
    }

    fn run_in(
        &mut self,
        scope: &Scope<'_>,
        plan: &Plan,
        stage: usize,
        batch: Batch,
        emit: Emit<'_>,
    ) -> Result<(), Fault> {
        if self.has_enough() {
            return Ok(());
        }
        let result = run_stage(scope, plan, stage, batch, &mut |piece| {
            let before = scope.meter.map(|meter| meter.pass(Some(meter.handing_on(stage))));
            let given = if stage + 1 == plan.stages.len() {
                self.give(scope, plan, piece, emit)
            } else {
                self.pass_on(scope, plan, stage, piece, emit)
            };
            if let (Some(meter), Some(before)) = (scope.meter, before) {
                meter.pass(before);
                meter.ended(meter.handing_on(stage), &Batch::empty(plan.width));
            }
            given
        });
        match result {
            // Not a failure: this fault only unwinds the operators.
            Err(fault) if fault == enough() => Ok(()),
            other => other,
        }
    }

    fn has_enough(&self) -> bool {
        self.setup.rows_max.is_some_and(|max| self.rows >= max)
    }

    fn give(&mut self, scope: &Scope<'_>, plan: &Plan, mut piece: Batch, emit: Emit<'_>) -> Result<(), Fault> {
        let (slots, times) = match &plan.sink {
            Sink::Gather(slots) => (slots, None),
            Sink::Tally { slots, times } => (slots, Some(*times)),
            Sink::Emit { .. } => return Err(Fault::corrupt("a query that emits facts")),
        };
        if self.has_enough() {
            return Err(enough());
        }
        if let Some(max) = self.setup.rows_max
            && piece.rows as u64 > max - self.rows
        {
            piece = piece.take_rows(&(0..(max - self.rows) as u32).collect::<Vec<_>>());
        }
        let whole = scope.meter.map(|_| piece.clone());
        let mut live = slots.clone();
        live.sort_unstable();
        let found = piece.rows as u64;
        piece.project(&live);
        piece.texts.clear();
        if let Some(times) = times {
            piece.tally(&live, times);
        }
        if let (Some(meter), Some(whole)) = (scope.meter, whole) {
            meter.handed_on(plan.stages.len() - 1, &whole, piece.bytes());
        }
        self.rows += found;
        emit(Effect::Rows(piece))
    }

    /// Routes a piece to the next stage: part of it may stay here and is run at once.
    fn pass_on(
        &mut self,
        scope: &Scope<'_>,
        plan: &Plan,
        stage: usize,
        mut piece: Batch,
        emit: Emit<'_>,
    ) -> Result<(), Fault> {
        piece.project(&plan.stages[stage].live);
        let next = stage + 1;
        let mut parts = self.setup.shard_map.split(&plan.stages[next].route, piece)?;
        let here = parts.remove(&self.setup.shard_map.me);
        if let (Some(meter), Some(batch)) = (scope.meter, &here) {
            meter.handed_on(stage, batch, 0);
        }
        for (node, batch) in parts {
            if let Some(meter) = scope.meter {
                meter.handed_on(stage, &batch, batch.bytes());
            }
            let meter = scope.meter;
            let deliver = &mut |to, message| send(meter, to, message, emit);
            self.endpoint.add_rows(node, (PLAN, next), &batch, deliver)?;
        }
        match here {
            Some(batch) => self.run_in(scope, plan, next, batch, emit),
            None => Ok(()),
        }
    }
}

/// Sends a message. Its time counts for handing on the rows that it carries.
fn send(meter: Option<&Meter>, to: NodeId, message: Message, emit: Emit<'_>) -> Result<(), Fault> {
    let (Some(meter), Payload::Rows { stage, .. }) = (meter, &*message.payload) else {
        return emit(Effect::Send { to, message });
    };
    let stage = *stage;
    meter.sent(stage);
    let before = meter.pass(Some(meter.handing_on(stage - 1)));
    let sent = emit(Effect::Send { to, message });
    meter.pass(before);
    sent
}

/// The fault that unwinds the operators when enough rows were given; not a failure.
fn enough() -> Fault {
    Fault::new(Reason::Cancelled, "enough rows")
}
