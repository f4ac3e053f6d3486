//! The conductor: owns no data, orders all changes, answers all clients.

pub mod balance;
pub mod ingest;
pub mod metalog;
pub mod options;
pub mod serialize;

pub use options::Options;
