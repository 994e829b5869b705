//! Deletes archived rows whose retention is over.

use archive::{Retention, Statement};
use wire::Micros;

use super::{Error, Keep};

/// The longest time since the newest row after which the clock is believed. A machine that starts with a clock years
/// ahead would otherwise delete the whole archive.
const PLAUSIBLE: Micros = Micros::from_secs(31 * 24 * 60 * 60);

impl Keep {
    /// Returns whether the clock is near enough to the newest row to be right.
    pub async fn is_plausible(&self, now: Micros) -> Result<bool, Error> {
        Ok(self.archive.newest().await?.is_none_or(|newest| now <= newest + PLAUSIBLE))
    }

    /// Deletes rows that are older than `retention` allows, in small steps, so that rooms keep their batches in
    /// between. Returns the number of rows.
    pub async fn prune(&self, now: Micros, retention: &Retention) -> Result<u64, Error> {
        if !self.is_plausible(now).await? {
            tracing::warn!("nothing is pruned: the clock is a month from the newest row");
            return Ok(0);
        }
        let mut all = 0;
        for (life, sql) in retention.steps() {
            let life = u64::try_from(life.as_micros()).map_or(Micros(u64::MAX), Micros);
            loop {
                let values = vec![(now - life).0.into()];
                let gone = self.change(vec![Statement { sql, values }]).await?;
                all += gone;
                if gone < Retention::STEP {
                    break;
                }
            }
        }
        Ok(all)
    }
}
