//! The time, for the SPARQL engine, which has no clock itself: the value of NOW(), and the clock of profiles.

use entail_sparql::{Clock, Instant as Moment, RequestClock};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The time of a request, as NOW() gives it.
pub fn now() -> Option<Moment> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    Moment::utc(i64::try_from(since.as_secs()).ok()?, since.subsec_nanos())
}

/// A clock that starts now.
pub fn clock() -> RequestClock {
    RequestClock(Arc::new(Elapsed(Instant::now())))
}

struct Elapsed(Instant);

impl Clock for Elapsed {
    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
