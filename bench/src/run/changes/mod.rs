//! Measures changes under rules: facts that are deleted and inserted again, beside deriving everything again.
//!
//! ```text
//! load, rules ─► 1, 100, 10,000 facts ─► a cut ─► rules ─► many clients
//!                delete, insert, …       out, in   drop, apply, …   insert
//! ```
//! A change is one update, or one rule change: from the moment it is sent until the answer says that it is committed, synced
//! to disk. The facts are at random positions of the input. An insert brings back what the delete before has taken; at the end
//! of each step the cluster must have exactly the facts that it had before.

mod clients;
mod facts;

use super::{Bench, Work};
use crate::Error;
use crate::cluster::{Cluster, Content};
use crate::graphs::write_edge;
use crate::measurement::{Line, Measurement, Ratio, percentile};
use crate::ntriples::Writer;
use crate::workload::Workload;
use entail_client::Client;
use entail_client::v1::{ChangeSummary, UpdateRequest};
use entail_model::random::Random;
use facts::{Facts, Verb};
use std::path::Path;
use std::time::{Duration, Instant};

/// The sizes of changes: facts, the names of both steps, and the largest number of deletes and inserts.
const SIZES: [(u64, [&str; 2], usize); 3] = [
    (1, ["delete_1", "insert_1"], 100),
    (100, ["delete_100", "insert_100"], 20),
    (10_000, ["delete_10000", "insert_10000"], 5),
];
/// The edge that takes much with it, and how often it goes and comes.
const CUT: [&str; 2] = ["cut", "join"];
const CUTS: usize = 5;
/// Dropping the rules, and applying them again.
const RULES: [&str; 2] = ["drop_rules", "recompute"];
const RULES_TIMES: usize = 3;
/// A step ends earlier after this time, when each of its changes was made this often.
const STEP_TIME: Duration = Duration::from_secs(10);
const CHANGES_MIN: usize = 3;
/// Changes before the first step, which are not measured.
const WARM: usize = 3;
/// The number of the sequence of random positions; those before are the generators'.
const STREAM: u64 = 0x6368_616e_6765;

/// No change may cost more than this multiple of recomputing, plus this time.
const GUARD: f64 = 1.3;
const GUARD_SECONDS: f64 = 0.02;

/// A change that was made.
#[derive(Clone, Copy, Debug)]
struct Made {
    seconds: f64,
    server_seconds: f64,
    /// Asserted facts that went or came.
    asserted: u64,
    /// The difference of the number of derived facts.
    derived: u64,
}

/// The figures of one step in one run.
#[derive(Clone, Copy, Debug)]
struct Figures {
    step: &'static str,
    p50: f64,
    p90: f64,
    /// The mean numbers of facts that went or came with a change.
    asserted: f64,
    derived: f64,
    /// The time of all changes by the facts of all; none if no fact changed.
    seconds_per_fact: Option<f64>,
}

impl Bench<'_> {
    /// All runs, and the ratios.
    pub(super) async fn changes(&mut self, work: &Work) -> Result<(), Error> {
        let mut runs = Vec::new();
        for run in 1..=self.request.runs {
            self.run = run;
            let directory = work.directory(run)?;
            runs.push(self.changes_run(&directory).await?);
            work.finish(&directory)?;
        }
        for ratio in ratios(&self.name, &runs) {
            self.listener.line(&Line::Ratio(ratio))?;
        }
        Ok(())
    }

    /// A run on a new cluster.
    async fn changes_run(&mut self, directory: &Path) -> Result<Vec<Figures>, Error> {
        let sets = self.sets().await?;
        let filled = self.filled(directory).await?;
        let content = self.checked(&filled).await?;
        let (cluster, client) = (&filled.cluster, filled.cluster.client()?);
        alternate(&client, &sets[0][..sets[0].len().min(WARM)]).await?;
        let mut figures = Vec::new();
        for ((_, names, _), sets) in SIZES.iter().zip(&sets) {
            figures.extend(self.both_ways(cluster, &client, *names, sets, content).await?);
        }
        if let Some(cut) = self.cut() {
            figures.extend(self.both_ways(cluster, &client, CUT, &vec![cut; CUTS], content).await?);
        }
        figures.extend(self.rules_again(cluster, content).await?);
        self.written_together(cluster, content).await?;
        filled.cluster.stop().await?;
        Ok(figures)
    }

    /// Facts for each change of each size, drawn on a blocking thread.
    async fn sets(&self) -> Result<Vec<Vec<Facts>>, Error> {
        let (input, lines, run) = (self.input.clone(), self.lines, self.run);
        let drawn = tokio::task::spawn_blocking(move || sets(&input, lines, run)).await;
        drawn.map_err(|error| Error::Input(format!("the facts were not drawn: {error}")))?
    }

    /// An edge of a graph whose loss takes much with it.
    fn cut(&self) -> Option<Facts> {
        let Workload::Closure(graph) = &self.request.workload else { return None };
        let edge = graph.cut()?;
        let mut line = Vec::new();
        write_edge(edge, &mut Writer::new(&mut line)).expect("a vector takes all that is written");
        Some(Facts::new([String::from_utf8_lossy(&line).into_owned()], 1))
    }

    /// Deletes each set of facts and inserts it again; reports both steps.
    async fn both_ways(
        &mut self,
        cluster: &Cluster,
        client: &Client,
        names: [&'static str; 2],
        sets: &[Facts],
        content: Content,
    ) -> Result<Vec<Figures>, Error> {
        if sets.is_empty() {
            return Ok(Vec::new());
        }
        self.note(&names.join(", "));
        let made = alternate(client, sets).await?;
        let told = self.tell_both(names, &made)?;
        self.content_is(cluster, content).await?;
        Ok(told.into())
    }

    /// Drops the rules and applies them again; reports both steps.
    async fn rules_again(&mut self, cluster: &Cluster, content: Content) -> Result<Vec<Figures>, Error> {
        self.note(&RULES.join(", "));
        let (kind, started) = (self.request.workload.kind(), Instant::now());
        let mut made = [Vec::new(), Vec::new()];
        while made[0].len() < RULES_TIMES && (made[0].is_empty() || started.elapsed() < STEP_TIME) {
            made[0].push(timed(cluster.drop_rules(kind.name())).await?.0);
            made[1].push(timed(cluster.apply(kind.name(), kind.rules())).await?.0);
        }
        let told = self.tell_both(RULES, &made)?;
        self.content_is(cluster, content).await?;
        Ok(told.into())
    }

    fn tell_both(&mut self, names: [&'static str; 2], made: &[Vec<Made>; 2]) -> Result<[Figures; 2], Error> {
        let told = [0, 1].map(|way| Figures::of(names[way], &made[way]));
        for (figures, made) in told.iter().zip(made) {
            let server_seconds: Vec<f64> = made.iter().map(|made| made.server_seconds).collect();
            self.tell(Measurement {
                calls: Some(made.len() as u64),
                seconds: figures.p50,
                p90_seconds: Some(figures.p90),
                server_seconds: Some(percentile(&server_seconds, 50)),
                asserted: Some(figures.asserted),
                derived: Some(figures.derived),
                seconds_per_fact: figures.seconds_per_fact,
                ..self.step("entail", figures.step)
            })?;
        }
        Ok(told)
    }
}

/// Facts for each change of each size; nothing for sizes beyond the input.
fn sets(input: &Path, lines: u64, run: u32) -> Result<Vec<Vec<Facts>>, Error> {
    let of = |(facts, _, changes): (u64, _, usize)| if facts > lines { Vec::new() } else { vec![facts; changes] };
    let sizes: Vec<Vec<u64>> = SIZES.map(of).into();
    let mut random = Random::stream(run.into(), STREAM);
    let mut drawn = facts::draw(input, lines, &sizes.concat(), &mut random)?.into_iter();
    Ok(sizes.iter().map(|sizes| drawn.by_ref().take(sizes.len()).collect()).collect())
}

/// Deletes and inserts sets of facts in turns. Each insert must undo its delete.
async fn alternate(client: &Client, sets: &[Facts]) -> Result<[Vec<Made>; 2], Error> {
    let started = Instant::now();
    let mut made = [Vec::new(), Vec::new()];
    for facts in sets {
        if made[0].len() >= CHANGES_MIN && started.elapsed() >= STEP_TIME {
            break;
        }
        let (deleted, delete) = update(client, facts, Verb::Delete).await?;
        let (inserted, insert) = update(client, facts, Verb::Insert).await?;
        let pairs = [
            ("facts deleted", delete.removed, facts.len()),
            ("facts inserted", insert.asserted, facts.len()),
            ("derived facts that came back", inserted.derived, deleted.derived),
        ];
        for (what, entail, expected) in pairs {
            if entail != expected {
                let (what, other) = (what.to_owned(), "the update".to_owned());
                return Err(Error::Mismatch { what, entail, other, expected });
            }
        }
        made[0].push(deleted);
        made[1].push(inserted);
    }
    Ok(made)
}

async fn update(client: &Client, facts: &Facts, verb: Verb) -> Result<(Made, ChangeSummary), Error> {
    let request = UpdateRequest { update: facts.update(verb), ..Default::default() };
    timed(async { Ok(client.update(request).await?.change.unwrap_or_default()) }).await
}

async fn timed(change: impl Future<Output = Result<ChangeSummary, Error>>) -> Result<(Made, ChangeSummary), Error> {
    let started = Instant::now();
    let change = change.await?;
    let made = Made {
        seconds: started.elapsed().as_secs_f64(),
        server_seconds: change.seconds,
        asserted: change.asserted + change.removed,
        derived: change.derived_net.unsigned_abs(),
    };
    Ok((made, change))
}

impl Figures {
    fn of(step: &'static str, made: &[Made]) -> Self {
        let seconds: Vec<f64> = made.iter().map(|made| made.seconds).collect();
        let sum = |of: fn(&Made) -> u64| made.iter().map(of).sum::<u64>() as f64;
        let (asserted, derived, changes) = (sum(|made| made.asserted), sum(|made| made.derived), made.len() as f64);
        let facts = asserted + derived;
        Self {
            step,
            p50: percentile(&seconds, 50),
            p90: percentile(&seconds, 90),
            asserted: asserted / changes,
            derived: derived / changes,
            seconds_per_fact: (facts > 0.0).then(|| seconds.iter().sum::<f64>() / facts),
        }
    }
}

/// The values of two steps that are compared.
type Pair = fn(&Figures, &Figures) -> Option<(f64, f64)>;

/// Comparisons of a step with recomputing.
const AGAINST: [(&str, Pair); 3] = [
    ("recomputing", |step, recompute| Some((step.p50, recompute.p50))),
    ("guard", |step, recompute| Some((step.p90, GUARD * recompute.p50 + GUARD_SECONDS))),
    ("deriving", |step, recompute| step.seconds_per_fact.zip(recompute.seconds_per_fact)),
];

/// Compares each step with recomputing, and each delete with its insert, in the same runs.
fn ratios(workload: &str, runs: &[Vec<Figures>]) -> Vec<Ratio> {
    let ratio = |against: &'static str, [of, other]: [&'static str; 2], pair: Pair| {
        let of_run = |run: &Vec<Figures>| pair(find(run, of)?, find(run, other)?);
        let pairs: Vec<(f64, f64)> = runs.iter().filter_map(of_run).collect();
        (!pairs.is_empty()).then(|| Ratio::of(workload, against, of, &pairs))
    };
    let steps: Vec<[&'static str; 2]> = SIZES.iter().map(|(_, names, _)| *names).chain([CUT]).collect();
    let mut ratios = Vec::new();
    for (against, pair) in AGAINST {
        ratios.extend(steps.iter().flatten().filter_map(|step| ratio(against, [*step, RULES[1]], pair)));
    }
    let inserting = |names: &[&'static str; 2]| ratio("inserting", *names, |step, insert| Some((step.p50, insert.p50)));
    ratios.extend(steps.iter().filter_map(inserting));
    ratios
}

fn find<'a>(run: &'a [Figures], step: &str) -> Option<&'a Figures> {
    run.iter().find(|figures| figures.step == step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(seconds: f64, derived: u64) -> Made {
        Made { seconds, server_seconds: seconds, asserted: 1, derived }
    }

    #[test]
    fn steps_are_compared_with_recomputing() {
        let run = |factor: f64| {
            let delete = [made(0.1 * factor, 9), made(0.3 * factor, 29), made(0.2 * factor, 0)];
            let recompute = [Made { asserted: 0, ..made(2.0, 1000) }];
            let steps = [("delete_100", &delete[..]), ("insert_100", &delete[..1]), ("recompute", &recompute[..])];
            steps.map(|(step, made)| Figures::of(step, made)).to_vec()
        };
        let figures = run(1.0)[0];
        assert_eq!((figures.p50, figures.p90, figures.asserted), (0.2, 0.3, 1.0));
        let ratios = ratios("w", &[run(1.0), run(3.0), run(2.0)]);
        let median = |against: &str, of: &str| {
            let found = ratios.iter().find(|ratio| ratio.against == against && ratio.of == of);
            (found.unwrap().median * 1e6).round() / 1e6
        };
        assert_eq!(median("recomputing", "delete_100"), 0.2);
        assert_eq!(median("guard", "delete_100"), 0.229008, "0.6 s of 2.62 s");
        assert_eq!(median("inserting", "delete_100"), 2.0);
        // 1.2 s for 41 facts, and 2 s for 1,000.
        assert_eq!(median("deriving", "delete_100"), 14.634146);
        assert!(!ratios.iter().any(|ratio| ratio.of == "cut" || ratio.of == "delete_1"), "they were not measured");
    }

    #[test]
    fn a_change_without_facts_has_no_time_for_one() {
        let none = Made { asserted: 0, ..made(1.0, 0) };
        assert_eq!(Figures::of("x", &[none]).seconds_per_fact, None);
    }
}
