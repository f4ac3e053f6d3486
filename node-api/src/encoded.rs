//! Plans and programs for nodes: local nodes take the value, remote ones the bytes, which are made once.

use bytes::Bytes;
use entail_model::Fault;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, OnceLock};

/// A value that is sent to several nodes. Clones share it.
#[derive(Clone, Debug)]
pub struct Encoded<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    value: Arc<T>,
    bytes: OnceLock<Bytes>,
}

impl<T> Encoded<T> {
    /// A value that is not encoded yet.
    pub fn new(value: Arc<T>) -> Self {
        Self(Arc::new(Inner { value, bytes: OnceLock::new() }))
    }

    /// The value.
    pub fn value(&self) -> &Arc<T> {
        &self.0.value
    }
}

impl<T: Serialize> Encoded<T> {
    /// The value as bytes.
    ///
    /// # Errors
    /// `Internal` for a value that cannot be encoded.
    pub fn bytes(&self) -> Result<Bytes, Fault> {
        if let Some(bytes) = self.0.bytes.get() {
            return Ok(bytes.clone());
        }
        let bytes = postcard::to_stdvec(&*self.0.value);
        let bytes = bytes.map_err(|error| Fault::internal(format!("a plan that does not encode: {error}")))?;
        Ok(self.0.bytes.get_or_init(|| bytes.into()).clone())
    }
}

/// The value in the bytes that [`Encoded::bytes`] gave.
///
/// # Errors
/// `Corrupt`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<Arc<T>, Fault> {
    let value = postcard::from_bytes(bytes);
    value.map(Arc::new).map_err(|error| Fault::corrupt(format!("a plan that does not decode: {error}")))
}
