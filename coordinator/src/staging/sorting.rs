//! Facts by the nodes that keep their copies.

use crate::nodes::Holders;
use entail_model::fact::{Pair, in_home};
use entail_model::{Direction, Fact, Fault, NodeId, Reason, Relation, ShardId, TermId};
use entail_node_api::StagedFacts;
use std::collections::BTreeMap;

/// Which node holds each shard.
pub struct Homes {
    pub nodes: Vec<NodeId>,
    /// By shard: an index into `nodes`.
    places: Vec<Option<usize>>,
}

impl Homes {
    /// The homes under a placement.
    pub fn of(holders: &Holders) -> Self {
        let nodes: Vec<NodeId> = holders.links.keys().copied().collect();
        let place = |holder: &u64| nodes.iter().position(|node| node.0 == *holder);
        Self { places: holders.map.holders.iter().map(place).collect(), nodes }
    }

    /// The index of the node that holds a shard.
    pub fn place(&self, shard: ShardId) -> Result<usize, Fault> {
        self.places.get(usize::from(shard.0)).copied().flatten().ok_or_else(|| {
            Fault::new(Reason::ShardsUnavailable, format!("shard {shard} is not placed")).with_shards(vec![shard])
        })
    }
}

fn no_home() -> Fault {
    Fault::internal("a fact whose subject is a value")
}

/// A map from relations to values, in the order of their first use.
#[derive(Default)]
struct Relations<T> {
    /// Indexes of relations, and the last one looked up: consecutive facts often share a relation.
    places: hashbrown::HashMap<Relation, usize>,
    last: Option<(Relation, usize)>,
    all: Vec<(Relation, T)>,
}

impl<T: Default> Relations<T> {
    fn entry(&mut self, relation: Relation) -> &mut T {
        let place = match self.last {
            Some((last, place)) if last == relation => place,
            _ => *self.places.entry(relation).or_insert_with(|| {
                self.all.push((relation, T::default()));
                self.all.len() - 1
            }),
        };
        self.last = Some((relation, place));
        &mut self.all[place].1
    }
}

/// The copies of a fact that one node may keep: both, forward or inverse.
const COPIES: [&[Direction]; 3] = [&Direction::BOTH, &[Direction::Forward], &[Direction::Inverse]];

/// Sorts facts by their homes.
pub struct Sorting<'h> {
    homes: &'h Homes,
    rdf_type: Option<TermId>,
    relations: Relations<Outgoing>,
}

/// The facts of one relation.
#[derive(Default)]
struct Outgoing {
    facts: u64,
    /// Pairs of subject and object, by node and by the index of `COPIES`.
    blocks: Vec<[Vec<Pair>; COPIES.len()]>,
}

impl<'h> Sorting<'h> {
    /// No facts yet; `rdf_type` is the id of `rdf:type`, if it has one.
    pub fn new(homes: &'h Homes, rdf_type: Option<TermId>) -> Self {
        Self { homes, rdf_type, relations: Relations::default() }
    }

    /// Adds a fact.
    pub fn add(&mut self, fact: Fact) -> Result<(), Fault> {
        let out = fact.subject.home().ok_or_else(no_home)?;
        let into = in_home(fact.subject, fact.predicate, fact.object, self.rdf_type).ok_or_else(no_home)?;
        let (out, into) = (self.homes.place(out)?, self.homes.place(into)?);
        let pair = (fact.subject, fact.object);
        let outgoing = self.relations.entry(fact.relation());
        outgoing.facts += 1;
        if outgoing.blocks.is_empty() {
            outgoing.blocks.resize_with(self.homes.nodes.len(), Default::default);
        }
        if out == into {
            outgoing.blocks[out][0].push(pair);
        } else {
            outgoing.blocks[out][1].push(pair);
            outgoing.blocks[into][2].push(pair);
        }
        Ok(())
    }

    /// The numbers of facts, by relation.
    pub fn sizes(&self) -> impl Iterator<Item = (Relation, u64)> {
        self.relations.all.iter().map(|(relation, outgoing)| (*relation, outgoing.facts))
    }

    /// The facts for each node, without nodes that get none.
    pub fn by_node(self) -> BTreeMap<NodeId, Vec<StagedFacts>> {
        let mut by_node: BTreeMap<NodeId, Vec<StagedFacts>> = BTreeMap::new();
        for (relation, outgoing) in self.relations.all {
            for (node, blocks) in self.homes.nodes.iter().zip(outgoing.blocks) {
                let blocks = COPIES.into_iter().zip(blocks).filter(|(_, pairs)| !pairs.is_empty());
                let mut blocks = blocks.map(|(copies, pairs)| StagedFacts { relation, copies, pairs }).peekable();
                if blocks.peek().is_some() {
                    by_node.entry(*node).or_default().extend(blocks);
                }
            }
        }
        by_node
    }
}
