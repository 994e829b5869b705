//! The pulse: publishes the room's numbers a few times a second.

use serde::{Deserialize, Serialize};
use wire::worker::Group;
use wire::{FanId, List, Micros, Pulse, Top, Track, TrackItem};

use super::Root;
use crate::Rate;
use crate::bucket::Bucket;
use crate::effects::Effects;
use crate::tally;

/// Rate of pulses while fans cheer, give and vote, so that they see the effect at once.
const COUNTS: Rate = Rate { every: Micros::from_millis(250), burst: 3 };
/// Time between two pulses while only the other numbers change.
const SLOW: Micros = Micros::from_secs(1);
/// Time between two pulses while no number changes.
const IDLE: Micros = Micros::from_secs(5);

/// Time and content of the last pulse.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Pulses {
    at: Option<Micros>,
    /// The last pulse, without its time.
    last: Vec<u8>,
    /// The counts that fans cause, with viewers and uniques, and without any other number.
    counts: Vec<u8>,
    bucket: Bucket,
}

impl Pulses {
    /// Marks the track as without a group: the next tick opens one.
    pub(super) fn reopen(&mut self) {
        self.at = None;
    }
}

impl Root {
    pub(super) fn pulse(&mut self, fx: &mut Effects<'_>) {
        let since = self.pulses.at.map(|at| self.now - at);
        let mut pulse = self.numbers();
        let said = wire::packet(&pulse);
        let counts = wire::packet(&Pulse {
            viewers: pulse.viewers,
            uniques: pulse.uniques,
            cheers: pulse.cheers.clone(),
            gifts: pulse.gifts.clone(),
            poll: pulse.poll.clone(),
            questions: pulse.questions.clone(),
            ..Pulse::default()
        });
        let wait = if said == self.pulses.last { IDLE } else { SLOW };
        let is_due = since.is_none_or(|since| since >= wait);
        let is_news = counts != self.pulses.counts;
        pulse.at = self.now;
        let mut object = Vec::new();
        wire::start(&mut object);
        if let Some(strangers) = self.polls.of_strangers(&self.strangers) {
            wire::put(&mut object, &TrackItem::Strangers(strangers));
        }
        wire::put(&mut object, &TrackItem::Pulse(pulse));
        let goes_out = is_due || is_news && self.pulses.bucket.take(self.now, 1, COUNTS).is_ok();
        if !goes_out {
            return;
        }
        fx.publish(Track::Pulse, Group::New, &object);
        (self.pulses.last, self.pulses.counts) = (said, counts);
        self.pulses.at = Some(self.now);
    }

    fn numbers(&self) -> Pulse<'_> {
        let time = self.tally.time();
        let latencies = self.tally.latencies();
        let here = self.edges.iter().filter(|(_, edge)| edge.is_here());
        let cheers = &self.counts.cheers;
        let kinds = cheers.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        let by = |amount: u64, unit: u64| amount.checked_div(unit).unwrap_or(0);
        Pulse {
            at: Micros(0),
            viewers: here.fold(0, |sum: u32, (id, _)| sum.saturating_add(self.tally.viewers(*id))),
            uniques: self.tally.uniques.estimate(),
            says: self.counts.says,
            cheers: cheers[..kinds].iter().copied().collect(),
            gifts: self.gifts.counts(),
            rates: self.rates.last_ten_seconds(),
            poll: self.polls.result(),
            questions: self.questions.votes(),
            top_cheerers: self.named(&self.top_cheerers),
            top_gifters: self.named(&self.top_gifters),
            total_seconds: time.total_ms / 1000,
            watched_seconds: time.watched_ms / 1000,
            activity_permille: by(time.active_ms.saturating_mul(1000), time.total_ms).min(1000) as u16,
            interactions_per_1000_minutes: by(
                self.counts.interactions.saturating_mul(60_000 * 1000),
                time.total_ms,
            ),
            latency_p50_ms: latencies.quantile(500),
            latency_p99_ms: latencies.quantile(990),
        }
    }

    fn named(&self, top: &tally::Top) -> List<Top<'_>> {
        let name = |fan: FanId| self.people.find(fan).map_or("", |at| &self.people.fans[at].name);
        top.iter().map(|(amount, fan)| Top { fan, name: name(fan), amount }).collect()
    }
}
