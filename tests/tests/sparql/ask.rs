//! Runs queries on the SPARQL engine and decodes the answers.

use entail_model::Fault;
use entail_sparql::{Cluster, Format, Instant, LocalOutcome, Part, Request, Summary, Tuning, run_local, run_tuned};
use entail_tests::w3c::Answer;
use std::sync::Arc;

/// The bytes of an answer.
pub fn bytes(request: Request, tuning: Tuning, cluster: Arc<dyn Cluster>) -> Result<(String, Vec<u8>, Summary), Fault> {
    let mut media = String::new();
    let mut bytes = Vec::new();
    // A moment, for NOW().
    let request = Request { now: request.now.or_else(|| Instant::utc(1_796_076_000, 0)), ..request };
    let summary = run_tuned(request, tuning, cluster, &mut |part| {
        match part {
            Part::Header { media_type, .. } => media = media_type.to_owned(),
            Part::Data(data) => bytes.extend_from_slice(&data),
        }
        Ok(())
    })?;
    Ok((media, bytes, summary))
}

/// The answer of a query.
pub fn answer(request: Request, cluster: Arc<dyn Cluster>) -> Result<Answer, Fault> {
    tuned_answer(request, Tuning::default(), cluster)
}

/// The answer of a query, with custom thresholds.
pub fn tuned_answer(request: Request, tuning: Tuning, cluster: Arc<dyn Cluster>) -> Result<Answer, Fault> {
    let request = Request { format: Format::Default, ..request };
    let (media, bytes, _) = bytes(request, tuning, cluster)?;
    Ok(Answer::read(&media, &bytes))
}

/// The answer of a query on the fast path; `None` if the plan cache has no prepared query for its text.
pub fn answer_at_hand(request: &Request, cluster: Arc<dyn Cluster>) -> Option<Result<Answer, Fault>> {
    let parts = match run_local(request, cluster) {
        Ok(LocalOutcome::Fallback) => return None,
        Ok(LocalOutcome::Done(_, parts)) => Ok(parts),
        Err(fault) => Err(fault),
    };
    Some(parts.map(|parts| {
        let (mut media, mut bytes) = (String::new(), Vec::new());
        for part in parts {
            match part {
                Part::Header { media_type, .. } => media = media_type.to_owned(),
                Part::Data(data) => bytes.extend_from_slice(&data),
            }
        }
        Answer::read(&media, &bytes)
    }))
}
