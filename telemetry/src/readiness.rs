//! Readiness of a role, as reported over HTTP.

use crate::metrics::Registry;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The metrics and the readiness of a role. The code that starts a role keeps a clone to serve them over HTTP.
#[derive(Clone, Debug, Default)]
pub struct Instruments {
    pub metrics: Registry,
    pub readiness: Readiness,
}

impl Instruments {
    /// Instruments of a role whose metrics all have these labels.
    pub fn new(labels: &[(&str, &str)]) -> Self {
        Self { metrics: Registry::new(labels), readiness: Readiness::default() }
    }
}

type Check = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The readiness check of a role. A role without a registered check counts as starting.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<Option<Check>>>);

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readiness").field(&self.ask()).finish()
    }
}

impl Readiness {
    /// Registers the check: it returns the reason if the role is not ready. It must not block.
    pub fn tell(&self, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(check));
    }

    /// Is the role ready?
    ///
    /// # Errors
    /// The reason why it is not.
    pub fn ask(&self) -> Result<(), String> {
        let check = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        check.as_ref().map_or_else(|| Err("starting".to_owned()), |check| check())
    }
}
