//! Heads: the facts that the rows of a plan entail, by relation.

use crate::columns::{Pair, pairs};
use crate::eval::Batch;
use crate::plan::{Arg, Head, Plan, Sink};
use entail_model::{Relation, TermKind};
use std::collections::BTreeMap;

/// The heads of a plan's rows.
pub(super) struct Heads {
    pub(super) rule: usize,
    templates: Vec<Head>,
    pub(super) pairs: BTreeMap<Relation, Vec<Pair>>,
}

impl Heads {
    pub(super) fn new(plan: &Plan) -> Self {
        match &plan.sink {
            Sink::Emit { rule, heads } => Self { rule: *rule, templates: heads.clone(), pairs: BTreeMap::new() },
            Sink::Gather(_) => Self { rule: 0, templates: Vec::new(), pairs: BTreeMap::new() },
        }
    }

    /// Drops repetitions.
    pub(super) fn sort_distinct(&mut self) {
        self.pairs.values_mut().for_each(pairs::sort_distinct);
    }

    /// Adds the heads of some rows. A row that would make a literal a subject or a non-IRI a predicate makes no fact.
    pub(super) fn add(&mut self, rows: &Batch) {
        for head in &self.templates {
            let value = |arg: Arg, row: usize| match arg {
                Arg::Const(term) => term,
                Arg::Slot(slot) => rows.columns[slot][row],
            };
            if let Arg::Const(predicate) = head.predicate {
                let list = self.pairs.entry(Relation { graph: head.graph, predicate }).or_default();
                let pairs = (0..rows.rows).map(|row| (value(head.subject, row), value(head.object, row)));
                list.extend(pairs.filter(|pair| pair.0.kind() != TermKind::Literal));
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
