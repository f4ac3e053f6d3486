//! The properties of each strategy over fixed seeds: distributions within tolerance, stability, bounds.

use super::*;
use entail_model::random::Random;
use proptest::collection::{btree_set, vec};
use proptest::prelude::{Strategy as _, any, prop_assert, prop_assert_eq, proptest};
use proptest::strategy;

fn candidate(node: u64, in_flight: u32, weight: u32) -> Candidate {
    Candidate { node: NodeId(node), in_flight, weight }
}

/// How often each candidate is picked in `picks` requests with keys and random numbers of one seed.
fn histogram(balancer: &dyn Balancer, candidates: &[Candidate], picks: usize) -> Vec<usize> {
    let mut random = Random::from_state(42);
    let mut counts = vec![0; candidates.len()];
    for _ in 0..picks {
        let request = PickRequest { candidates, key: random.next(), random: random.next() };
        counts[balancer.pick(&request).expect("there are candidates")] += 1;
    }
    counts
}

/// At least two ids in any order.
fn different_ids() -> impl strategy::Strategy<Value = Vec<u64>> {
    btree_set(any::<u64>(), 2..9).prop_map(|ids| ids.into_iter().collect::<Vec<_>>()).prop_shuffle()
}

fn assert_near(counts: &[usize], expected: &[usize]) {
    for (count, expected) in counts.iter().zip(expected) {
        assert!(count.abs_diff(*expected) * 20 <= *expected, "{counts:?} should be within 5% of {expected:?}");
    }
}

#[test]
fn names_come_back() {
    for strategy in Strategy::ALL {
        assert_eq!(strategy.name().parse(), Ok(strategy));
    }
    let fault = "random".parse::<Strategy>().expect_err("no such strategy");
    assert!(fault.message.contains("least-connections"), "{fault}");
}

proptest! {
    #[test]
    fn picks_are_candidates(loads in vec((any::<u32>(), any::<u32>()), 0..9), key: u64, random: u64) {
        let candidates: Vec<_> = (0u64..).zip(loads).map(|(node, (load, weight))| candidate(node, load, weight)).collect();
        for strategy in Strategy::ALL {
            let pick = strategy.balancer().pick(&PickRequest { candidates: &candidates, key, random });
            prop_assert_eq!(pick.is_some(), !candidates.is_empty());
            prop_assert!(pick.is_none_or(|index| index < candidates.len()), "{}", strategy);
        }
    }

    #[test]
    fn affinity_moves_only_the_keys_of_the_node_that_left(
        ids in different_ids(), key: u64, left in 0usize..9,
    ) {
        let all: Vec<_> = ids.iter().map(|id| candidate(*id, 0, 1)).collect();
        let mut rest = all.clone();
        let left = rest.remove(left % all.len());
        let node = |candidates: &[Candidate]| {
            Affinity.pick(&PickRequest { candidates, key, random: 0 }).map(|index| candidates[index].node)
        };
        prop_assert!(node(&all) == node(&rest) || node(&all) == Some(left.node));
        rest.push(left);
        prop_assert_eq!(node(&all), node(&rest), "a node that returns gets its keys back");
    }
}

#[test]
fn round_robin_is_exact() {
    let candidates = [1, 2, 3].map(|node| candidate(node, node as u32, 1));
    assert_eq!(histogram(&RoundRobin::default(), &candidates, 301), [101, 100, 100]);
}

#[test]
fn round_robin_is_exact_between_threads() {
    let (balancer, candidates) = (RoundRobin::default(), [1, 2].map(|node| candidate(node, 0, 1)));
    let firsts: usize = std::thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(|| histogram(&balancer, &candidates, 1000)[0]));
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(firsts, 2000);
}

#[test]
fn weights_are_shares() {
    let candidates = [candidate(1, 9, 1), candidate(2, 0, 3), candidate(3, 0, 0), candidate(4, 5, 6)];
    let counts = histogram(&Weighted, &candidates, 100_000);
    assert_eq!(counts[2], 0);
    assert_near(&counts, &[10_000, 30_000, 0, 60_000]);
    let idle = [1, 2, 3, 4].map(|node| candidate(node, 0, 0));
    assert_near(&histogram(&Weighted, &idle, 100_000), &[25_000; 4]);
}

#[test]
fn two_choices_prefer_the_less_loaded() {
    let same = [1, 2, 3, 4].map(|node| candidate(node, 7, 1));
    assert_near(&histogram(&LeastConnections, &same, 100_000), &[25_000; 4]);
    // Of the six pairs the least loaded is in three, the next wins two more, the most loaded none.
    let graded = [1, 2, 3, 4].map(|node| candidate(node, node as u32, 1));
    let counts = histogram(&LeastConnections, &graded, 100_000);
    assert_near(&counts, &[50_000, 33_333, 16_667, 0]);
    assert_eq!(counts[3], 0);
}

/// Unanswered requests pile up: the queues must stay nearly as even as if all were compared, which a single random choice
/// does not achieve.
#[test]
fn two_choices_keep_queues_even() {
    let spread = |balancer: &dyn Balancer| {
        let mut random = Random::from_state(7);
        let mut candidates: Vec<_> = (0..10).map(|node| candidate(node, 0, 1)).collect();
        for _ in 0..10_000 {
            let request = PickRequest { candidates: &candidates, key: 0, random: random.next() };
            let pick = balancer.pick(&request).expect("there are candidates");
            candidates[pick].in_flight += 1;
        }
        let loads = candidates.iter().map(|candidate| candidate.in_flight);
        loads.clone().max().unwrap_or(0) - loads.min().unwrap_or(0)
    };
    assert!(spread(&LeastConnections) <= 8, "two choices: {}", spread(&LeastConnections));
    assert!(spread(&Weighted) > 50, "one choice: {}", spread(&Weighted));
}

#[test]
fn affinity_spreads_keys() {
    let candidates = [10, 20, 30, 40, 50].map(|node| candidate(node, 0, 1));
    assert_near(&histogram(&Affinity, &candidates, 100_000), &[20_000; 5]);
}
