//! What an epoch does before its rounds: facts are brought to the nodes, rules become a program.

use super::{Program, Run};
use crate::members::Members;
use crate::metalog::RuleSet;
use crate::nodes::Holders;
use crate::reader::{Reader, Until};
use crate::rules::{Ids, Parsed};
use crate::staging::Stager;
use crate::writer::{Cached, Change};
use bytes::Bytes;
use entail_logic::plan::compile::{Context, RelationStats};
use entail_model::{Attempt, Fault, NodeId, Reason};
use entail_proto::internal::ReasonMode;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tracing::info_span;

/// The rule sets of a change: what holds after it.
fn sets_after(members: &Members, change: &Change) -> Vec<RuleSet> {
    match change {
        Change::Rules { sets, .. } => sets.clone(),
        Change::Facts(_) => members.log.read(|state| state.rules().sets.clone()),
    }
}

impl Run<'_> {
    /// Interns, stages and compiles.
    pub(super) async fn stage(
        &mut self,
        attempt: Attempt,
        cached: &mut Cached,
    ) -> Result<BTreeMap<NodeId, u64>, Fault> {
        let shared = &self.writer.shared;
        let stager = Arc::new(Stager::new(Holders::clone(&self.holders), attempt.0, self.previous, shared));
        self.stager = Some(Arc::clone(&stager));
        let nothing = Change::Facts(Box::new(|_| Box::pin(async { Ok(()) })));
        let sets = sets_after(&self.writer.members, &self.change);
        let (change, mode, added) = match std::mem::replace(&mut self.change, nothing) {
            Change::Facts(stage) => (Some(stage), ReasonMode::Increment, BTreeSet::new()),
            Change::Rules { based_on, sets, added, rebuild } => {
                self.change = Change::Rules { based_on, sets, added: added.clone(), rebuild };
                (None, if rebuild { ReasonMode::Rebuild } else { ReasonMode::NewRules }, added)
            }
        };
        if let Some(stage) = change {
            let cancel = self.cancel.clone();
            tokio::select! {
                result = stage(Arc::clone(&stager)) => result?,
                () = cancel.cancelled() => return Err(Fault::new(Reason::Cancelled, "the caller went away")),
                // The facts may be long in coming, and what a lost node has staged is lost.
                fault = self.lives.failure() => return Err(fault),
            }
        }
        let (parsed, ids) = self.rules_with_ids(&sets, mode, cached, &stager).await?;
        let context = self.context(&stager).await?;
        let program = info_span!("plan").in_scope(|| parsed.program(&context, &ids))?;
        let mut first_rule = 0;
        let mut new_rules = Vec::new();
        for (set, size) in sets.iter().zip(parsed.sizes()) {
            if added.contains(&set.name) {
                new_rules.extend(first_rule..first_rule + *size as u32);
            }
            first_rule += *size as u32;
        }
        let encoded = postcard::to_stdvec(&program).map_err(|error| Fault::internal(format!("a program: {error}")))?;
        let labels = program.rules.into_iter().map(|rule| rule.label).collect();
        self.program = Some(Program { encoded: encoded.into(), labels, mode, new_rules });
        Ok(stager.sent())
    }

    /// The parsed rules and the ids of their constants; kept while the rules stay the same.
    async fn rules_with_ids(
        &mut self,
        sets: &[RuleSet],
        mode: ReasonMode,
        cached: &mut Cached,
        stager: &Stager,
    ) -> Result<(Arc<Parsed>, Arc<Ids>), Fault> {
        if let Some((version, parsed, ids)) = &cached.rules
            && *version == self.rules_version
            && mode == ReasonMode::Increment
        {
            return Ok((Arc::clone(parsed), Arc::clone(ids)));
        }
        let parsed = Arc::new(Parsed::new(sets)?);
        let constants: Vec<Vec<u8>> = parsed.constants().into_iter().collect();
        let bytes: Vec<Bytes> = constants.iter().map(|text| Bytes::copy_from_slice(text)).collect();
        let ids = if bytes.is_empty() { Vec::new() } else { stager.intern(&bytes).await? };
        let ids = Arc::new(constants.into_iter().zip(ids).collect::<Ids>());
        if mode == ReasonMode::Increment {
            // An attempt under unchanged rules finds their constants committed: the ids are safe to keep.
            cached.rules = Some((self.rules_version, Arc::clone(&parsed), Arc::clone(&ids)));
        }
        Ok((parsed, ids))
    }

    /// Statistics for the compiler: the last epoch's, and what was staged.
    async fn context(&mut self, stager: &Stager) -> Result<Context, Fault> {
        let reader = Reader {
            shared: Arc::clone(&self.writer.shared),
            holders: Arc::clone(&self.holders),
            epoch: self.previous,
            runtime: tokio::runtime::Handle::current(),
            until: Until::default(),
            started: AtomicU64::new(0),
        };
        let mut context = Context::clone(&*reader.context().await?);
        for (relation, facts) in stager.relations() {
            let stats = context.stats.entry(relation).or_default();
            let distinct = facts.div_ceil(2);
            *stats = RelationStats {
                facts: stats.facts + facts,
                subjects: stats.subjects + distinct,
                objects: stats.objects + distinct,
            };
        }
        context.rdf_type = Some(stager.rdf_type().await?);
        Ok(context)
    }
}
