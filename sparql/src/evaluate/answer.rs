//! The solutions of a query, as blocks of rows of ids, and their decoding.
//!
//! When the whole query is one leaf under DISTINCT and LIMIT, its rows go from the cluster to the client without
//! operators: DISTINCT works on ids, LIMIT drops the stream, and only terms of the answer are decoded, a block at a
//! time.

use crate::cluster::Interrupt;
use crate::evaluate::operator::{self, Operator};
use crate::evaluate::run::{Env, Run};
use crate::plan::codes::{Codes, RowSet};
use crate::plan::explain;
use crate::plan::profile::Profiles;
use crate::plan::union::{UnionPlan, UnionRows};
use crate::session::code::Code;
use crate::session::{Session, lock};
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
    pub cells: Vec<Code>,
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

    fn push(&mut self, row: &[Code]) -> Result<ControlFlow<()>, Interrupt> {
        self.add(row);
        if self.is_full() { self.flush() } else { Ok(ControlFlow::Continue(())) }
    }

    fn add(&mut self, row: &[Code]) {
        self.block.cells.extend_from_slice(row);
        self.block.rows += 1;
    }

    fn is_full(&self) -> bool {
        self.block.rows >= self.limit
    }

    fn flush(&mut self) -> Result<ControlFlow<()>, Interrupt> {
        if self.block.rows == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        if self.is_full() {
            self.limit = (self.limit * 4).min(BLOCK_ROWS_MAX);
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
                if count > self.start && blocks.push(&values)?.is_break() {
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

/// A query whose solutions come from operators over leaves.
pub struct Operators {
    pub root: Arc<Operator>,
    /// The number of operators.
    pub count: usize,
}

impl Operators {
    /// Runs the operators; their rows go to `sink`.
    pub fn run(&self, run: Run, sink: Sink<'_>) -> Result<(), Interrupt> {
        let run = Arc::new(run);
        let result = self.stream(&run, sink);
        if run.session.profile {
            lock(&run.profiles).coordinator = Some(explain::tree(&self.root, Some(&run.measures)));
        }
        result
    }

    fn stream(&self, run: &Arc<Run>, sink: Sink<'_>) -> Result<(), Interrupt> {
        let mut rows = operator::open(&self.root, &Env::new(Arc::clone(run)))?;
        // Computed terms of rows that were sent are not needed again, if no operator keeps any.
        let forgets = self.root.passes_on();
        let mut blocks = Blocks::new(self.root.variables.len(), sink);
        while let Some(batch) = rows.next()? {
            run.session.check()?;
            let mut codes = Vec::new();
            for row in 0..batch.rows {
                batch.read(row, &mut codes);
                blocks.add(&codes);
            }
            let is_large = || forgets && run.session.computed_bytes() > run.session.texts_max();
            if blocks.is_full() || is_large() {
                if blocks.flush()?.is_break() {
                    return Ok(());
                }
                if forgets {
                    run.session.release();
                }
            }
        }
        blocks.flush().map(|_| ())
    }
}
