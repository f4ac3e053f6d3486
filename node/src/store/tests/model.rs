//! Random operations on a store, compared with a plain model: intern, seal with additions and removals, commit, abort, merge,
//! restart, and kill at any commit.

use super::place::{Place, SHARDS};
use crate::store::digest::Totals;
use crate::store::inventory::Tally;
use crate::store::schema::{Column, Key};
use crate::store::{SealSummary, ShardCounts, Snapshot, Store};
use entail_logic::columns::spine::{Spill, merge_runs};
use entail_logic::columns::{ChunkKey, Pair, Run};
use entail_logic::fixpoint::Changes;
use entail_model::{Attempt, Direction, Epoch, Mark, Reason, Relation, ShardId, TermId, TermKind};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Step {
    Intern(Vec<u16>),
    Seal { runs: Vec<(u8, u16)>, removals: Vec<(u8, Share)>, is_rebuild: bool },
    Commit,
    Abort,
    Abandon,
    Compact,
    Reopen,
}

/// A part of the pairs of a column and mark.
#[derive(Clone, Copy, Debug)]
enum Share {
    All,
    /// One pair of so many.
    Scattered(u64),
    /// The first pairs, in thousandths.
    First(usize),
}

impl Share {
    fn of(self, pairs: &BTreeSet<Pair>) -> Vec<Pair> {
        match self {
            Self::All => pairs.iter().copied().collect(),
            Self::Scattered(of) => pairs.iter().filter(|pair| pair.1.0 / 4 % of == 0).copied().collect(),
            Self::First(share) => pairs.iter().take(pairs.len() * share / 1000).copied().collect(),
        }
    }
}

#[derive(Clone, Debug)]
struct Action {
    step: Step,
    killed_after: Option<u8>,
}

fn action() -> impl Strategy<Value = Action> {
    let run = (any::<u8>(), prop_oneof![20 => 1u16..60, 1 => Just(20_000u16)]);
    let share = prop_oneof![
        1 => Just(Share::All),
        4 => (1u64..12).prop_map(Share::Scattered),
        3 => (1usize..1000).prop_map(Share::First),
    ];
    let removals = prop::collection::vec((any::<u8>(), share), 0..5);
    let step = prop_oneof![
        4 => prop::collection::vec(0u16..400, 0..80).prop_map(Step::Intern),
        4 => (prop::collection::vec(run, 0..6), removals, prop::bool::weighted(0.2))
            .prop_map(|(runs, removals, is_rebuild)| Step::Seal { runs, removals, is_rebuild }),
        5 => Just(Step::Commit),
        1 => Just(Step::Abort),
        1 => Just(Step::Abandon),
        3 => Just(Step::Compact),
        2 => Just(Step::Reopen),
    ];
    (step, prop::option::weighted(0.3, 0u8..6)).prop_map(|(step, killed_after)| Action { step, killed_after })
}

type Facts = BTreeMap<(Relation, Direction, Mark), BTreeSet<Pair>>;
type Terms = BTreeMap<u16, TermId>;

/// The expected contents of a store.
#[derive(Default)]
struct Model {
    epoch: Epoch,
    attempt: u64,
    facts: Facts,
    terms: Terms,
    /// Terms of the attempt.
    staged: Terms,
    sealed: Option<(Facts, SealSummary)>,
    /// Snapshots that a reader holds, with their expected facts.
    held: Vec<(Arc<Snapshot>, Facts)>,
    next_value: u64,
}

fn word(number: u16) -> Vec<u8> {
    match number % 4 {
        _ if number % 97 == 13 => format!("S{}{number}", "large ".repeat(6000)),
        0 => format!("Sa word {number}"),
        1 => format!("B{number}"),
        _ => format!("Ihttp://example.org/thing/{number}"),
    }
    .into()
}

impl Model {
    /// New pairs of a column that is picked by `selector`.
    fn new_pairs(&mut self, selector: u8, count: u16) -> ((Relation, Direction, Mark), BTreeSet<Pair>) {
        let column = column(selector);
        let pairs = (0..u64::from(count)).map(|n| {
            self.next_value += 1;
            let key = TermId::dictionary(ShardId((n % u64::from(SHARDS)) as u16), n / 9, TermKind::Iri);
            (key, TermId(self.next_value * 4))
        });
        (column, pairs.collect())
    }

    /// What leaves the committed facts, by column and mark.
    fn removed(&self, removals: &[(u8, Share)], is_rebuild: bool) -> Facts {
        let mut removed = Facts::new();
        for (selector, share) in removals {
            let column = column(*selector);
            let facts = self.facts.get(&column).filter(|_| !is_rebuild || column.2 == Mark::Asserted);
            let pairs = facts.map(|facts| share.of(facts)).unwrap_or_default();
            removed.entry(column).or_default().extend(pairs);
        }
        removed.retain(|_, pairs| !pairs.is_empty());
        removed
    }

    /// Asserted and derived facts of all shards. Not the sum over the shards: random operations may promote facts in one
    /// shard that were derived in another.
    fn counts(&self) -> (u64, u64) {
        let sum = |mark| {
            let of_mark = self.facts.iter().filter(|((_, copy, of), _)| (*copy, *of) == (Direction::Forward, mark));
            of_mark.map(|(_, pairs)| pairs.len() as u64).sum::<u64>()
        };
        let (asserted, derived, promoted) = (sum(Mark::Asserted), sum(Mark::Derived), sum(Mark::Promoted));
        (asserted + promoted, derived.saturating_sub(promoted))
    }

    fn shard_counts(&self) -> BTreeMap<ShardId, ShardCounts> {
        let mut counts: BTreeMap<ShardId, ShardCounts> = BTreeMap::new();
        let mut derived: BTreeMap<ShardId, i64> = BTreeMap::new();
        for ((_, copy, mark), pairs) in &self.facts {
            for (key, _) in pairs.iter().filter(|_| *copy == Direction::Forward) {
                let home = key.home().expect("a dictionary term");
                counts.entry(home).or_default().asserted += u64::from(*mark != Mark::Derived);
                *derived.entry(home).or_default() += [0, 1, -1][*mark as usize];
            }
        }
        derived.into_iter().for_each(|(home, count)| counts.entry(home).or_default().derived = count.max(0) as u64);
        self.terms.values().for_each(|id| counts.entry(id.home().expect("a term")).or_default().terms += 1);
        counts
    }
}

/// A column and mark, picked by `selector`.
fn column(selector: u8) -> (Relation, Direction, Mark) {
    let graph = if selector & 1 == 0 { TermId::DEFAULT_GRAPH } else { TermId(8) };
    let relation = Relation { graph, predicate: TermId(u64::from(selector >> 1 & 1)) };
    let copy = Direction::BOTH[usize::from(selector >> 2 & 1)];
    (relation, copy, Mark::ALL[usize::from(selector >> 3) % 3])
}

/// The digest of facts, as one run of each column and mark.
fn digest(facts: &Facts) -> u64 {
    let mut total = Totals::default();
    for ((relation, copy, mark), pairs) in facts {
        let Some(run) = Run::resident(*mark, pairs.iter().copied().collect()) else { continue };
        total.add(Totals::of(Column::Facts(*relation, *copy), *mark, &run).expect("in memory"));
    }
    total.digest.total()
}

/// A store and its model.
struct Life {
    place: Place,
    store: Option<Store>,
    model: Model,
}

impl Life {
    fn new(place: Place) -> Self {
        Self { store: Some(place.open()), place, model: Model::default() }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("open")
    }

    fn act(&mut self, action: &Action) {
        let killed = action.killed_after.filter(|_| !matches!(action.step, Step::Reopen));
        killed.into_iter().for_each(|commits| self.place.kill_after(commits));
        match &action.step {
            Step::Intern(words) => self.intern(words, killed.is_some()),
            Step::Seal { runs, removals, is_rebuild } => self.seal(runs, removals, *is_rebuild, killed.is_some()),
            Step::Commit => self.commit(killed.is_some()),
            Step::Abort => self.abort(killed.is_some()),
            Step::Abandon => self.abandon(killed.is_some()),
            Step::Compact => {
                self.store().keep_inventory();
                let outcome = self.store().compact_step();
                assert!(outcome.is_ok() || killed.is_some());
            }
            Step::Reopen => {}
        }
        if killed.is_some() || matches!(action.step, Step::Reopen) {
            self.reopen();
        }
        self.check();
    }

    /// Restarts the store, which drops an unsealed attempt.
    fn reopen(&mut self) {
        self.restart_if(true);
        if self.model.sealed.is_none() {
            self.model.staged.clear();
            self.model.attempt += 1;
        }
    }

    fn restart_if(&mut self, killed: bool) {
        if killed {
            self.model.held.clear();
            self.store = None;
            self.store = Some(self.place.open());
        }
    }

    fn intern(&mut self, words: &[u16], killed: bool) {
        let terms: Vec<Vec<u8>> = words.iter().map(|number| word(*number)).collect();
        if self.model.sealed.is_some() {
            let later = self.store().intern(Attempt(self.model.attempt + 1), &terms).expect_err("not decided");
            assert_eq!(later.reason, Reason::Fenced);
            return;
        }
        match self.store().intern(Attempt(self.model.attempt), &terms) {
            Ok(ids) => {
                for (number, id) in words.iter().zip(ids) {
                    let known = self.model.terms.get(number).or(self.model.staged.get(number)).copied();
                    assert_eq!(known.unwrap_or(id), id);
                    if known.is_none() {
                        self.model.staged.insert(*number, id);
                    }
                }
            }
            Err(fault) => assert!(killed, "{fault}"),
        }
    }

    fn seal(&mut self, runs: &[(u8, u16)], removals: &[(u8, Share)], is_rebuild: bool, killed: bool) {
        if self.model.sealed.is_some() {
            return;
        }
        let attempt = Attempt(self.model.attempt);
        let mut facts = if is_rebuild { Facts::new() } else { self.model.facts.clone() };
        if is_rebuild {
            let asserted = self.model.facts.iter().filter(|((_, _, mark), _)| *mark == Mark::Asserted);
            facts.extend(asserted.map(|(column, pairs)| (*column, pairs.clone())));
        }
        let gone = self.model.removed(removals, is_rebuild);
        for (column, pairs) in &gone {
            facts.entry(*column).or_default().retain(|pair| !pairs.contains(pair));
        }
        let removed = gone.into_iter().filter_map(|((relation, copy, mark), pairs)| {
            Some((relation, copy, mark, Run::resident(mark, pairs.into_iter().collect())?))
        });
        let removed = removed.collect();
        let mut added = Vec::new();
        for (selector, count) in runs {
            let ((relation, copy, mark), pairs) = self.model.new_pairs(*selector, *count);
            facts.entry((relation, copy, mark)).or_default().extend(&pairs);
            let run = Run::resident(mark, pairs.into_iter().collect()).expect("not empty");
            let spill = Spill { store: Some(self.store().chunk_store()), above: 0 };
            let is_spilled = selector & 64 != 0;
            let run = if is_spilled { merge_runs(&[&run], &spill).map(Arc::new) } else { Ok(run) };
            match run {
                Ok(run) => added.push((relation, copy, run)),
                Err(fault) => assert!(killed, "{fault}"),
            }
        }
        if added.len() < runs.len() {
            return;
        }
        let outcome = self.store().seal(attempt, Changes { added, removed, is_rebuild });
        assert!(killed || outcome.is_ok());
        self.restart_if(killed);
        if self.store().undecided() == [attempt] {
            let summary = self.store().seal(attempt, Changes::default()).expect("sealed before");
            outcome.into_iter().for_each(|first| assert_eq!(first, summary));
            assert_eq!(summary.digest, digest(&facts), "it is over all facts of the new epoch");
            self.model.sealed = Some((facts, summary));
        } else {
            assert!(outcome.is_err());
        }
    }

    fn commit(&mut self, killed: bool) {
        let (attempt, epoch) = (Attempt(self.model.attempt), self.model.epoch.next());
        let outcome = self.store().decide(attempt, Some(epoch));
        if self.model.sealed.is_none() {
            assert!(outcome.is_err(), "what was not sealed cannot be committed");
            return;
        }
        assert!(killed || outcome.is_ok());
        self.restart_if(killed);
        if self.store().latest().epoch == epoch {
            self.store().decide(attempt, Some(epoch)).expect("decided so before");
            let (facts, summary) = self.model.sealed.take().expect("sealed");
            self.model.facts = facts;
            let said = (summary.after.facts_asserted(), summary.after.facts_derived());
            assert_eq!(said, self.model.counts(), "the seal has the counts after its commit");
            self.model.facts.retain(|_, pairs| !pairs.is_empty());
            self.model.epoch = epoch;
            let staged = std::mem::take(&mut self.model.staged);
            self.model.terms.extend(staged);
            self.model.attempt += 1;
            if self.model.held.len() == 3 {
                self.model.held.remove(0);
            }
            self.model.held.push((self.store().latest(), self.model.facts.clone()));
        } else {
            assert!(outcome.is_err());
        }
    }

    fn abort(&mut self, killed: bool) {
        let attempt = Attempt(self.model.attempt);
        let outcome = self.store().decide(attempt, None);
        assert!(killed || outcome.is_ok());
        self.restart_if(killed);
        if self.store().undecided().is_empty() {
            self.model.sealed = None;
            self.model.staged.clear();
            self.model.attempt += 1;
        }
    }

    fn abandon(&mut self, killed: bool) {
        let outcome = self.store().abandon(Attempt(self.model.attempt));
        if self.model.sealed.is_some() {
            assert_eq!(outcome.expect_err("sealed").reason, Reason::Fenced);
        } else {
            assert!(killed || outcome.is_ok());
            self.model.staged.clear();
            self.model.attempt += 1;
        }
    }

    /// Checks that the store agrees with the model.
    fn check(&self) {
        let (store, model) = (self.store(), &self.model);
        assert_eq!(store.latest().epoch, model.epoch);
        assert_eq!(contents(&store.latest()), model.facts);
        for (snapshot, facts) in &model.held {
            assert_eq!(&contents(snapshot), facts, "a snapshot never changes");
            let kept = store.snapshot(snapshot.epoch).expect("one of the last epochs");
            assert_eq!(&contents(&kept), facts);
        }
        let undecided: Vec<Attempt> = model.sealed.iter().map(|_| Attempt(model.attempt)).collect();
        assert_eq!(store.undecided(), undecided);
        let counts: BTreeMap<_, _> = store.shard_counts().into_iter().collect();
        let expected = model.shard_counts();
        for shard in counts.keys().chain(expected.keys()) {
            let of = |counts: &BTreeMap<ShardId, ShardCounts>| counts.get(shard).copied().unwrap_or_default();
            assert_eq!(of(&counts), of(&expected), "{shard}");
        }
        let told = store.committed().digest;
        assert_eq!(told, (model.epoch > Epoch(0)).then(|| digest(&model.facts)));
        let mut tally = Tally::default();
        for ((relation, copy, mark), pairs) in &model.facts {
            tally.add(Column::Facts(*relation, *copy), *mark, pairs.len() as u64);
        }
        tally.add(Column::Terms(ShardId(0)), Mark::Asserted, model.terms.len() as u64);
        assert_eq!(store.catalog().tally, tally);
        self.check_terms();
    }

    fn check_terms(&self) {
        let words: Vec<Vec<u8>> = (0..400).map(word).collect();
        let found = self.store().lookup(&words).expect("readable");
        let expected: Vec<Option<TermId>> = (0..400).map(|number| self.model.terms.get(&number).copied()).collect();
        assert_eq!(found, expected);
        let all: Vec<(u16, TermId)> =
            self.model.terms.iter().chain(&self.model.staged).map(|(number, id)| (*number, *id)).collect();
        let ids: Vec<TermId> = all.iter().map(|(_, id)| *id).collect();
        let texts = self.store().texts(&ids).expect("readable");
        for ((number, _), text) in all.iter().zip(texts) {
            assert_eq!(&text[..], &word(*number)[..]);
        }
        let mut shown = all.iter();
        let mut show = |text: &[u8]| assert_eq!(Some(text), shown.next().map(|(number, _)| word(*number)).as_deref());
        self.store().show_texts(&ids, u64::MAX, &mut show).expect("readable");
        assert_eq!(shown.len(), 0);
        let mut first = 0;
        self.store().show_texts(&ids, 0, &mut |_| first += 1).expect("readable");
        assert_eq!(first, ids.len().min(1), "the text that passes the limit is the last");
        let mut locals: BTreeMap<ShardId, BTreeSet<u64>> = BTreeMap::new();
        ids.iter().for_each(|id| {
            assert!(locals.entry(id.home().expect("a term")).or_default().insert(id.local().expect("a term")));
        });
        for locals in locals.values() {
            assert_eq!(locals.last(), Some(&(locals.len() as u64 - 1)), "local indexes are dense");
        }
    }

    /// Checks that at the end everything on disk is referred to.
    fn check_leftovers(mut self) {
        self.model.held.clear();
        self.store().decide(Attempt(self.model.attempt), None).expect("an outcome");
        while self.store().compact_step().expect("room on disk") {}
        self.reopen();
        let store = self.store();
        let range = Key::Chunk(ChunkKey(0)).to(&Key::Chunk(ChunkKey(u64::MAX)));
        let mut chunks = 0;
        let mut count = |_: Key, _: &[u8]| {
            chunks += 1;
            Ok(ControlFlow::Continue(()))
        };
        store.table.scan(&range, &mut count).expect("readable");
        assert_eq!(chunks, store.chunks());
    }
}

fn contents(snapshot: &Snapshot) -> Facts {
    let mut facts = Facts::new();
    for (relation, copies) in snapshot.relations.iter() {
        for copy in Direction::BOTH {
            for run in &copies[copy as usize] {
                let pairs = facts.entry((relation, copy, run.mark)).or_default();
                for pair in run.to_vec().expect("readable") {
                    assert!(pairs.insert(pair), "runs of one mark are disjoint");
                }
            }
        }
    }
    facts
}

fn live(place: Place, actions: &[Action]) {
    let mut life = Life::new(place);
    actions.iter().for_each(|action| life.act(action));
    life.check_leftovers();
}

/// `few` cases, or more if `PROPTEST_CASES` is above its default.
fn cases(few: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: few * default.cases / 256, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn a_life_in_memory(actions in prop::collection::vec(action(), 1..40)) {
        live(Place::in_memory(), &actions);
    }
}

proptest! {
    #![proptest_config(cases(6))]

    #[test]
    fn a_life_on_disk(actions in prop::collection::vec(action(), 1..30)) {
        live(Place::on_disk(), &actions);
    }

    /// After each step the files are copied as a killed process leaves them.
    #[test]
    fn killed_after_every_step(actions in prop::collection::vec(action(), 1..20)) {
        let mut life = Life::new(Place::on_disk());
        for mut action in actions {
            action.killed_after = None;
            life.act(&action);
            let copy = life.place.copy();
            life.store = Some(copy.open());
            life.place = copy;
            life.model.held.clear();
            if life.model.sealed.is_none() {
                life.model.staged.clear();
                life.model.attempt += 1;
            }
            life.check();
        }
    }
}
