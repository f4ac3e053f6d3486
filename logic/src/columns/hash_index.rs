//! A small run as a hash index, for lookups of keys in any order.
//!
//! ```text
//! slots   [ . 2 . . 0 1 . 3 ]      open addressing by a multiplicative hash
//! keys    a  b  e  k               starts  0  3  4  9  12        values  ...
//! ```
//!
//! A galloping search needs its keys in order. Where the order of rows is to be kept (because their heads are then in
//! order), looking each key up costs less than sorting the rows twice.

use crate::columns::pairs::Pair;
use entail_model::TermId;

/// Pairs of the largest run that also gets an index: an index then takes at most 32 MiB.
pub const INDEX_PAIRS_MAX: u64 = 1 << 20;

/// Two to the 64th over the golden ratio: the high bits of a product with it are well mixed.
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
const EMPTY: u32 = u32::MAX;

/// Values by key.
#[derive(Debug)]
pub struct HashIndex {
    slots: Vec<u32>,
    shift: u32,
    keys: Vec<TermId>,
    /// The position of each key's first value; one more entry than there are keys.
    starts: Vec<u32>,
    values: Vec<TermId>,
}

impl HashIndex {
    /// The index of sorted pairs, of which there are at most [`INDEX_PAIRS_MAX`].
    pub fn new(pairs: &[Pair]) -> Self {
        let (mut keys, mut starts) = (Vec::new(), Vec::new());
        for (at, pair) in pairs.iter().enumerate() {
            if keys.last() != Some(&pair.0) {
                keys.push(pair.0);
                starts.push(at as u32);
            }
        }
        starts.push(pairs.len() as u32);
        // At most half full.
        let bits = (keys.len() * 2).next_power_of_two().trailing_zeros().max(1);
        let mut groups = Self {
            slots: vec![EMPTY; 1 << bits],
            shift: 64 - bits,
            keys,
            starts,
            values: pairs.iter().map(|pair| pair.1).collect(),
        };
        for group in 0..groups.keys.len() {
            let mut slot = groups.slot(groups.keys[group]);
            while groups.slots[slot] != EMPTY {
                slot = (slot + 1) & (groups.slots.len() - 1);
            }
            groups.slots[slot] = group as u32;
        }
        groups
    }

    fn slot(&self, key: TermId) -> usize {
        (key.0.wrapping_mul(MIX) >> self.shift) as usize
    }

    /// The values of a key, in order.
    pub fn get(&self, key: TermId) -> &[TermId] {
        let mut slot = self.slot(key);
        loop {
            let group = self.slots[slot] as usize;
            match self.keys.get(group) {
                Some(found) if *found == key => {
                    return &self.values[self.starts[group] as usize..self.starts[group + 1] as usize];
                }
                Some(_) => slot = (slot + 1) & (self.slots.len() - 1),
                None => return &[],
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_key_has_its_values(
            pairs in prop::collection::btree_set((0u64..60, 0u64..20), 0..300),
            stride in prop::sample::select(vec![1u64, 4, 1 << 20, 1 << 44, MIX]),
        ) {
            let mut pairs: Vec<Pair> =
                pairs.into_iter().map(|(key, value)| (TermId(key.wrapping_mul(stride)), TermId(value))).collect();
            pairs.sort_unstable();
            let groups = HashIndex::new(&pairs);
            for key in (0..70).map(|key: u64| TermId(key.wrapping_mul(stride))) {
                let expected: Vec<TermId> = pairs.iter().filter(|pair| pair.0 == key).map(|pair| pair.1).collect();
                prop_assert_eq!(groups.get(key), &expected[..]);
            }
        }
    }
}
