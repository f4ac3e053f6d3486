//! Decides when a failed call is sent again: a state machine without clock, socket or randomness.
//!
//! ```text
//!            Failed, retryable: Wait              Waited: Resend
//!   Sent ────────────────────────────► Waiting ──────────────────► Sent
//!    │ Failed for good: GiveUp            Delivered or Succeeded: Proceed
//!    └──────────► Over                    after that no failure is retried
//! ```
//! Waits grow exponentially with full jitter, from the seed that the caller gives. A call is sent again only while its
//! deadline leaves room and while the [`Budget`], which all calls of a client share, allows it: when everything fails,
//! the load on the cluster grows by a tenth and not by a factor.

use entail_model::random::Random;
use entail_model::{Fault, Reason};
use std::time::Duration;

/// The retry policy of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The largest number of sends of a call, the first one included.
    pub sends_max: u32,
    /// The upper bound of the first wait; it doubles with every failure.
    pub wait_first: Duration,
    /// The upper bound of every wait.
    pub wait_max: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { sends_max: 6, wait_first: Duration::from_millis(100), wait_max: Duration::from_secs(5) }
    }
}

impl Policy {
    /// Sends every call once.
    pub fn never() -> Self {
        Self { sends_max: 1, ..Self::default() }
    }
}

/// The retries that all calls of one client may still make: every call earns a tenth of one.
#[derive(Clone, Debug)]
pub struct Budget {
    tenths: u32,
}

impl Budget {
    const TENTHS_MAX: u32 = 200;

    fn earn(&mut self) {
        self.tenths = (self.tenths + 1).min(Self::TENTHS_MAX);
    }

    fn spend(&mut self) -> bool {
        let enough = self.tenths >= 10;
        if enough {
            self.tenths -= 10;
        }
        enough
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { tenths: Self::TENTHS_MAX }
    }
}

/// An event of the call. Times count from its beginning.
#[derive(Clone, Debug)]
pub enum Event {
    Failed {
        fault: Fault,
        elapsed: Duration,
    },
    Waited {
        elapsed: Duration,
    },
    /// The caller has received a part of the answer.
    Delivered,
    Succeeded,
}

/// The action that [`Retry::step`] requests from its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Sleep, then send the event `Waited`.
    Wait(Duration),
    /// Send the same request again, with its remaining time.
    Resend {
        timeout: Option<Duration>,
    },
    GiveUp(Fault),
    /// No action.
    Proceed,
}

/// The state of one call.
#[derive(Clone, Debug)]
pub struct Retry {
    policy: Policy,
    deadline: Option<Duration>,
    random: Random,
    sends: u32,
    state: State,
    /// Whether an earlier send may have been applied.
    is_in_doubt: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Sent,
    Waiting(Fault),
    Delivered,
    Over,
}

impl Retry {
    /// The state of a call that has just been sent; the deadline counts from its beginning.
    pub fn new(policy: Policy, deadline: Option<Duration>, seed: u64, budget: &mut Budget) -> Self {
        budget.earn();
        Self { policy, deadline, random: Random::from_state(seed), sends: 1, state: State::Sent, is_in_doubt: false }
    }

    /// Handles an event and returns the action to take.
    ///
    /// # Panics
    /// When the event cannot happen now: `Waited` without a wait, or anything after the end.
    pub fn step(&mut self, event: Event, budget: &mut Budget) -> Effect {
        assert_ne!(self.state, State::Over, "a call that is over has no more events");
        match event {
            Event::Failed { fault, elapsed } => self.failed(fault, elapsed, budget),
            Event::Waited { elapsed } => self.waited(elapsed),
            Event::Delivered => self.proceed(State::Delivered),
            Event::Succeeded => self.proceed(State::Over),
        }
    }

    fn failed(&mut self, fault: Fault, elapsed: Duration, budget: &mut Budget) -> Effect {
        let was_delivered = self.state == State::Delivered;
        assert!(was_delivered || self.state == State::Sent, "only what was sent can fail");
        self.is_in_doubt |= fault.reason == Reason::OutcomeUnknown;
        if was_delivered || !fault.is_retryable() || self.sends >= self.policy.sends_max {
            return self.give_up(fault);
        }
        let wait = self.wait();
        if self.left(elapsed + wait) == Some(Duration::ZERO) || !budget.spend() {
            return self.give_up(fault);
        }
        self.state = State::Waiting(fault);
        Effect::Wait(wait)
    }

    fn waited(&mut self, elapsed: Duration) -> Effect {
        let State::Waiting(fault) = std::mem::replace(&mut self.state, State::Sent) else {
            panic!("the call was not waiting");
        };
        let timeout = self.left(elapsed);
        if timeout == Some(Duration::ZERO) {
            return self.give_up(fault);
        }
        self.sends += 1;
        Effect::Resend { timeout }
    }

    fn proceed(&mut self, state: State) -> Effect {
        assert!(!matches!(self.state, State::Waiting(_)), "an answer without a request");
        self.state = state;
        Effect::Proceed
    }

    /// The last failure, unless an earlier one leaves the outcome of the request unknown.
    fn give_up(&mut self, mut fault: Fault) -> Effect {
        self.state = State::Over;
        let says_nothing = fault.is_retryable() || fault.reason == Reason::DeadlineExceeded;
        if self.is_in_doubt && says_nothing {
            fault.reason = Reason::OutcomeUnknown;
        }
        Effect::GiveUp(fault)
    }

    fn left(&self, elapsed: Duration) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_sub(elapsed))
    }

    /// Full jitter: a random wait between zero and the exponential bound.
    fn wait(&mut self) -> Duration {
        let factor = 1u32 << (self.sends - 1).min(20);
        let bound = self.policy.wait_first.saturating_mul(factor).min(self.policy.wait_max);
        bound.mul_f64(self.random.unit())
    }
}

#[cfg(test)]
mod tests;
