//! Asking the front, and reading its answers.

use entail_coordinator::query::{Cluster, Format, Part, Request, Summary, Tuning, run_tuned};
use entail_model::Fault;
use entail_tests::w3c::Answer;
use oxttl::NTriplesParser;
use sparesults::{QueryResultsFormat, QueryResultsParser, SliceQueryResultsParserOutput};
use std::sync::Arc;

/// The bytes of an answer.
pub fn bytes(request: Request, tuning: Tuning, cluster: Arc<dyn Cluster>) -> Result<(String, Vec<u8>, Summary), Fault> {
    let mut media = String::new();
    let mut bytes = Vec::new();
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

/// The answer of a query, with thresholds of one's own.
pub fn tuned_answer(request: Request, tuning: Tuning, cluster: Arc<dyn Cluster>) -> Result<Answer, Fault> {
    let request = Request { format: Format::Default, ..request };
    let (media, bytes, _) = bytes(request, tuning, cluster)?;
    if media == "application/n-triples" {
        let triples = NTriplesParser::new().for_slice(&bytes).collect::<Result<Vec<_>, _>>();
        return Ok(Answer::Graph(triples.expect("our own N-Triples")));
    }
    match QueryResultsParser::from_format(QueryResultsFormat::Json).for_slice(&bytes).expect("our own JSON") {
        SliceQueryResultsParserOutput::Boolean(value) => Ok(Answer::Boolean(value)),
        SliceQueryResultsParserOutput::Solutions(solutions) => {
            let variables = solutions.variables().iter().map(|variable| variable.as_str().to_owned()).collect();
            let rows = solutions.map(|solution| solution.expect("our own JSON").values().to_vec()).collect();
            Ok(Answer::Solutions { variables, rows })
        }
    }
}
