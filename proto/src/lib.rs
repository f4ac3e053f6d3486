//! The wire format: generated messages and services, conversions to the types of the model, and the one mapping between
//! [`Fault`] and gRPC status. No other crate imports protobuf.
//!
//! [`Fault`]: entail_model::Fault

/// The interface for clients.
pub mod v1 {
    tonic::include_proto!("entail.v1");

    /// Every method, as a pair of service and method.
    pub const METHODS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/entail.v1.methods.rs"));

    /// The encoded descriptors of this interface, for reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/entail.v1.bin"));
}

/// The encoded descriptors of `google.rpc`'s error details, so that tools can decode the details of a failed call.
pub const ERROR_DETAILS_DESCRIPTORS: &[u8] = tonic_types::pb::FILE_DESCRIPTOR_SET;

/// The interface between coordinators and nodes.
pub mod internal {
    tonic::include_proto!("entail.internal.v1");

    /// Every method, as a pair of service and method.
    pub const METHODS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/entail.internal.v1.methods.rs"));
}

pub mod addressee;
pub mod bound;
pub mod connection;
pub mod convert;
pub mod deadline;
pub mod gate;
pub mod incoming;
pub mod status;
pub mod windows;
