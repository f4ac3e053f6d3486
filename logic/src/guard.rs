//! Switches that break one guard of the protocol at a time, to show that the simulator notices.
//!
//! They exist only with the feature `broken-guards`, which only tests enable; otherwise [`is_broken`] is false and
//! compiles to nothing.

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
