//! Placeholder, filled in by the first commits.

pub mod debian;
