//! Whether a role is ready for requests, for those who ask over HTTP.

use crate::metrics::Registry;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// What shows a role to the world: whoever starts it keeps a clone.
#[derive(Clone, Debug, Default)]
pub struct Instruments {
    pub metrics: Registry,
    pub readiness: Readiness,
}

impl Instruments {
    /// Of a role whose metrics all have these labels.
    pub fn new(labels: &[(&str, &str)]) -> Self {
        Self { metrics: Registry::new(labels), readiness: Readiness::default() }
    }
}

type Check = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Asks a role whether it is ready. One that has not said how to find out is starting.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<Option<Check>>>);

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readiness").field(&self.ask()).finish()
    }
}

impl Readiness {
    /// From now on this tells: nothing, or why the role is not ready. It must not wait.
    pub fn tell(&self, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(check));
    }

    /// Is the role ready?
    ///
    /// # Errors
    /// Why it is not.
    pub fn ask(&self) -> Result<(), String> {
        let check = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        check.as_ref().map_or_else(|| Err("starting".to_owned()), |check| check())
    }
}
