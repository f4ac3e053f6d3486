//! The node that a call is for: an address may by now lead to a different node.
//!
//! A stale DNS entry, or an address that was reassigned, leads to a process of the same cluster that would answer for
//! its own shards. So every call to a node carries the id of the node that it is for. A node with a different id
//! refuses the call and returns its own id; the caller then drops the connection.

use crate::status;
use entail_model::{Fault, NodeId, Reason};
use tonic::codegen::http::HeaderMap;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

/// In a request the id of the addressed node, in a refusal the id of the refusing node.
const KEY: &str = "entail-node";

/// Sets the node that a request is for.
pub fn address<T>(request: &mut Request<T>, node: NodeId) {
    request.metadata_mut().insert(KEY, node.0.into());
}

/// Refuses a request that is for a different node.
///
/// # Errors
/// `ShardsUnavailable`: a retry may reach the addressed node.
pub fn check(metadata: &MetadataMap, me: NodeId) -> Result<(), Status> {
    let addressee = metadata.get(KEY).and_then(|text| text.to_str().ok()?.parse().ok());
    if addressee == Some(me.0) {
        return Ok(());
    }
    let fault = Fault::new(Reason::ShardsUnavailable, "the address belongs to another node now");
    let mut refusal = status::from_fault(&fault);
    refusal.metadata_mut().insert(KEY, me.0.into());
    Err(refusal)
}

/// Has a node refused a call that was for a different node? Takes the headers of the response.
pub fn is_refused(headers: &HeaderMap) -> bool {
    headers.contains_key(KEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_for_one_node() {
        let mut request = Request::new(());
        assert!(check(request.metadata(), NodeId(7)).is_err());
        address(&mut request, NodeId(u64::MAX));
        assert!(check(request.metadata(), NodeId(u64::MAX)).is_ok());
        let refusal = check(request.metadata(), NodeId(7)).expect_err("it is for another node");
        assert!(status::to_fault(&refusal).is_retryable());
        assert!(is_refused(refusal.into_http::<()>().headers()));
        let other = status::from_fault(&Fault::new(Reason::ShardsUnavailable, "gone"));
        assert!(!is_refused(other.into_http::<()>().headers()));
    }
}
