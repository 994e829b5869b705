//! The monotonic clock that sessions are driven with.

use std::time::{Duration, Instant};

use moqt::Micros;

/// Moments since it was made, for sessions that do not read clocks themselves.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock {
    /// Now.
    pub fn now(&self) -> Micros {
        Micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// When that is by the system's clock.
    pub fn instant(&self, at: Micros) -> Instant {
        self.0 + Duration::from_micros(at.0)
    }
}
