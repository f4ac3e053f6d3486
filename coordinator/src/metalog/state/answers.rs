//! The answers to the last requests, so that a retry gets the same one and is not applied twice.
//!
//! Bounded by number and by bytes; the oldest is dropped first. A retry whose answer has been dropped counts as a new
//! request.

use super::{ANSWERS_MAX, RequestId};
use entail_model::Epoch;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The limit on the bytes of all ids and results together.
const BYTES_MAX: usize = 16 << 20;

/// The stored answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The epoch that the request became.
    pub epoch: Epoch,
    /// The answer as the coordinator encoded it.
    pub result: Vec<u8>,
}

/// Answers by request; serialised as their list, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(RequestId, Answer)>", into = "Vec<(RequestId, Answer)>")]
pub struct Answers {
    by_request: BTreeMap<RequestId, Answer>,
    /// Oldest first; exactly the keys of the map.
    order: VecDeque<RequestId>,
    bytes: usize,
}

impl Answers {
    pub fn get(&self, request: &RequestId) -> Option<&Answer> {
        self.by_request.get(request)
    }

    /// Keeps an answer to a request that has none yet.
    pub fn insert(&mut self, request: RequestId, answer: Answer) {
        self.bytes += size(&request, &answer);
        let before = self.by_request.insert(request.clone(), answer);
        assert!(before.is_none(), "request {request} was answered before");
        self.order.push_back(request);
        while self.order.len() > ANSWERS_MAX || self.bytes > BYTES_MAX {
            self.remove_oldest();
        }
    }

    fn remove_oldest(&mut self) {
        if let Some((request, answer)) = self.order.pop_front().and_then(|oldest| self.by_request.remove_entry(&oldest))
        {
            self.bytes -= size(&request, &answer);
        }
    }
}

fn size(request: &RequestId, answer: &Answer) -> usize {
    request.0.len() + answer.result.len()
}

impl From<Vec<(RequestId, Answer)>> for Answers {
    fn from(list: Vec<(RequestId, Answer)>) -> Self {
        let mut answers = Self::default();
        for (request, answer) in list {
            // The coordinator never writes an id twice; in foreign bytes the first wins.
            if answers.get(&request).is_none() {
                answers.insert(request, answer);
            }
        }
        answers
    }
}

impl From<Answers> for Vec<(RequestId, Answer)> {
    fn from(mut answers: Answers) -> Self {
        answers.order.iter().filter_map(|request| answers.by_request.remove_entry(request)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(count: u64, bytes: usize) -> Answers {
        let mut answers = Answers::default();
        for number in 1..=count {
            answers.insert(RequestId(number.to_string()), Answer { epoch: Epoch(number), result: vec![7; bytes] });
        }
        answers
    }

    #[test]
    fn the_oldest_go_first() {
        let answers = answers(ANSWERS_MAX as u64 + 2, 0);
        let kept = |number: usize| answers.get(&RequestId(number.to_string())).is_some();
        assert_eq!([2, 3, ANSWERS_MAX + 2].map(kept), [false, true, true]);
    }

    #[test]
    fn bytes_are_bounded() {
        let answers = answers(20, 1 << 20);
        assert_eq!(answers.order.len(), 15);
        assert!(answers.bytes <= BYTES_MAX);
    }

    #[test]
    fn the_list_is_the_same_answers() {
        let answers = answers(12, 3);
        assert_eq!(Answers::from(Vec::from(answers.clone())), answers);
    }
}
