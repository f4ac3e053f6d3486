//! The leaves of a query as services that spareval calls.

use crate::evaluate::session::{Session, lock};
use crate::evaluate::term::EvalTerm;
use crate::fold::{Fold, Folded, Row};
use crate::plan::piece::{Cell, Columns, Piece, PieceRows};
use crate::plan::profile::Profiles;
use crate::rewrite::leaf::leaf_number;
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
    /// What it gives.
    pub variables: Arc<[Variable]>,
    /// Which of these expressions of the coordinator need as text.
    pub texts: Vec<bool>,
    /// What is given in place of the piece's rows.
    pub fold: Option<Fold>,
}

impl Source {
    /// The rows of a piece, into which nobody looks.
    pub fn of(piece: &Arc<Piece>) -> Self {
        let texts = vec![false; piece.variables.len()];
        Self { piece: Arc::clone(piece), variables: piece.variables.clone().into(), texts, fold: None }
    }
}

/// Rows of a fold whose terms are looked up together.
const FOLDED_ROWS: usize = 8_192;

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
        let Source { piece, variables, .. } = &self.sources[number];
        let (piece, variables) = (Arc::clone(piece), Arc::clone(variables));
        let rows = LeafRows {
            number,
            session: Arc::clone(&self.session),
            sources: Arc::clone(&self.sources),
            profiles: Arc::clone(&self.profiles),
            rows: PieceRows::new(Arc::clone(&self.session), piece, None),
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
    sources: Arc<Vec<Source>>,
    profiles: Arc<Mutex<Profiles>>,
    rows: PieceRows,
    columns: Option<Columns>,
    at: usize,
    /// What a fold gives, once all rows were taken in, and its next rows.
    folded: Option<Folded>,
    next: std::vec::IntoIter<Row>,
    is_over: bool,
}

impl LeafRows {
    fn advance(&mut self) -> Result<Option<Vec<Option<Term>>>, Fault> {
        match &self.sources[self.number].fold {
            Some(_) => self.next_folded(),
            None => self.next_row(),
        }
    }

    /// The next row of a fold.
    fn next_folded(&mut self) -> Result<Option<Vec<Option<Term>>>, Fault> {
        let source = &self.sources[self.number];
        if let (None, Some(fold)) = (&self.folded, &source.fold) {
            self.folded = Some(fold.run(&self.session, &mut self.rows)?);
        }
        if self.next.len() == 0 {
            let next: Vec<Row> = self.folded.iter_mut().flatten().take(FOLDED_ROWS).collect();
            self.session.feed(next.len() as u64 * bytes_of_row(source))?;
            look_up(&self.session, source, &next)?;
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
                let source = &self.sources[self.number];
                let cells = &source.piece.branches[columns.branch].cells;
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
            let source = &self.sources[self.number];
            self.session.feed(columns.batch.rows as u64 * bytes_of_row(source))?;
            self.session.prefetch(texts(source, columns))?;
        }
    }
}

/// What a row takes with those that may hold it.
fn bytes_of_row(source: &Source) -> u64 {
    16 * source.variables.len() as u64 + 48
}

/// Learns what the evaluator will ask of rows of a fold: the ids of computed terms, and the terms that are looked into.
fn look_up(session: &Session, source: &Source, rows: &[Row]) -> Result<(), Fault> {
    let (mut ids, mut terms) = (Vec::new(), Vec::new());
    for row in rows {
        for (cell, is_text) in row.iter().zip(&source.texts) {
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

/// A column's id in a row; `None` for what is unbound or no id.
fn id(cell: &Cell, columns: &Columns, row: usize) -> Option<TermId> {
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
