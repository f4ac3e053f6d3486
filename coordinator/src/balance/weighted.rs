//! Weighted random: each candidate as often as its weight says.

use super::{Balancer, PickRequest, below};

/// A random candidate, each with probability weight / sum of weights; uniform if no candidate has a weight.
#[derive(Debug, Default)]
pub struct Weighted;

impl Balancer for Weighted {
    fn pick(&self, request: &PickRequest<'_>) -> Option<usize> {
        let candidates = request.candidates;
        let total: u64 = candidates.iter().map(|candidate| u64::from(candidate.weight)).sum();
        if total == 0 {
            return (!candidates.is_empty()).then(|| below(candidates.len() as u64, request.random) as usize);
        }
        let mut left = below(total, request.random);
        candidates.iter().position(|candidate| {
            let weight = u64::from(candidate.weight);
            let here = left < weight;
            left = left.saturating_sub(weight);
            here
        })
    }
}
