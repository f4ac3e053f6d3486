//! `RuleService`.

use super::{Edge, Reply, call, reply};
use entail_proto::v1::rule_service_server::RuleService;
use entail_proto::v1::{
    ApplyRulesRequest, ApplyRulesResponse, DropRulesRequest, DropRulesResponse, ListRulesRequest, ListRulesResponse,
};
use tonic::{Request, Response};

#[tonic::async_trait]
impl RuleService for Edge {
    async fn apply(&self, request: Request<ApplyRulesRequest>) -> Reply<ApplyRulesResponse> {
        reply(self.0.apply_rules(call(&request), request.into_inner()).await)
    }

    async fn list(&self, _request: Request<ListRulesRequest>) -> Reply<ListRulesResponse> {
        Ok(Response::new(self.0.list_rules()))
    }

    async fn drop(&self, request: Request<DropRulesRequest>) -> Reply<DropRulesResponse> {
        reply(self.0.drop_rules(call(&request), request.into_inner()).await)
    }
}
