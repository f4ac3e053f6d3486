//! The coordinator's service for nodes, and what nodes ask of it beside registering and heartbeats.

use super::Members;
use crate::metalog::Outcome;
use entail_model::{Attempt, Fault, NodeId, Reason};
use entail_proto::internal::cluster_service_server::ClusterService;
use entail_proto::internal::*;
use entail_proto::status;
use std::sync::Arc;
use tonic::{Request, Response, Status};

impl Members {
    /// A node is going to end: nothing new is asked of it. Completes when what was begun before is over.
    pub(super) async fn leave(&self, request: LeaveRequest) -> Result<LeaveResponse, Fault> {
        let node = NodeId(request.node);
        if !self.is_itself(node, request.incarnation, request.secret) {
            return Err(Fault::new(Reason::Fenced, "the node has registered again since then"));
        }
        match self.lock().get_mut(&node) {
            Some(live) => live.has_left = true,
            // This coordinator has just started: the node registers again with its next heartbeat.
            None => {
                return Err(Fault::new(Reason::NotReady, "the node has not registered since the coordinator started"));
            }
        }
        tracing::info!(node = %format_args!("{:016x}", node.0), "a node is shutting down");
        self.in_flight.over().await;
        Ok(LeaveResponse {})
    }
}

impl Members {
    /// Tells a node which attempt has begun and is not decided, and the outcome of one, if the log has it.
    pub(super) fn open_attempt(&self, request: OpenAttemptRequest) -> Result<OpenAttemptResponse, Fault> {
        let node = NodeId(request.node);
        if self.live(node).is_none() || !self.is_itself(node, request.incarnation, request.secret) {
            return Err(Fault::new(Reason::NotReady, "the node has not registered since the coordinator started"));
        }
        let decided = Attempt(request.decided);
        let (open, outcome) = self.log.read(|state| (state.open().map(|open| open.attempt), state.outcome(decided)));
        let epoch = match outcome {
            Outcome::Committed(epoch) => Some(epoch.0),
            Outcome::Aborted => Some(0),
            Outcome::Open | Outcome::Forgotten | Outcome::Unknown => None,
        };
        Ok(OpenAttemptResponse {
            attempt: open.map_or(0, |attempt| attempt.0),
            secret: open.map_or(0, |attempt| self.secrets.of_attempt(attempt).0),
            decision: epoch.map(|epoch| Decision { attempt: decided.0, epoch }),
        })
    }
}

/// The coordinator's service for nodes.
#[derive(Clone)]
pub struct ClusterServer(pub Arc<Members>);

#[tonic::async_trait]
impl ClusterService for ClusterServer {
    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<RegisterResponse>, Status> {
        let response = self.0.register_node(request.into_inner()).await;
        response.map(Response::new).map_err(|fault| status::from_fault(&fault))
    }

    async fn heartbeat(&self, request: Request<HeartbeatRequest>) -> Result<Response<HeartbeatResponse>, Status> {
        Ok(Response::new(self.0.hear(request.into_inner())))
    }

    async fn leave(&self, request: Request<LeaveRequest>) -> Result<Response<LeaveResponse>, Status> {
        let response = self.0.leave(request.into_inner()).await;
        response.map(Response::new).map_err(|fault| status::from_fault(&fault))
    }

    async fn open_attempt(
        &self,
        request: Request<OpenAttemptRequest>,
    ) -> Result<Response<OpenAttemptResponse>, Status> {
        let response = self.0.open_attempt(request.into_inner());
        response.map(Response::new).map_err(|fault| status::from_fault(&fault))
    }
}
