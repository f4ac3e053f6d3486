//! Which entries are refused: the compare-and-sets, and the limits that keep the state bounded.

use super::{Outcome, Refused, State};
use crate::metalog::entry::{Cluster, Entry, EpochKind, RequestId, RuleSets, Seal};
use entail_model::{Attempt, Epoch, NodeId, Placement};
use std::collections::BTreeSet;

/// Limit on the nodes that ever registered.
const NODES_MAX: usize = 4096;
/// Limit on the bytes of a name, an address, a request id or a reason.
const TEXT_BYTES_MAX: usize = 1024;
/// Limit on the bytes of one answer.
pub const RESULT_BYTES_MAX: usize = 64 << 10;
/// Limit on the requests that one epoch answers.
pub const GROUP_MAX: usize = 512;
/// Limit on the bytes of all rule sets together.
const RULES_BYTES_MAX: usize = 16 << 20;

pub fn check(state: &State, entry: &Entry) -> Result<(), Refused> {
    let Some(cluster) = state.cluster() else {
        return if matches!(entry, Entry::CreateCluster(_)) { Ok(()) } else { Err(Refused::NoCluster) };
    };
    match entry {
        Entry::CreateCluster(_) => Err(Refused::ClusterExists { cluster: cluster.cluster }),
        Entry::RegisterNode { node, name, address } => check_register(state, *node, name, address),
        Entry::Place { placement } => check_place(state, cluster, placement),
        Entry::BeginEpoch { previous, request, rules, .. } => check_begin(state, *previous, request, *rules),
        Entry::CommitEpoch { attempt, epoch, nodes, result, rules } => {
            limit("the answer's size", result.len(), RESULT_BYTES_MAX)?;
            check_commit(state, *attempt, *epoch, rules.as_ref())?;
            check_seals(state, nodes)
        }
        Entry::CommitGroup { attempt, epoch, nodes, answers } => {
            check_answers(state, answers)?;
            check_commit(state, *attempt, *epoch, None)?;
            check_seals(state, nodes)
        }
        Entry::AbortEpoch { attempt, reason } => {
            limit("the reason's length", reason.len(), TEXT_BYTES_MAX)?;
            check_open(state, *attempt).map(|_| ())
        }
    }
}

/// Each request of a group is answered once, and has no answer yet.
fn check_answers(state: &State, answers: &[(RequestId, Vec<u8>)]) -> Result<(), Refused> {
    limit("the number of answers", answers.len(), GROUP_MAX)?;
    let mut requests = BTreeSet::new();
    for (request, result) in answers {
        limit("the request's id", request.0.len(), TEXT_BYTES_MAX)?;
        limit("the answer's size", result.len(), RESULT_BYTES_MAX)?;
        let before = state.answer(request).map(|answer| answer.epoch);
        if let Some(epoch) = before.or_else(|| (!requests.insert(request)).then(|| state.epoch.next())) {
            return Err(Refused::Answered { request: request.clone(), epoch });
        }
    }
    Ok(())
}

fn limit(what: &'static str, size: usize, limit: usize) -> Result<(), Refused> {
    if size <= limit { Ok(()) } else { Err(Refused::TooLarge { what, limit }) }
}

fn check_register(state: &State, node: NodeId, name: &str, address: &str) -> Result<(), Refused> {
    limit("the node's name", name.len(), TEXT_BYTES_MAX)?;
    limit("the node's address", address.len(), TEXT_BYTES_MAX)?;
    let new = usize::from(!state.nodes.contains_key(&node));
    limit("the number of nodes", state.nodes.len() + new, NODES_MAX)
}

/// Refused while an attempt is open: its facts are on the nodes that held their shards when it began.
fn check_place(state: &State, cluster: &Cluster, placement: &Placement) -> Result<(), Refused> {
    check_none_open(state)?;
    let (given, current) = (placement.version, state.placement.version);
    if given <= current {
        return Err(Refused::StalePlacement { given, current });
    }
    let (given, expected) = (placement.holders.len(), usize::from(cluster.shards.get()));
    if given != expected {
        return Err(Refused::WrongShards { given, expected });
    }
    match placement.holders.iter().find(|node| !state.nodes.contains_key(node)) {
        Some(node) => Err(Refused::UnknownNode { node: *node }),
        None => Ok(()),
    }
}

fn check_begin(state: &State, previous: Epoch, request: &RequestId, rules: u64) -> Result<(), Refused> {
    limit("the request's id", request.0.len(), TEXT_BYTES_MAX)?;
    if let Some(answer) = state.answer(request) {
        return Err(Refused::Answered { request: request.clone(), epoch: answer.epoch });
    }
    check_none_open(state)?;
    if state.placement.holders.is_empty() {
        return Err(Refused::NotPlaced);
    }
    check_epoch(previous, state.epoch)?;
    check_rules_version(rules, state.rules.version)
}

fn check_commit(state: &State, attempt: Attempt, epoch: Epoch, rules: Option<&RuleSets>) -> Result<(), Refused> {
    let kind = check_open(state, attempt)?;
    check_epoch(epoch, state.epoch.next())?;
    match (kind, rules) {
        (EpochKind::Facts, None) => Ok(()),
        (EpochKind::Rules, Some(rules)) => {
            check_rules_version(rules.version, state.rules.version + 1)?;
            check_rules(rules)
        }
        (EpochKind::Facts, Some(_)) | (EpochKind::Rules, None) => Err(Refused::RulesOutOfPlace),
    }
}

fn check_rules(rules: &RuleSets) -> Result<(), Refused> {
    let bytes =
        rules.sets.iter().map(|set| set.name.len() + set.source.len() + set.graph.as_ref().map_or(0, String::len));
    // 64 bytes for each set beside its texts, so that the number of empty ones is bounded too.
    limit("the size of all rule sets", bytes.map(|bytes| bytes + 64).sum(), RULES_BYTES_MAX)?;
    let in_order = rules.sets.windows(2).all(|pair| pair[0].name < pair[1].name);
    if in_order { Ok(()) } else { Err(Refused::RulesOutOfPlace) }
}

/// Exactly the nodes that hold shards must have sealed, each in its present incarnation: a stage sealed in an earlier one
/// may be lost.
fn check_seals(state: &State, seals: &[Seal]) -> Result<(), Refused> {
    let mut missing = state.placement.nodes();
    for seal in seals {
        let node = seal.node;
        let member =
            state.nodes.get(&node).filter(|_| missing.remove(&node)).ok_or(Refused::UnexpectedSeal { node })?;
        let (given, current) = (seal.incarnation, member.incarnation);
        if given != current {
            return Err(Refused::StaleSeal { node, given, current });
        }
    }
    match missing.first() {
        Some(node) => Err(Refused::MissingSeal { node: *node }),
        None => Ok(()),
    }
}

fn check_none_open(state: &State) -> Result<(), Refused> {
    match state.open() {
        Some(open) => Err(Refused::AttemptOpen { attempt: open.attempt }),
        None => Ok(()),
    }
}

fn check_open(state: &State, attempt: Attempt) -> Result<EpochKind, Refused> {
    match (state.outcome(attempt), state.open()) {
        (Outcome::Open, Some(open)) => Ok(open.kind),
        (outcome, _) => Err(Refused::NotOpen { attempt, outcome }),
    }
}

fn check_epoch(given: Epoch, expected: Epoch) -> Result<(), Refused> {
    if given == expected { Ok(()) } else { Err(Refused::WrongEpoch { given, expected }) }
}

fn check_rules_version(given: u64, expected: u64) -> Result<(), Refused> {
    if given == expected { Ok(()) } else { Err(Refused::WrongRules { given, expected }) }
}
