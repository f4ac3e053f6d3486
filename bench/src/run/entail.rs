//! A run of Entail: starts a cluster, loads the input, applies the rules, runs the queries.

use super::{Bench, Measured, Outcome};
use crate::Error;
use crate::cluster::{Cluster, Content, Flow};
use crate::measurement::{Measurement, spread};
use crate::process::Usage;
use crate::workload::Query;
use entail_client::v1::ChangeSummary;
use std::path::Path;
use std::time::{Duration, Instant};

/// The number of executions of each query in a run: at least this many, then until a total time or the largest number
/// is reached. A short query is executed often, because its first executions pay for processors in a sleep state.
const QUERY_REPEATS_MIN: usize = 3;
const QUERY_REPEATS_MAX: usize = 1_001;
const QUERY_REPEATS_FOR: Duration = Duration::from_millis(250);

/// The idle time of a cluster after its rules, in which freed memory is returned and runs are merged.
const REST: Duration = Duration::from_secs(3);

/// A new cluster that has the input and the rules.
pub(super) struct Filled {
    pub(super) cluster: Cluster,
    /// The usage before any facts.
    start: Usage,
    load: ChangeSummary,
    pub(super) rules: ChangeSummary,
    load_seconds: f64,
    pub(super) rules_seconds: f64,
}

impl Bench<'_> {
    /// Runs Entail on a new cluster.
    pub(super) async fn entail(&mut self, directory: &Path) -> Result<Outcome, Error> {
        let filled = self.filled(directory).await?;
        let (usage, disk_bytes) = (filled.cluster.usage()?, filled.cluster.disk_bytes()?);
        let seconds = filled.load_seconds + filled.rules_seconds;
        let facts = Some(filled.load.asserted + filled.rules.derived);
        let (usage_then, disk_then) = (Some(usage), Some(disk_bytes));
        let total =
            Measurement { facts, seconds, usage: usage_then, disk_bytes: disk_then, ..self.step("entail", "total") };
        self.tell(total)?;
        let content = self.checked(&filled).await?;
        let Filled { cluster, start, rules_seconds, .. } = filled;
        let rest = self.rest(&cluster).await?;
        let mut rows = Vec::new();
        for query in self.request.workload.kind().queries() {
            rows.push((query.name.to_owned(), self.query(&cluster, query).await?));
        }
        if self.request.measured == Measured::Points {
            self.points(&cluster, content).await?;
        }
        cluster.stop().await?;
        Ok(Outcome { content, rows, rules_seconds, seconds, start, usage, rest, disk_bytes })
    }

    /// Starts a cluster, loads the input and applies the rules; reports the three steps.
    pub(super) async fn filled(&mut self, directory: &Path) -> Result<Filled, Error> {
        let started = Instant::now();
        let cluster = Cluster::start(&self.request.program, &self.request.shape, directory).await?;
        let start = cluster.usage()?;
        let seconds = started.elapsed().as_secs_f64();
        self.tell(Measurement { seconds, usage: Some(start), ..self.step("entail", "start") })?;
        let (kind, input) = (self.request.workload.kind(), self.input.clone());
        self.note("entail loads");
        let (load, load_seconds) = self.change(&cluster, "load", cluster.load(&input)).await?;
        self.note("entail reasons");
        let (rules, rules_seconds) = self.change(&cluster, "rules", cluster.apply(kind.name(), kind.rules())).await?;
        Ok(Filled { cluster, start, load, rules, load_seconds, rules_seconds })
    }

    /// Changes the cluster and reports the measurement.
    async fn change(
        &mut self,
        cluster: &Cluster,
        step: &str,
        change: impl Future<Output = Result<ChangeSummary, Error>>,
    ) -> Result<(ChangeSummary, f64), Error> {
        let (usage, traffic, started) = (cluster.usage()?, cluster.traffic(Flow::Reasoning).await?, Instant::now());
        let change = change.await?;
        let seconds = started.elapsed().as_secs_f64();
        // The facts of the step itself: those of a file, or those that the rules derive.
        let facts = change.asserted + change.derived;
        self.tell(Measurement {
            facts: Some(facts),
            rounds: Some(change.rounds),
            seconds,
            usage: Some(cluster.usage()?.since(usage)),
            disk_bytes: Some(cluster.disk_bytes()?),
            bytes_exchanged: Some(change.bytes_exchanged),
            messages: Some((cluster.traffic(Flow::Reasoning).await? - traffic).messages),
            ..self.step("entail", step)
        })?;
        Ok((change, seconds))
    }

    /// Leaves the cluster idle for a while and reports its resource use afterwards.
    async fn rest(&mut self, cluster: &Cluster) -> Result<Usage, Error> {
        self.note("entail rests");
        let (before, started) = (cluster.usage()?, Instant::now());
        tokio::time::sleep(REST).await;
        let usage = cluster.usage()?;
        self.tell(Measurement {
            seconds: started.elapsed().as_secs_f64(),
            usage: Some(usage.since(before)),
            disk_bytes: Some(cluster.disk_bytes()?),
            ..self.step("entail", "rest")
        })?;
        Ok(usage)
    }

    /// The contents that the cluster reports, which must agree with the results of the changes.
    pub(super) async fn checked(&self, filled: &Filled) -> Result<Content, Error> {
        let expected = Content { asserted: filled.load.asserted, derived: filled.rules.derived };
        self.content_is(&filled.cluster, expected).await?;
        Ok(expected)
    }

    async fn query(&mut self, cluster: &Cluster, query: &Query) -> Result<u64, Error> {
        self.note(&format!("entail answers {}", query.name));
        let (usage, traffic) = (cluster.usage()?, cluster.traffic(Flow::Query).await?);
        let (mut times, mut server_times) = (Vec::new(), Vec::new());
        let mut rows = 0;
        let first = Instant::now();
        while times.len() < QUERY_REPEATS_MIN || times.len() < QUERY_REPEATS_MAX && first.elapsed() < QUERY_REPEATS_FOR
        {
            let started = Instant::now();
            let (found, server_seconds) = cluster.rows(query).await?;
            times.push(started.elapsed().as_secs_f64());
            server_times.push(server_seconds);
            rows = found;
        }
        let usage = cluster.usage()?.since(usage);
        let traffic = cluster.traffic(Flow::Query).await? - traffic;
        let repeats = times.len();
        let [[_, seconds, _], [_, server_seconds, _]] = [&times, &server_times].map(|times| spread(times));
        self.tell(Measurement {
            rows: Some(rows),
            seconds,
            server_seconds: Some(server_seconds),
            first_seconds: times.first().copied(),
            usage: Some(Usage { cpu_seconds: usage.cpu_seconds / repeats as f64, ..usage }),
            bytes_exchanged: Some(traffic.bytes / repeats as u64),
            messages: Some(traffic.messages / repeats as u64),
            ..self.step("entail", query.name)
        })?;
        Ok(rows)
    }
}
