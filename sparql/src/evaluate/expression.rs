//! Expressions over batches: programs whose slots are columns, values of the [environment](Env), and EXISTS.
//!
//! A program is compiled once for an operator. For each batch the texts of the columns that it reads are looked up together.

use crate::evaluate::batch::Batch;
use crate::evaluate::operator::exists::Exists;
use crate::evaluate::run::Env;
use crate::session::Session;
use crate::session::code::{Code, UNBOUND, is_computed};
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

    /// To be called after all expressions have seen a batch.
    pub fn pass(&mut self, rows: usize) {
        self.first_row += rows as u64;
    }

    fn context<'c>(&self, session: &'c Session, expression: usize) -> Context<'c> {
        Context {
            now: session.now,
            base: session.base.as_ref(),
            seed: self.seed,
            first_row: self.first_row,
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

impl Expression {
    /// Has it an EXISTS in it?
    pub fn has_exists(&self) -> bool {
        self.inputs.iter().any(|input| matches!(input, Input::Exists(_)))
    }

    /// The rows for which the effective boolean value is true. `number` tells apart the expressions over the same rows.
    pub fn keep(&mut self, batch: &Batch, env: &Env, seeds: &Seeds, number: usize) -> Result<Vec<u32>, Fault> {
        let loaded = self.load(batch, env)?;
        let (columns, session) = (columns(batch, &loaded), &*env.run.session);
        let check = || session.check();
        self.evaluator.keep(&columns, &seeds.context(session, number), &mut Budget::new(strings_max(session), &check))
    }

    /// May two evaluations over the same row differ?
    pub fn is_random(&self) -> bool {
        let is_random = |input: &Input| matches!(input, Input::Exists(exists) if exists.is_random());
        self.evaluator.program().is_random() || self.inputs.iter().any(is_random)
    }

    /// The value in each row. `number` tells apart the expressions over the same rows.
    pub fn evaluate(&mut self, batch: &Batch, env: &Env, seeds: &Seeds, number: usize) -> Result<Column, Fault> {
        let session = &*env.run.session;
        let check = || session.check();
        self.evaluate_within(batch, env, seeds, number, &mut Budget::new(strings_max(session), &check))
    }

    /// The value in each row, as [`Self::evaluate`] gives it, within a budget that several expressions share.
    pub fn evaluate_within(
        &mut self,
        batch: &Batch,
        env: &Env,
        seeds: &Seeds,
        number: usize,
        budget: &mut Budget<'_>,
    ) -> Result<Column, Fault> {
        let loaded = self.load(batch, env)?;
        let columns = columns(batch, &loaded);
        self.evaluator.evaluate(&columns, &seeds.context(&env.run.session, number), budget)
    }

    fn load(&mut self, batch: &Batch, env: &Env) -> Result<Vec<Loaded>, Fault> {
        let session = &env.run.session;
        let is_id_enough = self.reads_ids && self.inputs.iter().all(|input| has_ids_only(input, batch, env));
        let mut loaded = Vec::with_capacity(self.inputs.len());
        for input in &mut self.inputs {
            loaded.push(match input {
                Input::Exists(exists) => Loaded::Values(exists.values(batch, env)?),
                Input::Variable(variable, column) => match (env.get(variable), column) {
                    (Some(code), _) => constant(session, code, batch.rows)?,
                    (None, None) => Loaded::Unbound,
                    (None, Some(column)) if is_id_enough => Loaded::Ids(*column, Vec::new()),
                    (None, Some(column)) => read(session, *column, &batch.columns[*column])?,
                },
            });
        }
        Ok(loaded)
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

fn read(session: &Session, column: usize, codes: &[Code]) -> Result<Loaded, Fault> {
    let texts = session.texts(codes)?;
    if !codes.iter().any(|code| is_computed(*code)) {
        return Ok(Loaded::Ids(column, texts));
    }
    Ok(Loaded::Values(codes.iter().zip(texts).map(|(code, text)| value(*code, text)).collect()))
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
