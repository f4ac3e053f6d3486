//! Whether a node is there for others: the one truth behind gRPC health, `/readyz` and its metric.

use entail_proto::internal::node_service_server::SERVICE_NAME as NODE_SERVICE;
use entail_proto::internal::peer_service_server::SERVICE_NAME as PEER_SERVICE;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// A node's presence.
pub struct Presence {
    state: Mutex<State>,
    /// Held while what is shown follows the state, so that the last change is shown last.
    health: tokio::sync::Mutex<HealthReporter>,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not registered, or not any more.
    Apart,
    /// Registered, and every outcome is known here.
    Present { incarnation: u64 },
    /// About to end, whatever comes. With the incarnation, if there is one.
    Leaving { incarnation: Option<u64> },
}

impl State {
    /// The coordinator does not know the node any more.
    pub fn lose_touch(&mut self) {
        if let Self::Present { .. } = self {
            *self = Self::Apart;
        }
    }

    /// The coordinator knows the node.
    pub fn registered(&mut self, new: u64) {
        match self {
            Self::Leaving { incarnation } => *incarnation = Some(new),
            _ => *self = Self::Present { incarnation: new },
        }
    }

    /// The node is going to end.
    pub fn leave(&mut self) {
        *self = Self::Leaving { incarnation: self.incarnation() };
    }

    fn incarnation(self) -> Option<u64> {
        match self {
            Self::Apart => None,
            Self::Present { incarnation } => Some(incarnation),
            Self::Leaving { incarnation } => incarnation,
        }
    }
}

impl Presence {
    /// A node that has not registered yet.
    pub fn new(health: HealthReporter) -> Self {
        Self { state: Mutex::new(State::Apart), health: tokio::sync::Mutex::new(health) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and shows it.
    pub async fn change(&self, change: impl FnOnce(&mut State)) {
        let health = self.health.lock().await;
        change(&mut self.state());
        let status = if self.check().is_ok() { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in ["", NODE_SERVICE, PEER_SERVICE] {
            health.set_service_status(service, status).await;
        }
    }

    /// The node's life as the coordinator knows it.
    pub fn incarnation(&self) -> Option<u64> {
        self.state().incarnation()
    }

    /// Is the node there for others?
    ///
    /// # Errors
    /// Why it is not.
    pub fn check(&self) -> Result<(), String> {
        match *self.state() {
            State::Present { .. } => Ok(()),
            State::Apart => Err("not registered with the coordinator".to_owned()),
            State::Leaving { .. } => Err("shutting down".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_that_leaves_does_not_come_back() {
        let presence = Presence::new(tonic_health::server::health_reporter().0);
        assert!(presence.check().is_err());
        presence.change(|state| state.registered(7)).await;
        assert_eq!((presence.check(), presence.incarnation()), (Ok(()), Some(7)));
        presence.change(State::lose_touch).await;
        assert_eq!(presence.check(), Err("not registered with the coordinator".to_owned()));
        presence.change(|state| state.registered(8)).await;
        presence.change(State::leave).await;
        presence.change(State::lose_touch).await;
        presence.change(|state| state.registered(9)).await;
        assert_eq!((presence.check(), presence.incarnation()), (Err("shutting down".to_owned()), Some(9)));
    }
}
