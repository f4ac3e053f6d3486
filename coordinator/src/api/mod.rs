//! How clients come in: one folder for each protocol, over the one [service](crate::service).

pub mod grpc;
