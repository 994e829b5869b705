//! Deletes archived rows whose retention is over.

use archive::Retention;
use wire::Micros;

use super::{Error, Keep, writer::Job};

impl Keep {
    /// Deletes rows that are older than `retention` allows, in small steps, so that rooms keep their batches in
    /// between. Returns the number of rows.
    pub async fn prune(&self, now: Micros, retention: &Retention) -> Result<u64, Error> {
        let mut all = 0;
        for (life, sql) in retention.steps() {
            let life = u64::try_from(life.as_micros()).map_or(Micros(u64::MAX), Micros);
            loop {
                let gone = self.ask(|done| Job::Prune { sql, before: now - life, done }).await?;
                all += gone;
                if gone < Retention::STEP {
                    break;
                }
            }
        }
        Ok(all)
    }
}
