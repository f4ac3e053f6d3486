//! The leaves of a query as services that spareval calls.

use super::leaf::leaf_number;
use super::piece::{Cell, Columns, Piece, PieceRows};
use super::profile::Profiles;
use super::session::{Session, lock};
use entail_model::{Fault, TermId};
use oxiri::Iri;
use oxrdf::{NamedNode, Term, Variable};
use spareval::{DefaultServiceHandler, QueryEvaluationError, QuerySolutionIter};
use spargebra::algebra::GraphPattern;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// A leaf that can be run.
pub struct Source {
    pub piece: Arc<Piece>,
    /// Which of its columns expressions of the coordinator need as text.
    pub texts: Vec<bool>,
}

/// All leaves of a query.
pub struct Leaves {
    pub session: Arc<Session>,
    pub sources: Arc<Vec<Source>>,
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
        let number =
            leaf_number(name.as_str()).filter(|number| *number < self.sources.len()).ok_or_else(unsupported)?;
        let piece = Arc::clone(&self.sources[number].piece);
        let variables: Arc<[Variable]> = piece.variables.clone().into();
        let rows = LeafRows {
            number,
            session: Arc::clone(&self.session),
            sources: Arc::clone(&self.sources),
            profiles: Arc::clone(&self.profiles),
            rows: PieceRows::new(Arc::clone(&self.session), piece, None),
            columns: None,
            at: 0,
            is_over: false,
        };
        Ok(QuerySolutionIter::from_tuples(variables, rows))
    }
}

struct LeafRows {
    number: usize,
    session: Arc<Session>,
    sources: Arc<Vec<Source>>,
    profiles: Arc<Mutex<Profiles>>,
    rows: PieceRows,
    columns: Option<Columns>,
    at: usize,
    is_over: bool,
}

impl LeafRows {
    fn advance(&mut self) -> Result<Option<Vec<Option<Term>>>, Fault> {
        loop {
            while let Some(columns) = self.columns.as_ref().filter(|columns| self.at < columns.batch.rows) {
                let source = &self.sources[self.number];
                let cells = &source.piece.branches[columns.branch].cells;
                let at = self.at;
                self.at += 1;
                let ids = || cells.iter().map(|cell| id(cell, columns, at)).collect();
                if !self.rows.is_new(ids) {
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
            let source = &self.sources[self.number];
            self.session.feed(columns.batch.rows as u64 * (16 * source.piece.variables.len() as u64 + 48))?;
            self.session.prefetch(texts(source, columns))?;
        }
    }
}

/// A column's id in a row; `None` for what is unbound or no id.
pub fn id(cell: &Cell, columns: &Columns, row: usize) -> Option<TermId> {
    match cell {
        Cell::Slot(slot) => Some(columns.batch.columns[*slot][row]),
        Cell::Fixed(id) => Some(*id),
        Cell::Unknown(_) | Cell::Unbound => None,
    }
}

/// The distinct ids that expressions will need as text.
fn texts(source: &Source, columns: &Columns) -> Vec<TermId> {
    let cells = source.piece.branches[columns.branch].cells.iter().zip(&source.texts).filter(|(_, needed)| **needed);
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
