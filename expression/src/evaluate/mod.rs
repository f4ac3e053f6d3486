//! Programs over columns.
//!
//! ```text
//! rows, 1024 at a time ──► a column for each step ──► the column of the last one
//! ```
//!
//! A step is computed for a *selection* of the rows: `||` looks at its second operand only where the first is not true, and IF,
//! COALESCE and IN likewise, so that what is not needed is not computed. What a step gives is one value for each selected
//! row, in their order.
//!
//! Errors follow the standard's tables of three values (17.2): an error is one of the values of a column.

mod arithmetic;
mod compared;
mod control;
mod operand;

use crate::column::{Column, Columns, Source, Truth};
use crate::function::{self, Cache, Call, Matcher};
use crate::program::{Index, Program, Step};
use crate::value::{Value, View};
use crate::{Budget, Context};
use entail_model::{Fault, TermId, term};
use entail_syntax::ast::{Function, Unary};
use operand::Operand;
use std::sync::Arc;

/// Rows that are computed at a time: enough that the work on a row outweighs that on a step, so few that columns stay in
/// the processor's cache.
const PIECE: usize = 1024;

/// Bytes of the texts of such rows, if expressions build strings of them.
const PIECE_BYTES: usize = 2 << 20;

/// A program that is ready to run: its constants are read, and its regular expressions are compiled once.
pub struct Evaluator {
    program: Program,
    /// By step.
    constants: Vec<Value>,
    patterns: Cache,
    /// Does it build strings or look into them, so that a row may be much work?
    is_costly: bool,
    /// May two rows with the same terms have different values?
    is_volatile: bool,
}

impl Evaluator {
    /// Prepares a program, which may have been made by another process.
    ///
    /// # Errors
    /// `Corrupt` if it is not one.
    pub fn new(program: Program) -> Result<Self, Fault> {
        program.check()?;
        let constants = program.steps().iter().map(|step| match step {
            Step::Constant(bytes) if !bytes.is_empty() => constant(bytes),
            _ => Ok(Value::Error),
        });
        let constants = constants.collect::<Result<_, Fault>>()?;
        let is_work = |step: &Step| match step {
            Step::Call(function, _) => !function::needs_kind_only(*function) && *function != Function::SameTerm,
            Step::Cast(..) | Step::CastString(_) => true,
            _ => false,
        };
        let is_costly = program.steps().iter().any(is_work);
        let is_volatile = program.is_volatile();
        Ok(Self { program, constants, patterns: Cache::default(), is_costly, is_volatile })
    }

    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The value of the program in each row.
    ///
    /// # Errors
    /// What the budget says; `Unsupported` or `LimitExceeded` for a regular expression that is not evaluated; `Internal` if
    /// only the id of a term is known that is looked into.
    pub fn evaluate(
        &self,
        columns: &Columns<'_>,
        context: &Context<'_>,
        budget: &mut Budget<'_>,
    ) -> Result<Column, Fault> {
        let run = Run { evaluator: self, columns, context };
        let rows: Vec<u32> = (0..columns.rows as u32).collect();
        let (mut truths, mut values) = (Vec::new(), Vec::new());
        let mut rest = &rows[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(self.piece(columns, rest));
            rest = after;
            budget.look()?;
            let before = budget.bytes_built;
            let column = run.operand(self.program.root(), piece, budget)?.into_column();
            // What the steps built is gone; what is left is the result.
            budget.bytes_built = before;
            match column {
                Column::Truths(mut piece) if values.is_empty() => truths.append(&mut piece),
                column => {
                    values.extend(truths.drain(..).map(|truth: Truth| truth.view().to_value()));
                    values.append(&mut column.into_values());
                    let piece = &values[values.len() - piece.len()..];
                    budget.bytes_built += piece.iter().map(|value| value.bytes() as u64).sum::<u64>();
                }
            }
        }
        Ok(if values.is_empty() { Column::Truths(truths) } else { Column::Values(values) })
    }

    /// The rows in which the effective boolean value of the program is true.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn keep(
        &self,
        columns: &Columns<'_>,
        context: &Context<'_>,
        budget: &mut Budget<'_>,
    ) -> Result<Vec<u32>, Fault> {
        let run = Run { evaluator: self, columns, context };
        let mut kept = Vec::new();
        // Neighbouring rows with the same terms are computed once, where that is worth the comparison.
        let distinct = (self.is_costly && !self.is_volatile).then(|| self.distinct_neighbours(columns)).flatten();
        let rows = distinct.unwrap_or_else(|| (0..columns.rows as u32).collect());
        let mut rest = &rows[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(self.piece(columns, rest));
            rest = after;
            budget.look()?;
            let before = budget.bytes_built;
            let truths = run.truths(self.program.root(), piece, budget)?;
            budget.bytes_built = before;
            for (at, truth) in truths.iter().enumerate() {
                if *truth == Truth::True {
                    // All rows up to the next one that was computed.
                    let next = piece.get(at + 1).or_else(|| rest.first());
                    kept.extend(piece[at]..next.copied().unwrap_or(columns.rows as u32));
                }
            }
        }
        Ok(kept)
    }

    /// How many of the rows are computed next: fewer if their texts are long, so that what is built of them stays small.
    fn piece(&self, columns: &Columns<'_>, rows: &[u32]) -> usize {
        let most = rows.len().min(PIECE);
        if !self.is_costly {
            return most;
        }
        let read: Vec<&Source<'_>> =
            self.program.slots().iter().filter_map(|slot| columns.sources.get(*slot as usize)).collect();
        let mut bytes = 0;
        let is_within = |row: &&u32| {
            bytes += read.iter().map(|source| source.view(**row as usize).bytes()).sum::<usize>();
            bytes <= PIECE_BYTES
        };
        rows[..most].iter().take_while(is_within).count().max(1)
    }

    /// The rows that differ from the row before in an id that the program reads; `None` if it reads other columns than ids.
    fn distinct_neighbours(&self, columns: &Columns<'_>) -> Option<Vec<u32>> {
        let mut read: Vec<&[TermId]> = Vec::new();
        for slot in self.program.slots() {
            match columns.sources.get(slot as usize) {
                Some(Source::Ids { ids, .. }) => read.push(ids),
                Some(Source::Values(_)) => return None,
                Some(Source::Unbound) | None => {}
            }
        }
        let is_new = |row: &u32| {
            let row = *row as usize;
            row == 0 || read.iter().any(|ids| ids[row] != ids[row - 1])
        };
        Some((0..columns.rows as u32).filter(is_new).collect())
    }
}

/// Reads a constant; an inline one needs no text.
fn constant(bytes: &[u8]) -> Result<Value, Fault> {
    let term = term::decode(bytes)?;
    Ok(match term::inline_id(term.as_ref()) {
        Some(id) => Value::Stored { id, text: None },
        None => Value::Term(Arc::from(bytes)),
    })
}

/// One evaluation.
struct Run<'r> {
    evaluator: &'r Evaluator,
    columns: &'r Columns<'r>,
    context: &'r Context<'r>,
}

impl<'r> Run<'r> {
    /// The values of a step in some rows.
    fn operand<'s>(&'s self, index: Index, rows: &'s [u32], budget: &mut Budget<'_>) -> Result<Operand<'s>, Fault> {
        let step = &self.evaluator.program.steps()[index as usize];
        budget.work(rows.len())?;
        Ok(match step {
            Step::Constant(_) => Operand::Constant(&self.evaluator.constants[index as usize], rows.len()),
            Step::Slot(slot) => {
                let source = self.columns.sources.get(*slot as usize).unwrap_or(&Source::Unbound);
                Operand::Source(source, rows)
            }
            Step::Chain(first, rest) => self.chain(*first, rest, rows, budget)?,
            Step::Unary(Unary::Plus | Unary::Minus, _) | Step::Cast(..) | Step::CastString(_) => {
                self.of_one(step, rows, budget)?
            }
            Step::Call(Function::If, arguments) => self.if_else(arguments, rows, budget)?,
            Step::Call(Function::Coalesce, arguments) => self.coalesce(arguments, rows, budget)?,
            Step::Call(function, arguments) if !gives_truths(*function) => {
                self.call(index, *function, arguments, rows, budget)?
            }
            _ => Operand::Computed(Column::Truths(self.truths(index, rows, budget)?)),
        })
    }

    /// The effective boolean values of a step in some rows.
    fn truths(&self, index: Index, rows: &[u32], budget: &mut Budget<'_>) -> Result<Vec<Truth>, Fault> {
        let step = &self.evaluator.program.steps()[index as usize];
        budget.work(rows.len())?;
        match step {
            Step::Or(list) => self.junction(Truth::True, list, rows, budget),
            Step::And(list) => self.junction(Truth::False, list, rows, budget),
            Step::Compare(operator, left, right) => self.compare(*operator, *left, *right, rows, budget),
            Step::Member(membership, element, list) => self.member(*membership, *element, list, rows, budget),
            Step::Unary(Unary::Not, operand) => {
                let mut truths = self.truths(*operand, rows, budget)?;
                truths.iter_mut().for_each(|truth| *truth = truth.negated());
                Ok(truths)
            }
            Step::Call(Function::Bound, arguments) => {
                let operand = self.operand(arguments[0], rows, budget)?;
                let is_bound = |row| Truth::of(Some(!matches!(operand.view(row), View::Error)));
                Ok((0..rows.len()).map(is_bound).collect())
            }
            Step::Call(function, arguments) if function::is_test(*function) => {
                self.test(*function, arguments, rows, budget)
            }
            _ => self.operand(index, rows, budget)?.truths(rows.len()),
        }
    }

    /// A function that gives values.
    fn call<'s>(
        &'s self,
        index: Index,
        function: Function,
        arguments: &[Index],
        rows: &'s [u32],
        budget: &mut Budget<'_>,
    ) -> Result<Operand<'s>, Fault> {
        let operands = self.operands(arguments, rows, budget)?;
        let mut matcher = Matcher::new(&self.evaluator.patterns);
        let mut values = Vec::with_capacity(rows.len());
        let mut views = Vec::with_capacity(operands.len());
        for (at, row) in rows.iter().enumerate() {
            views.clear();
            views.extend(operands.iter().map(|operand| operand.view(at)));
            budget.work(views.iter().map(|view| view.bytes()).sum())?;
            let mut call = Call { context: self.context, budget, matcher: &mut matcher, row: *row, place: index };
            values.push(function::call(function, &views, &mut call)?);
        }
        Ok(Operand::Computed(Column::Values(values)))
    }

    /// A function that gives booleans.
    fn test(
        &self,
        function: Function,
        arguments: &[Index],
        rows: &[u32],
        budget: &mut Budget<'_>,
    ) -> Result<Vec<Truth>, Fault> {
        let operands = self.operands(arguments, rows, budget)?;
        let mut matcher = Matcher::new(&self.evaluator.patterns);
        let mut truths = Vec::with_capacity(rows.len());
        // No test has more than three arguments.
        let mut views = [View::Error; 3];
        for (at, row) in rows.iter().enumerate() {
            for (view, operand) in views.iter_mut().zip(&operands) {
                *view = operand.view(at);
            }
            let mut call = Call { context: self.context, budget, matcher: &mut matcher, row: *row, place: 0 };
            truths.push(Truth::of(function::test(function, &views[..operands.len()], &mut call)?));
        }
        Ok(truths)
    }

    fn operands<'s>(
        &'s self,
        arguments: &[Index],
        rows: &'s [u32],
        budget: &mut Budget<'_>,
    ) -> Result<Vec<Operand<'s>>, Fault> {
        arguments.iter().map(|argument| self.operand(*argument, rows, budget)).collect()
    }

    /// Signs and casts.
    fn of_one<'s>(&'s self, step: &Step, rows: &'s [u32], budget: &mut Budget<'_>) -> Result<Operand<'s>, Fault> {
        let (Step::Unary(_, operand) | Step::Cast(_, operand) | Step::CastString(operand)) = step else {
            return Err(Fault::internal("a step without an operand"));
        };
        let operand = self.operand(*operand, rows, budget)?;
        let mut values = Vec::with_capacity(rows.len());
        for at in 0..rows.len() {
            let view = operand.view(at);
            budget.work(view.bytes())?;
            values.push(match step {
                Step::Unary(sign, _) => arithmetic::signed(*sign, view)?,
                Step::Cast(datatype, _) => function::cast_to(*datatype, view)?,
                _ => function::cast_string(view, budget)?,
            });
        }
        Ok(Operand::Computed(Column::Values(values)))
    }
}

fn gives_truths(function: Function) -> bool {
    function == Function::Bound || function::is_test(function)
}

#[cfg(test)]
mod tests;
