//! Expressions over batches: programs whose slots are columns, values of the [environment](Env), and EXISTS.
//!
//! A program is compiled once for an operator. For each batch the texts of the columns that it reads are looked up together,
//! of as many rows at a time as the memory for texts has room for.

use crate::evaluate::batch::Batch;
use crate::evaluate::operator::exists::Exists;
use crate::evaluate::run::Env;
use crate::session::Session;
use crate::session::code::{Code, UNBOUND, is_computed};
use crate::session::memory::Reservation;
use crate::session::texts::Fit;
use entail_expression::value::Text;
use entail_expression::{Budget, Column, Columns, Context, Evaluator, Source, Value};
use entail_model::Fault;
use oxrdf::Variable;
use std::sync::atomic::Ordering;

/// Bytes of the strings that the rows of one batch may build, at least.
const STRINGS_BYTES_LEAST: u64 = 64 << 20;

/// An expression that is ready to run.
pub struct Expression {
    pub evaluator: Evaluator,
    pub inputs: Vec<Input>,
    /// Do ids decide it?
    pub reads_ids: bool,
}

/// A slot of a program.
pub enum Input {
    /// A variable, with its column if the rows have one.
    Variable(Variable, Option<usize>),
    Exists(Exists),
}

/// What expressions over the same rows share: the numbers of their rows and the seed of what is made anew.
pub struct Seeds {
    seed: [u64; 2],
    first_row: u64,
}

impl Seeds {
    /// Seeds that no other rows have.
    pub fn new(session: &Session) -> Self {
        let number = session.evaluations.fetch_add(1, Ordering::Relaxed);
        Self { seed: [session.seed[0], session.seed[1] ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)], first_row: 0 }
    }

    /// To be called after all expressions have seen some rows.
    pub fn pass(&mut self, rows: usize) {
        self.first_row += rows as u64;
    }

    /// For the rows after the first `skipped` ones of a batch.
    fn context<'c>(&self, session: &'c Session, expression: usize, skipped: usize) -> Context<'c> {
        Context {
            now: session.now,
            base: session.base.as_ref(),
            seed: self.seed,
            first_row: self.first_row + skipped as u64,
            expression: expression as u32,
        }
    }
}

/// The values of a slot.
enum Loaded {
    Unbound,
    Ids(usize, Vec<Option<Text>>),
    Values(Vec<Value>),
}

/// The values of all slots, and the memory of their texts.
struct Slots {
    loaded: Vec<Loaded>,
    _held: Reservation,
}

impl Expression {
    /// Has it an EXISTS in it?
    pub fn has_exists(&self) -> bool {
        self.inputs.iter().any(|input| matches!(input, Input::Exists(_)))
    }

    /// The rows for which the effective boolean value is true. `number` tells apart the expressions over the same rows.
    pub fn keep(&mut self, batch: &Batch, env: &Env, seeds: &Seeds, number: usize) -> Result<Vec<u32>, Fault> {
        let session = &*env.run.session;
        let check = || session.check();
        let mut budget = Budget::new(strings_max(session), &check);
        let (mut kept, mut at, mut rows) = (Vec::new(), 0, batch.rows);
        while at < batch.rows {
            rows = rows.min(batch.rows - at);
            let piece = batch.piece(at, rows);
            match self.load(&piece, env)? {
                Fit::Rows(fewer) => rows = fewer,
                Fit::Whole(slots) => {
                    let columns = columns(&piece, &slots.loaded);
                    let found = self.evaluator.keep(&columns, &seeds.context(session, number, at), &mut budget)?;
                    kept.extend(found.into_iter().map(|row| at as u32 + row));
                    at += rows;
                }
            }
        }
        Ok(kept)
    }

    /// May two evaluations over the same row differ?
    pub fn is_random(&self) -> bool {
        let is_random = |input: &Input| matches!(input, Input::Exists(exists) if exists.is_random());
        self.evaluator.program().is_random() || self.inputs.iter().any(is_random)
    }

    /// The value in each row, if the texts of all rows fit; the strings that are built are within `budget`. `number` tells apart
    /// the expressions over the same rows.
    pub fn evaluate(
        &mut self,
        batch: &Batch,
        env: &Env,
        seeds: &Seeds,
        number: usize,
        budget: &mut Budget<'_>,
    ) -> Result<Fit<Column>, Fault> {
        Ok(match self.load(batch, env)? {
            Fit::Rows(fewer) => Fit::Rows(fewer),
            Fit::Whole(slots) => {
                let columns = columns(batch, &slots.loaded);
                let context = seeds.context(&env.run.session, number, 0);
                Fit::Whole(self.evaluator.evaluate(&columns, &context, budget)?)
            }
        })
    }

    fn load(&mut self, batch: &Batch, env: &Env) -> Result<Fit<Slots>, Fault> {
        let session = &env.run.session;
        let is_id_enough = self.reads_ids && self.inputs.iter().all(|input| has_ids_only(input, batch, env));
        let (mut loaded, mut texts) = (Vec::with_capacity(self.inputs.len()), 0);
        for input in &self.inputs {
            loaded.push(match input {
                // Looked up once it is known that these rows fit.
                Input::Exists(_) => Loaded::Unbound,
                Input::Variable(variable, column) => match (env.get(variable), column) {
                    (Some(code), _) => constant(session, code, batch.rows)?,
                    (None, None) => Loaded::Unbound,
                    (None, Some(column)) if is_id_enough => Loaded::Ids(*column, Vec::new()),
                    (None, Some(column)) => {
                        let left = session.texts_max().saturating_sub(texts);
                        match read(session, *column, &batch.columns[*column], left)? {
                            Fit::Rows(fewer) => return Ok(Fit::Rows(fewer)),
                            Fit::Whole((values, bytes)) => {
                                texts += bytes;
                                values
                            }
                        }
                    }
                },
            });
        }
        let mut held = session.reservation();
        held.set(texts as usize)?;
        for (input, loaded) in self.inputs.iter_mut().zip(&mut loaded) {
            if let Input::Exists(exists) = input {
                *loaded = Loaded::Values(exists.values(batch, env)?);
            }
        }
        Ok(Fit::Whole(Slots { loaded, _held: held }))
    }
}

/// Bytes of the strings that expressions may build over one batch.
pub fn strings_max(session: &Session) -> u64 {
    (session.held_max() / 4).max(STRINGS_BYTES_LEAST)
}

fn has_ids_only(input: &Input, batch: &Batch, env: &Env) -> bool {
    match input {
        Input::Exists(_) => false,
        Input::Variable(variable, column) => {
            env.get(variable).is_none()
                && column.is_none_or(|column| !batch.columns[column].iter().any(|code| is_computed(*code)))
        }
    }
}

fn constant(session: &Session, code: Code, rows: usize) -> Result<Loaded, Fault> {
    let text = session.texts(&[code])?.pop().flatten();
    Ok(Loaded::Values(vec![value(code, text); rows]))
}

/// The values of a column, and the bytes of their texts.
fn read(session: &Session, column: usize, codes: &[Code], bytes_max: u64) -> Result<Fit<(Loaded, u64)>, Fault> {
    let (texts, bytes) = match session.texts_within(codes, bytes_max)? {
        Fit::Rows(fewer) => return Ok(Fit::Rows(fewer)),
        Fit::Whole(found) => found,
    };
    if !codes.iter().any(|code| is_computed(*code)) {
        return Ok(Fit::Whole((Loaded::Ids(column, texts), bytes)));
    }
    let values = codes.iter().zip(texts).map(|(code, text)| value(*code, text)).collect();
    Ok(Fit::Whole((Loaded::Values(values), bytes)))
}

/// The value of a cell with its text.
pub fn value(code: Code, text: Option<Text>) -> Value {
    match text {
        _ if code == UNBOUND => Value::Error,
        Some(text) if is_computed(code) => Value::Term(text),
        text => Value::Stored { id: code, text },
    }
}

fn columns<'c>(batch: &'c Batch, loaded: &'c [Loaded]) -> Columns<'c> {
    let source = |loaded: &'c Loaded| match loaded {
        Loaded::Unbound => Source::Unbound,
        Loaded::Ids(column, texts) => Source::Ids { ids: &batch.columns[*column], texts },
        Loaded::Values(values) => Source::Values(values),
    };
    Columns { rows: batch.rows, sources: loaded.iter().map(source).collect() }
}
