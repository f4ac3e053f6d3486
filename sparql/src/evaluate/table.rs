//! Rows in memory that are looked up by the variables that they share with other rows.
//!
//! Two rows are compatible if they have the same term wherever both bind a shared variable (SPARQL 1.1, 18.3). Rows are kept
//! apart by *which* shared variables they bind. A row that is looked up has to agree on those that both bind, for which an
//! index is made when it is first needed; usually all rows bind all of them, and there is one index.

use crate::plan::codes::hash_each;
use crate::session::Session;
use crate::session::code::{Code, UNBOUND};
use crate::session::memory::Reservation;
use entail_model::{Fault, Reason};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::collections::HashMap;
use std::sync::Arc;

/// Shared variables that a mask has bits for.
const SHARED_MAX: usize = 128;
/// The end of a chain.
const END: u32 = u32::MAX;
/// Rows that are put into an index between two checks.
const ROWS_BETWEEN_CHECKS: usize = 1 << 13;
/// Groups that are looked into between two checks.
const GROUPS_BETWEEN_CHECKS: u32 = 1 << 12;

/// Which of the shared variables are bound, or have to agree.
type Mask = u128;

/// Rows in memory.
pub struct Table {
    session: Arc<Session>,
    width: usize,
    /// Row after row.
    codes: Vec<Code>,
    rows: usize,
    /// The columns of the shared variables.
    shared: Vec<usize>,
    groups: Vec<Group>,
    /// The group of each mask.
    by_mask: HashMap<Mask, usize>,
    /// Bytes of the rows and indexes of all groups.
    groups_bytes: usize,
    /// Groups that were looked into since the last check.
    unchecked: u32,
    held: Reservation,
}

/// Rows that bind the same shared variables.
struct Group {
    mask: Mask,
    rows: Vec<u32>,
    indexes: Vec<(Mask, Index)>,
}

/// The rows of a group by the values of some variables.
struct Index {
    heads: HashTable<u32>,
    /// For each row of the group the next one with the same values.
    next: Vec<u32>,
}

/// The search for the rows that are compatible with one row.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    mask: Mask,
    group: usize,
    /// The next row of the group; `None` before its first one.
    at: Option<u32>,
}

impl Table {
    /// No rows yet, of `width` codes each.
    ///
    /// # Errors
    /// `LimitExceeded` for too many shared variables.
    pub fn new(session: &Arc<Session>, width: usize, shared: Vec<usize>) -> Result<Self, Fault> {
        if shared.len() > SHARED_MAX {
            let message = format!("a join over more than {SHARED_MAX} variables");
            return Err(Fault::new(Reason::LimitExceeded, message));
        }
        let (session, held) = (Arc::clone(session), session.reservation());
        Ok(Self {
            session,
            width,
            codes: Vec::new(),
            rows: 0,
            shared,
            groups: Vec::new(),
            by_mask: HashMap::new(),
            groups_bytes: 0,
            unchecked: 0,
            held,
        })
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// A row.
    pub fn row(&self, row: u32) -> &[Code] {
        &self.codes[row as usize * self.width..(row as usize + 1) * self.width]
    }

    /// Adds rows.
    ///
    /// # Errors
    /// `LimitExceeded` if they need too much memory.
    pub fn extend(&mut self, batch: &super::batch::Batch) -> Result<(), Fault> {
        let mut last = None;
        for row in 0..batch.rows {
            let mask = mask(self.shared.iter().map(|column| batch.columns[*column][row]));
            let number = u32::try_from(self.rows).ok().filter(|row| *row != END);
            let number = number.ok_or_else(|| Fault::new(Reason::LimitExceeded, "a join with more than 2^32 rows"))?;
            self.codes.extend(batch.columns.iter().map(|column| column[row]));
            self.rows += 1;
            let group = match last {
                Some((known, group)) if known == mask => group,
                _ => self.group(mask),
            };
            last = Some((mask, group));
            let rows = &mut self.groups[group].rows;
            let before = rows.capacity();
            rows.push(number);
            self.groups_bytes += (rows.capacity() - before) * size_of::<u32>();
        }
        self.hold()
    }

    /// The group of a mask.
    fn group(&mut self, mask: Mask) -> usize {
        *self.by_mask.entry(mask).or_insert_with(|| {
            self.groups.push(Group { mask, rows: Vec::new(), indexes: Vec::new() });
            // With its entry in the map.
            self.groups_bytes += size_of::<Group>() + 2 * size_of::<(Mask, usize)>();
            self.groups.len() - 1
        })
    }

    fn hold(&mut self) -> Result<(), Fault> {
        self.held.set(self.codes.capacity() * size_of::<Code>() + self.groups_bytes)
    }

    /// To be called for each group that is looked into.
    fn look(&mut self) -> Result<(), Fault> {
        self.unchecked += 1;
        if self.unchecked < GROUPS_BETWEEN_CHECKS {
            return Ok(());
        }
        self.unchecked = 0;
        self.session.check()
    }

    /// Begins the search for the rows that are compatible with a row, of which `key` are the shared variables.
    pub fn search(&self, key: &[Code]) -> Search {
        Search { mask: mask(key.iter().copied()), group: 0, at: None }
    }

    /// The next compatible row.
    ///
    /// # Errors
    /// As for [`Table::extend`], and when the query has to end.
    pub fn next(&mut self, search: &mut Search, key: &[Code]) -> Result<Option<u32>, Fault> {
        while search.group < self.groups.len() {
            let at = match search.at {
                Some(at) => at,
                None => {
                    self.look()?;
                    self.first(search.group, search.mask, key)?
                }
            };
            if at == END {
                search.group += 1;
                search.at = None;
                continue;
            }
            let group = &self.groups[search.group];
            let mask = group.mask & search.mask;
            let index = group.indexes.iter().find(|(own, _)| *own == mask).map(|(_, index)| index);
            search.at = Some(index.map_or(END, |index| index.next[at as usize]));
            return Ok(Some(group.rows[at as usize]));
        }
        Ok(None)
    }

    /// Is there a row that agrees with `key` on at least one of the variables of `counted` that both bind, and on all of them?
    ///
    /// # Errors
    /// As for [`Table::next`].
    pub fn excludes(&mut self, key: &[Code], counted: &[bool]) -> Result<bool, Fault> {
        let counted = counted.iter().enumerate().filter(|(_, counted)| **counted).map(|(bit, _)| 1 << bit);
        let counted: Mask = counted.fold(0, |mask, bit: Mask| mask | bit);
        let own = mask(key.iter().copied());
        for group in 0..self.groups.len() {
            self.look()?;
            if self.groups[group].mask & own & counted != 0 && self.first(group, own, key)? != END {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first row of a group that agrees with `key`.
    fn first(&mut self, group: usize, own: Mask, key: &[Code]) -> Result<u32, Fault> {
        let mask = self.groups[group].mask & own;
        if self.groups[group].indexes.iter().all(|(known, _)| *known != mask) {
            let index = self.index(group, mask)?;
            self.groups_bytes += index.heads.allocation_size() + index.next.capacity() * size_of::<u32>();
            self.groups[group].indexes.push((mask, index));
            self.hold()?;
        }
        let group = &self.groups[group];
        let Some((_, index)) = group.indexes.iter().find(|(known, _)| *known == mask) else { return Ok(END) };
        let is_same = |at: &u32| {
            let row = self.row(group.rows[*at as usize]);
            bits(mask).all(|bit| row[self.shared[bit]] == key[bit])
        };
        let hash = hash_each(bits(mask).map(|bit| key[bit]));
        Ok(index.heads.find(hash, is_same).copied().unwrap_or(END))
    }

    fn index(&self, group: usize, mask: Mask) -> Result<Index, Fault> {
        let group = &self.groups[group];
        let columns: Vec<usize> = bits(mask).map(|bit| self.shared[bit]).collect();
        let values = |at: u32| {
            let row = self.row(group.rows[at as usize]);
            columns.iter().map(|column| row[*column])
        };
        let mut index = Index { heads: HashTable::with_capacity(group.rows.len()), next: vec![END; group.rows.len()] };
        for at in 0..group.rows.len() as u32 {
            if (at as usize).is_multiple_of(ROWS_BETWEEN_CHECKS) {
                self.session.check()?;
            }
            let is_same = |other: &u32| values(*other).eq(values(at));
            match index.heads.entry(hash_each(values(at)), is_same, |other| hash_each(values(*other))) {
                Entry::Occupied(mut head) => {
                    index.next[at as usize] = *head.get();
                    *head.get_mut() = at;
                }
                Entry::Vacant(place) => _ = place.insert(at),
            }
        }
        Ok(index)
    }
}

fn mask(key: impl Iterator<Item = Code>) -> Mask {
    key.enumerate().fold(0, |mask, (bit, code)| if code == UNBOUND { mask } else { mask | 1 << bit })
}

/// The bits of a mask, in order.
fn bits(mask: Mask) -> impl Iterator<Item = usize> + Clone {
    let mut left = mask;
    std::iter::from_fn(move || {
        let bit = left.trailing_zeros() as usize;
        left &= left.wrapping_sub(1);
        (bit < SHARED_MAX).then_some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::batch::Batch;
    use crate::query::tests::session;
    use entail_model::TermId;
    use proptest::prelude::*;

    /// Rows of three cells; 0 is unbound.
    fn rows() -> impl Strategy<Value = Vec<[u64; 3]>> {
        prop::collection::vec([0..4u64, 0..4u64, 0..4u64], 0..20)
    }

    fn code(cell: u64) -> Code {
        if cell == 0 { UNBOUND } else { TermId(cell * 4) }
    }

    fn batch(rows: &[[u64; 3]]) -> Batch {
        let mut batch = Batch::new(3);
        rows.iter().for_each(|row| batch.push(row.iter().map(|cell| code(*cell))));
        batch
    }

    fn agree(one: u64, other: u64) -> bool {
        one == 0 || other == 0 || one == other
    }

    proptest! {
        /// The first two cells are shared.
        #[test]
        fn a_table_finds_what_a_loop_finds(left in rows(), right in rows()) {
            let mut table = Table::new(&session(1 << 30), 3, vec![0, 1]).unwrap();
            table.extend(&batch(&right)).unwrap();
            for row in &left {
                let key = [code(row[0]), code(row[1])];
                let (mut search, mut found) = (table.search(&key), Vec::new());
                while let Some(other) = table.next(&mut search, &key).unwrap() {
                    found.push(other);
                }
                found.sort_unstable();
                let is_met = |other: &[u64; 3]| (0..2).all(|cell| agree(row[cell], other[cell]));
                let expected: Vec<u32> = (0..right.len() as u32).filter(|at| is_met(&right[*at as usize])).collect();
                prop_assert_eq!(found, expected);
                let shares = |other: &[u64; 3]| (0..2).any(|cell| row[cell] != 0 && other[cell] != 0);
                let excludes = right.iter().any(|other| is_met(other) && shares(other));
                prop_assert_eq!(table.excludes(&key, &[true, true]).unwrap(), excludes);
                let of_first = |other: &[u64; 3]| row[0] != 0 && other[0] != 0;
                let excludes = right.iter().any(|other| is_met(other) && of_first(other));
                prop_assert_eq!(table.excludes(&key, &[true, false]).unwrap(), excludes);
            }
        }
    }

    #[test]
    fn rows_beyond_the_limit_are_refused() {
        let mut table = Table::new(&session(1_000), 3, vec![0]).unwrap();
        let rows = vec![[1, 2, 3]; 100];
        assert_eq!(table.extend(&batch(&rows)).unwrap_err().reason, Reason::LimitExceeded);
    }
}
