//! Applies fans' acts, one message at a time.

use wire::worker::Row;
use wire::{Act, Micros, Reason, Role, Say, Screen, Standing, limits};

use super::Root;
use super::chat::Author;
use super::outcomes::Outcome;
use super::poll::Address;
use crate::effects::Effects;
use crate::tally::Counted;

/// Tolerance for the difference between two edges' clocks, where slow mode compares them.
const CLOCKS: Micros = Micros::from_secs(1);

/// An edge's part in an act.
pub(super) struct Made {
    /// Time of the act, by the edge's clock.
    pub(super) at: Micros,
    pub(super) screen: Screen,
    /// The address of a stranger who votes.
    pub(super) address: Option<Address>,
}

impl Root {
    /// Applies one act of a fan.
    #[inline]
    pub(super) fn act(&mut self, at: u32, made: &Made, act: &Act<'_>, fx: &mut Effects<'_>) -> Outcome {
        let fan = &mut self.people.fans[at];
        fan.last = self.now;
        if fan.standing != Standing::Clear {
            match fan.standing(self.now) {
                Standing::Clear => {}
                Standing::TimedOut { until } => {
                    return Outcome::Rejected(Reason::TimedOut { retry_ms: (until - self.now).wait_ms() });
                }
                Standing::Banned => return Outcome::Rejected(Reason::Banned),
            }
        }
        let role = fan.role();
        if let Err(reason) = fan.pace.take((self.now, made.at), act, role, &self.limits) {
            return Outcome::Rejected(reason);
        }
        if fan.named_here && matches!(act, Act::Say(_) | Act::Ask { .. } | Act::Gift { .. }) {
            self.people.free_reserved_name(at);
        }
        let done = match act {
            Act::Cheer { kind, count } => self.cheer(at, *kind, *count),
            Act::Say(say) => return self.say(at, made, say, fx).unwrap_or_else(Outcome::Rejected),
            Act::Gift { gift, count, key } => self.gift(at, *gift, *count, *key, fx),
            Act::Vote { poll, option } => self.vote((at, made.address), (*poll, *option), fx),
            Act::Ask { text } => self.ask(at, text, fx),
            Act::Upvote { question } => self.upvote(at, *question),
            Act::Moderate(act) => self.moderate(Some(at), act, fx),
            Act::Rename { name } => self.rename(at, name),
        };
        match done {
            Ok(()) => Outcome::Taken,
            Err(reason) => Outcome::Rejected(reason),
        }
    }

    #[inline]
    fn cheer(&mut self, at: u32, kind: u8, count: u16) -> Result<(), Reason> {
        let total = self.counts.cheers.get_mut(usize::from(kind)).ok_or(Reason::OutOfRange)?;
        if !(1..=limits::CHEERS).contains(&count) {
            return Err(Reason::OutOfRange);
        }
        *total += u64::from(count);
        let fan = &mut self.people.fans[at];
        fan.cheers += u64::from(count);
        self.top_cheerers.record(fan.id, fan.cheers);
        self.rates.count(Counted::Cheers, count.into());
        Ok(())
    }

    fn say(&mut self, at: u32, made: &Made, say: &Say<'_>, fx: &mut Effects<'_>) -> Result<Outcome, Reason> {
        let fan = &mut self.people.fans[at];
        if say.text.len() > limits::TEXT || say.mentions.len() > limits::MENTIONS {
            return Err(Reason::OutOfRange);
        }
        // Two leaves that serve the same fan can each take a line for the first in a long time: check again
        // here.
        let slow = Micros::from_secs(self.stage.modes().slow_seconds.into());
        let since = made.at - fan.said_at;
        if fan.role() == Role::Fan && since + CLOCKS < slow {
            return Err(Reason::SlowMode { retry_ms: (slow - since).wait_ms() });
        }
        let strangers = fan.anonymous.then_some(&mut self.added.stranger_says);
        self.chat.take_rate(self.now, self.limits.room_says, strangers)?;
        fan.said_at = made.at;
        let fan = &self.people.fans[at];
        let author = Author { fan: fan.id, name: &fan.name, role: fan.role() };
        let danmaku =
            say.danmaku.and_then(|danmaku| self.chat.take_lane(danmaku, self.now, self.limits.lane));
        let line = self.chat.line(author, self.now, say, danmaku);
        if fan.shadow {
            fx.archive(row(&line, wire::worker::Seen::Author));
            return Ok(Outcome::Said(line.id));
        }
        if made.screen == Screen::Hold {
            let review = self.chat.hold(&line, |fan| self.people.is_stranger(fan))?;
            wire::put(&mut self.announced, &wire::Down::Moderators(review));
            fx.archive(row(&line, wire::worker::Seen::Held));
            return Ok(Outcome::Held);
        }
        fx.archive(row(&line, wire::worker::Seen::Everyone));
        let id = line.id;
        self.chat.publish(&line, fx);
        self.counts.says += 1;
        self.rates.count(Counted::Says, 1);
        Ok(Outcome::Said(id))
    }

    fn rename(&mut self, at: u32, name: &str) -> Result<(), Reason> {
        let fan = &self.people.fans[at];
        if !fan.anonymous {
            return Err(Reason::NotAllowed);
        }
        if name.is_empty() || name.len() > limits::NAME {
            return Err(Reason::OutOfRange);
        }
        if self.people.is_reserved(name, fan.id) {
            return Err(Reason::NotAllowed);
        }
        if name.len() > fan.name.len() && !self.people.has_space(at) {
            return Err(Reason::Busy { retry_ms: 60_000 });
        }
        self.people.fans[at].named_here = true;
        self.people.rename(at, name);
        self.people.reserve_name(at);
        Ok(())
    }
}

/// Returns a chat line as a row for the archive.
pub(super) fn row<'a>(line: &wire::Line<'a>, seen: wire::worker::Seen) -> Row<'a> {
    let wire::Line { id, at, fan, name, text, reply, .. } = *line;
    Row::Said { id, at, fan, name, text, reply, seen }
}
