//! Responses as the log keeps them for retries: the summary, followed by the request's fingerprint.
//! Both are protobuf messages with different fields, so that their concatenated bytes can be decoded as either.

use crate::metalog::RESULT_BYTES_MAX;
use entail_model::Fault;
use entail_proto::internal::Fingerprint;
use entail_proto::v1::ChangeSummary;
use prost::Message;

/// The response to a request, and the request's fingerprint.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedResponse {
    pub summary: ChangeSummary,
    /// The fingerprint of the request, to detect another request under the same id.
    pub fingerprint: u64,
}

impl CachedResponse {
    /// The response without the rules that derived nothing, and with as many of the others as fit.
    pub fn encode(self) -> Vec<u8> {
        let Self { mut summary, fingerprint } = self;
        let fingerprint = Fingerprint { request: fingerprint };
        summary.rules.retain(|rule| rule.derived > 0);
        while summary.encoded_len() + fingerprint.encoded_len() > RESULT_BYTES_MAX {
            summary.rules.truncate(summary.rules.len() / 2);
        }
        let mut bytes = summary.encode_to_vec();
        bytes.extend(fingerprint.encode_to_vec());
        bytes
    }

    /// Decodes a stored response.
    ///
    /// # Errors
    /// `Corrupt` if the bytes are not a response.
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let corrupt = |error: prost::DecodeError| Fault::corrupt(format!("a kept answer: {error}"));
        let summary = ChangeSummary::decode(bytes).map_err(corrupt)?;
        let fingerprint = Fingerprint::decode(bytes).map_err(corrupt)?.request;
        Ok(Self { summary, fingerprint })
    }
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
        let bytes = CachedResponse { summary: summary.clone(), fingerprint: u64::MAX }.encode();
        assert!(bytes.len() <= RESULT_BYTES_MAX);
        let CachedResponse { summary: kept, fingerprint } = CachedResponse::decode(&bytes).unwrap();
        assert_eq!((kept.epoch, kept.asserted, fingerprint), (7, 3, u64::MAX));
        assert_eq!(kept.rules, vec![rule(1); kept.rules.len()]);
        assert!(kept.rules.len() > 100);
        let few = CachedResponse { summary: ChangeSummary { rules: vec![rule(1)], ..summary }, fingerprint: 1 };
        assert_eq!(CachedResponse::decode(&few.clone().encode()).unwrap(), few);
    }
}
