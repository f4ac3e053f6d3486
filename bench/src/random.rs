//! Numbers that pass for random, the same for the same seed on every machine and for ever: SplitMix64.
//!
//! Inputs of a benchmark are part of its result, so they must not change with a version of somebody's crate.

use std::ops::RangeInclusive;

/// A sequence of numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed and the place where it is used.
    pub fn new(seed: u64, place: u64) -> Self {
        // The first numbers of neighbouring seeds and places should have nothing in common.
        let mut random = Self(seed.wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ place.wrapping_mul(0xCA5A_8263_9512_1157));
        random.draw();
        random
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// A number of a range.
    pub fn among(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// Different numbers below `bound`, in no order; all of them if there are not more.
    pub fn sample(&mut self, count: u64, bound: u64) -> Vec<u64> {
        let mut all: Vec<u64> = (0..bound).collect();
        let count = count.min(bound) as usize;
        for place in 0..count {
            let other = place + self.below((all.len() - place) as u64) as usize;
            all.swap(place, other);
        }
        all.truncate(count);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_no_number_twice() {
        let mut random = Random::new(7, 0);
        for (count, bound) in [(0, 5), (3, 5), (5, 5), (9, 5)] {
            let mut sample = random.sample(count, bound);
            sample.sort_unstable();
            sample.dedup();
            assert_eq!(sample.len() as u64, count.min(bound));
            assert!(sample.iter().all(|number| *number < bound));
        }
    }
}
