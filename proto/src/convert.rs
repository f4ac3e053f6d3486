//! Conversions between messages and the model's nouns.

use crate::internal::{NodeAddress, PairBlock, PlacementMap, Terms};
use bytes::{BufMut, Bytes, BytesMut};
use entail_model::{Copy, Fault, NodeId, Placement, Relation, TermId};
use std::collections::BTreeMap;

/// Ids as little-endian bytes, 8 each.
pub fn ids_to_bytes(ids: &[TermId]) -> Bytes {
    let mut buffer = BytesMut::with_capacity(ids.len() * 8);
    ids.iter().for_each(|id| buffer.put_u64_le(id.0));
    buffer.freeze()
}

/// The ids in bytes that [`ids_to_bytes`] made.
///
/// # Errors
/// `Corrupt` when the length is not a multiple of 8.
pub fn ids_from_bytes(bytes: &[u8]) -> Result<Vec<TermId>, Fault> {
    let (words, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(Fault::corrupt("ids that are cut off"));
    }
    Ok(words.iter().map(|word| TermId(u64::from_le_bytes(*word))).collect())
}

/// A block of pairs of one copy of a relation.
pub fn block(relation: Relation, copy: Copy, pairs: &[(TermId, TermId)]) -> PairBlock {
    let mut buffer = BytesMut::with_capacity(pairs.len() * 16);
    for (key, value) in pairs {
        buffer.put_u64_le(key.0);
        buffer.put_u64_le(value.0);
    }
    PairBlock { graph: relation.graph.0, predicate: relation.predicate.0, copy: copy as u32, pairs: buffer.freeze() }
}

/// The relation, copy and pairs of a block.
///
/// # Errors
/// `Corrupt` for an unknown copy or pairs that are cut off.
pub fn block_parts(block: &PairBlock) -> Result<(Relation, Copy, Vec<(TermId, TermId)>), Fault> {
    let copy = match block.copy {
        0 => Copy::Out,
        1 => Copy::In,
        other => return Err(Fault::corrupt(format!("an unknown copy {other}"))),
    };
    let relation = Relation { graph: TermId(block.graph), predicate: TermId(block.predicate) };
    let (words, rest) = block.pairs.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(Fault::corrupt("pairs that are cut off"));
    }
    let id = |bytes: &[u8]| TermId(u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
    let pairs = words.iter().map(|word| (id(&word[..8]), id(&word[8..])));
    Ok((relation, copy, pairs.collect()))
}

/// Terms in one buffer.
pub fn terms<'a>(all: impl IntoIterator<Item = &'a [u8]>) -> Terms {
    let mut buffer = BytesMut::new();
    let mut lengths = Vec::new();
    for term in all {
        buffer.put_slice(term);
        lengths.push(term.len() as u32);
    }
    Terms { buffer: buffer.freeze(), lengths }
}

/// The terms of a buffer, in order.
///
/// # Errors
/// `Corrupt` when the lengths do not add up.
pub fn term_slices(terms: &Terms) -> Result<Vec<Bytes>, Fault> {
    let mut rest = terms.buffer.clone();
    let slices = terms.lengths.iter().map(|length| {
        let length = *length as usize;
        if length > rest.len() {
            return Err(Fault::corrupt("terms that are cut off"));
        }
        Ok(rest.split_to(length))
    });
    slices.collect()
}

/// A placement with the addresses of its nodes.
pub fn placement_map(placement: &Placement, addresses: &BTreeMap<NodeId, String>) -> PlacementMap {
    PlacementMap {
        version: placement.version,
        holders: placement.holders.iter().map(|node| node.0).collect(),
        nodes: addresses.iter().map(|(node, address)| NodeAddress { node: node.0, address: address.clone() }).collect(),
    }
}

/// The placement and addresses in a message.
pub fn placement_parts(map: &PlacementMap) -> (Placement, BTreeMap<NodeId, String>) {
    let holders = map.holders.iter().map(|node| NodeId(*node)).collect();
    let addresses = map.nodes.iter().map(|node| (NodeId(node.node), node.address.clone())).collect();
    (Placement { version: map.version, holders }, addresses)
}
