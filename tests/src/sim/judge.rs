//! The judge: checks the safety properties against the log's durable entries and the oracle.
//!
//! | property | checked for |
//! |---|---|
//! | one decision per attempt, one attempt per epoch, epochs in order, a request commits once | each entry of the log |
//! | a committed epoch is in the log before it becomes visible | each snapshot that a node installs, each answer |
//! | state = closure of the asserted facts under that epoch's rules; both copies, each once, correct marks | likewise |
//! | counts and digests in the log equal those of the nodes | likewise |
//! | a read sees one whole epoch, not older than the last acknowledged one | each read |
//! | acknowledged = committed; failed for certain = never committed | each answer, and the end |

use super::Cluster;
use super::program::rules_of;
use super::store::{Snapshot, pairs_of};
use super::wire::Change;
use crate::oracle::{Placed, Triple, copies, naive_closure};
use entail_coordinator::metalog::{Entry, RequestId, Seal};
use entail_logic::columns::Pair;
use entail_logic::fixpoint::Base;
use entail_model::{Attempt, Direction, Epoch, Fault, Mark, NodeId, Placement, Reason, Relation};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A violated property.
pub type Violation = String;

/// The required state of a committed epoch.
struct Expected {
    attempt: Attempt,
    seals: Vec<Seal>,
    asserted: BTreeSet<Triple>,
    closure: BTreeSet<Triple>,
}

/// The judge of one simulation.
pub struct Judge {
    cluster: Arc<Cluster>,
    /// The number of log entries that were checked.
    entries: usize,
    placement: Placement,
    begun: BTreeMap<Attempt, RequestId>,
    decided: BTreeMap<Attempt, Option<Epoch>>,
    committed: BTreeMap<RequestId, Epoch>,
    rules: Vec<usize>,
    epochs: Vec<Expected>,
    changes: BTreeMap<RequestId, Arc<Change>>,
    /// Requests that failed with a guarantee that nothing of them is ever committed.
    failed: BTreeSet<RequestId>,
    acknowledged: Epoch,
    /// The last checked state of each node.
    looked_at: BTreeMap<NodeId, (Epoch, Attempt)>,
    pub aborts: u64,
}

impl Judge {
    pub fn new(cluster: Arc<Cluster>) -> Self {
        let nothing = BTreeSet::new();
        let empty = Expected { attempt: Attempt(0), seals: Vec::new(), asserted: nothing.clone(), closure: nothing };
        Self {
            cluster,
            entries: 0,
            placement: Placement::default(),
            begun: BTreeMap::new(),
            decided: BTreeMap::new(),
            committed: BTreeMap::new(),
            rules: Vec::new(),
            epochs: vec![empty],
            changes: BTreeMap::new(),
            failed: BTreeSet::new(),
            acknowledged: Epoch(0),
            looked_at: BTreeMap::new(),
            aborts: 0,
        }
    }

    /// The last committed epoch.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epochs.len() as u64 - 1)
    }

    /// The last epoch that was acknowledged to a client.
    pub fn acknowledged(&self) -> Epoch {
        self.acknowledged
    }

    /// Records a client's request for a change.
    pub fn note_request(&mut self, request: &RequestId, change: &Arc<Change>) {
        self.changes.entry(request.clone()).or_insert_with(|| Arc::clone(change));
    }

    /// Checks new durable entries of the log.
    pub fn look_at_log(&mut self, entries: &[Entry]) -> Result<(), Violation> {
        for (index, entry) in entries.iter().enumerate().skip(self.entries) {
            self.entries = index + 1;
            match entry {
                Entry::CreateCluster(_) | Entry::RegisterNode { .. } => {}
                Entry::Place { placement } => self.placement = placement.clone(),
                Entry::BeginEpoch { request, .. } => {
                    _ = self.begun.insert(Attempt(index as u64 + 1), request.clone());
                }
                Entry::CommitEpoch { attempt, epoch, nodes, result, rules } => {
                    self.decide(*attempt, Some(*epoch))?;
                    if let Some(rules) = rules {
                        self.rules = rules.sets.iter().flat_map(rules_of).collect();
                    }
                    self.commit(*attempt, *epoch, nodes, result, rules.is_some())?;
                }
                Entry::CommitGroup { attempt, .. } => {
                    return Err(format!("attempt {attempt} answers several requests, which no client has sent"));
                }
                Entry::AbortEpoch { attempt, .. } => {
                    self.aborts += 1;
                    self.decide(*attempt, None)?;
                }
            }
        }
        Ok(())
    }

    fn decide(&mut self, attempt: Attempt, epoch: Option<Epoch>) -> Result<(), Violation> {
        match self.decided.insert(attempt, epoch) {
            Some(before) => Err(format!("attempt {attempt} was decided as {before:?}, and as {epoch:?}")),
            None => Ok(()),
        }
    }

    fn commit(
        &mut self,
        attempt: Attempt,
        epoch: Epoch,
        seals: &[Seal],
        result: &[u8],
        is_rules: bool,
    ) -> Result<(), Violation> {
        if epoch != self.epoch().next() {
            return Err(format!("epoch {epoch} was committed after {}", self.epoch()));
        }
        let request = self.begun.get(&attempt).ok_or(format!("attempt {attempt} never began"))?.clone();
        if let Some(before) = self.committed.insert(request.clone(), epoch) {
            return Err(format!("request {request} was committed as {before} and as {epoch}"));
        }
        if self.failed.contains(&request) {
            return Err(format!("request {request} failed for certain, and was committed as {epoch}"));
        }
        let before = &self.epochs[self.epochs.len() - 1];
        let mut asserted = before.asserted.clone();
        if let Change::Facts { added, removed } = &*self.changes[&request] {
            asserted.retain(|fact| !removed.contains(fact));
            asserted.extend(added);
        }
        let rules: Vec<_> = self.rules.iter().map(|number| &self.cluster.rules[*number]).collect();
        let closure = naive_closure(&asserted, &rules);
        let from = if is_rules { asserted.len() } else { before.closure.union(&asserted).count() };
        let derived = (closure.len() as u64).saturating_sub(from as u64);
        let told = result.try_into().map(u64::from_le_bytes).map_err(|_| "a summary of the wrong size")?;
        // New rules add to the derived facts; dropped rules cause all facts to be derived again.
        let at_least = closure.len().saturating_sub(before.closure.len()) as u64;
        // A fact that is no longer asserted may come back as a derived one.
        let may_repeat = matches!(&*self.changes[&request], Change::Facts { removed, .. } if !removed.is_empty());
        if told != u64::MAX
            && !(may_repeat && told >= derived)
            && told != derived
            && !(is_rules && (at_least..=derived).contains(&told))
        {
            return Err(format!("epoch {epoch} says that {told} facts were derived, not {derived}"));
        }
        self.epochs.push(Expected { attempt, seals: seals.to_vec(), asserted, closure });
        let counts = seals.iter().map(|seal| (seal.counts.asserted, seal.counts.derived));
        let counts = counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        let expected = &self.epochs[self.epochs.len() - 1];
        let asserted = expected.asserted.len() as u64;
        if counts != (asserted, expected.closure.len() as u64 - asserted) {
            return Err(format!("epoch {epoch} is sealed with {counts:?} facts asserted and derived"));
        }
        Ok(())
    }

    /// Checks the last epoch of a node.
    pub fn look_at_node(&mut self, node: NodeId, epoch: Epoch, snapshot: &Snapshot) -> Result<(), Violation> {
        let attempt = snapshot.attempt;
        if self.looked_at.insert(node, (epoch, attempt)) == Some((epoch, attempt)) || epoch == Epoch(0) {
            return Ok(());
        }
        let expected = self
            .epochs
            .get(epoch.0 as usize)
            .ok_or(format!("node {node} shows epoch {epoch}, which is not committed"))?;
        if expected.attempt != attempt {
            return Err(format!("node {node} shows attempt {attempt} as epoch {epoch}, which is {}", expected.attempt));
        }
        let seal = expected.seals.iter().find(|seal| seal.node == node);
        if seal.is_none_or(|seal| seal.digest != snapshot.stage.seal.digest) {
            return Err(format!("node {node} shows another epoch {epoch} than it sealed"));
        }
        self.check_part(node, expected, &snapshot.stage.relations)
            .map_err(|violation| format!("node {node} at epoch {epoch}: {violation}"))
    }

    /// Checks the result of a read.
    pub fn look_at_read(&self, epoch: Epoch, parts: &BTreeMap<NodeId, Base>) -> Result<(), Violation> {
        let expected = self.epochs.get(epoch.0 as usize).ok_or(format!("a reader was given epoch {epoch}"))?;
        parts.iter().try_for_each(|(node, part)| {
            let result = self.check_part(*node, expected, part);
            result.map_err(|violation| format!("a reader of epoch {epoch} at node {node}: {violation}"))
        })
    }

    /// Checks an answer of the coordinator.
    pub fn look_at_answer(&self, result: &Result<Epoch, Fault>) -> Result<(), Violation> {
        match result {
            Ok(epoch) if *epoch > self.epoch() => Err(format!("epoch {epoch} was answered before it was durable")),
            Err(fault) if matches!(fault.reason, Reason::Internal | Reason::Corrupt | Reason::LimitExceeded) => {
                Err(format!("a client was answered {}: {fault}", fault.reason.name()))
            }
            _ => Ok(()),
        }
    }

    /// Checks the outcome of a request as its client perceives it.
    pub fn look_at_outcome(
        &mut self,
        request: RequestId,
        result: &Result<Epoch, Fault>,
        in_doubt: bool,
    ) -> Result<(), Violation> {
        let committed = self.committed.get(&request);
        match result {
            Ok(epoch) if committed != Some(epoch) => {
                Err(format!("request {request} was acknowledged as {epoch}, and committed as {committed:?}"))
            }
            Ok(epoch) => {
                self.acknowledged = self.acknowledged.max(*epoch);
                Ok(())
            }
            // An earlier unanswered call may still be in progress.
            Err(_) if in_doubt => Ok(()),
            Err(fault) if committed.is_some() => {
                Err(format!("request {request} was told {}, and committed as {committed:?}", fault.reason.name()))
            }
            Err(_) => {
                self.failed.insert(request);
                Ok(())
            }
        }
    }

    /// Does a node's part of an epoch consist of exactly the facts that belong to it?
    fn check_part(&self, node: NodeId, expected: &Expected, part: &Base) -> Result<(), Violation> {
        let rdf_type = self.cluster.vocabulary.rdf_type();
        let here = |facts: &BTreeSet<Triple>| -> BTreeMap<(Relation, Direction), BTreeSet<Pair>> {
            let mut pairs: BTreeMap<(Relation, Direction), BTreeSet<Pair>> = BTreeMap::new();
            for Placed { relation, copy, pair, .. } in
                copies(facts, &self.placement, rdf_type).filter(|copy| copy.node == node)
            {
                pairs.entry((relation, copy)).or_default().insert(pair);
            }
            pairs
        };
        let (mut closure, mut asserted) = (here(&expected.closure), here(&expected.asserted));
        for (relation, copies) in part.iter() {
            for copy in Direction::BOTH {
                let runs = &copies[copy as usize];
                let [asserted_runs, derived, promoted] = Mark::ALL.map(|mark| pairs_of(runs, mark));
                let here = format!("{copy:?} copy of {:?}", relation.predicate);
                let all = asserted_runs.iter().chain(&derived).copied().collect();
                let expected = closure.remove(&(relation, copy)).unwrap_or_default();
                compare(&format!("{here}, closure"), all, &expected)?;
                let by_users = asserted_runs.iter().chain(&promoted).copied().collect();
                let expected = asserted.remove(&(relation, copy)).unwrap_or_default();
                compare(&format!("{here}, asserted"), by_users, &expected)?;
                let derived: BTreeSet<Pair> = derived.into_iter().collect();
                if let Some(pair) = promoted.iter().find(|pair| !derived.contains(pair)) {
                    return Err(format!("{here}: {pair:?} is promoted but not derived"));
                }
            }
        }
        match closure.iter().next() {
            Some(((relation, copy), pairs)) => {
                Err(format!("the {copy:?} copy of {:?} lacks {pairs:?}", relation.predicate))
            }
            None => Ok(()),
        }
    }
}

/// Compares a list, which must not contain duplicates, with a set.
fn compare(what: &str, mut found: Vec<Pair>, expected: &BTreeSet<Pair>) -> Result<(), Violation> {
    found.sort_unstable();
    if found.iter().eq(expected) {
        return Ok(());
    }
    if let Some(pair) = found.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("{what}: {:?} is there twice", pair[0]));
    }
    let found: BTreeSet<Pair> = found.into_iter().collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    let foreign: Vec<_> = found.difference(expected).collect();
    Err(format!("{what}: {missing:?} are missing, {foreign:?} do not belong"))
}
