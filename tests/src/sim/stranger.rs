//! A stranger: a process that knows the nodes' addresses and the numbers of attempts, and is told nothing.
//!
//! Each of its messages would stop or falsify the cluster if a node believed it: it opens an attempt that never began,
//! adds facts to the open one, or decides an attempt.

use super::wire::Wire;
use entail_logic::epoch::Begun;
use entail_logic::exchange::{Message, Payload};
use entail_logic::fixpoint::Step;
use entail_model::random::Random;
use entail_model::{Attempt, Epoch, Round, Secret};
use std::sync::Arc;

/// A message about an attempt near the open one (or the last one, if none is open), or far away.
pub fn stray(last: Attempt, epoch: Epoch, random: &mut Random) -> Wire {
    let near = last.0.saturating_sub(1);
    let attempt = Attempt(*random.pick(&[near, last.0, last.0 + 1, last.0 + 2, 1 << 63]));
    let begun = Begun { attempt, secret: Secret(random.below(4)) };
    match random.below(6) {
        0 => Wire::Stage { begun, previous: epoch, sequence: random.below(3), copies: Arc::default() },
        1 => Wire::OpenRound { begun, previous: epoch, round: Round(1), step: Step::default(), first: None, staged: 0 },
        2 => Wire::Seal { begun },
        3 => Wire::Decide { begun, epoch: None },
        4 => Wire::Decide { begun, epoch: Some(epoch.next()) },
        _ => {
            let payload = Arc::new(Payload::Close { messages: 0 });
            Wire::Exchange { begun, message: Message { round: Round(1), level: 1, sequence: 0, payload } }
        }
    }
}
