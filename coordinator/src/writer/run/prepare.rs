//! The steps of an epoch before its rounds: facts are staged at the nodes, rules are compiled.

use super::{Compiled, Program, Run};
use crate::nodes::Holders;
use crate::reader::Reader;
use crate::rules::{self, Ids, ParsedSet};
use crate::staging::{FactLoader, TermHomes};
use crate::writer::{Cached, Change};
use bytes::Bytes;
use entail_logic::fixpoint::Mode;
use entail_logic::plan::broadcast::News;
use entail_logic::plan::compile::{Context, RelationStats};
use entail_model::{Attempt, Cancellation, Fault, NodeId, Relation, TermId};
use entail_node_api::Encoded;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tracing::info_span;

impl Run<'_> {
    /// The rule sets that hold after the change.
    fn rule_sets(&self) -> Vec<Arc<ParsedSet>> {
        match &self.change {
            Change::Rules { sets, .. } => sets.clone(),
            Change::Facts(_) => self.writer.rules.current(&self.writer.members.log).sets.clone(),
        }
    }

    /// Interns, stages and compiles.
    pub(super) async fn stage(
        &mut self,
        attempt: Attempt,
        cached: &mut Cached,
    ) -> Result<BTreeMap<NodeId, u64>, Fault> {
        let shared = &self.writer.shared;
        let base = self.base().await?;
        let holders = Holders::clone(&self.holders);
        let homes = TermHomes { key: shared.key, shards: shared.shards };
        let loader = Arc::new(FactLoader::new(holders, (attempt, self.previous), homes, base.rdf_type));
        self.loader = Some(Arc::clone(&loader));
        let nothing = Change::Facts(Box::new(|_| Box::pin(async { Ok(()) })));
        let sets = self.rule_sets();
        let (change, mode, added) = match std::mem::replace(&mut self.change, nothing) {
            Change::Facts(stage) => (Some(stage), Mode::Increment, BTreeSet::new()),
            Change::Rules { based_on, sets, added, rebuild } => {
                self.change = Change::Rules { based_on, sets, added: added.clone(), rebuild };
                (None, if rebuild { Mode::Rebuild } else { Mode::NewRules(BTreeSet::new()) }, added)
            }
        };
        if let Some(stage) = change {
            let cancel = self.cancel.clone();
            tokio::select! {
                result = stage(Arc::clone(&loader)) => result?,
                () = cancel.cancelled() => return Err(cancel.fault()),
                // Staging may take long, and a lost node has lost its staged facts.
                fault = self.incarnations.failure() => return Err(fault),
            }
        }
        let ids = self.ids_of_constants(&sets, &mode, cached, &loader).await?;
        let context = with_staged(&base, &loader).await?;
        let staged: BTreeMap<Relation, u64> = loader.relations().into_iter().collect();
        let mut first_rule = 0;
        let mut new_rules = BTreeSet::new();
        for set in &sets {
            let rules = first_rule..first_rule + set.program_rules();
            first_rule = rules.end;
            if mode == Mode::Rebuild || added.contains(&set.set.name) {
                new_rules.extend(rules);
            }
        }
        let news = match mode {
            Mode::Increment => News::Facts(&staged),
            _ => News::Rules { new: &new_rules, may_wait: self.may_wait },
        };
        let compiled = self.compiled(&context, (&sets, &ids), &news, cached)?;
        let mode = if let Mode::NewRules(_) = mode { Mode::NewRules(new_rules) } else { mode };
        self.program = Some(Program { compiled, mode });
        Ok(loader.sent())
    }

    /// The compiled program; the cached one while the rules are unchanged and relations have about the same size.
    fn compiled(
        &self,
        context: &Context,
        (sets, ids): (&[Arc<ParsedSet>], &Ids),
        news: &News<'_>,
        cached: &mut Cached,
    ) -> Result<Arc<Compiled>, Fault> {
        let is_kept = matches!(news, News::Facts(_));
        let sizes = Sizes::of(self.rules_version, context, news);
        if let Some((of, compiled)) = &cached.program
            && is_kept
            && *of == sizes
        {
            return Ok(Arc::clone(compiled));
        }
        let program = info_span!("plan").in_scope(|| rules::program(sets, context, ids, news))?;
        let labels = program.rules.iter().map(|rule| rule.label.clone()).collect();
        let compiled = Arc::new(Compiled { program: Encoded::new(Arc::new(program)), labels });
        if is_kept {
            cached.program = Some((sizes, Arc::clone(&compiled)));
        }
        Ok(compiled)
    }

    /// The ids of the constants in the rules; cached while the rules are unchanged.
    async fn ids_of_constants(
        &mut self,
        sets: &[Arc<ParsedSet>],
        mode: &Mode,
        cached: &mut Cached,
        loader: &FactLoader,
    ) -> Result<Arc<Ids>, Fault> {
        if let Some((version, ids)) = &cached.ids
            && *version == self.rules_version
            && *mode == Mode::Increment
        {
            return Ok(Arc::clone(ids));
        }
        let constants: Vec<Vec<u8>> = rules::constants(sets)?.into_iter().collect();
        let bytes: Vec<Bytes> = constants.iter().map(|text| Bytes::copy_from_slice(text)).collect();
        let ids = if bytes.is_empty() { Vec::new() } else { loader.intern(&bytes).await? };
        let ids = Arc::new(constants.into_iter().zip(ids).collect::<Ids>());
        if *mode == Mode::Increment {
            // An attempt under unchanged rules finds their constants committed, so the ids outlive an abort.
            cached.ids = Some((self.rules_version, Arc::clone(&ids)));
        }
        Ok(ids)
    }

    /// Statistics of the last epoch.
    async fn base(&mut self) -> Result<Arc<Context>, Fault> {
        let reader = Reader {
            shared: Arc::clone(&self.writer.shared),
            holders: Arc::clone(&self.holders),
            epoch: self.previous,
            runtime: tokio::runtime::Handle::current(),
            cancel: Cancellation::default(),
            started: AtomicU64::new(0),
        };
        reader.context().await
    }
}

/// Statistics for the compiler: those of the last epoch and the staged facts.
async fn with_staged(base: &Context, loader: &FactLoader) -> Result<Context, Fault> {
    let mut context = base.clone();
    for (relation, facts) in loader.relations() {
        let stats = context.stats.entry(relation).or_default();
        let distinct = facts.div_ceil(2);
        *stats = RelationStats {
            facts: stats.facts + facts,
            subjects: stats.subjects + distinct,
            objects: stats.objects + distinct,
        };
    }
    context.rdf_type = Some(loader.rdf_type().await?);
    Ok(context)
}

/// The inputs of a program: the version of the rules, sizes of relations by powers of two, and the relations that grow.
#[derive(PartialEq, Eq)]
pub struct Sizes {
    rules_version: u64,
    single_node: bool,
    rdf_type: Option<TermId>,
    relations: BTreeMap<Relation, [u32; 3]>,
    grown: BTreeSet<Relation>,
}

impl Sizes {
    fn of(rules_version: u64, context: &Context, news: &News<'_>) -> Self {
        let power = |count: u64| count.checked_ilog2().map_or(0, |power| power + 1);
        let relations = context.stats.iter();
        let relations = relations
            .map(|(relation, stats)| (*relation, [stats.facts, stats.subjects, stats.objects].map(power)))
            .collect();
        let grown = news.grown(context);
        Self { rules_version, single_node: context.single_node, rdf_type: context.rdf_type, relations, grown }
    }
}
