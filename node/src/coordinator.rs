//! The node's own connection to its coordinator, and what the coordinator has told over it.
//!
//! What a node believes of the cluster it learns here, by asking: any process can send messages to its peer port, and the ids
//! in them prove nothing.

use entail_logic::epoch::Begun;
use entail_model::{Attempt, Epoch, Fault, NodeId, Reason, Secret};
use entail_proto::connection::Connection;
use entail_proto::internal::OpenAttemptRequest;
use entail_proto::internal::cluster_service_client::ClusterServiceClient;
use entail_proto::status;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;
use tonic::transport::Endpoint;

/// The deadline of a question about an attempt: while it is open, a message of the attempt waits.
const QUESTION_DEADLINE: Duration = Duration::from_secs(2);

/// Numbers that a coordinator has for its queries: more than it can use.
const QUERIES_MAX: u64 = 1 << 40;

/// The coordinator, as its node calls it.
#[derive(Debug)]
pub struct Coordinator {
    url: String,
    client: ClusterServiceClient<Connection>,
    node: NodeId,
    registration: RwLock<Option<Registration>>,
}

/// What the node was told when it registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    pub cluster: u64,
    pub incarnation: u64,
    /// [`Secret::NONE`] from a coordinator of an earlier version, which tells nothing that messages could be checked by.
    pub secret: Secret,
    /// The first number of the coordinator's queries.
    pub first_query: u64,
}

/// The coordinator's answer about attempts.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// The attempt that has begun and is not decided.
    pub open: Option<Begun>,
    /// The outcome that was asked for, if it is decided: the epoch, if it was committed.
    pub outcome: Option<Option<Epoch>>,
}

impl Coordinator {
    /// The coordinator at a URL, which is not called yet. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// `InvalidRequest` if the text is not a URL.
    pub fn at(url: &str, node: NodeId) -> Result<Self, Fault> {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|error| Fault::new(Reason::InvalidRequest, format!("--coordinator {url}: {error}")))?;
        let client = ClusterServiceClient::new(Connection::new(endpoint));
        Ok(Self { url: url.to_owned(), client, node, registration: RwLock::default() })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// For calls of the membership.
    pub fn client(&self) -> ClusterServiceClient<Connection> {
        self.client.clone()
    }

    /// What the node was told when it registered last.
    pub fn registration(&self) -> Option<Registration> {
        *self.registration.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node has registered.
    pub fn registered(&self, registration: Registration) {
        *self.registration.write().unwrap_or_else(PoisonError::into_inner) = Some(registration);
    }

    /// Does the coordinator tell secrets, so that messages can be checked?
    pub fn tells_secrets(&self) -> bool {
        self.registration().is_none_or(|registration| registration.secret.is_told())
    }

    /// Refuses a query whose number is not one of this coordinator's. The numbers begin at a random one, which only
    /// registered nodes are told.
    ///
    /// # Errors
    /// `NotReady`: a coordinator that has restarted may ask before the node has registered with it.
    pub fn check_query(&self, query: u64) -> Result<(), Fault> {
        let is_known =
            |told: Registration| !told.secret.is_told() || query.wrapping_sub(told.first_query) < QUERIES_MAX;
        match self.registration().is_some_and(is_known) {
            true => Ok(()),
            false => {
                Err(Fault::new(Reason::NotReady, "the node has not registered with the coordinator of this query"))
            }
        }
    }

    /// Asks which attempt has begun, and for the outcome of another.
    ///
    /// # Errors
    /// `NotReady` if the node has not registered, and what the call gives.
    pub async fn open_attempt(&self, decided: Option<Attempt>) -> Result<Told, Fault> {
        let not_ready = || Fault::new(Reason::NotReady, "the node has not registered yet");
        let Registration { cluster, incarnation, secret, .. } = self.registration().ok_or_else(not_ready)?;
        let mut request = tonic::Request::new(OpenAttemptRequest {
            cluster,
            node: self.node.0,
            incarnation,
            secret: secret.0,
            decided: decided.map_or(0, |attempt| attempt.0),
        });
        request.set_timeout(QUESTION_DEADLINE);
        let told = self.client().open_attempt(request).await.map_err(|error| status::to_fault(&error))?.into_inner();
        let begun = Begun { attempt: Attempt(told.attempt), secret: Secret(told.secret) };
        Ok(Told {
            open: Some(begun).filter(|begun| begun.attempt.0 > 0),
            outcome: told.decision.map(|decision| Some(Epoch(decision.epoch)).filter(|epoch| epoch.0 > 0)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_query_is_known_by_its_number() {
        let coordinator = Coordinator::at("http://127.0.0.1:1", NodeId(1)).expect("a URL");
        let reason = |query| coordinator.check_query(query).map_err(|fault| fault.reason);
        assert_eq!(reason(7), Err(Reason::NotReady), "the node has not registered");
        let told = Registration { cluster: 9, incarnation: 3, secret: Secret(5), first_query: u64::MAX - 1 };
        coordinator.registered(told);
        for (query, expected) in
            [(u64::MAX - 1, Ok(())), (u64::MAX, Ok(())), (0, Ok(())), (u64::MAX - 2, Err(Reason::NotReady))]
        {
            assert_eq!(reason(query), expected, "{query}");
        }
        assert_eq!(reason(1 << 50), Err(Reason::NotReady));
        coordinator.registered(Registration { secret: Secret::NONE, ..told });
        assert_eq!(reason(1 << 50), Ok(()), "an earlier version tells no numbers");
    }
}
