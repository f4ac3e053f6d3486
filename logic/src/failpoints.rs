//! Switches that break one guard of the protocol at a time, to show that the simulator notices.
//!
//! They exist only with the feature `broken-guards`, which only tests enable; otherwise [`is_broken`] is false and
//! compiles to nothing.
//!
//! | guard | where | what happens without it |
//! |---|---|---|
//! | `deduplicate` | exchange | a message that comes twice counts twice, and covers for one that is lost |
//! | `count-messages` | exchange | a level is complete when it is closed, whatever is still on its way |
//! | `await-all-nodes` | epoch | a round closes on the first report |
//! | `fence-attempt` | epoch | reports and seals of an attempt that is over count for the next one |
//! | `seal-before-commit` | epoch | a commit is asked for with the first seal |
//! | `log-before-decide` | epoch | nodes are told of a commit before the log has it |
//! | `answer-undecided` | metadata log | a node that missed an outcome never learns it, and refuses all later attempts |

#[cfg(feature = "broken-guards")]
mod switch {
    use std::cell::Cell;

    thread_local! {
        static BROKEN: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Breaks the named guard on this thread; `None` mends it.
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
