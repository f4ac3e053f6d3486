//! Runs a workload on Entail and on a peer in turns, and compares what came out.
//!
//! ```text
//! run 1: entail, ascent     run 2: ascent, entail     run 3: entail, ascent     …
//! ```
//! The order changes, so that a machine that gets slower or faster is unfair to nobody for long.

use crate::Error;
use crate::cluster::{Cluster, Content, Shape};
use crate::machine::Machine;
use crate::measurement::{Line, Measurement, Ratio, spread};
use crate::peer::{self, Peer, Report};
use crate::process::Usage;
use crate::workload::{Query, Workload};
use entail_client::v1::ChangeSummary;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tempfile::TempDir;

/// How often each query is asked in a run.
const QUERY_REPEATS: usize = 3;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Request {
    pub workload: Workload,
    pub shape: Shape,
    pub runs: u32,
    pub against: Option<Peer>,
    /// Where to keep the input, data and logs; otherwise they are removed at the end.
    pub keep: Option<PathBuf>,
}

/// Who hears what happens.
pub trait Listener {
    /// A result.
    ///
    /// # Errors
    /// Those of the output; they end the benchmark.
    fn line(&mut self, line: &Line) -> Result<(), Error>;
    /// What is going on.
    fn note(&mut self, text: &str);
}

/// What Entail did in a run.
struct Outcome {
    content: Content,
    rows: Vec<(String, u64)>,
    rules_seconds: f64,
    seconds: f64,
    /// At the end of the rules.
    usage: Usage,
}

/// Measures.
///
/// # Errors
/// [`Error::Mismatch`] if two programs do not agree about the facts, and whatever goes wrong otherwise. Dropping the
/// future ends all processes.
pub async fn run(request: &Request, listener: &mut dyn Listener) -> Result<(), Error> {
    let work = Work::create(request.keep.as_deref())?;
    listener.line(&Line::Machine(Machine::here()))?;
    let name = request.workload.name();
    let input = work.path().join(format!("{name}.nt"));
    listener.note(&format!("writing {name}"));
    let lines = create(request.workload, &input).await?;
    listener.note(&format!("{lines} lines"));
    let mut bench = Bench { request, name, input, listener, run: 0 };
    let mut pairs = Vec::new();
    for run in 1..=request.runs {
        bench.run = run;
        let directory = work.directory(run)?;
        let (outcome, report) = match request.against {
            None => (bench.entail(&directory).await?, None),
            Some(peer) if run % 2 == 1 => {
                let outcome = bench.entail(&directory).await?;
                (outcome, Some((peer, bench.peer(peer).await?)))
            }
            Some(peer) => {
                let report = bench.peer(peer).await?;
                (bench.entail(&directory).await?, Some((peer, report)))
            }
        };
        work.finish(&directory)?;
        if let Some((peer, report)) = report {
            agree(&bench.name, peer, &outcome, &report)?;
            pairs.push((outcome, report));
        }
    }
    match request.against {
        Some(peer) if !pairs.is_empty() => bench.ratios(peer, &pairs),
        _ => Ok(()),
    }
}

/// Writes the input on a thread of its own, so that Ctrl-C is heard meanwhile.
async fn create(workload: Workload, path: &Path) -> Result<u64, Error> {
    let path = path.to_owned();
    let written = tokio::task::spawn_blocking(move || workload.create(&path)).await;
    written.map_err(|error| Error::Input(format!("the input was not written: {error}")))?
}

/// Entail and a peer must have found the same, or their times mean nothing.
fn agree(name: &str, peer: Peer, outcome: &Outcome, report: &Report) -> Result<(), Error> {
    let same = |what: &str, entail: u64, expected: u64| match entail == expected {
        true => Ok(()),
        false => {
            Err(Error::Mismatch { what: format!("{name}, {what}"), entail, other: peer.name().to_owned(), expected })
        }
    };
    same("asserted facts", outcome.content.asserted, report.asserted)?;
    same("derived facts", outcome.content.derived, report.derived)?;
    for (query, rows) in &outcome.rows {
        if let Some((_, expected)) = report.rows.iter().find(|(name, _)| name == query) {
            same(&format!("rows of {query}"), *rows, *expected)?;
        }
    }
    Ok(())
}

/// One benchmark on its way.
struct Bench<'a> {
    request: &'a Request,
    name: String,
    input: PathBuf,
    listener: &'a mut dyn Listener,
    run: u32,
}

impl Bench<'_> {
    /// A run of Entail, on a cluster of its own.
    async fn entail(&mut self, directory: &Path) -> Result<Outcome, Error> {
        let kind = self.request.workload.kind();
        let cluster = Cluster::start(&self.request.shape, directory).await?;
        let (load, load_seconds) = self.load(&cluster).await?;
        let (rules, rules_seconds) = self.rules(&cluster).await?;
        let usage = cluster.usage()?;
        let seconds = load_seconds + rules_seconds;
        let facts = Some(load.asserted + rules.derived);
        self.tell(Measurement { facts, seconds, usage: Some(usage), ..self.step("entail", "total") })?;
        let content = cluster.content(rules.epoch).await?;
        for (what, said, counted) in
            [("asserted", content.asserted, load.asserted), ("derived", content.derived, rules.derived)]
        {
            if said != counted {
                let what = format!("{}, {what} facts by the status", self.name);
                return Err(Error::Mismatch { what, entail: said, other: "its answer".to_owned(), expected: counted });
            }
        }
        let mut rows = Vec::new();
        for query in kind.queries() {
            rows.push((query.name.to_owned(), self.query(&cluster, query).await?));
        }
        cluster.stop().await?;
        Ok(Outcome { content, rows, rules_seconds, seconds, usage })
    }

    async fn load(&mut self, cluster: &Cluster) -> Result<(ChangeSummary, f64), Error> {
        self.note("entail loads");
        let (before, started) = (cluster.usage()?, Instant::now());
        let change = cluster.load(&self.input).await?;
        let seconds = started.elapsed().as_secs_f64();
        let step = Measurement { facts: Some(change.asserted), seconds, ..self.step("entail", "load") };
        self.changed(cluster, before, &change, step)?;
        Ok((change, seconds))
    }

    async fn rules(&mut self, cluster: &Cluster) -> Result<(ChangeSummary, f64), Error> {
        self.note("entail reasons");
        let kind = self.request.workload.kind();
        let (before, started) = (cluster.usage()?, Instant::now());
        let change = cluster.apply(kind.name(), kind.rules()).await?;
        let seconds = started.elapsed().as_secs_f64();
        let step = Measurement { facts: Some(change.derived), seconds, ..self.step("entail", "rules") };
        self.changed(cluster, before, &change, step)?;
        Ok((change, seconds))
    }

    /// Tells of a change of the cluster, with what it took.
    fn changed(
        &mut self,
        cluster: &Cluster,
        before: Usage,
        change: &ChangeSummary,
        step: Measurement,
    ) -> Result<(), Error> {
        let Usage { cpu_seconds, peak_rss_bytes } = cluster.usage()?;
        self.tell(Measurement {
            rounds: Some(change.rounds),
            usage: Some(Usage { cpu_seconds: cpu_seconds - before.cpu_seconds, peak_rss_bytes }),
            disk_bytes: Some(cluster.disk_bytes()?),
            bytes_exchanged: Some(change.bytes_exchanged),
            ..step
        })
    }

    async fn query(&mut self, cluster: &Cluster, query: &Query) -> Result<u64, Error> {
        self.note(&format!("entail answers {}", query.name));
        let mut times = Vec::new();
        let mut rows = 0;
        for _ in 0..QUERY_REPEATS {
            let started = Instant::now();
            rows = cluster.rows(query.text).await?;
            times.push(started.elapsed().as_secs_f64());
        }
        let first_seconds = times.first().copied();
        let [_, seconds, _] = spread(&times);
        self.tell(Measurement { rows: Some(rows), seconds, first_seconds, ..self.step("entail", query.name) })?;
        Ok(rows)
    }

    /// A run of a peer.
    async fn peer(&mut self, peer: Peer) -> Result<Report, Error> {
        self.note(&format!("{} works", peer.name()));
        let report = peer::spawn(peer, self.request.workload.kind(), &self.input).await?;
        let Report { asserted, derived, read_seconds, fixpoint_seconds, seconds, usage, rows: _ } = report.clone();
        for (step, facts, seconds, usage) in [
            ("read", asserted, read_seconds, None),
            ("fixpoint", derived, fixpoint_seconds, None),
            ("total", asserted + derived, seconds, Some(usage)),
        ] {
            self.tell(Measurement { facts: Some(facts), seconds, usage, ..self.step(peer.name(), step) })?;
        }
        Ok(report)
    }

    fn ratios(&mut self, peer: Peer, pairs: &[(Outcome, Report)]) -> Result<(), Error> {
        type Both = fn(&(Outcome, Report)) -> (f64, f64);
        let of: [(&'static str, Both); 4] = [
            ("seconds", |(ours, theirs)| (ours.seconds, theirs.seconds)),
            ("rules_seconds", |(ours, theirs)| (ours.rules_seconds, theirs.fixpoint_seconds)),
            ("cpu_seconds", |(ours, theirs)| (ours.usage.cpu_seconds, theirs.usage.cpu_seconds)),
            ("peak_rss_bytes", |(ours, theirs)| (ours.usage.peak_rss_bytes as f64, theirs.usage.peak_rss_bytes as f64)),
        ];
        for (of, both) in of {
            let pairs: Vec<(f64, f64)> = pairs.iter().map(both).collect();
            self.listener.line(&Line::Ratio(Ratio::of(&self.name, peer.name(), of, &pairs)))?;
        }
        Ok(())
    }

    fn step(&self, subject: &'static str, step: &str) -> Measurement {
        let (workload, run) = (self.name.clone(), self.run);
        Measurement { workload, subject, run, step: step.to_owned(), ..Measurement::default() }
    }

    fn tell(&mut self, measurement: Measurement) -> Result<(), Error> {
        self.listener.line(&Line::Measurement(measurement))
    }

    fn note(&mut self, what: &str) {
        self.listener.note(&format!("{} run {} of {}: {what}", self.name, self.run, self.request.runs));
    }
}

/// Where inputs and data are while it is measured.
enum Work {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl Work {
    fn create(keep: Option<&Path>) -> Result<Self, Error> {
        match keep {
            Some(path) => {
                fs::create_dir_all(path).map_err(|error| Error::io(path.display(), error))?;
                Ok(Self::Kept(path.to_owned()))
            }
            None => {
                let directory = TempDir::with_prefix("entail-bench-");
                Ok(Self::Temporary(directory.map_err(|error| Error::io("a directory for the work", error))?))
            }
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }

    /// An empty directory for a run. One that is there already has the data of another benchmark and is refused.
    fn directory(&self, run: u32) -> Result<PathBuf, Error> {
        let path = self.path().join(format!("run-{run}"));
        fs::create_dir(&path).map_err(|error| Error::io(path.display(), error))?;
        Ok(path)
    }

    fn finish(&self, directory: &Path) -> Result<(), Error> {
        match self {
            Self::Kept(_) => Ok(()),
            Self::Temporary(_) => fs::remove_dir_all(directory).map_err(|error| Error::io(directory.display(), error)),
        }
    }
}
