//! The results: one line of JSON each.

use crate::cluster::Shape;
use crate::machine::Machine;
use crate::process::Usage;
use serde::Serialize;

/// A line of the results; `line` holds its kind.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "line", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "there are few lines")]
pub enum Line {
    /// The first line: the machine.
    Machine(Machine),
    /// The second line: the measured cluster.
    Cluster(Shape),
    Measurement(Measurement),
    /// The last lines: comparisons of Entail with a peer or of changes with recomputing, and resources for each fact.
    Ratio(Ratio),
}

/// One step of one run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measurement {
    /// Kind and size.
    pub workload: String,
    /// `entail`, or the name of a peer.
    pub subject: &'static str,
    /// Counted from one.
    pub run: u32,
    /// `start`, `load`, `rules`, `total` (both), `rest`, a query's, a change's or a small request's name; of a peer `read`,
    /// `fixpoint`, `total`.
    pub step: String,
    /// Facts that the step added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<u64>,
    /// The rows of a query's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The rounds of reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<u32>,
    /// Wall-clock time; for repeated steps the median.
    pub seconds: f64,
    /// For a query: the server's time, from the arrival of the request until the last row was written. For changes that of
    /// the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_seconds: Option<f64>,
    /// For changes: the 90th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90_seconds: Option<f64>,
    /// For changes: the asserted facts that went or came, and the difference of the number of derived facts, of one change in
    /// the mean; the time of all of them by all these facts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asserted: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub derived: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_per_fact: Option<f64>,
    /// For small requests: the 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_seconds: Option<f64>,
    /// For small requests and changes: their number; for small requests the number of concurrent clients, the requests per
    /// second of all clients, and the epochs that writes became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// For a query: the time of its first execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seconds: Option<f64>,
    /// Of the whole process, from its beginning to the end of the step; CPU time of the step only.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// Messages between nodes: for reasoning as the cluster reports them; for a query per execution, as is the CPU
    /// time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_exchanged: Option<u64>,
    /// Bytes between nodes, counted like messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
}

/// Entail's use of a resource divided by that of a peer (below one, Entail needs less), or by the number of facts; or the time
/// of a change divided by another time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ratio {
    pub workload: String,
    /// A peer's name, or `facts`. For changes: `recomputing`; `guard`, the time that no change may take, of the 90th
    /// percentile; `deriving`, the time of recomputing for a fact, of the time for a fact; `inserting`, the insert that undoes
    /// the delete.
    pub against: &'static str,
    /// `seconds`, `cpu_seconds` and `peak_rss_bytes` of `total`; `rules_seconds`: the step `rules` over `fixpoint`.
    /// Against facts: `rss_bytes`, `peak_rss_bytes` and `disk_bytes` of `total`; `rest_rss_bytes`: `rss_bytes` of
    /// `rest`; `added_rss_bytes`: that less those of `start`. Of changes: the step.
    pub of: &'static str,
    pub runs: usize,
    /// Like the others, null in JSON if the divisor is too small to be measured.
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Ratio {
    /// The ratio from pairs of measurements: Entail's value and the peer's, or Entail's value and its facts; one pair
    /// per run.
    ///
    /// # Panics
    /// If there is no pair.
    pub fn of(workload: &str, against: &'static str, of: &'static str, pairs: &[(f64, f64)]) -> Self {
        let ratios: Vec<f64> = pairs.iter().map(|(entail, unit)| entail / unit).collect();
        let [min, median, max] = spread(&ratios);
        Self { workload: workload.to_owned(), against, of, runs: pairs.len(), min, median, max }
    }
}

/// The minimum, the median and the maximum; for an even number of values the median is the mean of the middle two.
///
/// # Panics
/// If there are no values.
pub fn spread(numbers: &[f64]) -> [f64; 3] {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median =
        if sorted.len().is_multiple_of(2) { sorted[middle - 1].midpoint(sorted[middle]) } else { sorted[middle] };
    [sorted[0], median, sorted[sorted.len() - 1]]
}

/// The percentile of some values by the nearest-rank method; the result is one of them.
///
/// # Panics
/// If there are no values.
pub fn percentile(numbers: &[f64], percent: usize) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_pairs() {
        let ratio = Ratio::of("w", "ascent", "seconds", &[(4.0, 2.0), (1.0, 1.0), (9.0, 3.0)]);
        assert_eq!((ratio.min, ratio.median, ratio.max), (1.0, 2.0, 3.0));
        assert_eq!(spread(&[1.0, 2.0, 4.0, 3.0]), [1.0, 2.5, 4.0]);
    }

    #[test]
    fn percentiles_are_of_the_numbers() {
        let numbers: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!([0, 1, 50, 99, 100].map(|percent| percentile(&numbers, percent)), [1.0, 2.0, 100.0, 198.0, 200.0]);
        assert_eq!(percentile(&[3.0], 50), 3.0);
    }

    #[test]
    fn lines_say_what_they_are_and_leave_out_what_is_not_there() {
        let usage = Some(Usage { cpu_seconds: 1.5, peak_rss_bytes: 7, rss_bytes: 6 });
        let step = Measurement { step: "load".to_owned(), facts: Some(3), usage, ..Measurement::default() };
        let json = serde_json::to_value(Line::Measurement(step)).unwrap();
        assert_eq!((&json["line"], &json["cpu_seconds"]), (&"measurement".into(), &1.5.into()));
        assert!(json.get("rows").is_none());
        let query = serde_json::to_value(Line::Measurement(Measurement::default())).unwrap();
        assert!(query.get("cpu_seconds").is_none());
    }
}
