//! Apply, list and drop rule sets; each change is one epoch with its closure.

use super::Coordinator;
use super::call::Call;
use crate::metalog::RuleSet;
use crate::rules::ParsedSet;
use crate::writer::{Change, Identity, Purpose, Request as WriteRequest};
use entail_model::{Fault, Reason};
use entail_proto::v1::{
    ApplyRulesRequest, ApplyRulesResponse, ChangeSummary, DropRulesRequest, DropRulesResponse, ListRulesResponse,
    RuleSet as ListedSet,
};
use std::sync::Arc;
use tracing::info_span;

impl Coordinator {
    /// Adds or replaces a rule set. Dropping the future cancels the change.
    ///
    /// # Errors
    /// Errors in the rules, and the faults of the writer.
    pub async fn apply_rules(&self, call: Call, request: ApplyRulesRequest) -> Result<ApplyRulesResponse, Fault> {
        if request.name.is_empty() {
            return Err(Fault::new(Reason::InvalidRequest, "a rule set needs a name"));
        }
        if request.name.chars().any(char::is_control) {
            return Err(Fault::new(Reason::InvalidRequest, "the rule set's name has control characters"));
        }
        call.describe("apply_rules", "");
        let parts = ["apply", &request.name, &request.graph, &request.text].map(str::as_bytes);
        let identity = self.identity(request.request_id, &parts)?;
        let current = self.rules.current(&self.members.log);
        let set = RuleSet {
            name: request.name,
            graph: Some(request.graph).filter(|graph| !graph.is_empty()),
            source: request.text,
            version: current.version + 1,
        };
        let set = Arc::new(info_span!("parse").in_scope(|| ParsedSet::new(set))?);
        let count = set.rule_count();
        if let Some(change) = self.writer.answered(&identity)? {
            return Ok(ApplyRulesResponse { change: Some(change), rules: count });
        }
        let replaced = current.sets.iter().position(|other| other.set.name == set.set.name);
        if replaced.is_some_and(|index| current.sets[index].says_the_same(&set)) {
            let epoch = self.members.log.read(|state| state.epoch());
            let change = ChangeSummary { epoch: epoch.0, ..ChangeSummary::default() };
            return Ok(ApplyRulesResponse { change: Some(change), rules: count });
        }
        let mut sets = current.sets.clone();
        let name = set.set.name.clone();
        match replaced {
            Some(index) => sets[index] = set,
            None => sets.push(set),
        }
        sets.sort_by(|a, b| a.set.name.cmp(&b.set.name));
        let change = Change::Rules { based_on: current.version, sets };
        let change = self.commit_rules(call, (identity, &name), change).await?;
        Ok(ApplyRulesResponse { change: Some(change), rules: count })
    }

    /// Drops a rule set. Dropping the future cancels the change.
    ///
    /// # Errors
    /// `NotFound` if there is no set of this name, and the faults of the writer.
    pub async fn drop_rules(&self, call: Call, request: DropRulesRequest) -> Result<DropRulesResponse, Fault> {
        call.describe("drop_rules", "");
        let identity = self.identity(request.request_id, &[b"drop", request.name.as_bytes()])?;
        if let Some(change) = self.writer.answered(&identity)? {
            return Ok(DropRulesResponse { change: Some(change) });
        }
        let current = self.rules.current(&self.members.log);
        let mut sets = current.sets.clone();
        let index = sets.iter().position(|set| set.set.name == request.name).ok_or_else(|| {
            let known: Vec<&str> = sets.iter().map(|set| set.set.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Fault::new(Reason::NotFound, format!("there is no rule set {}; there are: {known}", request.name))
        })?;
        sets.remove(index);
        let change = Change::Rules { based_on: current.version, sets };
        let change = self.commit_rules(call, (identity, &request.name), change).await?;
        Ok(DropRulesResponse { change: Some(change) })
    }

    /// The rule sets of the last epoch.
    pub fn list_rules(&self) -> ListRulesResponse {
        let listed = |parsed: &Arc<ParsedSet>| {
            let RuleSet { name, graph, source, version } = parsed.set.clone();
            ListedSet { rules: parsed.rule_count(), name, graph: graph.unwrap_or_default(), text: source, version }
        };
        let current = self.rules.current(&self.members.log);
        ListRulesResponse { rule_sets: current.sets.iter().map(listed).collect() }
    }

    async fn commit_rules(
        &self,
        call: Call,
        (identity, name): (Identity, &str),
        change: Change,
    ) -> Result<ChangeSummary, Fault> {
        let (_running, _bounded) = (self.running.begin("rules", name, &call), call.bounded());
        let (purpose, cancel, watch) = (Purpose::Commit, call.cancel, Arc::default());
        self.writer.commit(WriteRequest { identity, change, purpose, cancel, watch }).await
    }
}
