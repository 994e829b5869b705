//! Gifts: the catalogue, and the keys that make each gift count once.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use wire::{FanId, Gift, GiftId, List, Micros, Reason, limits, worker::Row};

use super::Root;
use super::chat::Author;
use crate::content::clean;
use crate::effects::Effects;
use crate::tally::Counted;

/// Time for which a gift's key is remembered: longer than a page with a doubtful gift stays open.
const KEEP_KEY: Micros = Micros::from_secs(24 * 60 * 60);
/// Keys remembered, at most. If fans give more gifts in a day, gifts wait.
const MAX_KEYS: usize = 200_000;

/// The catalogue, and the gifts given.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Gifts {
    catalogue: Vec<Kept>,
    counts: BTreeMap<GiftId, u64>,
    keys: BTreeMap<(FanId, u64), Micros>,
    /// Keys of gifts, oldest first.
    order: VecDeque<(Micros, FanId, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    id: GiftId,
    name: String,
    icon: String,
    value: u32,
}

impl Gifts {
    pub(super) fn catalogue(&self) -> List<Gift<'_>> {
        self.catalogue
            .iter()
            .map(|Kept { id, name, icon, value }| Gift { id: *id, name, icon, value: *value })
            .collect()
    }

    pub(super) fn set(&mut self, gifts: &[Gift<'_>]) -> Result<(), Reason> {
        if gifts.len() > limits::CATALOGUE {
            return Err(Reason::OutOfRange);
        }
        let mut catalogue: Vec<Kept> = Vec::new();
        for gift in gifts {
            if catalogue.iter().any(|other| other.id == gift.id) {
                return Err(Reason::OutOfRange);
            }
            let name = clean(gift.name, limits::NAME_GRAPHEMES)?.into_owned();
            let icon = clean(gift.icon, limits::NAME_GRAPHEMES)?.into_owned();
            catalogue.push(Kept { id: gift.id, name, icon, value: gift.value });
        }
        self.catalogue = catalogue;
        Ok(())
    }

    pub(super) fn counts(&self) -> List<(GiftId, u64)> {
        self.counts.iter().map(|(gift, count)| (*gift, *count)).collect()
    }

    fn value(&self, gift: GiftId) -> Option<u32> {
        self.catalogue.iter().find(|kept| kept.id == gift).map(|kept| kept.value)
    }

    /// Drops old keys.
    pub(super) fn sweep(&mut self, now: Micros) {
        while let Some((at, fan, key)) = self.order.front().copied()
            && now - at >= KEEP_KEY
        {
            self.order.pop_front();
            self.keys.remove(&(fan, key));
        }
    }

    pub(super) fn forget(&mut self, fan: FanId) {
        self.keys.retain(|(other, _), _| *other != fan);
        self.order.retain(|(_, other, _)| *other != fan);
    }
}

impl Root {
    pub(super) fn gift(
        &mut self,
        at: u32,
        gift: GiftId,
        count: u16,
        key: u64,
        fx: &mut Effects<'_>,
    ) -> Result<(), Reason> {
        let value = self.gifts.value(gift).ok_or(Reason::NotFound)?;
        if !(1..=limits::GIFTS).contains(&count) {
            return Err(Reason::OutOfRange);
        }
        let fan = &mut self.people.fans[at];
        if self.gifts.keys.contains_key(&(fan.id, key)) {
            return Err(Reason::AlreadyCounted);
        }
        if self.gifts.keys.len() >= MAX_KEYS {
            return Err(Reason::Busy { retry_ms: 60_000 });
        }
        self.gifts.keys.insert((fan.id, key), self.now);
        self.gifts.order.push_back((self.now, fan.id, key));
        *self.gifts.counts.entry(gift).or_default() += u64::from(count);
        fan.gifts = fan.gifts.saturating_add(u64::from(value) * u64::from(count));
        self.top_gifters.record(fan.id, fan.gifts);
        self.rates.count(Counted::Gifts, count.into());
        let author = Author { fan: fan.id, name: &fan.name, role: fan.role() };
        let id = self.chat.gifted(&author, self.now, (gift, count), fx);
        let Author { fan, name, .. } = author;
        fx.archive(Row::Gifted { id, at: self.now, fan, name, gift, count, value, key });
        Ok(())
    }
}
