//! The fence: attempts change the store one at a time, in the order of the log.
//!
//! ```text
//! (none) ──intern──► Open ──seal──► Sealing ──► Sealed ──decide──► (none)
//!                     └── abandon, or a later attempt ──────────────►┘
//! ```
//!
//! An attempt that was not sealed at this node cannot be committed, so a later one drops it. A sealed one may be
//! committed: later ones are fenced until its outcome is known.

use entail_model::{Attempt, Fault, Reason};

/// The current attempt, and the last one that is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptFence {
    current: Option<(Attempt, Phase)>,
    over: Option<Attempt>,
}

/// The phase of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Open,
    Sealing,
    Sealed,
}

impl AttemptFence {
    /// The state of a store whose last decision was `over`, with an attempt that was sealed before a restart.
    pub fn new(over: Option<Attempt>, sealed: Option<Attempt>) -> Self {
        Self { current: sealed.map(|attempt| (attempt, Phase::Sealed)), over }
    }

    /// The phase of an attempt; `None` when it has not begun.
    ///
    /// # Errors
    /// `Fenced` when it is over, or may not begin yet.
    pub fn phase(&self, attempt: Attempt) -> Result<Option<Phase>, Fault> {
        if self.over >= Some(attempt) {
            return Err(fenced(format!("attempt {attempt} is over at this node")));
        }
        match self.current {
            None => Ok(None),
            Some((current, phase)) if current == attempt => Ok(Some(phase)),
            Some((current, Phase::Open)) if current < attempt => Ok(None),
            Some((current, _)) if current < attempt => {
                Err(fenced(format!("attempt {current} is not decided at this node, so {attempt} cannot begin")))
            }
            Some((current, _)) => Err(fenced(format!("attempt {current} has begun since {attempt}"))),
        }
    }

    /// Checks that the attempt may be ended: not while an earlier one has no outcome.
    pub fn check_end(&self, attempt: Attempt) -> Result<(), Fault> {
        match self.current {
            Some((current, Phase::Sealing | Phase::Sealed)) if current < attempt => {
                Err(fenced(format!("attempt {current} is not decided at this node, so {attempt} cannot end")))
            }
            _ => Ok(()),
        }
    }

    /// The current attempt.
    pub fn current(&self) -> Option<Attempt> {
        self.current.map(|(attempt, _)| attempt)
    }

    /// The sealed attempt without an outcome.
    pub fn undecided(&self) -> Option<Attempt> {
        self.current.filter(|(_, phase)| *phase == Phase::Sealed).map(|(attempt, _)| attempt)
    }

    /// Sets the phase of the current attempt.
    pub fn enter(&mut self, attempt: Attempt, phase: Phase) {
        self.current = Some((attempt, phase));
    }

    /// Records that the attempt and all earlier ones are over.
    pub fn close(&mut self, attempt: Attempt) {
        self.current = self.current.filter(|(current, _)| *current > attempt);
        self.over = self.over.max(Some(attempt));
    }
}

/// The fault for a message of a fenced attempt.
pub fn fenced(message: String) -> Fault {
    Fault::new(Reason::Fenced, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_go_in_order() {
        let [one, two, three] = [1, 2, 3].map(Attempt);
        let mut fence = AttemptFence::new(None, None);
        assert_eq!(fence.phase(two), Ok(None));
        fence.enter(two, Phase::Open);
        assert_eq!(fence.phase(two), Ok(Some(Phase::Open)));
        assert_eq!(fence.phase(three), Ok(None), "an unsealed attempt gives way");
        assert!(fence.phase(one).is_err(), "an earlier attempt is overtaken");
        fence.enter(two, Phase::Sealed);
        assert!(fence.phase(three).is_err(), "a sealed attempt does not give way");
        assert!(fence.check_end(three).is_err() && fence.check_end(two).is_ok());
        assert_eq!(fence.undecided(), Some(two));
        fence.close(two);
        assert!(fence.phase(two).is_err(), "an attempt stays over");
        assert_eq!((fence.phase(three), fence.undecided()), (Ok(None), None));
    }
}
