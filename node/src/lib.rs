//! One worker: the shards that it holds, and the work over them.

pub mod options;

pub use options::Options;
