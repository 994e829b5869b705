//! The phases of a command, with the seconds that each takes.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::process::say;

/// The phases of a command that have ended. Prints them when the command ends, also if it fails.
#[derive(Default)]
pub(crate) struct Phases(Mutex<Vec<Phase>>);

struct Phase {
    name: String,
    took: Duration,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Failed,
}

impl Phases {
    /// Runs a phase and records its time. Phases may overlap.
    pub(crate) fn time<T>(&self, name: impl Into<String>, phase: impl FnOnce() -> Result<T>) -> Result<T> {
        let begun = Instant::now();
        let result = phase();
        let outcome = if result.is_ok() { Outcome::Done } else { Outcome::Failed };
        self.ended().push(Phase { name: name.into(), took: begun.elapsed(), outcome });
        result
    }

    fn ended(&self) -> MutexGuard<'_, Vec<Phase>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Phases {
    fn drop(&mut self) {
        for phase in &*self.ended() {
            say(phase.to_string());
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, took, outcome } = self;
        write!(f, "{:>7.1} s  {name}", took.as_secs_f64())?;
        if *outcome == Outcome::Failed {
            write!(f, " (failed)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn a_phase_that_fails_is_kept_and_named() {
        let phases = Phases::default();
        assert_eq!(phases.time("build", || Ok(7)).unwrap(), 7);
        let failed: Result<()> = phases.time("run 2 of 5", || bail!("no"));
        assert_eq!(failed.unwrap_err().to_string(), "no");
        let ended = phases.ended();
        let outcomes: Vec<_> = ended.iter().map(|phase| (phase.name.as_str(), phase.outcome)).collect();
        assert_eq!(outcomes, [("build", Outcome::Done), ("run 2 of 5", Outcome::Failed)]);
    }

    #[test]
    fn a_line_has_the_seconds_first() {
        let took = Duration::from_millis(61_300);
        let phase = Phase { name: "tests".to_owned(), took, outcome: Outcome::Failed };
        assert_eq!(phase.to_string(), "   61.3 s  tests (failed)");
    }
}
