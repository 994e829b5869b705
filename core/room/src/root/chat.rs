//! Chat lines: their order, those held for moderators, and the chat track.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use wire::worker::Group;
use wire::{
    ChatId, Danmaku, FanId, Frame, Frames, GiftId, Lane, Line, Micros, Reason, Review, Role, Say, Track,
    TrackItem, limits,
};

use crate::Rate;
use crate::bucket::Bucket;
use crate::effects::Effects;

/// Recent chat lines kept, to open groups with and to look up authors.
const RECENT: usize = 500;
/// Chat lines held for moderators, at most, and their bytes, of which strangers have half: each moderator who
/// joins gets all of them.
const MAX_HELD: usize = 200;
const HELD_BYTES: usize = 128 * 1024;
/// Objects after which a group of the chat track ends.
const GROUP_OBJECTS: u32 = 200;
/// Age at which a group of the chat track ends, so that a new reader has little to catch up on.
const GROUP_TIME: Micros = Micros::from_secs(15);
/// Least age of a group that ends because something was taken back.
const RENEW_AFTER: Micros = Micros::from_secs(1);
/// Groups that begin after something was taken back: relays keep two groups of the chat.
const RENEWALS: u8 = 2;
/// Bytes of what was taken back that a new group repeats, at most.
const TAKEN_BACK: usize = 16 * 1024;
/// Length at which an object is closed, so that the longest line still fits.
const LONG: usize = limits::OBJECT - 4 * 1024;

/// Chat lines of a room.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Chat {
    /// The number of the next line.
    next: u64,
    recent: VecDeque<Kept>,
    held: BTreeMap<ChatId, Kept>,
    /// Items of the next object.
    pending: Vec<u8>,
    /// True while the track has no group.
    is_closed: bool,
    group_objects: u32,
    group_opened: Micros,
    /// Time until which a danmaku has each lane to itself.
    lanes: [Micros; limits::LANES as usize],
    rate: Bucket,
}

/// Groups of the chat track that are still to begin, so that no relay keeps a group with what was taken back.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Renewal {
    groups: u8,
    /// Items that take something back, repeated for readers who missed the end of an earlier group.
    items: Vec<u8>,
}

impl Renewal {
    fn begin(&mut self, item: &TrackItem<'_>) {
        if self.items.len() >= TAKEN_BACK {
            self.items.clear();
        }
        wire::put(&mut self.items, item);
        self.groups = RENEWALS;
    }
}

/// A chat line as an encoded packet.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    id: ChatId,
    fan: FanId,
    packet: Vec<u8>,
}

/// Author of a chat line.
pub(super) struct Author<'a> {
    pub(super) fan: FanId,
    pub(super) name: &'a str,
    pub(super) role: Role,
}

impl Default for Chat {
    fn default() -> Self {
        Self {
            next: 1,
            recent: VecDeque::new(),
            held: BTreeMap::new(),
            pending: Vec::new(),
            is_closed: true,
            group_objects: 0,
            group_opened: Micros(0),
            lanes: [Micros(0); limits::LANES as usize],
            rate: Bucket::default(),
        }
    }
}

impl Kept {
    fn new(line: &Line<'_>) -> Self {
        Self { id: line.id, fan: line.fan, packet: wire::packet(&TrackItem::Said(line.clone())) }
    }

    fn line(&self) -> Option<Line<'_>> {
        match Frames::<TrackItem<'_>>::new(&self.packet).ok()?.next()? {
            Ok(Frame::Known(TrackItem::Said(line))) => Some(line),
            _ => None,
        }
    }

    fn review(&self) -> Option<Review<'_>> {
        let Line { id, at, fan, name, text, .. } = self.line()?;
        Some(Review::Held { chat: id, at, fan, name, text })
    }
}

impl Chat {
    /// Lets the lanes be free, and the group have begun, at `now` at the latest.
    pub(super) fn set_back(&mut self, now: Micros) {
        for at in self.lanes.iter_mut().chain([&mut self.group_opened]) {
            *at = (*at).min(now);
        }
    }

    /// Marks the track as without a group: the next object opens one.
    pub(super) fn reopen(&mut self) {
        self.is_closed = true;
    }

    /// Takes one line of everybody's rate, and of `strangers`, who have half of it, if the line is a stranger's.
    pub(super) fn take_rate(
        &mut self,
        now: Micros,
        rate: Rate,
        strangers: Option<&mut Bucket>,
    ) -> Result<(), Reason> {
        let half = Rate { every: rate.every + rate.every, burst: rate.burst.div_ceil(2) };
        let of_strangers = strangers.map_or(Ok(()), |bucket| bucket.take(now, 1, half));
        let taken = of_strangers.and_then(|()| self.rate.take(now, 1, rate));
        taken.map_err(|wait| Reason::Busy { retry_ms: wait.wait_ms() })
    }

    fn take_id(&mut self) -> ChatId {
        self.next += 1;
        ChatId(self.next - 1)
    }

    /// Assigns the danmaku a free lane, if there is one.
    pub(super) fn take_lane(&mut self, danmaku: Danmaku, now: Micros, time: Micros) -> Option<Danmaku> {
        let lane = match danmaku.lane {
            Lane::At(lane) => lane,
            Lane::Any => (0..limits::LANES).min_by_key(|lane| self.lanes[usize::from(*lane)])?,
        };
        let until = self.lanes.get_mut(usize::from(lane))?;
        if *until > now {
            return None;
        }
        *until = now + time;
        Some(Danmaku { lane: Lane::At(lane), ..danmaku })
    }

    /// Gives a fan's message its number in the room's order, as a chat line.
    pub(super) fn line<'a>(
        &mut self,
        author: Author<'a>,
        at: Micros,
        say: &Say<'a>,
        danmaku: Option<Danmaku>,
    ) -> Line<'a> {
        let Author { fan, name, role } = author;
        let reply = say.reply.filter(|reply| (1..self.next).contains(&reply.0));
        let mentions = say.mentions.clone();
        Line { id: self.take_id(), at, fan, name, role, text: say.text, reply, mentions, danmaku }
    }

    pub(super) fn publish(&mut self, line: &Line<'_>, fx: &mut Effects<'_>) {
        let kept = if self.recent.len() >= RECENT { self.recent.pop_front() } else { None };
        // The newest line reuses the memory of the oldest.
        let mut packet = kept.map(|kept| kept.packet).unwrap_or_default();
        packet.clear();
        wire::start(&mut packet);
        wire::put(&mut packet, &TrackItem::Said(line.clone()));
        self.pending.extend_from_slice(&packet[1..]);
        self.recent.push_back(Kept { id: line.id, fan: line.fan, packet });
        self.flush_if_long(fx);
    }

    fn item(&mut self, item: &TrackItem<'_>, fx: &mut Effects<'_>) {
        wire::put(&mut self.pending, item);
        self.flush_if_long(fx);
    }

    fn flush_if_long(&mut self, fx: &mut Effects<'_>) {
        if self.pending.len() >= LONG {
            self.flush(fx);
            // Without a group the track has no readers: new ones receive the recent lines.
            self.pending.clear();
        }
    }

    pub(super) fn gifted(
        &mut self,
        author: &Author<'_>,
        at: Micros,
        (gift, count): (GiftId, u16),
        fx: &mut Effects<'_>,
    ) -> ChatId {
        let id = self.take_id();
        self.item(&TrackItem::Gifted { id, at, fan: author.fan, name: author.name, gift, count }, fx);
        id
    }

    /// Holds a line for a moderator, unless there are too many; `is_stranger` tells of whom.
    pub(super) fn hold<'a>(
        &mut self,
        line: &Line<'a>,
        is_stranger: impl Fn(FanId) -> bool,
    ) -> Result<Review<'a>, Reason> {
        let is_full = |part: usize, of: &dyn Fn(FanId) -> bool| {
            let (mut lines, mut bytes) = (0, 0);
            for kept in self.held.values().filter(|kept| of(kept.fan)) {
                (lines, bytes) = (lines + 1, bytes + kept.packet.len());
            }
            lines >= MAX_HELD / part || bytes >= HELD_BYTES / part
        };
        if is_full(1, &|_| true) || is_stranger(line.fan) && is_full(2, &is_stranger) {
            return Err(Reason::Busy { retry_ms: 60_000 });
        }
        self.held.insert(line.id, Kept::new(line));
        Ok(Review::Held { chat: line.id, at: line.at, fan: line.fan, name: line.name, text: line.text })
    }

    pub(super) fn each_held(&self, mut each: impl FnMut(Review<'_>)) {
        for review in self.held.values().filter_map(Kept::review) {
            each(review);
        }
    }

    /// Publishes a held line under a new number. Passes that line to `then` first.
    pub(super) fn approve(
        &mut self,
        id: ChatId,
        now: Micros,
        fx: &mut Effects<'_>,
        then: impl FnOnce(&Line<'_>, &mut Effects<'_>),
    ) -> Result<(), Reason> {
        let kept = self.held.remove(&id).ok_or(Reason::NotFound)?;
        let line = kept.line().ok_or(Reason::NotFound)?;
        let line = Line { id: self.take_id(), at: now, danmaku: None, ..line };
        then(&line, fx);
        self.publish(&line, fx);
        Ok(())
    }

    pub(super) fn refuse(&mut self, id: ChatId) -> Result<(), Reason> {
        self.held.remove(&id).map(drop).ok_or(Reason::NotFound)
    }

    /// Returns the author of a line that is still kept.
    pub(super) fn author(&self, id: ChatId) -> Option<FanId> {
        let recent = self.recent.binary_search_by_key(&id, |kept| kept.id).ok().map(|at| self.recent[at].fan);
        recent.or_else(|| self.held.get(&id).map(|kept| kept.fan))
    }

    /// Returns whether a line had this number.
    pub(super) fn existed(&self, id: ChatId) -> bool {
        (1..self.next).contains(&id.0)
    }

    /// Returns the packet of a line that is still kept.
    pub(super) fn packet(&self, id: ChatId) -> Option<&[u8]> {
        let at = self.recent.binary_search_by_key(&id, |kept| kept.id).ok()?;
        Some(&self.recent[at].packet)
    }

    /// Announces that something is taken back, and lets the groups that have it end.
    fn take_back(&mut self, item: &TrackItem<'_>, renewal: &mut Renewal, fx: &mut Effects<'_>) {
        renewal.begin(item);
        if self.is_closed {
            self.pending.clear();
        }
        self.item(item, fx);
    }

    pub(super) fn delete(&mut self, id: ChatId, renewal: &mut Renewal, fx: &mut Effects<'_>) {
        if let Ok(at) = self.recent.binary_search_by_key(&id, |kept| kept.id) {
            self.recent.remove(at);
        }
        self.take_back(&TrackItem::Deleted(id), renewal, fx);
    }

    /// Takes back all lines of a fan; returns the numbers of those that were held.
    pub(super) fn purge(&mut self, fan: FanId, renewal: &mut Renewal, fx: &mut Effects<'_>) -> Vec<ChatId> {
        self.recent.retain(|kept| kept.fan != fan);
        let held: Vec<ChatId> =
            self.held.iter().filter(|(_, kept)| kept.fan == fan).map(|(id, _)| *id).collect();
        for id in &held {
            self.held.remove(id);
        }
        self.take_back(&TrackItem::Purged(fan), renewal, fx);
        held
    }

    pub(super) fn tick(&mut self, now: Micros, history: usize, renewal: &mut Renewal, fx: &mut Effects<'_>) {
        let age = now - self.group_opened;
        let old = self.group_objects >= GROUP_OBJECTS
            || (self.group_objects > 1 && age >= GROUP_TIME)
            || (renewal.groups > 0 && age >= RENEW_AFTER);
        if !self.is_closed {
            self.flush(fx);
        }
        if self.is_closed || old {
            self.open(now, history, fx);
            if let Some(left) = renewal.groups.checked_sub(1) {
                // Pending is what came before there was a group: an object of its own.
                let pending = std::mem::replace(&mut self.pending, renewal.items.clone());
                self.flush(fx);
                self.pending = pending;
                renewal.groups = left;
                if left == 0 {
                    renewal.items = Vec::new();
                }
            }
            self.flush(fx);
        }
    }

    /// Publishes the pending items, if there is a group.
    fn flush(&mut self, fx: &mut Effects<'_>) {
        if self.pending.is_empty() || self.is_closed {
            return;
        }
        let mut object = Vec::with_capacity(self.pending.len() + 1);
        wire::start(&mut object);
        object.append(&mut self.pending);
        self.group_objects += 1;
        fx.publish(Track::Chat, Group::Same, &object);
    }

    /// Opens a group with the last lines.
    fn open(&mut self, now: Micros, history: usize, fx: &mut Effects<'_>) {
        let mut bytes = 0;
        let fits = |kept: &&Kept| {
            bytes += kept.packet.len();
            bytes < LONG
        };
        let shown = self.recent.iter().rev().take(history).take_while(fits).count();
        let mut object = Vec::new();
        wire::start(&mut object);
        for kept in self.recent.range(self.recent.len() - shown..) {
            object.extend_from_slice(&kept.packet[1..]);
        }
        fx.publish(Track::Chat, Group::New, &object);
        self.is_closed = false;
        self.group_objects = 1;
        self.group_opened = now;
    }
}
