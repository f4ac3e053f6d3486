//! A node's side of an attempt's beginning: a node takes part only in an attempt of which its coordinator has told it
//! that it has begun.
//!
//! ```text
//! message (attempt, secret) ──judge──► Admit                             the coordinator told of exactly this attempt
//!                                  ├─► Refuse                            it is older than what was told, or a forgery
//!                                  └─► Ask ──learn──► judge_told ──► Admit | Refuse
//! ```
//!
//! # Invariants
//! - Nothing but the coordinator's answer to the node's own question makes an attempt known. So a message of an attempt
//!   that never began, however large or small its number, changes nothing at the node.
//! - A message proves with the attempt's secret that its sender was told of the attempt as well.
//! - What was told is not forgotten when the attempt is over: its late messages are judged by the node's fence, and a
//!   late answer about an older attempt changes nothing.

use entail_model::{Attempt, Fault, Reason, Secret};

/// An attempt that has begun, as its coordinator tells of it and as messages claim to belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    pub attempt: Attempt,
    pub secret: Secret,
}

/// What becomes of a message of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Admit,
    /// The coordinator has to be asked which attempt has begun.
    Ask,
    Refuse(Fault),
}

/// What a node knows of the attempts that have begun: the last of which it was told.
#[derive(Clone, Copy, Debug, Default)]
pub struct BegunAttempts {
    told: Option<Begun>,
}

impl BegunAttempts {
    /// What becomes of a message that claims to belong to an attempt.
    pub fn judge(&self, claimed: Begun) -> Verdict {
        match self.told {
            Some(told) if told.attempt >= claimed.attempt => self.judge_told(claimed),
            _ => Verdict::Ask,
        }
    }

    /// What becomes of the message now that the coordinator has been asked.
    pub fn judge_told(&self, claimed: Begun) -> Verdict {
        let attempt = claimed.attempt;
        let refuse = |text: String| Verdict::Refuse(Fault::new(Reason::Fenced, text));
        match self.told {
            Some(told) if told == claimed => Verdict::Admit,
            Some(told) if told.attempt > attempt => {
                refuse(format!("attempt {attempt} is over: {} has begun", told.attempt))
            }
            _ => refuse(format!("the coordinator has not begun attempt {attempt}")),
        }
    }

    /// The coordinator has told which attempt has begun and is not decided, if there is one.
    pub fn learn(&mut self, told: Option<Begun>) {
        if let Some(new) = told
            && self.told.is_none_or(|known| known.attempt < new.attempt)
        {
            self.told = Some(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(attempt: u64, secret: u64) -> Begun {
        Begun { attempt: Attempt(attempt), secret: Secret(secret) }
    }

    fn is_refused(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Refuse(fault) if fault.reason == Reason::Fenced)
    }

    #[test]
    fn only_what_was_told_is_admitted() {
        let mut attempts = BegunAttempts::default();
        let stray = begun(1 << 63, 0);
        for told in [None, Some(begun(7, 70)), None, Some(begun(9, 90))] {
            attempts.learn(told);
            assert_eq!(attempts.judge(stray), Verdict::Ask, "it may have begun since");
            assert!(is_refused(&attempts.judge_told(stray)));
        }
        assert_eq!(attempts.judge(begun(9, 90)), Verdict::Admit);
        assert_eq!(attempts.judge(begun(10, 90)), Verdict::Ask);
        assert!(is_refused(&attempts.judge_told(begun(10, 90))), "the next attempt has not begun");
        assert!(is_refused(&attempts.judge(begun(9, 91))), "a guessed secret");
        assert!(is_refused(&attempts.judge(begun(7, 70))), "it is over");
    }

    #[test]
    fn an_answer_that_is_late_changes_nothing() {
        let mut attempts = BegunAttempts::default();
        attempts.learn(Some(begun(9, 90)));
        attempts.learn(Some(begun(7, 70)));
        attempts.learn(None);
        assert_eq!(attempts.judge(begun(9, 90)), Verdict::Admit, "the outcome may still be on its way");
    }
}
