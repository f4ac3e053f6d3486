//! The steps of an epoch before its rounds: facts are staged at the nodes, rules are compiled.

use super::{Compiled, Program, Run};
use crate::nodes::Holders;
use crate::reader::Reader;
use crate::rules::{self, Ids, ParsedSet};
use crate::staging::{FactLoader, Sizes as Changed, TermHomes};
use crate::writer::{Cached, Change, Purpose};
use bytes::Bytes;
use entail_logic::dependencies::Cycle;
use entail_logic::epoch::Staged;
use entail_logic::fixpoint::{Mode, Step};
use entail_logic::plan::broadcast::News;
use entail_logic::plan::compile::{Context, RelationStats, RuleBody, compile_maintenance};
use entail_model::{Attempt, Cancellation, Fault, Relation, TermId};
use entail_sparql::update::Changes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tracing::info_span;

impl Run<'_> {
    /// The rule sets that hold after the change.
    pub(super) fn rule_sets(&self) -> Vec<Arc<ParsedSet>> {
        match &self.change {
            Change::Rules { sets, .. } => sets.clone(),
            Change::Staged(_) | Change::Update(_) | Change::Group(_) => {
                self.writer.rules.current(&self.writer.members.log).sets.clone()
            }
        }
    }

    /// Interns, stages and compiles.
    pub(super) async fn stage(&mut self, attempt: Attempt, cached: &mut Cached) -> Result<Staged, Fault> {
        let shared = &self.writer.shared;
        let base = self.base().await?;
        let holders = Holders::clone(&self.holders);
        let homes = TermHomes { key: shared.key, shards: shared.shards };
        let mut loader = FactLoader::new(holders, (attempt, self.previous), homes, Arc::clone(&base));
        if self.purpose == Purpose::DryRun {
            loader.keep_names();
        }
        let loader = Arc::new(loader);
        self.loader = Some(Arc::clone(&loader));
        let sets = self.rule_sets();
        let are_rules = matches!(self.change, Change::Rules { .. });
        tokio::select! {
            result = self.stage_facts(&loader, &sets) => result?,
            () = self.cancel.cancelled() => return Err(self.cancel.fault()),
            // Staging may take long, and a lost node has lost its staged facts.
            fault = self.incarnations.failure() => return Err(fault),
        }
        let before = self.writer.rules.current(&self.writer.members.log).sets.clone();
        let mut named = sets.clone();
        if are_rules {
            named.extend(before.iter().filter(|set| set.content().is_ok()).cloned());
        }
        let ids = self.ids_of_constants(&named, are_rules, cached, &loader).await?;
        let context = with_staged(&base, &loader).await?;
        self.program = Some(if are_rules {
            self.with_other_rules(&context, (&before, &sets), &ids)?
        } else if loader.removes() {
            let sizes = Sizes::of(self.rules_version, &context, &News::Facts(&BTreeMap::new()));
            let compile = |rules: &[RuleBody]| compile_maintenance(&context, rules);
            let compiled = compiled(&mut cached.maintenance, sizes, (&sets, &ids), compile)?;
            Program { compiled, mode: Mode::Maintain { new: BTreeSet::new(), dropped: BTreeSet::new() } }
        } else {
            let staged: BTreeMap<Relation, u64> = loader.relations().into_iter().collect();
            let news = News::Facts(&staged);
            let sizes = Sizes::of(self.rules_version, &context, &news);
            let compile = |rules: &[RuleBody]| rules::program(rules, &context, &news);
            Program { compiled: compiled(&mut cached.program, sizes, (&sets, &ids), compile)?, mode: Mode::Increment }
        });
        let steps = self.program.iter().flat_map(Program::steps).collect();
        self.effort_max = self.effort_max(&loader, cached);
        Ok(Staged { messages: loader.sent(), steps })
    }

    /// Stages the facts of the change.
    async fn stage_facts(&self, loader: &Arc<FactLoader>, sets: &[Arc<ParsedSet>]) -> Result<(), Fault> {
        match &self.change {
            Change::Staged(load) => load.stage(loader).await,
            Change::Update(update) => {
                update.stage(loader, &self.writer.evaluation, self.reader(update.begin()), sets).await
            }
            Change::Group(group) => {
                let members: Vec<&Changes> = group.members.iter().map(|member| &*member.data).collect();
                let failed = loader.stage_group(&members).await?;
                *group.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
                Ok(())
            }
            Change::Rules { .. } => Ok(()),
        }
    }

    /// The program of a change of the rules: the rules of after and, if some of those of before no longer hold, these as
    /// well.
    fn with_other_rules(
        &self,
        context: &Context,
        (before, after): (&[Arc<ParsedSet>], &[Arc<ParsedSet>]),
        ids: &Ids,
    ) -> Result<Program, Fault> {
        let rules = rules::bodies(after, ids)?;
        // What the rules of a stored set have derived that does not parse any more is not known.
        if before.iter().any(|set| set.content().is_err()) {
            return self.rebuilding(context, &rules);
        }
        let mut gone = rules::bodies(before, ids)?;
        let mut new = BTreeSet::new();
        for (number, rule) in rules.iter().enumerate() {
            let is_same = |other: &RuleBody| {
                other.heads == rule.heads && other.body == rule.body && other.negated == rule.negated
            };
            match gone.iter().position(is_same) {
                Some(known) => _ = gone.swap_remove(known),
                None => _ = new.insert(number),
            }
        }
        if gone.is_empty() {
            let news = News::Rules { new: &new, may_wait: self.may_wait };
            let program = info_span!("plan").in_scope(|| rules::program(&rules, context, &news));
            let compiled = Arc::new(Compiled::of(program.map_err(no_strata)?));
            return Ok(Program { compiled, mode: Mode::NewRules(new) });
        }
        let dropped = (rules.len()..rules.len() + gone.len()).collect();
        let both = [&rules[..], &gone].concat();
        match info_span!("plan").in_scope(|| compile_maintenance(context, &both)) {
            Ok(program) => {
                Ok(Program { compiled: Arc::new(Compiled::of(program)), mode: Mode::Maintain { new, dropped } })
            }
            // The rules of before and after have strata, but not together.
            Err(_) => self.rebuilding(context, &rules),
        }
    }

    /// The program that derives everything again by these rules.
    fn rebuilding(&self, context: &Context, rules: &[RuleBody]) -> Result<Program, Fault> {
        let new = (0..rules.len()).collect();
        let news = News::Rules { new: &new, may_wait: self.may_wait };
        let program = info_span!("plan").in_scope(|| rules::program(rules, context, &news)).map_err(no_strata)?;
        Ok(Program { compiled: Arc::new(Compiled::of(program)), mode: Mode::Rebuild })
    }

    /// The time that the change may take until recomputing everything is the better way to go on; `None` if that is never
    /// better.
    fn effort_max(&self, loader: &FactLoader, cached: &Cached) -> Option<Duration> {
        let counts = self.writer.members.log.read(|state| {
            state.seals().iter().fold((0, 0), |(asserted, derived), seal| {
                (asserted + seal.counts.asserted, derived + seal.counts.derived)
            })
        });
        let staged = loader.relations().into_values().sum::<u64>();
        match self.program.as_ref().map(|program| &program.mode) {
            Some(Mode::Increment | Mode::Maintain { .. }) => cached.pace.effort_max(counts, staged),
            _ => None,
        }
    }

    /// The ids of the constants in the rules; cached while the rules are unchanged.
    async fn ids_of_constants(
        &mut self,
        sets: &[Arc<ParsedSet>],
        are_other: bool,
        cached: &mut Cached,
        loader: &FactLoader,
    ) -> Result<Arc<Ids>, Fault> {
        if let Some((version, ids)) = &cached.ids
            && *version == self.rules_version
            && !are_other
        {
            return Ok(Arc::clone(ids));
        }
        let constants: Vec<Vec<u8>> = rules::constants(sets)?.into_iter().collect();
        let bytes: Vec<Bytes> = constants.iter().map(|text| Bytes::copy_from_slice(text)).collect();
        let ids = if bytes.is_empty() { Vec::new() } else { loader.intern(&bytes).await? };
        let ids = Arc::new(constants.into_iter().zip(ids).collect::<Ids>());
        if !are_other {
            // An attempt under unchanged rules finds their constants committed, so the ids outlive an abort.
            cached.ids = Some((self.rules_version, Arc::clone(&ids)));
        }
        Ok(ids)
    }

    /// Statistics of the last epoch.
    async fn base(&self) -> Result<Arc<Context>, Fault> {
        self.reader(Cancellation::default()).context().await
    }

    /// A reader of the epoch that the attempt builds on.
    pub(super) fn reader(&self, cancel: Cancellation) -> Reader {
        Reader {
            shared: Arc::clone(&self.writer.shared),
            holders: Arc::clone(&self.holders),
            epoch: self.previous,
            runtime: tokio::runtime::Handle::current(),
            cancel,
            started: AtomicU64::new(0),
        }
    }
}

/// The compiled program; the cached one while the rules are unchanged and relations have about the same size.
fn compiled(
    cached: &mut Option<(Sizes, Arc<Compiled>)>,
    sizes: Sizes,
    (sets, ids): (&[Arc<ParsedSet>], &Ids),
    compile: impl FnOnce(&[RuleBody]) -> Result<entail_logic::plan::Program, Cycle>,
) -> Result<Arc<Compiled>, Fault> {
    if let Some((of, compiled)) = cached
        && *of == sizes
    {
        return Ok(Arc::clone(compiled));
    }
    let rules = rules::bodies(sets, ids)?;
    let program = info_span!("plan").in_scope(|| compile(&rules)).map_err(no_strata)?;
    let compiled = Arc::new(Compiled::of(program));
    *cached = Some((sizes, Arc::clone(&compiled)));
    Ok(compiled)
}

impl Program {
    fn steps(&self) -> Vec<Step> {
        self.mode.steps(self.compiled.program.value().strata.len())
    }
}

/// Rules without strata are refused when their bodies are made.
fn no_strata(Cycle(rules): Cycle) -> Fault {
    Fault::internal(format!("the rules {rules:?} have no strata"))
}

/// Statistics for the compiler: those of the last epoch and the staged facts.
async fn with_staged(base: &Context, loader: &FactLoader) -> Result<Context, Fault> {
    let mut context = base.clone();
    for (relation, Changed { added, removed }) in loader.changed() {
        let stats = context.stats.entry(relation).or_default();
        // Removed facts are not subtracted from keys: their other facts may stay.
        let distinct = added.div_ceil(2);
        *stats = RelationStats {
            facts: (stats.facts + added).saturating_sub(removed),
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
    nodes: usize,
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
        Self { rules_version, nodes: context.nodes, rdf_type: context.rdf_type, relations, grown }
    }
}
