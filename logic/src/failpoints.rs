//! Switches that break one guard of the protocol at a time, to show that the simulator notices.
//!
//! They exist only with the feature `broken-guards`, which only tests enable; otherwise [`is_broken`] is false and
//! compiles to nothing.
//!
//! | guard | where | what happens without it |
//! |---|---|---|
//! | `deduplicate` | exchange | a message that arrives twice counts twice, and hides a lost one |
//! | `count-messages` | exchange | a level is complete when it is closed, although messages are still under way |
//! | `await-all-nodes` | epoch | a round closes on the first report |
//! | `fence-attempt` | epoch | reports and seals of an attempt that is over count for the next one |
//! | `seal-before-commit` | epoch | the commit is logged after the first seal |
//! | `log-before-decide` | epoch | nodes learn of a commit before the log has it |
//! | `over-delete` | fixpoint | only facts that are no longer asserted are deleted, and the heads of their instances |
//! | `seal-deletions` | store | a seal has the facts that are added, and not those that go |
//! | `rederive` | fixpoint | deleted facts that another instance derives do not come back |
//! | `answer-undecided` | metadata log | a node that missed an outcome never learns it, and refuses all later attempts |

#[cfg(feature = "broken-guards")]
mod switch {
    use std::cell::Cell;

    thread_local! {
        static BROKEN: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Breaks the named guard on this thread; `None` restores it.
    pub fn set_broken(guard: Option<&'static str>) {
        BROKEN.with(|broken| broken.set(guard));
    }

    /// Is the guard broken on this thread?
    pub fn is_broken(guard: &str) -> bool {
        BROKEN.with(|broken| broken.get() == Some(guard))
    }
}

#[cfg(feature = "broken-guards")]
pub use switch::{is_broken, set_broken};

/// Is the guard broken? Never, in this build.
#[cfg(not(feature = "broken-guards"))]
#[inline(always)]
pub fn is_broken(_guard: &str) -> bool {
    false
}
