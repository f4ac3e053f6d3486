//! Properties of proposals: the invariants of [`placement`](super).

use super::*;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

fn count(bits: u32) -> ShardCount {
    ShardCount::new(1 << bits).expect("a power of two")
}

fn loads(placement: &Placement, nodes: &[NodeId]) -> Vec<usize> {
    nodes.iter().map(|node| placement.shards_of(*node).count()).collect()
}

/// Checks that every shard is on a node of the list, and no node is above the module's bound.
fn check(placement: &Placement, nodes: &[NodeId], shards: ShardCount) {
    let (shards, count) = (usize::from(shards.get()), nodes.len());
    assert_eq!(placement.holders.len(), shards);
    assert!(placement.holders.iter().all(|holder| nodes.contains(holder)));
    let max = loads(placement, nodes).into_iter().max().unwrap_or(0);
    if shards >= 4 * count {
        assert!(max * count * 4 <= shards * 5, "{max} of {shards} shards on one of {count} nodes");
    } else {
        assert!(max <= shards.div_ceil(count), "{max} of {shards} shards on one of {count} nodes");
    }
}

fn check_even(placement: &Placement, nodes: &[NodeId]) {
    let loads = loads(placement, nodes);
    assert!(loads.iter().max() <= loads.iter().min().map(|min| min + 1).as_ref(), "{loads:?}");
}

/// The shards whose holder differs, with old and new holder.
fn moves(from: &Placement, to: &Placement) -> Vec<(NodeId, NodeId)> {
    let pairs = from.holders.iter().copied().zip(to.holders.iter().copied());
    pairs.filter(|(old, new)| old != new).collect()
}

fn some_nodes(max: usize) -> impl Strategy<Value = Vec<NodeId>> {
    btree_set(any::<u64>(), 1..max).prop_map(|ids| ids.into_iter().map(NodeId).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn order_and_repetition_of_nodes_do_not_matter(nodes in some_nodes(20), bits in 0u32..9, turn in 0usize..20) {
        let mut other = nodes.clone();
        other.reverse();
        other.rotate_left(turn % nodes.len());
        other.push(nodes[0]);
        let placement = Placement::propose(None, &nodes, count(bits));
        prop_assert_eq!(&placement, &Placement::propose(None, &other, count(bits)));
        prop_assert_eq!(placement.version, 1);
        check(&placement, &nodes, count(bits));
        check_even(&placement, &nodes);
    }

    #[test]
    fn a_new_node_takes_its_share_and_nothing_else_moves(nodes in some_nodes(20), new: u64, bits in 0u32..10) {
        let new = NodeId(new);
        prop_assume!(!nodes.contains(&new));
        let before = Placement::propose(None, &nodes, count(bits));
        let nodes = [&nodes[..], &[new]].concat();
        let after = Placement::propose(Some(&before), &nodes, count(bits));
        check(&after, &nodes, count(bits));
        check_even(&after, &nodes);
        let moves = moves(&before, &after);
        prop_assert!(moves.iter().all(|(_, to)| *to == new));
        prop_assert!(moves.len() <= before.holders.len().div_ceil(nodes.len()));
        prop_assert_eq!(after.version, before.version + u64::from(!moves.is_empty()));
    }

    #[test]
    fn only_the_shards_of_a_node_that_left_move(nodes in some_nodes(20), left in 0usize..20, bits in 0u32..10) {
        prop_assume!(nodes.len() > 1);
        let before = Placement::propose(None, &nodes, count(bits));
        let mut rest = nodes.clone();
        let left = rest.remove(left % nodes.len());
        let after = Placement::propose(Some(&before), &rest, count(bits));
        check(&after, &rest, count(bits));
        check_even(&after, &rest);
        prop_assert!(moves(&before, &after).iter().all(|(from, _)| *from == left));
    }

    #[test]
    fn a_long_life_stays_even(steps in vec((any::<bool>(), 0u64..12), 1..30), bits in 0u32..8) {
        let mut nodes = vec![NodeId(100)];
        let mut placement = Placement::propose(None, &nodes, count(bits));
        for (add, id) in steps {
            let known = nodes.iter().position(|node| *node == NodeId(id));
            match known {
                None if add => nodes.push(NodeId(id)),
                Some(index) if !add => drop(nodes.swap_remove(index)),
                _ => {}
            }
            let next = Placement::propose(Some(&placement), &nodes, count(bits));
            check(&next, &nodes, count(bits));
            check_even(&next, &nodes);
            placement = next;
        }
    }

    #[test]
    fn many_changes_at_once_move_only_from_leavers_or_to_newcomers(
        before in some_nodes(12), after in some_nodes(12), shared in 0usize..12, bits in 0u32..9,
    ) {
        let shared = &before[..shared.min(before.len())];
        let after: Vec<_> = [&after[..], shared].concat().into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let old = Placement::propose(None, &before, count(bits));
        let new = Placement::propose(Some(&old), &after, count(bits));
        check(&new, &after, count(bits));
        let held = old.nodes();
        for (from, to) in moves(&old, &new) {
            prop_assert!(!after.contains(&from) || !held.contains(&to), "{from} to {to}");
        }
    }

    #[test]
    fn foreign_placements_are_brought_within_the_bound(holders in vec(0u64..6, 0..300), bits in 0u32..9) {
        let odd = Placement { version: 7, holders: holders.into_iter().map(NodeId).collect() };
        let nodes: Vec<_> = (2..8).map(NodeId).collect();
        let placement = Placement::propose(Some(&odd), &nodes, count(bits));
        check(&placement, &nodes, count(bits));
        prop_assert_eq!(placement.version, if placement.holders == odd.holders { 7 } else { 8 });
        prop_assert_eq!(&placement, &Placement::propose(Some(&placement), &nodes, count(bits)));
    }
}

#[test]
fn without_nodes_nothing_is_placed() {
    assert_eq!(Placement::propose(None, &[], count(4)).holders, []);
}

#[test]
fn the_largest_cluster_is_placed() {
    let nodes: Vec<_> = (0..1000).map(NodeId).collect();
    let placement = Placement::propose(None, &nodes, count(15));
    check(&placement, &nodes, count(15));
}

/// The ring is a format: if this fails, coordinators of two versions would propose different placements.
#[test]
fn proposals_never_change() {
    let placement = Placement::propose(None, &[NodeId(1), NodeId(2), NodeId(3)], count(4));
    let numbers: Vec<_> = placement.holders.iter().map(|node| node.0).collect();
    assert_eq!(numbers, [2, 2, 1, 3, 1, 1, 3, 3, 3, 1, 1, 3, 2, 2, 2, 1]);
}
