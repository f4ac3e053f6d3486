//! The leaves of a query as services that spareval calls.

use crate::fold::{self, Folded, Row};
use crate::plan::leaf::LeafPlan;
use crate::plan::profile::Profiles;
use crate::plan::union::{Cell, Columns, UnionRows};
use crate::rewrite::leaf::leaf_number;
use crate::session::term::EvalTerm;
use crate::session::{Session, lock};
use entail_model::{Fault, TermId};
use oxiri::Iri;
use oxrdf::{NamedNode, Term};
use spareval::{DefaultServiceHandler, QueryEvaluationError, QuerySolutionIter};
use spargebra::algebra::GraphPattern;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// Rows of a fold whose terms are looked up together.
const FOLDED_ROWS: usize = 8_192;

/// All leaves of a query.
pub struct Leaves {
    pub session: Arc<Session>,
    pub leaves: Arc<Vec<LeafPlan>>,
    pub profiles: Arc<Mutex<Profiles>>,
}

impl DefaultServiceHandler for Leaves {
    type Error = QueryEvaluationError;

    fn handle(
        &self,
        name: &NamedNode,
        _pattern: &GraphPattern,
        _base: Option<&Iri<String>>,
    ) -> Result<QuerySolutionIter<'static>, QueryEvaluationError> {
        let unsupported = || QueryEvaluationError::UnsupportedService(name.clone());
        let number = leaf_number(name.as_str()).filter(|number| *number < self.leaves.len()).ok_or_else(unsupported)?;
        let LeafPlan { union, variables, .. } = &self.leaves[number];
        let (union, variables) = (Arc::clone(union), Arc::clone(variables));
        let rows = LeafRows {
            number,
            session: Arc::clone(&self.session),
            leaves: Arc::clone(&self.leaves),
            profiles: Arc::clone(&self.profiles),
            rows: UnionRows::new(Arc::clone(&self.session), union, None),
            columns: None,
            at: 0,
            folded: None,
            next: Vec::new().into_iter(),
            is_over: false,
        };
        Ok(QuerySolutionIter::from_tuples(variables, rows))
    }
}

struct LeafRows {
    number: usize,
    session: Arc<Session>,
    leaves: Arc<Vec<LeafPlan>>,
    profiles: Arc<Mutex<Profiles>>,
    rows: UnionRows,
    columns: Option<Columns>,
    at: usize,
    /// The rows of a fold, once all input was read, and those that were looked up already.
    folded: Option<Folded>,
    next: std::vec::IntoIter<Row>,
    is_over: bool,
}

impl LeafRows {
    fn advance(&mut self) -> Result<Option<Vec<Option<Term>>>, Fault> {
        match &self.leaves[self.number].fold {
            Some(_) => self.next_folded(),
            None => self.next_row(),
        }
    }

    /// The next row of a fold.
    fn next_folded(&mut self) -> Result<Option<Vec<Option<Term>>>, Fault> {
        let leaf = &self.leaves[self.number];
        if let (None, Some(fold)) = (&self.folded, &leaf.fold) {
            self.folded = Some(fold::run(fold, &self.session, &mut self.rows)?);
        }
        if self.next.len() == 0 {
            let next: Vec<Row> = self.folded.iter_mut().flatten().take(FOLDED_ROWS).collect();
            self.session.feed(next.len() as u64 * bytes_of_row(leaf))?;
            look_up(&self.session, leaf, &next)?;
            self.next = next.into_iter();
        }
        let Some(row) = self.next.next() else { return Ok(None) };
        let term = |cell: EvalTerm| match cell {
            EvalTerm::Id(id) => self.session.stand_in.term(id),
            EvalTerm::Computed(term) => Term::clone(&term),
        };
        Ok(Some(row.into_iter().map(|cell| cell.map(term)).collect()))
    }

    fn next_row(&mut self) -> Result<Option<Vec<Option<Term>>>, Fault> {
        loop {
            while let Some(columns) = self.columns.as_ref().filter(|columns| self.at < columns.batch.rows) {
                let leaf = &self.leaves[self.number];
                let cells = &leaf.union.branches[columns.branch].cells;
                let at = self.at;
                self.at += 1;
                if !self.rows.is_new(columns, at)? {
                    continue;
                }
                let term = |cell: &Cell| match cell {
                    Cell::Unknown(term) => Some(term.clone()),
                    cell => id(cell, columns, at).map(|id| self.session.stand_in.term(id)),
                };
                return Ok(Some(cells.iter().map(term).collect()));
            }
            self.columns = self.rows.next()?;
            self.at = 0;
            let Some(columns) = &self.columns else { return Ok(None) };
            let leaf = &self.leaves[self.number];
            self.session.feed(columns.batch.rows as u64 * bytes_of_row(leaf))?;
            self.session.prefetch(texts(leaf, columns))?;
        }
    }
}

/// Bytes that a row may take in the evaluator's memory.
fn bytes_of_row(leaf: &LeafPlan) -> u64 {
    16 * leaf.variables.len() as u64 + 48
}

/// Looks up, for many rows of a fold together, what the evaluator will need: ids of computed terms, and terms that
/// expressions read.
fn look_up(session: &Session, leaf: &LeafPlan, rows: &[Row]) -> Result<(), Fault> {
    let (mut ids, mut terms) = (Vec::new(), Vec::new());
    for row in rows {
        for (cell, is_text) in row.iter().zip(&leaf.texts) {
            match cell {
                Some(EvalTerm::Id(id)) if *is_text => ids.push(*id),
                Some(EvalTerm::Computed(term)) => terms.push(Term::clone(term)),
                Some(EvalTerm::Id(_)) | None => {}
            }
        }
    }
    session.learn(&terms)?;
    session.prefetch(ids)
}

/// The id of a column in a row; `None` if the cell is unbound or has a term without an id.
fn id(cell: &Cell, columns: &Columns, row: usize) -> Option<TermId> {
    match cell {
        Cell::Slot(slot) => Some(columns.batch.columns[*slot][row]),
        Cell::Fixed(id) => Some(*id),
        Cell::Unknown(_) | Cell::Unbound => None,
    }
}

/// The distinct ids that expressions will need as text.
fn texts(leaf: &LeafPlan, columns: &Columns) -> Vec<TermId> {
    let cells = leaf.union.branches[columns.branch].cells.iter().zip(&leaf.texts).filter(|(_, needed)| **needed);
    let ids: HashSet<TermId> =
        cells.flat_map(|(cell, _)| (0..columns.batch.rows).filter_map(move |row| id(cell, columns, row))).collect();
    ids.into_iter().collect()
}

impl Iterator for LeafRows {
    type Item = Result<Vec<Option<Term>>, QueryEvaluationError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.advance();
        let next = self.session.kept(next).map_err(|fault| QueryEvaluationError::Service(Box::new(fault))).transpose();
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Drop for LeafRows {
    fn drop(&mut self) {
        lock(&self.profiles).add(self.number, self.rows.measured());
    }
}
