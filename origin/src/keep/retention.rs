//! How long the past is kept.

use archive::Retention;
use wire::Micros;

use super::{Error, Keep, writer::Job};

impl Keep {
    /// Deletes what is older than it may be, a little at a time, between what rooms have to keep. Gives
    /// the number of rows.
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
