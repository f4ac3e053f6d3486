//! Conversions between protobuf messages and the types of the model.

use crate::internal::{NodeAddress, PairBlock, PlacementMap, StagedBlock, Terms};
use bytes::{BufMut, Bytes, BytesMut};
use entail_model::fact::Pair;
use entail_model::term::TermHash;
use entail_model::{Direction, Fault, NodeId, Placement, Relation, TermId};
use std::collections::BTreeMap;

/// Encodes ids as little-endian bytes, 8 each.
pub fn ids_to_bytes(ids: &[TermId]) -> Bytes {
    let mut buffer = BytesMut::with_capacity(ids.len() * 8);
    ids.iter().for_each(|id| buffer.put_u64_le(id.0));
    buffer.freeze()
}

/// Decodes the ids that [`ids_to_bytes`] encoded.
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

/// Encodes pairs of one copy of a relation as a block; `copy` is its direction.
pub fn block(relation: Relation, copy: Direction, pairs: &[(TermId, TermId)]) -> PairBlock {
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
pub fn block_parts(block: &PairBlock) -> Result<(Relation, Direction, Vec<Pair>), Fault> {
    let copy = match block.copy {
        0 => Direction::Forward,
        1 => Direction::Inverse,
        other => return Err(Fault::corrupt(format!("an unknown copy {other}"))),
    };
    Ok((relation(block.graph, block.predicate), copy, pairs(&block.pairs)?.collect()))
}

/// The relation of a graph and a predicate.
pub fn relation(graph: u64, predicate: u64) -> Relation {
    Relation { graph: TermId(graph), predicate: TermId(predicate) }
}

/// The pairs in little-endian bytes, 16 each.
///
/// # Errors
/// `Corrupt` for pairs that are cut off.
pub fn pairs(bytes: &[u8]) -> Result<impl ExactSizeIterator<Item = Pair> + Clone, Fault> {
    let (words, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(Fault::corrupt("pairs that are cut off"));
    }
    let id = |bytes: &[u8]| TermId(u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
    Ok(words.iter().map(move |word| (id(&word[..8]), id(&word[8..]))))
}

/// Encodes facts of a relation, as subject and object, for the node that stores these copies of them.
pub fn staged_block(relation: Relation, copies: &[Direction], facts: &[Pair]) -> StagedBlock {
    let mut pairs = BytesMut::with_capacity(facts.len() * 16);
    for (subject, object) in facts {
        pairs.put_u64_le(subject.0);
        pairs.put_u64_le(object.0);
    }
    let copies = copies.iter().fold(0, |bits, copy| bits | 1 << *copy as u32);
    StagedBlock { graph: relation.graph.0, predicate: relation.predicate.0, copies, pairs: pairs.freeze() }
}

/// The copies that a staged block is for.
///
/// # Errors
/// `Corrupt` if no bit or an unknown bit is set.
pub fn copies(bits: u32) -> Result<impl Iterator<Item = Direction>, Fault> {
    if !(1..4).contains(&bits) {
        return Err(Fault::corrupt(format!("unknown copies: {bits}")));
    }
    Ok(Direction::BOTH.into_iter().filter(move |copy| bits & 1 << *copy as u32 != 0))
}

/// Encodes terms in one buffer.
pub fn terms<'a>(all: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>) -> Terms {
    let all = all.into_iter();
    let (count, bytes) = all.clone().fold((0, 0), |(count, bytes), term| (count + 1, bytes + term.len()));
    let mut buffer = BytesMut::with_capacity(bytes);
    let mut lengths = Vec::with_capacity(count);
    for term in all {
        buffer.put_slice(term);
        lengths.push(term.len() as u32);
    }
    Terms { buffer: buffer.freeze(), lengths }
}

/// Decodes the terms of a buffer, in order.
///
/// # Errors
/// `Corrupt` if the lengths do not add up to the size of the buffer.
pub fn term_slices(terms: &Terms) -> Result<Vec<Bytes>, Fault> {
    Ok(term_refs(terms)?.into_iter().map(|term| terms.buffer.slice_ref(term)).collect())
}

/// Decodes the terms of a buffer, in order, as slices borrowed from it.
///
/// # Errors
/// `Corrupt` if the lengths do not add up to the size of the buffer.
pub fn term_refs(terms: &Terms) -> Result<Vec<&[u8]>, Fault> {
    let mut rest = &terms.buffer[..];
    let slices = terms.lengths.iter().map(|length| {
        let (term, after) =
            rest.split_at_checked(*length as usize).ok_or_else(|| Fault::corrupt("terms that are cut off"))?;
        rest = after;
        Ok(term)
    });
    slices.collect()
}

/// Encodes hashes of terms as little-endian bytes, 16 each.
pub fn hashes_to_bytes(hashes: impl ExactSizeIterator<Item = TermHash>) -> Bytes {
    let mut buffer = BytesMut::with_capacity(hashes.len() * 16);
    hashes.for_each(|hash| buffer.put_u128_le(hash.0));
    buffer.freeze()
}

/// Decodes the hashes that [`hashes_to_bytes`] encoded.
///
/// # Errors
/// `Corrupt` when the length is not a multiple of 16.
pub fn hashes_from_bytes(bytes: &[u8]) -> Result<impl ExactSizeIterator<Item = TermHash>, Fault> {
    let (words, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(Fault::corrupt("hashes that are cut off"));
    }
    Ok(words.iter().map(|word| TermHash(u128::from_le_bytes(*word))))
}

/// Encodes a placement with the addresses of its nodes.
pub fn placement_map(placement: &Placement, addresses: &BTreeMap<NodeId, String>) -> PlacementMap {
    PlacementMap {
        version: placement.version,
        holders: placement.holders.iter().map(|node| node.0).collect(),
        nodes: addresses.iter().map(|(node, address)| NodeAddress { node: node.0, address: address.clone() }).collect(),
    }
}

/// Decodes the placement and the addresses of a message.
pub fn placement_parts(map: &PlacementMap) -> (Placement, BTreeMap<NodeId, String>) {
    let holders = map.holders.iter().map(|node| NodeId(*node)).collect();
    let addresses = map.nodes.iter().map(|node| (NodeId(node.node), node.address.clone())).collect();
    (Placement { version: map.version, holders }, addresses)
}
