//! The monotonic clock of the sessions, which do not read clocks themselves.

use std::time::Duration;

use moqt::Micros;
use tokio::time::Instant;

/// A monotonic clock. It starts at zero when it is created.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock {
    /// Returns the time since the clock was created.
    pub fn now(&self) -> Micros {
        Micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Converts a time of this clock to the clock of timers.
    pub fn instant(&self, at: Micros) -> Instant {
        self.0 + Duration::from_micros(at.0)
    }
}
