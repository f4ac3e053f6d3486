//! The conductor: owns no data, orders all changes, answers all clients.

pub mod balance;
pub mod metalog;
pub mod options;

pub use options::Options;
