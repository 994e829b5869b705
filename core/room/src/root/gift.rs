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
/// Keys remembered of all fans with a name, and of all strangers, at most: beyond that the oldest go. So however
/// many keys strangers use up, fans with a name are protected from giving a gift twice.
const MAX_KEYS: usize = 30_000;
/// Keys remembered of one fan, at most: as many as a client has messages in doubt.
const MAX_KEYS_OF_A_FAN: usize = limits::UNACKED as usize;

/// The catalogue, and the gifts given.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Gifts {
    catalogue: Vec<Kept>,
    counts: BTreeMap<GiftId, u64>,
    keys: BTreeMap<(FanId, u64), Micros>,
    /// Keys of gifts of fans with a name, oldest first. A key that went before its time is still here.
    order: Order,
}

/// Keys of gifts, oldest first.
type Order = VecDeque<(Micros, FanId, u64)>;

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

    /// Remembers a key for a day. If there are too many, the oldest goes: of this fan, or of all in `order`.
    fn remember(&mut self, now: Micros, key: (FanId, u64), order: Option<&mut Order>) {
        let of_fan = self.keys.range((key.0, 0)..=(key.0, u64::MAX));
        if of_fan.clone().count() >= MAX_KEYS_OF_A_FAN
            && let Some(oldest) = of_fan.min_by_key(|(_, at)| **at).map(|(key, _)| *key)
        {
            self.keys.remove(&oldest);
        }
        let order = order.unwrap_or(&mut self.order);
        if order.len() >= MAX_KEYS {
            drop_oldest(order, &mut self.keys);
        }
        order.push_back((now, key.0, key.1));
        self.keys.insert(key, now);
    }

    /// Drops old keys.
    pub(super) fn sweep(&mut self, now: Micros, strangers: &mut Order) {
        for order in [&mut self.order, strangers] {
            while order.front().is_some_and(|(at, ..)| now - *at >= KEEP_KEY) {
                drop_oldest(order, &mut self.keys);
            }
        }
    }

    /// Brings the times of keys back to `now`.
    pub(super) fn set_back(&mut self, now: Micros) {
        self.keys
            .values_mut()
            .chain(self.order.iter_mut().map(|(at, ..)| at))
            .for_each(|at| *at = (*at).min(now));
    }

    pub(super) fn forget(&mut self, fan: FanId, strangers: &mut Order) {
        self.keys.retain(|(other, _), _| *other != fan);
        for order in [&mut self.order, strangers] {
            order.retain(|(_, other, _)| *other != fan);
        }
    }
}

fn drop_oldest(order: &mut Order, keys: &mut BTreeMap<(FanId, u64), Micros>) {
    if let Some((at, fan, key)) = order.pop_front()
        && keys.get(&(fan, key)) == Some(&at)
    {
        keys.remove(&(fan, key));
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
        let strangers = fan.anonymous.then_some(&mut self.added.stranger_keys);
        self.gifts.remember(self.now, (fan.id, key), strangers);
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
