//! `RuleService`: rule sets in, their closure out.

use super::{House, Reply, refuse};
use crate::metalog::RuleSet;
use crate::writer::{Change, Identity, Request as WriteRequest, Watch};
use entail_logic::rules;
use entail_model::{Fault, Reason};
use entail_proto::v1::rule_service_server::RuleService;
use entail_proto::v1::{
    ApplyRulesRequest, ApplyRulesResponse, ChangeSummary, DropRulesRequest, DropRulesResponse, ListRulesRequest,
    ListRulesResponse, RuleSet as WireRuleSet,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response};
use tracing::info_span;

/// The service.
#[derive(Clone)]
pub struct Rules(pub Arc<House>);

impl Rules {
    /// The rule sets and their version.
    fn sets(&self) -> (u64, Vec<RuleSet>) {
        self.0.members.log.read(|state| (state.rules().version, state.rules().sets.clone()))
    }

    async fn commit(&self, identity: Identity, change: Change) -> Result<ChangeSummary, Fault> {
        let cancel = CancellationToken::new();
        let _stop = cancel.clone().drop_guard();
        self.0.writer.commit(WriteRequest { identity, change, cancel, watch: Arc::new(Watch::default()) }).await
    }

    async fn apply_set(&self, request: ApplyRulesRequest) -> Result<ApplyRulesResponse, Fault> {
        if request.name.is_empty() {
            return Err(Fault::new(Reason::InvalidRequest, "a rule set needs a name"));
        }
        super::describe("apply_rules", "");
        let parsed = info_span!("parse").in_scope(|| rules::parse(&request.text))?;
        let count = parsed.rules.len() as u32;
        let parts = ["apply", &request.name, &request.graph, &request.text].map(str::as_bytes);
        let identity = self.0.identity(request.request_id, &parts)?;
        if let Some(change) = self.0.writer.answered(&identity)? {
            return Ok(ApplyRulesResponse { change: Some(change), rules: count });
        }
        let (based_on, mut sets) = self.sets();
        let set = RuleSet {
            name: request.name,
            graph: Some(request.graph).filter(|graph| !graph.is_empty()),
            source: request.text,
            version: based_on + 1,
        };
        let replaced = sets.iter().position(|other| other.name == set.name);
        if replaced.is_some_and(|index| sets[index].source == set.source && sets[index].graph == set.graph) {
            let epoch = self.0.members.log.read(|state| state.epoch());
            return Ok(ApplyRulesResponse {
                change: Some(ChangeSummary { epoch: epoch.0, ..ChangeSummary::default() }),
                rules: count,
            });
        }
        let added = BTreeSet::from([set.name.clone()]);
        match replaced {
            Some(index) => sets[index] = set,
            None => sets.push(set),
        }
        sets.sort_by(|a, b| a.name.cmp(&b.name));
        let change =
            self.commit(identity, Change::Rules { based_on, sets, added, rebuild: replaced.is_some() }).await?;
        Ok(ApplyRulesResponse { change: Some(change), rules: count })
    }

    async fn drop_set(&self, request: DropRulesRequest) -> Result<DropRulesResponse, Fault> {
        super::describe("drop_rules", "");
        let identity = self.0.identity(request.request_id, &[b"drop", request.name.as_bytes()])?;
        if let Some(change) = self.0.writer.answered(&identity)? {
            return Ok(DropRulesResponse { change: Some(change) });
        }
        let (based_on, mut sets) = self.sets();
        let index = sets.iter().position(|set| set.name == request.name).ok_or_else(|| {
            let known: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Fault::new(Reason::NotFound, format!("there is no rule set {}; there are: {known}", request.name))
        })?;
        sets.remove(index);
        let change =
            self.commit(identity, Change::Rules { based_on, sets, added: BTreeSet::new(), rebuild: true }).await?;
        Ok(DropRulesResponse { change: Some(change) })
    }
}

#[tonic::async_trait]
impl RuleService for Rules {
    async fn apply(&self, request: Request<ApplyRulesRequest>) -> Reply<ApplyRulesResponse> {
        self.apply_set(request.into_inner()).await.map(Response::new).map_err(refuse)
    }

    async fn list(&self, _request: Request<ListRulesRequest>) -> Reply<ListRulesResponse> {
        let sets = self.sets().1.into_iter().map(|set| WireRuleSet {
            rules: rules::parse(&set.source).map_or(0, |parsed| parsed.rules.len() as u32),
            name: set.name,
            graph: set.graph.unwrap_or_default(),
            text: set.source,
            version: set.version,
        });
        Ok(Response::new(ListRulesResponse { rule_sets: sets.collect() }))
    }

    async fn drop(&self, request: Request<DropRulesRequest>) -> Reply<DropRulesResponse> {
        self.drop_set(request.into_inner()).await.map(Response::new).map_err(refuse)
    }
}
