//! Queries that only count: the nodes find out how many rows there are, and nobody makes them.

use crate::evaluate::answer::Block;
use crate::evaluate::session::{Session, lock};
use crate::evaluate::term::EvalTerm;
use crate::plan::piece::{Piece, PieceRows};
use crate::plan::profile::Profiles;
use crate::rewrite::body::{Body, Graph};
use crate::rewrite::{Form, Rewriter};
use entail_model::{Fault, term};
use oxrdf::vocab::xsd;
use oxrdf::{Literal, Variable};
use spargebra::algebra::{AggregateExpression, AggregateFunction, Expression, GraphPattern};
use std::sync::{Arc, Mutex};

/// The rows of one leaf, to be counted.
pub struct Counted {
    pub piece: Arc<Piece>,
}

/// The bodies whose solutions the pattern counts, and the variable that shows it; `None` if it does anything else.
pub fn counted(session: &Session, pattern: &GraphPattern) -> Result<Option<(Vec<Body>, Variable)>, Fault> {
    let GraphPattern::Project { inner, variables } = pattern else { return Ok(None) };
    let GraphPattern::Extend { inner, variable, expression: Expression::Variable(count) } = &**inner else {
        return Ok(None);
    };
    let GraphPattern::Group { inner, variables: by, aggregates } = &**inner else { return Ok(None) };
    let [(result, aggregate)] = &aggregates[..] else { return Ok(None) };
    if !by.is_empty() || result != count || variables[..] != [variable.clone()] {
        return Ok(None);
    }
    let mut rewriter = Rewriter::new(session);
    let Form::Pushed(bodies) = rewriter.rewrite((**inner).clone(), &Graph::Default)? else { return Ok(None) };
    let counts_all = match aggregate {
        AggregateExpression::CountSolutions { distinct: false } => true,
        // A variable that every solution binds counts as often as there are solutions.
        AggregateExpression::FunctionCall {
            name: AggregateFunction::Count,
            expr: Expression::Variable(counted),
            distinct: false,
        } => bodies.iter().all(|body| body.binds(counted)),
        _ => false,
    };
    Ok((counts_all && rewriter.leaves.is_empty()).then(|| (bodies, variable.clone())))
}

impl Counted {
    /// Counts the rows; the one solution says how many.
    pub fn run(&self, session: &Arc<Session>, profiles: &Mutex<Profiles>) -> Result<Block, Fault> {
        let mut rows = PieceRows::new(Arc::clone(session), Arc::clone(&self.piece), None);
        let result = Self::count(session, &mut rows);
        lock(profiles).add(0, rows.measured());
        let count = Literal::new_typed_literal(result?.to_string(), xsd::INTEGER);
        let cell = match term::inline_id(count.as_ref().into()) {
            Some(id) => EvalTerm::Id(id),
            None => EvalTerm::Computed(Arc::new(count.into())),
        };
        Ok(Block { width: 1, rows: 1, cells: vec![Some(cell)] })
    }

    fn count(session: &Session, rows: &mut PieceRows) -> Result<u64, Fault> {
        let mut count = 0;
        while let Some(columns) = rows.next()? {
            session.check()?;
            count += columns.batch.rows as u64;
        }
        Ok(count)
    }
}
