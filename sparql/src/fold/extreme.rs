//! MIN and MAX in the order of ORDER BY, in which values of all kinds are comparable. Of equal values the one with the
//! smallest code is taken, whatever the order of arrival.

use super::aggregate::Accumulate;
use super::decoded::Decoded;
use super::{Made, Rows};
use crate::algebra::order::sort_key;
use crate::session::code::{Code, UNBOUND};
use crate::session::texts::Fit;
use entail_model::Fault;
use std::cmp::Ordering;
use std::sync::Arc;

/// Keeps the least or greatest value of each group.
pub struct Extreme {
    cell: usize,
    /// The ordering of a better value relative to the best so far.
    better: Ordering,
    keys: Decoded<Arc<str>>,
    best: Vec<Best>,
    bytes: usize,
}

enum Best {
    None,
    Some(Code, Arc<str>),
    Error,
}

impl Extreme {
    /// The extreme of the values in a cell.
    pub fn new(cell: usize, better: Ordering) -> Self {
        Self {
            cell,
            better,
            keys: Decoded::new(|view| sort_key(view).into(), |key: &Arc<str>| key.len()),
            best: Vec::new(),
            bytes: 0,
        }
    }
}

impl Accumulate for Extreme {
    fn begin(&mut self) {
        self.best.push(Best::None);
    }

    fn learn(&mut self, rows: &Rows<'_>) -> Result<Fit<()>, Fault> {
        self.keys.learn(rows, self.cell)
    }

    fn add(&mut self, group: usize, row: &[Code], _times: u64) {
        let code = row[self.cell];
        let best = &mut self.best[group];
        let Some(key) = self.keys.get(code).filter(|_| code != UNBOUND) else {
            // An error comes before all values, so it is the minimum, and the maximum only where there is nothing else.
            if self.better == Ordering::Greater {
                return;
            }
            if let Best::Some(_, old) = std::mem::replace(best, Best::Error) {
                self.bytes -= old.len();
            }
            return;
        };
        let is_better = match best {
            Best::None => true,
            Best::Error => false,
            Best::Some(own, _) if *own == code => false,
            Best::Some(own, own_key) => match key.cmp(own_key) {
                Ordering::Equal => code < *own,
                other => other == self.better,
            },
        };
        if is_better {
            if let Best::Some(_, old) = best {
                self.bytes -= old.len();
            }
            // Keys are shared with the decoded terms, which are forgotten before the groups are.
            self.bytes += key.len();
            *best = Best::Some(code, Arc::clone(key));
        }
    }

    fn bytes(&self) -> usize {
        self.best.capacity() * size_of::<Best>() + self.bytes + self.keys.bytes()
    }

    fn finish(&self, group: usize) -> Made {
        match &self.best[group] {
            Best::Some(code, _) => Made::Code(*code),
            Best::None | Best::Error => Made::Code(UNBOUND),
        }
    }
}
