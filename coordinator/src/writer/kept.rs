//! Answers as the log keeps them, for when a request comes again: the summary, followed by the request's fingerprint.
//! Both are protobuf messages with different fields, so that their bytes one after the other are read as either.

use crate::metalog::RESULT_BYTES_MAX;
use entail_model::Fault;
use entail_proto::internal::Fingerprint;
use entail_proto::v1::ChangeSummary;
use prost::Message;

/// The answer without the rules that derived nothing, and with as many others as fit.
pub fn encode(mut summary: ChangeSummary, fingerprint: u64) -> Vec<u8> {
    let fingerprint = Fingerprint { request: fingerprint };
    summary.rules.retain(|rule| rule.derived > 0);
    while summary.encoded_len() + fingerprint.encoded_len() > RESULT_BYTES_MAX {
        summary.rules.truncate(summary.rules.len() / 2);
    }
    let mut bytes = summary.encode_to_vec();
    bytes.extend(fingerprint.encode_to_vec());
    bytes
}

/// The answer, and the fingerprint of its request.
pub fn decode(bytes: &[u8]) -> Result<(ChangeSummary, u64), Fault> {
    let corrupt = |error: prost::DecodeError| Fault::corrupt(format!("a kept answer: {error}"));
    let summary = ChangeSummary::decode(bytes).map_err(corrupt)?;
    Ok((summary, Fingerprint::decode(bytes).map_err(corrupt)?.request))
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_proto::v1::RuleSummary;

    #[test]
    fn answers_fit_and_come_back() {
        let rule = |derived| RuleSummary { rule: "a rule of some length".repeat(10), derived };
        let rules = (0..1_000).map(|number| rule(number % 2)).collect();
        let summary = ChangeSummary { epoch: 7, asserted: 3, seconds: 0.5, rules, ..ChangeSummary::default() };
        let bytes = encode(summary.clone(), u64::MAX);
        assert!(bytes.len() <= RESULT_BYTES_MAX);
        let (kept, fingerprint) = decode(&bytes).unwrap();
        assert_eq!((kept.epoch, kept.asserted, fingerprint), (7, 3, u64::MAX));
        assert_eq!(kept.rules, vec![rule(1); kept.rules.len()]);
        assert!(kept.rules.len() > 100);
        let few = ChangeSummary { rules: vec![rule(1)], ..summary };
        assert_eq!(decode(&encode(few.clone(), 1)).unwrap(), (few, 1));
    }
}
