//! The protocols that clients speak: one folder each, over the one [service](crate::service).

pub mod grpc;
