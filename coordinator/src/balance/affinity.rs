//! Cache affinity: equal keys go to the same node, by rendezvous hashing (Thaler and Ravishankar, 1996).
//!
//! Each node scores each key, the best score wins. When a node leaves, only its keys move, evenly to the others; when it
//! returns, exactly those come back. The order of the candidates does not matter.

use super::{Balancer, PickRequest};
use entail_model::NodeId;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// The candidate whose node scores the request's key highest.
#[derive(Debug, Default)]
pub struct Affinity;

impl Balancer for Affinity {
    fn pick(&self, request: &PickRequest<'_>) -> Option<usize> {
        let nodes = request.candidates.iter().map(|candidate| candidate.node).enumerate();
        nodes.max_by_key(|(_, node)| (score(*node, request.key), *node)).map(|(index, _)| index)
    }
}

/// SipHash-1-3 of explicit bytes under a fixed key: every coordinator, of any version, sends a key to the same node.
fn score(node: NodeId, key: u64) -> u64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&node.0.to_le_bytes());
    bytes[8..].copy_from_slice(&key.to_le_bytes());
    let mut hasher = SipHasher13::new_with_key(b"replica affinity");
    hasher.write(&bytes);
    hasher.finish()
}
