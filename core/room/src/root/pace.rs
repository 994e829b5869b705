//! Rates of a fan's acts, over all connections and edges together. Edges hold each connection to the same rates.

use serde::ser::SerializeSeq as _;
use serde::{Deserialize, Serialize, Serializer};
use wire::{Act, Micros, Reason, Role, limits};

use super::people::People;
use crate::bucket::Bucket;
use crate::room::{next, part};
use crate::{Error, Limits, Rate};

/// Time by which edges' clocks differ, and by which an edge reports an act late: a fan whose edge has let an act pass
/// has some more here.
const TOLERANCE: Micros = Micros::from_secs(1);
/// Age from which an act counts as this old: what waited longer for the root would not be sent any more.
const OLDEST: Micros = Micros::from_secs(limits::RESEND_SECONDS);
/// Time after which a pace is as new: all of its buckets are full again.
const KEEP: Micros = Micros::from_secs(limits::RESEND_SECONDS + 60);

/// Buckets of one fan.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pace {
    /// Time of the latest act, by the clock of its edge.
    at: Micros,
    says: Bucket,
    cheers: Bucket,
    others: Bucket,
}

impl Pace {
    /// Charges an act that an edge let pass at `made`, of a fan with a role, or returns the reason to refuse it.
    #[inline]
    pub(super) fn take(
        &mut self,
        (now, made): (Micros, Micros),
        act: &Act<'_>,
        role: Role,
        limits: &Limits,
    ) -> Result<(), Reason> {
        let (cost, rate) = match act {
            Act::Cheer { count, .. } => (u32::from(*count), limits.cheers),
            _ if role >= Role::Moderator => return Ok(()),
            Act::Say(_) => (1, limits.says),
            _ => (1, limits.others),
        };
        if self.is_over(now) {
            *self = Self::default();
        }
        // Edges' clocks differ: a fan's time does not go back.
        self.at = self.at.max(made.max(now - OLDEST));
        let more = (TOLERANCE.0 / rate.every.0.max(1)).min(u64::from(rate.burst)) as u32;
        let rate = Rate { burst: rate.burst + more, ..rate };
        let bucket = match act {
            Act::Cheer { .. } => &mut self.cheers,
            Act::Say(_) => &mut self.says,
            _ => &mut self.others,
        };
        bucket.take(self.at, cost, rate).map_err(|wait| Reason::TooFast { retry_ms: wait.wait_ms() })
    }

    /// Returns whether the pace has no effect any more.
    fn is_over(&self, now: Micros) -> bool {
        now - self.at >= KEEP
    }
}

/// Paces of all fans, by index, as a snapshot has them.
pub(super) struct Paces<'a>(pub(super) &'a People, pub(super) Micros);

impl Paces<'_> {
    fn each(&self) -> impl Iterator<Item = (u32, Pace)> + '_ {
        let Self(people, now) = self;
        let pace = |at| people.fans.get(at).map(|fan| (at, fan.pace));
        (0..people.fans.end()).filter_map(pace).filter(|(_, pace)| !pace.is_over(*now))
    }
}

impl Serialize for Paces<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.each().count()))?;
        self.each().try_for_each(|pace| list.serialize_element(&pace))?;
        list.end()
    }
}

impl People {
    /// Gives fans their paces, from a snapshot. A list of them would take much memory beside all else.
    pub(super) fn read_paces(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let (count, mut left): (u32, _) = next(bytes)?;
        for _ in 0..count {
            let ((at, pace), rest): ((u32, Pace), _) = part(left)?;
            self.fans.get_mut(at).ok_or(Error::Snapshot)?.pace = pace;
            left = rest;
        }
        Ok(())
    }
}
