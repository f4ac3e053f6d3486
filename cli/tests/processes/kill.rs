//! `kill -9` of random processes at random moments, during loads, changes of rules and queries.
//!
//! A model has the contents of the cluster before and after each operation. After any kill the cluster must have
//! exactly one of the two: every asserted and every derived fact is compared. If the client received a success, it must
//! be the second.

use crate::graph::{RULE_SETS, State, Triple, document, facts, lines};
use crate::harness::{Cluster, Done, Random, Shape};
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The number of kills after which the cluster is replaced by a new one of a different shape.
const KILLS_OF_A_CLUSTER: u64 = 20;

/// The query that runs while processes are killed: a join across shards.
const QUESTION: &str = "SELECT ?a ?c { ?a <urn:p:0> ?b . ?b <urn:p:1> ?c }";

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[test]
fn killed_processes_lose_nothing_and_invent_nothing() {
    let (kills, seed) = (setting("ENTAIL_KILLS", 20), setting("ENTAIL_KILL_SEED", 1));
    println!("replay: ENTAIL_KILLS={kills} ENTAIL_KILL_SEED={seed} cargo test -p entail-cli --test processes kill");
    let started = Instant::now();
    let mut tally = Tally::default();
    let mut cluster_seed = seed;
    while tally.kills < kills {
        let last = kills.min(tally.kills + KILLS_OF_A_CLUSTER);
        let mut trial = Trial::new(cluster_seed, tally);
        while trial.tally.kills < last {
            trial.step();
        }
        tally = trial.tally;
        cluster_seed += 1;
    }
    println!("{tally:?} in {:.1} s", started.elapsed().as_secs_f64());
    assert!(tally.operations > 0 && tally.kills >= kills);
}

/// Counters of events.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    kills: u64,
    operations: u64,
    /// Operations that succeeded, and that failed, according to the client.
    succeeded: u64,
    failed: u64,
    /// Changes that failed according to the client: those that had no effect, and those that were applied.
    undone: u64,
    done_unknown: u64,
}

/// An operation of a client.
enum Operation {
    Load(BTreeSet<Triple>),
    Apply(usize),
    Drop(usize),
    Query,
}

/// A cluster and its expected contents.
struct Trial {
    cluster: Cluster,
    random: Random,
    state: State,
    tally: Tally,
    /// The history of operations and kills, for the message of a failure.
    story: Vec<String>,
}

impl Trial {
    fn new(seed: u64, tally: Tally) -> Self {
        let random = Random::new(seed);
        let (nodes, shards) = [(3, 8), (2, 16), (4, 8), (1, 4)][random.below(4) as usize];
        let cluster = Cluster::of(Shape { nodes, shards, ..Shape::default() });
        let mut trial = Self { cluster, random, state: State::default(), tally, story: Vec::new() };
        trial.story.push(format!("seed {seed}: {nodes} nodes, {shards} shards"));
        trial.state.asserted = facts(&trial.random, 1500);
        trial.cluster.load("first.nt", &document(&trial.state.asserted));
        trial
    }

    fn step(&mut self) {
        let operation = self.choose();
        let after = self.state_after(&operation);
        let mut arguments = self.arguments(&operation);
        // A patient client retries until it gets an answer; an impatient one gives up.
        let is_impatient = self.random.below(2) == 0;
        if is_impatient {
            arguments.extend(["--timeout".to_owned(), format!("{}ms", 30 + self.random.below(250))]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.story.push(format!("{arguments:?}"));
        let running = self.cluster.begin(&arguments);
        self.kill_some();
        let done = running.done();
        self.story.push(format!("the client got {:?}: {}", done.code, done.err.trim()));
        self.tally.operations += 1;
        self.judge_answer(&operation, &done, is_impatient);
        self.cluster.ready();
        self.judge_state(&done, after);
    }

    fn choose(&self) -> Operation {
        let absent: Vec<usize> = (0..RULE_SETS.len()).filter(|set| !self.state.rules.contains(set)).collect();
        let present: Vec<usize> = self.state.rules.iter().copied().collect();
        let any = |sets: &[usize]| sets[self.random.below(sets.len() as u64) as usize];
        match self.random.below(10) {
            0..4 => Operation::Load(facts(&self.random, 150)),
            4..7 if !absent.is_empty() => Operation::Apply(any(&absent)),
            4..9 if !present.is_empty() => Operation::Drop(any(&present)),
            _ => Operation::Query,
        }
    }

    fn state_after(&self, operation: &Operation) -> State {
        let mut after = self.state.clone();
        match operation {
            Operation::Load(facts) => after.asserted.extend(facts),
            Operation::Apply(set) => _ = after.rules.insert(*set),
            Operation::Drop(set) => _ = after.rules.remove(set),
            Operation::Query => {}
        }
        after
    }

    fn arguments(&self, operation: &Operation) -> Vec<String> {
        let line = |arguments: &[&str]| arguments.iter().map(|argument| (*argument).to_owned()).collect();
        match operation {
            Operation::Load(facts) => line(&["load", &self.cluster.file("more.nt", document(facts))]),
            Operation::Apply(set) => {
                let set = &RULE_SETS[*set];
                line(&["rules", "apply", &self.cluster.file(&format!("{}.srl", set.name), set.text())])
            }
            Operation::Drop(set) => line(&["rules", "drop", RULE_SETS[*set].name]),
            Operation::Query => line(&["query", QUESTION, "--output", "tsv"]),
        }
    }

    /// Kills one process or several at a random moment, and starts them again a moment later; sometimes once more
    /// while they recover.
    fn kill_some(&mut self) {
        let Self { cluster, random, tally, story, .. } = self;
        sleep(Duration::from_millis(random.below(120)));
        for _ in 0..=u64::from(random.below(5) == 0) {
            let count = cluster.nodes.len() as u64 + 1;
            let everything = random.below(10) == 0;
            let (one, other) = (random.below(count), random.below(count));
            let is_victim = |index: u64| everything || index == one || (index == other && one.is_multiple_of(2));
            let mut victims: Vec<_> =
                cluster.processes().zip(0..).filter(|(_, index)| is_victim(*index)).map(|(it, _)| it).collect();
            for victim in &mut victims {
                assert!(victim.is_running(), "{} has ended by itself", victim.name);
                victim.kill();
                story.push(format!("killed {}", victim.name));
                tally.kills += 1;
            }
            sleep(Duration::from_millis(random.below(100)));
            victims.into_iter().for_each(|victim| victim.start());
            sleep(Duration::from_millis(random.below(150)));
        }
    }

    /// An answer is complete; a failure is retryable.
    fn judge_answer(&mut self, operation: &Operation, done: &Done, is_impatient: bool) {
        let reason = match done.code {
            Some(0) => "",
            Some(3) => "; safe to retry)",
            Some(4) if is_impatient => "(DEADLINE_EXCEEDED)",
            _ => panic!("neither done nor to be tried again\n{}", self.story.join("\n")),
        };
        assert!(done.err.contains(reason), "no reason is given\n{}", self.story.join("\n"));
        if done.code != Some(0) {
            self.tally.failed += 1;
            return;
        }
        self.tally.succeeded += 1;
        if let Operation::Query = operation {
            let mut rows: Vec<String> = done.out.lines().skip(1).map(str::to_owned).collect();
            rows.sort_unstable();
            assert_eq!(rows, answer(&self.state), "the answer is not right\n{}", self.story.join("\n"));
        }
    }

    fn judge_state(&mut self, done: &Done, after: State) {
        // A next change completes only after all work in progress.
        self.cluster.load("nothing.nt", "");
        let (asserted, derived) = (self.cluster.dump("asserted"), self.cluster.dump("derived"));
        let rules = self.cluster.must(&["rules", "list", "--output", "json"]);
        let holds = |state: &State| {
            lines(&state.asserted) == asserted && lines(&state.derived()) == derived && lists(&rules, state)
        };
        if holds(&after) {
            self.tally.done_unknown += u64::from(done.code != Some(0) && after != self.state);
        } else {
            assert_ne!(done.code, Some(0), "acknowledged and lost\n{}", self.story.join("\n"));
            assert!(holds(&self.state), "neither before nor after\n{}", self.story.join("\n"));
            self.tally.undone += 1;
            return;
        }
        self.state = after;
    }
}

/// Does `rules list` name exactly the rule sets of the state?
fn lists(json: &str, state: &State) -> bool {
    let listed: serde_json::Value = serde_json::from_str(json).unwrap();
    let names = listed["rule_sets"].as_array().unwrap().iter().map(|set| set["name"].as_str().unwrap().to_owned());
    names.collect::<BTreeSet<_>>() == state.rules.iter().map(|set| RULE_SETS[*set].name.to_owned()).collect()
}

/// The rows of [`QUESTION`], sorted.
fn answer(state: &State) -> Vec<String> {
    let all = state.closure();
    let lower = all.iter().filter(|fact| fact.1 == 0);
    let rows = lower.flat_map(|(a, _, b)| {
        all.range((*b, 1, 0)..(*b, 2, 0)).map(move |(_, _, c)| format!("<urn:n:{a}>\t<urn:n:{c}>"))
    });
    let mut rows: Vec<String> = rows.collect();
    rows.sort_unstable();
    rows
}
