//! The nodes that hold shards, as their callers use them; a fault of a call names the node.

use crate::balance::{Balancer, Candidate, PickRequest};
use crate::in_flight::Use;
use entail_model::{ClusterId, Fault, NodeId, Reason, Secret, ShardId};
use entail_node_api::{AtOnce, Call, Connections, LocalNodes, NodeApi};
use entail_proto::convert;
use entail_proto::internal::PlacementMap;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The connections to all nodes, and the number of queries at work at each.
#[derive(Debug, Default)]
pub struct Nodes {
    connections: Connections,
    at_work: Mutex<HashMap<NodeId, Arc<AtomicU32>>>,
}

impl Nodes {
    /// No connections yet; `local` nodes need none.
    pub fn new(local: Arc<LocalNodes>) -> Self {
        Self { connections: Connections::new(local), at_work: Mutex::default() }
    }

    fn at_work(&self, node: NodeId) -> Arc<AtomicU32> {
        Arc::clone(self.at_work.lock().unwrap_or_else(PoisonError::into_inner).entry(node).or_default())
    }
}

/// The nodes that hold shards, as of one placement.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    pub map: Arc<PlacementMap>,
    pub links: BTreeMap<NodeId, Link>,
    /// Marks the nodes as in use while a clone of this exists.
    _in_use: Use,
}

/// One node to call.
#[derive(Clone, Debug)]
pub struct Link {
    pub node: NodeId,
    pub name: String,
    pub shards: Vec<ShardId>,
    cluster: ClusterId,
    /// Of the attempt that calls are for, if they are for one.
    secret: Secret,
    api: Arc<dyn NodeApi>,
    at_work: Arc<AtomicU32>,
    /// Why the node cannot be called, if that was known when the link was made.
    absence: Option<&'static str>,
}

/// A query's part at a node, counted while this exists.
pub struct AtWork(Arc<AtomicU32>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Holders {
    /// Links to every holder of the placement; `known` has each node's name and why it cannot be called, if so.
    pub fn new(
        nodes: &Nodes,
        cluster: ClusterId,
        map: PlacementMap,
        known: &BTreeMap<NodeId, (String, Option<&'static str>)>,
    ) -> Result<Self, Fault> {
        let mut links = BTreeMap::new();
        let (placement, addresses) = convert::placement_parts(&map);
        for (shard, node) in placement.holders.iter().enumerate() {
            if !links.contains_key(node) {
                let address = addresses.get(node).ok_or_else(|| Fault::internal("a holder without an address"))?;
                let (name, absence) = known.get(node).cloned().unwrap_or_else(|| (address.clone(), None));
                let (api, at_work) = (nodes.connections.node(*node, || Ok(address))?, nodes.at_work(*node));
                let (node, shards, secret) = (*node, Vec::new(), Secret::NONE);
                links.insert(node, Link { node, name, shards, cluster, secret, api, at_work, absence });
            }
            let link = links.get_mut(node).expect("it was just inserted");
            link.shards.push(ShardId(shard as u16));
        }
        Ok(Self { map: Arc::new(map), links, _in_use: Use::default() })
    }

    /// These links, counted as a use of the nodes.
    pub fn in_use(mut self, one: Use) -> Self {
        self._in_use = one;
        self
    }

    /// Calls are for the attempt of this secret from now on.
    pub fn work_for(&mut self, secret: Secret) {
        self.links.values_mut().for_each(|link| link.secret = secret);
    }

    /// The node that holds a shard.
    pub fn holder(&self, shard: ShardId) -> Result<&Link, Fault> {
        let node = self.map.holders.get(usize::from(shard.0)).map(|node| NodeId(*node));
        node.and_then(|node| self.links.get(&node)).ok_or_else(|| {
            Fault::new(Reason::ShardsUnavailable, format!("shard {shard} is not placed")).with_shards(vec![shard])
        })
    }

    /// The node that holds all shards, if there is only one.
    pub fn only(&self) -> Option<&Link> {
        self.links.values().next().filter(|_| self.links.len() == 1)
    }

    /// The replicas that can answer for a shard: its one holder, as long as there is one copy of each shard.
    fn replicas(&self, shard: usize) -> Vec<Candidate> {
        let node = self.map.holders.get(shard).map(|node| NodeId(*node));
        let link = node.and_then(|node| self.links.get(&node));
        let candidate =
            |link: &Link| Candidate { node: link.node, in_flight: link.at_work.load(Ordering::Relaxed), weight: 1 };
        link.map(candidate).into_iter().collect()
    }

    /// These links with one replica of each shard, as the balancer picks it. One query reads from them alone, so that all
    /// its parts agree on the node that answers for a shard.
    pub fn picked(mut self, balancer: &dyn Balancer, random: impl Fn(usize) -> u64) -> Self {
        self.links.values_mut().for_each(|link| link.shards.clear());
        for shard in 0..self.map.holders.len() {
            let candidates = self.replicas(shard);
            let request = PickRequest { candidates: &candidates, key: shard as u64, random: random(shard) };
            if let Some(picked) = balancer.pick(&request).map(|index| candidates[index].node) {
                Arc::make_mut(&mut self.map).holders[shard] = picked.0;
                let link = self.links.get_mut(&picked).expect("candidates have links");
                link.shards.push(ShardId(shard as u16));
            }
        }
        self.links.retain(|_, link| !link.shards.is_empty());
        self
    }
}

impl Link {
    /// Counts a query's part at this node.
    pub fn begin(&self) -> AtWork {
        self.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(Arc::clone(&self.at_work))
    }

    /// Calls the node, unless it is known to be unavailable. A call for a query gives its deadline as `until`.
    pub async fn call<'l, T, F>(
        &'l self,
        until: Option<Instant>,
        call: impl FnOnce(&'l dyn NodeApi, Call) -> F,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        self.check()?;
        call(&*self.api, self.details(until)).await.map_err(|fault| self.fault(fault))
    }

    /// Calls the node by reference on this thread, if it is in this process and not known to be unavailable.
    pub fn at_once<'l, T>(
        &'l self,
        ask: impl FnOnce(&'l dyn AtOnce, Call) -> Result<T, Fault>,
    ) -> Option<Result<T, Fault>> {
        let node = self.api.at_once().filter(|_| self.absence.is_none())?;
        Some(ask(node, self.details(None)).map_err(|fault| self.fault(fault)))
    }

    /// What every call says.
    fn details(&self, until: Option<Instant>) -> Call {
        Call { cluster: self.cluster, until, secret: self.secret }
    }

    /// Is the node in this process, where a call works on the thread that polls it?
    pub fn is_local(&self) -> bool {
        self.api.at_once().is_some()
    }

    fn check(&self) -> Result<(), Fault> {
        self.absence.map_or(Ok(()), |absence| Err(self.unreachable(absence)))
    }

    fn unreachable(&self, why: &str) -> Fault {
        Fault::new(Reason::ShardsUnavailable, format!("node {} {why}", self.name)).with_shards(self.shards.clone())
    }

    /// Adds the node's name to faults that need an operator, and its shards if the node cannot be reached.
    pub fn fault(&self, mut fault: Fault) -> Fault {
        // A node that has not registered yet counts as unreachable.
        let is_away = matches!(fault.reason, Reason::ShardsUnavailable | Reason::DeadlineExceeded | Reason::NotReady);
        if is_away && fault.shards.is_empty() {
            return self.unreachable(&format!("cannot be reached: {}", fault.message));
        }
        if matches!(fault.reason, Reason::DiskFull | Reason::Corrupt) {
            fault.message = format!("node {}: {}", self.name, fault.message);
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::RoundRobin;
    use entail_model::Placement;

    /// Three nodes, of which the third holds nothing yet.
    fn holders() -> Holders {
        let addresses = BTreeMap::from([1, 2, 3].map(|node| (NodeId(node), format!("127.0.0.1:{node}"))));
        let placement = Placement { version: 1, holders: [1, 2, 1, 2].map(NodeId).to_vec() };
        let map = convert::placement_map(&placement, &addresses);
        Holders::new(&Nodes::default(), ClusterId(9), map, &BTreeMap::new()).expect("addresses are known")
    }

    #[tokio::test]
    async fn with_one_copy_the_pick_is_the_holder() {
        let all = holders();
        let picked = all.clone().picked(&RoundRobin::default(), |shard| shard as u64);
        assert_eq!(picked.map.holders, all.map.holders);
        assert_eq!(picked.links[&NodeId(2)].shards, [ShardId(1), ShardId(3)]);
        assert_eq!(picked.links.len(), 2);
    }

    #[tokio::test]
    async fn replicas_know_what_is_at_work_at_them() {
        let holders = holders();
        let in_flight = || holders.replicas(0).iter().map(|candidate| candidate.in_flight).collect::<Vec<_>>();
        let link = holders.holder(ShardId(0)).expect("it is placed");
        let (one, other) = (link.begin(), link.clone().begin());
        assert_eq!(in_flight(), [2]);
        drop((one, other));
        assert_eq!(in_flight(), [0]);
        assert_eq!(holders.replicas(4), []);
    }

    #[tokio::test]
    async fn a_failure_names_the_node_and_an_absent_one_is_not_called() {
        let mut link = holders().holder(ShardId(1)).expect("it is placed").clone();
        let fail = |reason| async move { Err::<(), Fault>(Fault::new(reason, "why")) };
        for (reason, text) in [
            (Reason::DiskFull, "node 127.0.0.1:2: why"),
            (Reason::NotReady, "node 127.0.0.1:2 cannot be reached: why"),
            (Reason::Fenced, "why"),
        ] {
            assert_eq!(link.call(None, |_, _| fail(reason)).await.expect_err("it fails").message, text);
        }
        link.absence = Some("is shutting down");
        let fault = link.call(None, |_, _| async { Ok(()) }).await.expect_err("it is not called");
        assert_eq!((fault.message.as_str(), fault.shards), ("node 127.0.0.1:2 is shutting down", link.shards));
    }
}
