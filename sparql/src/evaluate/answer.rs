//! The solutions of a query, as blocks of rows of ids, and their decoding.
//!
//! When the whole query is one leaf under DISTINCT and LIMIT, its rows go from the cluster to the client without
//! spareval: DISTINCT works on ids, LIMIT drops the stream, and only terms of the answer are decoded, a block at a
//! time.

use crate::algebra::order;
use crate::cluster::Interrupt;
use crate::evaluate::cells::Cells;
use crate::evaluate::dataset::ClusterDataset;
use crate::evaluate::service::Leaves;
use crate::plan::codes::{Codes, RowSet};
use crate::plan::explain;
use crate::plan::profile::Profiles;
use crate::plan::union::{UnionPlan, UnionRows};
use crate::session::term::{self, EvalTerm, Watch};
use crate::session::{Session, lock};
use entail_model::{Fault, Reason};
use oxrdf::Term;
use spareval::{PreparedQuery, QueryEvaluationError, QueryEvaluator, QueryExplanation, QueryResults};
use spargebra::Query;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

/// Rows in the first block, which is small so that the first rows arrive early, and in later blocks.
const BLOCK_ROWS_FIRST: usize = 64;
const BLOCK_ROWS_MAX: usize = 8_192;

/// A block of rows of the answer, cell after cell.
#[derive(Debug, Default)]
pub struct Block {
    pub width: usize,
    pub rows: usize,
    pub cells: Vec<Option<EvalTerm>>,
}

/// A query whose solutions come straight from one leaf.
pub struct Direct {
    pub union: Arc<UnionPlan>,
    pub distinct: bool,
    pub start: usize,
    pub length: Option<usize>,
}

/// Receives blocks; returns whether to continue.
pub type Sink<'s> = &'s mut dyn FnMut(Block) -> Result<ControlFlow<()>, Interrupt>;

/// Collects rows into blocks.
struct Blocks<'s> {
    block: Block,
    limit: usize,
    sink: Sink<'s>,
}

impl<'s> Blocks<'s> {
    fn new(width: usize, sink: Sink<'s>) -> Self {
        Self { block: Block { width, ..Block::default() }, limit: BLOCK_ROWS_FIRST, sink }
    }

    fn push(&mut self, row: impl Iterator<Item = Option<EvalTerm>>) -> Result<ControlFlow<()>, Interrupt> {
        self.block.cells.extend(row);
        self.block.rows += 1;
        if self.block.rows < self.limit {
            return Ok(ControlFlow::Continue(()));
        }
        self.limit = (self.limit * 4).min(BLOCK_ROWS_MAX);
        self.flush()
    }

    fn flush(&mut self) -> Result<ControlFlow<()>, Interrupt> {
        if self.block.rows == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        let empty = Block { width: self.block.width, ..Block::default() };
        (self.sink)(std::mem::replace(&mut self.block, empty))
    }
}

impl Direct {
    /// Runs the leaf.
    pub fn run(&self, session: &Arc<Session>, profiles: &Mutex<Profiles>, sink: Sink<'_>) -> Result<(), Interrupt> {
        let wanted = self.length.map(|length| self.start.saturating_add(length));
        if wanted == Some(self.start) {
            return Ok(());
        }
        let rows_max = if self.distinct { None } else { wanted.map(|wanted| wanted as u64) };
        let mut rows = UnionRows::new(Arc::clone(session), Arc::clone(&self.union), rows_max);
        let result = self.stream(session, &mut rows, wanted, sink);
        lock(profiles).add(0, rows.measured());
        result
    }

    fn stream(
        &self,
        session: &Arc<Session>,
        rows: &mut UnionRows,
        wanted: Option<usize>,
        sink: Sink<'_>,
    ) -> Result<(), Interrupt> {
        let width = self.union.variables.len();
        let (mut blocks, codes) = (Blocks::new(width, sink), Codes::of(&self.union));
        let (mut seen, mut held) = (RowSet::new(width), session.reservation());
        let mut values = Vec::with_capacity(width);
        let mut count = 0;
        while let Some(columns) = rows.next()? {
            session.check()?;
            for row in 0..columns.batch.rows {
                codes.read(&columns, row, &mut values);
                if self.distinct && !seen.is_new(&values) {
                    continue;
                }
                count += 1;
                if count > self.start && blocks.push(values.iter().map(|code| codes.term(*code)))?.is_break() {
                    return Ok(());
                }
                if wanted == Some(count) {
                    return blocks.flush().map(|_| ());
                }
            }
            held.set(seen.bytes())?;
        }
        blocks.flush().map(|_| ())
    }
}

/// Evaluates a residual query with spareval and sends its solutions to `sink`.
pub fn evaluate(query: &Query, dataset: ClusterDataset, leaves: Leaves, sink: Sink<'_>) -> Result<(), Interrupt> {
    let (session, profiles) = (Arc::clone(&dataset.session), Arc::clone(&leaves.profiles));
    guarded(&session, || {
        let evaluator = evaluator(&session, leaves);
        let (results, explanation) = execute(&session, evaluator.prepare(query), dataset);
        let QueryResults::Solutions(solutions) = results.map_err(evaluation_fault)? else {
            return Err(Fault::internal("a query without solutions").into());
        };
        let _measured = Measured { profiles: &profiles, explanation };
        let mut blocks = Blocks::new(solutions.variables().len(), sink);
        for solution in solutions {
            session.check()?;
            let solution = solution.map_err(evaluation_fault)?;
            let cell = |value: &Option<Term>| {
                value.as_ref().map(|term| match session.stand_in.id(term.as_ref()) {
                    Some(id) => EvalTerm::Id(id),
                    None => EvalTerm::Computed(Arc::new(term.clone())),
                })
            };
            if blocks.push(solution.values().iter().map(cell))?.is_break() {
                return Ok(());
            }
        }
        blocks.flush().map(|_| ())
    })
}

/// Evaluates a residual ASK with spareval.
pub fn ask(query: &Query, dataset: ClusterDataset, leaves: Leaves) -> Result<bool, Interrupt> {
    let (session, profiles) = (Arc::clone(&dataset.session), Arc::clone(&leaves.profiles));
    guarded(&session, || {
        let evaluator = evaluator(&session, leaves);
        let (results, explanation) = execute(&session, evaluator.prepare(query), dataset);
        let _measured = Measured { profiles: &profiles, explanation };
        match results.map_err(evaluation_fault)? {
            QueryResults::Boolean(value) => Ok(value),
            _ => Err(Fault::internal("an ASK without an answer").into()),
        }
    })
}

fn evaluator(session: &Session, leaves: Leaves) -> QueryEvaluator {
    let evaluator =
        QueryEvaluator::new().with_cancellation_token(session.token.clone()).with_default_service_handler(leaves);
    let evaluator = order::with_sort_keys(evaluator);
    if session.profile { evaluator.compute_statistics() } else { evaluator }
}

type Results = Result<QueryResults<'static>, QueryEvaluationError>;

/// Starts an evaluation, with measurements if the session profiles.
fn execute(
    session: &Session,
    query: PreparedQuery<'_>,
    dataset: ClusterDataset,
) -> (Results, Option<QueryExplanation>) {
    if !session.profile {
        return (query.execute(dataset), None);
    }
    let (results, explanation) = query.explain(dataset);
    (results, Some(explanation))
}

/// Records the work of the evaluation's operators when the evaluation ends, with success or not.
struct Measured<'p> {
    profiles: &'p Mutex<Profiles>,
    explanation: Option<QueryExplanation>,
}

impl Drop for Measured<'_> {
    fn drop(&mut self) {
        if let Some(explanation) = &self.explanation {
            lock(self.profiles).coordinator = explain::measured_tree(explanation);
        }
    }
}

/// Runs an evaluation that the session can cancel. A fault that the session recorded takes precedence over the result.
fn guarded<T>(session: &Arc<Session>, work: impl FnOnce() -> Result<T, Interrupt>) -> Result<T, Interrupt> {
    let result = term::watched(Arc::clone(session) as Arc<dyn Watch>, work);
    session.check()?;
    result.unwrap_or_else(|| Err(Fault::internal("the evaluation ended without a reason").into()))
}

fn evaluation_fault(error: QueryEvaluationError) -> Fault {
    match error {
        QueryEvaluationError::Dataset(inner) | QueryEvaluationError::Service(inner) => {
            match inner.downcast::<Fault>() {
                Ok(fault) => *fault,
                Err(inner) => Fault::internal(inner.to_string()),
            }
        }
        QueryEvaluationError::UnsupportedCustomFunction(_)
        | QueryEvaluationError::UnsupportedCustomFunctionArity { .. }
        | QueryEvaluationError::UnsupportedService(_) => Fault::new(Reason::Unsupported, error.to_string()),
        QueryEvaluationError::Cancelled => Fault::new(Reason::Cancelled, "the query was cancelled"),
        other => Fault::new(Reason::InvalidRequest, other.to_string()),
    }
}

/// The terms of a block.
pub fn decode(session: &Session, block: &Block) -> Result<Vec<Option<Term>>, Fault> {
    let cells = Cells::of(session, block)?;
    (0..block.cells.len()).map(|cell| cells.term(cell)).collect()
}
