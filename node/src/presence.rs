//! Whether a node serves requests: the one source of gRPC health, `/readyz` and its metric.

use entail_proto::internal::node_service_server::SERVICE_NAME as NODE_SERVICE;
use entail_proto::internal::peer_service_server::SERVICE_NAME as PEER_SERVICE;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// After this time without an answer to a heartbeat the node counts as disconnected; the coordinator then takes it for
/// lost, too.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// A node's presence.
pub struct Presence {
    state: Mutex<State>,
    /// Locked while a change of the state is reported, so that the last change is reported last.
    health: tokio::sync::Mutex<HealthReporter>,
}

/// The state of a node in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not registered, or no longer.
    Apart,
    /// Registered, and the coordinator answers.
    Present { incarnation: u64 },
    /// Registered, but the coordinator has not answered for too long.
    Unheard { incarnation: u64 },
    /// Shutting down, which is final; with the incarnation, if there is one.
    Leaving { incarnation: Option<u64> },
}

impl State {
    /// The coordinator no longer knows the node.
    pub fn lose_touch(&mut self) {
        if let Self::Present { .. } | Self::Unheard { .. } = self {
            *self = Self::Apart;
        }
    }

    /// The coordinator has not answered for `silence`.
    pub fn unanswered(&mut self, silence: Duration) {
        if let Self::Present { incarnation } = *self
            && silence >= SILENCE_MAX
        {
            *self = Self::Unheard { incarnation };
        }
    }

    /// The coordinator has answered a heartbeat.
    pub fn answered(&mut self) {
        if let Self::Unheard { incarnation } = *self {
            *self = Self::Present { incarnation };
        }
    }

    /// The coordinator has registered the node.
    pub fn registered(&mut self, new: u64) {
        match self {
            Self::Leaving { incarnation } => *incarnation = Some(new),
            _ => *self = Self::Present { incarnation: new },
        }
    }

    /// The node shuts down.
    pub fn leave(&mut self) {
        *self = Self::Leaving { incarnation: self.incarnation() };
    }

    fn incarnation(self) -> Option<u64> {
        match self {
            Self::Apart => None,
            Self::Present { incarnation } | Self::Unheard { incarnation } => Some(incarnation),
            Self::Leaving { incarnation } => incarnation,
        }
    }
}

impl Presence {
    /// The presence of a node that has not registered yet.
    pub async fn new(health: HealthReporter) -> Self {
        let presence = Self { state: Mutex::new(State::Apart), health: tokio::sync::Mutex::new(health) };
        presence.show(&*presence.health.lock().await).await;
        presence
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and reports it if it is another one: health watchers get changes only.
    pub async fn change(&self, change: impl FnOnce(&mut State)) {
        let health = self.health.lock().await;
        let before = *self.state();
        change(&mut self.state());
        let now = *self.state();
        if now != before {
            match (before, now) {
                (_, State::Unheard { .. }) => tracing::warn!("the coordinator does not answer heartbeats"),
                (State::Unheard { .. }, State::Present { .. }) => tracing::info!("the coordinator answers again"),
                _ => {}
            }
            self.show(&health).await;
        }
    }

    async fn show(&self, health: &HealthReporter) {
        let status = if self.check().is_ok() { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in ["", NODE_SERVICE, PEER_SERVICE] {
            health.set_service_status(service, status).await;
        }
    }

    /// Is the node shutting down?
    pub fn is_leaving(&self) -> bool {
        matches!(*self.state(), State::Leaving { .. })
    }

    /// The node's incarnation, if it is registered.
    pub fn incarnation(&self) -> Option<u64> {
        self.state().incarnation()
    }

    /// Does the node serve requests?
    ///
    /// # Errors
    /// The reason why it does not.
    pub fn check(&self) -> Result<(), String> {
        match *self.state() {
            State::Present { .. } => Ok(()),
            State::Apart => Err("not registered with the coordinator".to_owned()),
            State::Unheard { .. } => Err(format!("the coordinator has not answered for {} s", SILENCE_MAX.as_secs())),
            State::Leaving { .. } => Err("shutting down".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn presence() -> Presence {
        Presence::new(tonic_health::server::health_reporter().0).await
    }

    #[tokio::test]
    async fn a_node_that_leaves_does_not_come_back() {
        let presence = presence().await;
        assert!(presence.check().is_err());
        presence.change(|state| state.registered(7)).await;
        assert_eq!((presence.check(), presence.incarnation()), (Ok(()), Some(7)));
        presence.change(State::lose_touch).await;
        assert_eq!(presence.check(), Err("not registered with the coordinator".to_owned()));
        presence.change(|state| state.registered(8)).await;
        presence.change(State::leave).await;
        presence.change(State::lose_touch).await;
        presence.change(|state| state.registered(9)).await;
        presence.change(State::answered).await;
        assert_eq!((presence.check(), presence.incarnation()), (Err("shutting down".to_owned()), Some(9)));
        assert!(presence.is_leaving());
    }

    #[tokio::test]
    async fn a_node_is_there_as_long_as_the_coordinator_answers() {
        let presence = presence().await;
        presence.change(|state| state.unanswered(SILENCE_MAX)).await;
        assert_eq!(presence.check(), Err("not registered with the coordinator".to_owned()));
        presence.change(|state| state.registered(7)).await;
        presence.change(|state| state.unanswered(SILENCE_MAX / 2)).await;
        assert_eq!(presence.check(), Ok(()), "one that is lost on its way");
        presence.change(|state| state.unanswered(SILENCE_MAX)).await;
        assert_eq!(presence.check(), Err("the coordinator has not answered for 10 s".to_owned()));
        assert_eq!(presence.incarnation(), Some(7), "it is still registered");
        presence.change(State::answered).await;
        assert_eq!((presence.check(), presence.incarnation()), (Ok(()), Some(7)));
        presence.change(|state| state.unanswered(SILENCE_MAX)).await;
        presence.change(State::leave).await;
        presence.change(State::answered).await;
        assert_eq!((presence.check(), presence.incarnation()), (Err("shutting down".to_owned()), Some(7)));
    }
}
