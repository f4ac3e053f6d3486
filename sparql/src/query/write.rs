//! The answer of a query, written in its format.

use crate::algebra::template::Filling;
use crate::cluster::Interrupt;
use crate::evaluate::answer::Block;
use crate::evaluate::cells::Cells;
use crate::evaluate::describe::Describer;
use crate::query::prepare::{Kind, QueryPlan};
use crate::query::run::Request;
use crate::results::output::{Format, GraphWriter, Output, SolutionWriter, write_boolean};
use crate::session::code::{UNBOUND, is_computed};
use entail_model::{Fault, Reason};
use entail_syntax::algebra::TriplePattern;
use oxrdf::Triple;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of triples that CONSTRUCT remembers in order to return each once.
const CONSTRUCTED_BYTES_MAX: usize = 256 << 20;

impl QueryPlan {
    /// Writes the answer; returns the number of its rows.
    pub fn write(&self, request: &Request, output: Output<'_>) -> Result<u64, Interrupt> {
        let rows = Count::of(request);
        match &self.kind {
            Kind::Select => self.write_solutions(request.format, rows, output),
            Kind::Ask => self.write_ask(request.format, output),
            Kind::Construct(template) => self.write_constructed(request.format, rows, template, output),
            Kind::Describe => self.write_described(request.format, rows, output),
        }
    }

    fn write_solutions(&self, format: Format, mut rows: Count<'_>, output: Output<'_>) -> Result<u64, Interrupt> {
        let mut writer = SolutionWriter::new(format, self.variables.clone(), output)?;
        // An answer that is complete already is sent as one part.
        let is_waited_for = !self.session.cluster.is_local();
        self.solutions(&mut |block| {
            rows.add(block.rows)?;
            let written = Cells::of_block(&self.session, &block, &mut |rows, cells| {
                writer.write(rows, cells, output)?;
                Ok(ControlFlow::Continue(()))
            })?;
            if is_waited_for {
                writer.flush(output)?;
            }
            Ok(written)
        })?;
        self.session.check()?;
        writer.finish(output)?;
        Ok(rows.rows)
    }

    fn write_ask(&self, format: Format, output: Output<'_>) -> Result<u64, Interrupt> {
        let mut found = false;
        self.solutions(&mut |block| {
            found |= block.rows > 0;
            Ok(if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        write_boolean(format, found, output)?;
        Ok(1)
    }

    fn write_constructed(
        &self,
        format: Format,
        mut rows: Count<'_>,
        template: &[TriplePattern],
        output: Output<'_>,
    ) -> Result<u64, Interrupt> {
        let mut writer = GraphWriter::new(format, output)?;
        let mut given = Given::default();
        self.solutions(&mut |block| {
            let width = block.width;
            Cells::of_block(&self.session, &block, &mut |count, cells| {
                let (cells, mut triples) = (cells.terms()?, Vec::new());
                for row in 0..count {
                    let mut filling = Filling::new(&self.variables, &cells[row * width..(row + 1) * width]);
                    let filled = template.iter().filter_map(|pattern| filling.triple(pattern));
                    triples.extend(filled.filter(|triple| given.is_new(triple)));
                }
                rows.add(triples.len())?;
                writer.write(&triples, output)?;
                Ok(ControlFlow::Continue(()))
            })
        })?;
        self.session.check()?;
        writer.finish(output)?;
        Ok(rows.rows)
    }

    fn write_described(&self, format: Format, mut rows: Count<'_>, output: Output<'_>) -> Result<u64, Interrupt> {
        let mut writer = GraphWriter::new(format, output)?;
        let mut describer = Describer::new(&self.session, &self.lookups);
        let mut write = |triples: Vec<Triple>| {
            rows.add(triples.len())?;
            writer.write(&triples, output)?;
            Ok(ControlFlow::Continue(()))
        };
        self.solutions(&mut |block: Block| {
            for code in block.cells.into_iter().filter(|code| *code != UNBOUND) {
                let id = match is_computed(code) {
                    true => self.session.id_of(&self.session.term(code)?)?,
                    false => Some(code),
                };
                if let Some(id) = id
                    && describer.describe(id, &mut write)?.is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(describer.flush(&mut write)?)
        })?;
        self.session.check()?;
        writer.finish(output)?;
        Ok(rows.rows)
    }
}

/// The triples that were written, up to a limit: a graph has each once, but repeating one is not an error.
#[derive(Default)]
struct Given {
    triples: HashSet<Triple>,
    bytes: usize,
}

impl Given {
    fn is_new(&mut self, triple: &Triple) -> bool {
        if self.bytes > CONSTRUCTED_BYTES_MAX {
            return !self.triples.contains(triple);
        }
        let is_new = self.triples.insert(triple.clone());
        if is_new {
            let object = match &triple.object {
                oxrdf::Term::Literal(literal) => literal.value().len(),
                _ => 64,
            };
            self.bytes += 256 + object;
        }
        is_new
    }
}

/// The number of rows of an answer so far, and its limit.
struct Count<'r> {
    rows: u64,
    max: u64,
    /// Shown in the list of running queries.
    shown: Option<&'r AtomicU64>,
}

impl<'r> Count<'r> {
    fn of(request: &'r Request) -> Self {
        let max = request.rows_max.unwrap_or(u64::MAX);
        Self { rows: 0, max, shown: request.rows_written.as_deref() }
    }

    fn add(&mut self, more: usize) -> Result<(), Fault> {
        self.rows += more as u64;
        if self.rows > self.max {
            return Err(Fault::new(Reason::LimitExceeded, format!("the answer has more than {} rows", self.max)));
        }
        if let Some(shown) = self.shown {
            shown.store(self.rows, Ordering::Relaxed);
        }
        Ok(())
    }
}
