//! The chat: lines in their order, each once, even if groups are skipped.

use wire::{ChatId, Error, FanId, Frame, Frames, TrackItem};

use super::view::{self, Change};

/// Largest number of lines that are remembered.
pub(super) const LINES: usize = 500;

/// The lines of the chat that the page has.
///
/// Objects mostly come in the order of their groups, and groups may be skipped. The first object of a group has the
/// recent lines: a line that we have of that time and that is not among them was deleted.
#[derive(Debug, Default)]
pub struct Chat {
    /// The lines and gifts, in their order.
    known: Vec<(ChatId, Known)>,
    /// The oldest number that is remembered; earlier lines are ignored.
    floor: ChatId,
    /// The newest group, and the range of numbers that its first object covers.
    group: Option<(u64, ChatId, ChatId)>,
}

/// The remembered kind of a line or gift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Line(FanId),
    Gift,
}

impl Chat {
    /// Begins a new subscription, whose first group is authoritative.
    pub fn subscribed(&mut self) {
        self.group = None;
    }

    /// Handles an object. Returns the change for the page, if any.
    pub fn object(&mut self, group: u64, object: u64, payload: &[u8]) -> Result<Option<String>, Error> {
        let mut items = Vec::new();
        for item in Frames::<TrackItem<'_>>::new(payload)? {
            if let Frame::Known(item) = item? {
                items.push(item);
            }
        }
        let mut change = Change::default();
        if object == 0 && self.group.is_none_or(|(newest, ..)| newest < group) {
            self.open(group, &items, &mut change);
        }
        let is_old = self.group.is_some_and(|(newest, ..)| group < newest);
        for item in &items {
            self.item(item, is_old, &mut change);
        }
        self.forget();
        change.lines.retain(|line| line.id >= self.floor.0);
        Ok((!change.is_empty()).then(|| view::json(&change)))
    }

    /// Handles the first object of a group, which has the recent lines.
    fn open(&mut self, group: u64, items: &[TrackItem<'_>], change: &mut Change<'_>) {
        let said = |item: &TrackItem<'_>| match item {
            TrackItem::Said(line) => Some(line.id),
            _ => None,
        };
        let there = |id: ChatId| items.iter().any(|item| said(item) == Some(id));
        // Without any line in the object, there are no recent lines.
        let first = items.iter().filter_map(said).min().unwrap_or_default();
        let newest = self.known.last().map_or(ChatId(0), |(id, _)| *id);
        let last = items.iter().filter_map(said).max().unwrap_or(newest);
        self.take_back(change, &|id, known| {
            matches!(known, Known::Line(_)) && (first..=last).contains(&id) && !there(id)
        });
        self.group = Some((group, first, last));
    }

    fn item<'a>(&mut self, item: &'a TrackItem<'a>, is_old: bool, change: &mut Change<'a>) {
        match item {
            TrackItem::Said(line) => {
                // The newer group does not have these lines any more: they were deleted.
                let gone =
                    is_old && self.group.is_some_and(|(_, first, last)| (first..=last).contains(&line.id));
                if !gone && self.learn(line.id, Known::Line(line.fan)) {
                    change.lines.push(view::Line::from(line));
                }
            }
            TrackItem::Gifted { id, at, fan, name, gift, count } => {
                if self.learn(*id, Known::Gift) {
                    let (id, at, fan, gift) = (id.0, at.as_millis(), view::Hex(fan.0), gift.0.into());
                    change.gifts.push(view::Given { id, at, fan, name, gift, count: (*count).into() });
                }
            }
            TrackItem::Deleted(deleted) => self.take_back(change, &|id, _| id == *deleted),
            TrackItem::Purged(fan) => self.take_back(change, &|_, known| known == Known::Line(*fan)),
            TrackItem::Pulse(_) | TrackItem::Stage(_) | TrackItem::Strangers(_) => {}
        }
    }

    /// Remembers a line or gift; returns whether it is new.
    fn learn(&mut self, id: ChatId, what: Known) -> bool {
        let place = self.known.partition_point(|(other, _)| *other < id);
        let is_news = id >= self.floor && self.known.get(place).is_none_or(|(other, _)| *other != id);
        if is_news {
            self.known.insert(place, (id, what));
        }
        is_news
    }

    fn take_back(&mut self, change: &mut Change<'_>, gone: &dyn Fn(ChatId, Known) -> bool) {
        self.known.retain(|(id, known)| {
            let gone = gone(*id, *known);
            if gone {
                change.lines.retain(|line| line.id != id.0);
                change.deleted.push(id.0);
            }
            !gone
        });
    }

    fn forget(&mut self) {
        let many = self.known.len().saturating_sub(LINES);
        if let Some((id, _)) = self.known.drain(..many).next_back() {
            self.floor = ChatId(id.0 + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wire::{Line, Micros};

    use super::*;

    fn said(id: u64) -> TrackItem<'static> {
        TrackItem::Said(Line { id: ChatId(id), fan: FanId(id % 2), text: "hello", ..Line::default() })
    }

    fn packet(items: &[TrackItem<'_>]) -> Vec<u8> {
        let mut packet = Vec::new();
        wire::start(&mut packet);
        for item in items {
            wire::put(&mut packet, item);
        }
        packet
    }

    /// Applies an object; returns the lines that appear and those that disappear.
    fn after(chat: &mut Chat, at: (u64, u64), items: &[TrackItem<'_>]) -> (Vec<u64>, Vec<u64>) {
        let Some(json) = chat.object(at.0, at.1, &packet(items)).unwrap() else { return Default::default() };
        let change: Value = serde_json::from_str(&json).unwrap();
        let ids = |list: &Value, of: &dyn Fn(&Value) -> Value| {
            list.as_array().unwrap().iter().map(|item| of(item).as_u64().unwrap()).collect()
        };
        (ids(&change["lines"], &|line| line["id"].clone()), ids(&change["deleted"], &Value::clone))
    }

    #[test]
    fn each_line_comes_once() {
        let mut chat = Chat::default();
        assert_eq!(after(&mut chat, (1, 0), &[said(1), said(2)]), (vec![1, 2], vec![]));
        assert_eq!(after(&mut chat, (1, 1), &[said(3)]), (vec![3], vec![]));
        assert_eq!(after(&mut chat, (2, 0), &[said(2), said(3)]), (vec![], vec![]));
        chat.subscribed();
        assert_eq!(after(&mut chat, (1, 0), &[said(2), said(3), said(4)]), (vec![4], vec![]));
    }

    #[test]
    fn what_was_taken_back_goes() {
        let mut chat = Chat::default();
        after(&mut chat, (1, 0), &[said(1), said(2), said(3), said(4), said(5)]);
        assert_eq!(after(&mut chat, (1, 1), &[TrackItem::Deleted(ChatId(2))]), (vec![], vec![2]));
        assert_eq!(after(&mut chat, (1, 2), &[TrackItem::Purged(FanId(1))]), (vec![], vec![1, 3, 5]));
        assert_eq!(after(&mut chat, (1, 3), &[TrackItem::Purged(FanId(1))]), (vec![], vec![]));
        assert_eq!(after(&mut chat, (1, 3), &[said(6), TrackItem::Deleted(ChatId(6))]), (vec![], vec![6]));
    }

    #[test]
    fn what_was_taken_back_in_a_group_that_is_skipped_goes_too() {
        let mut chat = Chat::default();
        after(&mut chat, (1, 0), &[said(1), said(2), said(3), said(4)]);
        assert_eq!(
            after(&mut chat, (5, 0), &[said(2), said(4), said(9)]),
            (vec![9], vec![3]),
            "1 is too old to be there"
        );
        assert_eq!(after(&mut chat, (4, 7), &[said(3), said(8)]), (vec![], vec![]), "late, and gone since");
        assert_eq!(after(&mut chat, (6, 0), &[]), (vec![], vec![1, 2, 4, 9]), "nothing is left");
        assert_eq!(after(&mut chat, (6, 1), &[said(10)]), (vec![10], vec![]));
    }

    #[test]
    fn gifts_come_once_and_stay() {
        let mut chat = Chat::default();
        let gift = TrackItem::Gifted {
            id: ChatId(2),
            at: Micros(5_000),
            fan: FanId(u64::MAX),
            name: "<b>",
            gift: wire::GiftId(1),
            count: 3,
        };
        let json = chat.object(1, 1, &packet(std::slice::from_ref(&gift))).unwrap().unwrap();
        let expected = json!({ "lines": [], "deleted": [], "gifts": [
            { "id": 2, "at": 5, "fan": "ffffffffffffffff", "name": "<b>", "gift": 1, "count": 3 }] });
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), expected);
        assert_eq!(chat.object(1, 1, &packet(&[gift])), Ok(None));
        assert_eq!(after(&mut chat, (2, 0), &[said(1), said(3)]), (vec![1, 3], vec![]));
    }

    #[test]
    fn memory_is_bounded() {
        let mut chat = Chat::default();
        for id in 1..=2_000 {
            assert_eq!(after(&mut chat, (1, id), &[said(id)]).0, [id]);
        }
        assert_eq!(chat.known.len(), LINES);
        assert_eq!(
            after(&mut chat, (2, 0), &[said(3), said(1_999)]),
            (vec![], (1_501..2_000).filter(|id| *id != 1_999).collect())
        );
        assert_eq!(after(&mut chat, (2, 1), &[said(4)]), (vec![], vec![]), "older than what is known");
    }

    #[test]
    fn what_is_no_packet_changes_nothing() {
        let mut chat = Chat::default();
        assert!(chat.object(1, 0, &[1, 9, 0]).is_err());
        assert!(chat.object(1, 0, &[]).is_err());
        assert_eq!(after(&mut chat, (1, 0), &[said(1)]).0, [1]);
    }
}
