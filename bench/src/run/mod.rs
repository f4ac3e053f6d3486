//! Runs a workload on Entail and on a peer in turns, and compares the results.
//!
//! ```text
//! run 1: entail, ascent     run 2: ascent, entail     run 3: entail, ascent     …
//! ```
//! The order alternates, so that a machine that becomes slower or faster affects both programs alike. Changes (`changes`)
//! are measured without a peer.

mod changes;
mod entail;
mod points;
mod work;

use crate::Error;
use crate::cluster::{Cluster, Content, Shape};
use crate::machine::Machine;
use crate::measurement::{Line, Measurement, Ratio};
use crate::peer::{self, Peer, Report};
use crate::process::Usage;
use crate::workload::Workload;
use std::path::{Path, PathBuf};
use work::Work;

/// The benchmark to run.
#[derive(Clone, Debug)]
pub struct Request {
    pub workload: Workload,
    /// The program `entail`.
    pub program: PathBuf,
    pub shape: Shape,
    pub runs: u32,
    pub against: Option<Peer>,
    pub measured: Measured,
    /// The directory in which to keep the input, data and logs; otherwise they are removed at the end.
    pub keep: Option<PathBuf>,
}

/// What is measured when the rules have been applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// The queries of the workload.
    Queries,
    /// Small requests as well; for LUBM only.
    Points,
    /// Facts that go and come.
    Changes,
}

/// Receives results and progress notes.
pub trait Listener {
    /// Receives a result.
    ///
    /// # Errors
    /// The errors of the output; they end the benchmark.
    fn line(&mut self, line: &Line) -> Result<(), Error>;
    /// Receives a progress note.
    fn note(&mut self, text: &str);
}

/// The results of Entail in a run.
struct Outcome {
    content: Content,
    rows: Vec<(String, u64)>,
    rules_seconds: f64,
    seconds: f64,
    /// The usage of the cluster without any facts.
    start: Usage,
    /// The usage after the rules; the disk size likewise.
    usage: Usage,
    /// The usage after an idle time.
    rest: Usage,
    disk_bytes: u64,
}

impl Outcome {
    fn facts(&self) -> f64 {
        (self.content.asserted + self.content.derived) as f64
    }
}

/// Runs the benchmark.
///
/// # Errors
/// [`Error::Mismatch`] if two programs disagree about the facts, and other errors of the run. Dropping the
/// future ends all processes.
pub async fn run(request: &Request, listener: &mut dyn Listener) -> Result<(), Error> {
    let work = Work::create(request.keep.as_deref())?;
    listener.line(&Line::Machine(Machine::here(&request.program)?))?;
    listener.line(&Line::Cluster(request.shape.clone()))?;
    let name = request.workload.name();
    let input = work.path().join(format!("{name}.nt"));
    listener.note(&format!("writing {name}"));
    let lines = create(request.workload.clone(), &input).await?;
    listener.note(&format!("{lines} lines"));
    let mut bench = Bench { request, name, input, lines, listener, run: 0 };
    match request.measured {
        Measured::Changes => bench.changes(&work).await,
        Measured::Queries | Measured::Points => bench.queries(&work).await,
    }
}

/// Writes the input on a blocking thread, so that Ctrl-C is handled meanwhile, and returns the number of lines.
///
/// # Errors
/// The errors of [`Workload::create`].
pub async fn create(workload: Workload, path: &Path) -> Result<u64, Error> {
    let path = path.to_owned();
    let written = tokio::task::spawn_blocking(move || workload.create(&path)).await;
    written.map_err(|error| Error::Input(format!("the input was not written: {error}")))?
}

/// Checks that Entail and a peer derived the same facts; otherwise their times cannot be compared.
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

/// A benchmark in progress.
struct Bench<'a> {
    request: &'a Request,
    name: String,
    input: PathBuf,
    /// The number of lines of the input.
    lines: u64,
    listener: &'a mut dyn Listener,
    run: u32,
}

impl Bench<'_> {
    /// All runs with queries, and the ratios.
    async fn queries(&mut self, work: &Work) -> Result<(), Error> {
        let (mut outcomes, mut reports) = (Vec::new(), Vec::new());
        for run in 1..=self.request.runs {
            self.run = run;
            let directory = work.directory(run)?;
            match self.request.against {
                None => outcomes.push(self.entail(&directory).await?),
                Some(peer) => {
                    let (outcome, report) = self.both(peer, &directory).await?;
                    agree(&self.name, peer, &outcome, &report)?;
                    outcomes.push(outcome);
                    reports.push(report);
                }
            }
            work.finish(&directory)?;
        }
        if let Some(peer) = self.request.against {
            self.ratios(peer, &outcomes, &reports)?;
        }
        self.per_fact(&outcomes)
    }

    /// A run of Entail and one of a peer, in alternating order.
    async fn both(&mut self, peer: Peer, directory: &Path) -> Result<(Outcome, Report), Error> {
        if self.run % 2 == 1 {
            let outcome = self.entail(directory).await?;
            Ok((outcome, self.peer(peer).await?))
        } else {
            let report = self.peer(peer).await?;
            Ok((self.entail(directory).await?, report))
        }
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

    fn ratios(&mut self, peer: Peer, outcomes: &[Outcome], reports: &[Report]) -> Result<(), Error> {
        type Both = fn(&Outcome, &Report) -> (f64, f64);
        let of: [(&'static str, Both); 4] = [
            ("seconds", |ours, theirs| (ours.seconds, theirs.seconds)),
            ("rules_seconds", |ours, theirs| (ours.rules_seconds, theirs.fixpoint_seconds)),
            ("cpu_seconds", |ours, theirs| (ours.usage.cpu_seconds, theirs.usage.cpu_seconds)),
            ("peak_rss_bytes", |ours, theirs| (ours.usage.peak_rss_bytes as f64, theirs.usage.peak_rss_bytes as f64)),
        ];
        for (of, both) in of {
            let pairs: Vec<_> = outcomes.iter().zip(reports).map(|(ours, theirs)| both(ours, theirs)).collect();
            self.listener.line(&Line::Ratio(Ratio::of(&self.name, peer.name(), of, &pairs)))?;
        }
        Ok(())
    }

    /// Reports the resources that Entail needs for each fact.
    fn per_fact(&mut self, outcomes: &[Outcome]) -> Result<(), Error> {
        type Bytes = fn(&Outcome) -> u64;
        let of: [(&'static str, Bytes); 5] = [
            ("rss_bytes", |outcome| outcome.usage.rss_bytes),
            ("rest_rss_bytes", |outcome| outcome.rest.rss_bytes),
            ("added_rss_bytes", |outcome| outcome.rest.rss_bytes.saturating_sub(outcome.start.rss_bytes)),
            ("peak_rss_bytes", |outcome| outcome.usage.peak_rss_bytes),
            ("disk_bytes", |outcome| outcome.disk_bytes),
        ];
        for (of, bytes) in of {
            let pairs: Vec<_> = outcomes.iter().map(|outcome| (bytes(outcome) as f64, outcome.facts())).collect();
            self.listener.line(&Line::Ratio(Ratio::of(&self.name, "facts", of, &pairs)))?;
        }
        Ok(())
    }

    /// Checks that the cluster has the facts that its responses reported.
    async fn content_is(&self, cluster: &Cluster, expected: Content) -> Result<(), Error> {
        let content = cluster.content(cluster.epoch().await?).await?;
        for (what, entail, expected) in
            [("asserted", content.asserted, expected.asserted), ("derived", content.derived, expected.derived)]
        {
            if entail != expected {
                let what = format!("{}, {what} facts by the status", self.name);
                return Err(Error::Mismatch { what, entail, other: "its answers".to_owned(), expected });
            }
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
