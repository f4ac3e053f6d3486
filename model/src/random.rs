//! Pseudorandom numbers that depend only on their seed, on every machine and in every version: SplitMix64
//! (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
//!
//! For tests, simulations, benchmark inputs, jitter and digests. Results and recorded seeds depend on the sequences, so they
//! must not change, and do not depend on the version of a crate. They are predictable: never use them for keys.

use std::ops::RangeInclusive;

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
const SEED_FACTOR: u64 = 0xD6E8_FEB8_6659_FD93;
const STREAM_FACTOR: u64 = 0xCA5A_8263_9512_1157;

/// Scrambles a number: one step of SplitMix64 from the state `number`. A bijection.
#[inline]
pub const fn scramble(number: u64) -> u64 {
    let number = number.wrapping_add(STEP);
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}

/// A sequence of pseudorandom numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self::stream(seed, 0)
    }

    /// One of the sequences of a seed, by number: each use of a seed has its own number.
    pub fn stream(seed: u64, number: u64) -> Self {
        // The first numbers of neighbouring seeds and streams must be uncorrelated.
        let mut random = Self(seed.wrapping_mul(SEED_FACTOR) ^ number.wrapping_mul(STREAM_FACTOR));
        random.next();
        random
    }

    /// The sequence of plain SplitMix64 with the initial state `state`.
    pub const fn from_state(state: u64) -> Self {
        Self(state)
    }

    /// The next number.
    #[allow(clippy::should_implement_trait, reason = "an endless sequence is no iterator")]
    pub fn next(&mut self) -> u64 {
        let next = scramble(self.0);
        self.0 = self.0.wrapping_add(STEP);
        next
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number of a range.
    pub fn among(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// A number from 0 to 1, both included.
    pub fn unit(&mut self) -> f64 {
        self.next() as f64 / u64::MAX as f64
    }

    /// True with a probability of `in_ten_thousand` / 10,000.
    pub fn chance(&mut self, in_ten_thousand: u64) -> bool {
        self.below(10_000) < in_ten_thousand
    }

    /// One of several values.
    pub fn pick<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len() as u64) as usize]
    }

    /// `count` distinct numbers below `bound`, in no order; all numbers below it if there are not more.
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

    /// An independent sequence, seeded by this one.
    pub fn fork(&mut self) -> Self {
        Self::new(self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_never_change() {
        // The reference implementation's first numbers for the state 1234567.
        let mut plain = Random::from_state(1_234_567);
        let reference = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([0; 3].map(|_| plain.next()), reference);
        let first = |mut random: Random| [random.next(), random.below(1000), random.among(5..=9)];
        assert_eq!(first(Random::new(7)), FIRST_OF_SEED_7);
        assert_eq!(first(Random::stream(7, 3)), FIRST_OF_SEED_7_STREAM_3);
        assert_eq!(Random::stream(2, 1).sample(5, 9), SAMPLE);
    }

    const FIRST_OF_SEED_7: [u64; 3] = [16_419_201_204_056_314_004, 24, 7];
    const FIRST_OF_SEED_7_STREAM_3: [u64; 3] = [3_868_746_774_890_247_197, 997, 6];
    const SAMPLE: [u64; 5] = [4, 6, 3, 1, 0];

    #[test]
    fn samples_have_no_number_twice() {
        let mut random = Random::new(7);
        for (count, bound) in [(0, 5), (3, 5), (5, 5), (9, 5)] {
            let mut sample = random.sample(count, bound);
            sample.sort_unstable();
            sample.dedup();
            assert_eq!(sample.len() as u64, count.min(bound));
            assert!(sample.iter().all(|number| *number < bound));
        }
    }
}
