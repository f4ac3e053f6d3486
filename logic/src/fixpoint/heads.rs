//! Heads: the facts that the rows of a plan entail, by relation.
//!
//! If a relation is kept as a matrix, known heads are dropped, and a new head belongs to the thread that claims it.

use super::dense::Dense;
use crate::columns::matrix::Claim;
use crate::columns::{Pair, pairs};
use crate::eval::Batch;
use crate::plan::{Arg, Head, Plan, Sink};
use entail_model::{Relation, TermId, TermKind};
use std::collections::BTreeMap;

/// Pairs by relation.
pub(super) type ByRelation = BTreeMap<Relation, Vec<Pair>>;

/// The heads of a plan's rows.
pub(super) struct Heads<'m> {
    pub(super) rule: usize,
    templates: Vec<(Head, Option<&'m Dense>)>,
    /// Heads that may be known or repeated.
    pub(super) pairs: ByRelation,
    /// Heads that are new or have not been sent: each is in this list exactly once, on one thread only.
    pub(super) claimed: ByRelation,
}

impl<'m> Heads<'m> {
    /// An empty list; `dense` gives the matrices of a dense relation.
    pub(super) fn new(plan: &Plan, dense: impl Fn(Relation) -> Option<&'m Dense>) -> Self {
        let (rule, heads) = match &plan.sink {
            Sink::Emit { rule, heads } => (*rule, &heads[..]),
            Sink::Gather(_) | Sink::Tally { .. } => (0, &[][..]),
        };
        let of = |head: &Head| head.relation().and_then(&dense);
        let templates = heads.iter().map(|head| (*head, of(head))).collect();
        Self { rule, templates, pairs: ByRelation::new(), claimed: ByRelation::new() }
    }

    /// Drops repetitions.
    pub(super) fn sort_distinct(&mut self) {
        self.pairs.values_mut().for_each(pairs::sort_distinct);
    }

    /// Adds the heads of some rows. A row that would make a literal a subject or a non-IRI a predicate makes no fact.
    pub(super) fn add(&mut self, rows: &Batch) {
        for (head, dense) in &self.templates {
            let value = |arg: Arg, row: usize| match arg {
                Arg::Const(term) => term,
                Arg::Slot(slot) => rows.columns[slot][row],
            };
            if let Some(relation) = head.relation() {
                let pairs = (0..rows.rows).map(|row| (value(head.subject, row), value(head.object, row)));
                let pairs = pairs.filter(|pair| pair.0.kind() != TermKind::Literal);
                let list = self.pairs.entry(relation).or_default();
                match dense {
                    Some(dense) => claim(dense, pairs, self.claimed.entry(relation).or_default(), list),
                    None => list.extend(pairs),
                }
                continue;
            }
            for row in 0..rows.rows {
                let (subject, predicate) = (value(head.subject, row), value(head.predicate, row));
                if subject.kind() != TermKind::Literal && predicate.kind() == TermKind::Iri {
                    let relation = Relation { graph: head.graph, predicate };
                    self.pairs.entry(relation).or_default().push((subject, value(head.object, row)));
                }
            }
        }
    }
}

/// Claims the pairs. Pairs without a place in a matrix may be known or new, and go to `others`.
fn claim(dense: &Dense, pairs: impl Iterator<Item = Pair>, claimed: &mut Vec<Pair>, others: &mut Vec<Pair>) {
    let mut last: Option<(TermId, Option<_>)> = None;
    for pair in pairs {
        let row = match &last {
            Some((key, row)) if *key == pair.0 => row,
            // Heads come in the order of their subjects where the plan could arrange it.
            _ => &last.insert((pair.0, dense.row(pair.0))).1,
        };
        match row.map_or(Claim::NoPlace, |row| row.claim(pair.1)) {
            Claim::New => claimed.push(pair),
            Claim::Known => {}
            Claim::NoPlace => others.push(pair),
        }
    }
}
