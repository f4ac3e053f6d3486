//! Connections to nodes: decides for each node whether it is called in this process or by gRPC.

use crate::{NodeApi, Remote};
use entail_model::{Fault, NodeId};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// The nodes of this process.
#[derive(Debug, Default)]
pub struct LocalNodes(Mutex<BTreeMap<NodeId, Arc<dyn NodeApi>>>);

impl LocalNodes {
    /// Makes a node callable until the guard is dropped.
    pub fn enter(self: &Arc<Self>, id: NodeId, node: Arc<dyn NodeApi>) -> LocalEntry {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, node);
        LocalEntry { nodes: Arc::clone(self), id }
    }

    fn find(&self, id: NodeId) -> Option<Arc<dyn NodeApi>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}

/// Keeps a node of this process callable; removes it on drop.
#[derive(Debug)]
pub struct LocalEntry {
    nodes: Arc<LocalNodes>,
    id: NodeId,
}

impl Drop for LocalEntry {
    fn drop(&mut self) {
        self.nodes.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Connections to nodes, each made once.
#[derive(Debug, Default)]
pub struct Connections {
    local: Arc<LocalNodes>,
    remote: Mutex<HashMap<NodeId, Arc<Remote>>>,
}

impl Connections {
    /// No connections yet; `local` nodes need none.
    pub fn new(local: Arc<LocalNodes>) -> Self {
        Self { local, remote: Mutex::default() }
    }

    /// The node, local or remote; `address` is called if it is not in this process. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Those of `address`; `InvalidRequest` for an invalid address.
    pub fn node<A: AsRef<str>>(
        &self,
        id: NodeId,
        address: impl FnOnce() -> Result<A, Fault>,
    ) -> Result<Arc<dyn NodeApi>, Fault> {
        if let Some(local) = self.local.find(id) {
            return Ok(local);
        }
        let address = address()?;
        let mut remote = self.remote.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = remote.get(&id).filter(|known| known.leads_to(address.as_ref())) {
            return Ok(Arc::<Remote>::clone(known));
        }
        let new = Arc::new(Remote::to(id, address.as_ref())?);
        remote.insert(id, Arc::clone(&new));
        Ok(new)
    }
}
