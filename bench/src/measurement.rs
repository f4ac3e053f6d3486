//! What comes out: one line of JSON each.

use crate::cluster::Shape;
use crate::machine::Machine;
use crate::process::Usage;
use serde::Serialize;

/// A line of the result; `line` says which.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// First: where it was measured.
    Machine(Machine),
    /// Second: what was measured there.
    Cluster(Shape),
    Measurement(Measurement),
    /// Last: how Entail compares with a peer, and what a fact takes.
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
    /// `start`, `load`, `rules`, `total` (both), `rest`, a query's or a small request's name; of a peer `read`, `fixpoint`, `total`.
    pub step: String,
    /// Facts that the step added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<u64>,
    /// Of a query's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Of reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<u32>,
    /// Of the clock on the wall; of what is done again and again the median.
    pub seconds: f64,
    /// Of a query: the same by the server's clock, from the request's arrival until the last row was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_seconds: Option<f64>,
    /// Of small requests: what one in a hundred takes at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_seconds: Option<f64>,
    /// Requests that were measured, by how many at the same time, and how many of them all had done in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
    /// Of a query: the first time that it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seconds: Option<f64>,
    /// Of the whole process, from its beginning to the end of the step, but the time of the step only.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
    /// Between nodes, of reasoning as the cluster reports it; of a query for each time that it is asked, as CPU seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_exchanged: Option<u64>,
    /// Between nodes; as bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
}

/// What Entail takes for each unit that a peer takes: below one, Entail takes less. Or what it takes for each fact.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ratio {
    pub workload: String,
    /// A peer's name, or `facts`.
    pub against: &'static str,
    /// `seconds`, `cpu_seconds` and `peak_rss_bytes` of `total`; `rules_seconds`: the step `rules` over `fixpoint`.
    /// Against facts: `rss_bytes`, `peak_rss_bytes` and `disk_bytes` of `total`; `rest_rss_bytes`: `rss_bytes` of
    /// `rest`; `added_rss_bytes`: that less those of `start`.
    pub of: &'static str,
    pub runs: usize,
    /// Null in JSON, as the others, where the other side is too small to be measured.
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Ratio {
    /// Of pairs of what Entail and a peer took, or of what it took and the facts that it has; one pair a run.
    ///
    /// # Panics
    /// If there is no pair.
    pub fn of(workload: &str, against: &'static str, of: &'static str, pairs: &[(f64, f64)]) -> Self {
        let ratios: Vec<f64> = pairs.iter().map(|(entail, unit)| entail / unit).collect();
        let [min, median, max] = spread(&ratios);
        Self { workload: workload.to_owned(), against, of, runs: pairs.len(), min, median, max }
    }
}

/// The least, the middle and the largest of some numbers; of an even number of them the middle is between two.
///
/// # Panics
/// If there is none.
pub fn spread(numbers: &[f64]) -> [f64; 3] {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median =
        if sorted.len().is_multiple_of(2) { sorted[middle - 1].midpoint(sorted[middle]) } else { sorted[middle] };
    [sorted[0], median, sorted[sorted.len() - 1]]
}

/// The number that so many percent of some numbers do not exceed, and which is one of them (the nearest rank).
///
/// # Panics
/// If there is none.
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
