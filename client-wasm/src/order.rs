//! Puts a track's objects in order, and leaves out what has become too late.
//!
//! Groups come on streams of their own, the newest may overtake the one before it, and a group that was joined in its
//! middle comes half by fetch and half by subscription. Objects leave in the order of their locations, each group from
//! its first object on. A group that does not go on when its successor is due is left for the successor.

use std::collections::BTreeMap;

use moqt::{Location, Micros};

/// Objects kept, at most.
pub const MAX_OBJECTS: usize = 4_096;
/// Bytes kept, at most.
pub const MAX_BYTES: usize = 32 << 20;
/// A group this much overdue is jumped to, even if the one before it goes on.
const OVERDUE: Micros = Micros::from_millis(250);

/// An object of a track, or a part of one that is to leave by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// Where it is in the track.
    pub location: Location,
    /// Which part of the object at that place it is, counted from zero; all parts come together.
    pub part: u32,
    /// Whether it is the last part.
    pub last: bool,
    /// When it was captured.
    pub media: Micros,
    /// Which subscription it came by; a later one replaces groups of an earlier one that have not begun.
    pub source: u32,
    /// How many bytes it holds.
    pub bytes: usize,
    /// The object.
    pub item: T,
}

/// The objects of one track, or of one rendition after the other.
#[derive(Debug)]
pub struct Order<T> {
    groups: BTreeMap<u64, Group<T>>,
    current: Option<Current>,
    objects: usize,
    bytes: usize,
    skipped: u64,
}

#[derive(Debug)]
struct Group<T> {
    source: u32,
    entries: BTreeMap<Place, Entry<T>>,
    /// No more will come.
    ended: bool,
}

/// An object in its group, and which part of it.
type Place = (u64, u32);

/// What a group starts with.
const START: Place = (0, 0);
/// What comes after all there can be.
const END: Place = (u64::MAX, 0);

/// The group that leaves, and what of it is next.
#[derive(Clone, Copy, Debug)]
struct Current {
    group: u64,
    next: Place,
}

impl<T> Default for Order<T> {
    fn default() -> Self {
        Self { groups: BTreeMap::new(), current: None, objects: 0, bytes: 0, skipped: 0 }
    }
}

impl<T> Order<T> {
    /// An object came.
    pub fn insert(&mut self, entry: Entry<T>) {
        let number = entry.location.group;
        let place = (entry.location.object, entry.part);
        let begun = self
            .current
            .is_some_and(|current| number < current.group || number == current.group && place < current.next);
        if begun {
            return;
        }
        let leaving = self.current.is_some_and(|current| current.group == number);
        let replaced = self.groups.get(&number).is_some_and(|group| group.source < entry.source);
        if replaced && (leaving || place > START) {
            return;
        }
        if replaced {
            self.remove(number);
        }
        let group = self.groups.entry(number).or_insert_with(|| Group {
            source: entry.source,
            entries: BTreeMap::new(),
            ended: false,
        });
        if group.source != entry.source || group.entries.contains_key(&place) {
            return;
        }
        self.objects += 1;
        self.bytes += entry.bytes;
        group.entries.insert(place, entry);
        self.keep_within_bounds();
    }

    /// No more objects of a group will come from a source.
    pub fn ended(&mut self, group: u64, source: u32) {
        match self.groups.get_mut(&group) {
            Some(group) if group.source == source => group.ended = true,
            Some(_) => {}
            // All of it has left, or none came: the next may follow.
            None => {
                if self.current.is_some_and(|current| current.group == group) {
                    let entries = BTreeMap::new();
                    self.groups.insert(group, Group { source, entries, ended: true });
                }
            }
        }
    }

    /// The next object, if it was captured up to `horizon`. `playhead` says what is due.
    pub fn pop(&mut self, playhead: Micros, horizon: Micros) -> Option<Entry<T>> {
        self.choose_group(playhead);
        let Current { group: number, next } = self.current?;
        let group = self.groups.get_mut(&number)?;
        let (place, entry) = group.entries.first_key_value()?;
        let (place, media) = (*place, entry.media);
        // A gap may yet be filled, unless what comes after it is due.
        let ready = place == next || group.ended || media <= playhead;
        if !ready || media > horizon {
            return None;
        }
        let entry = group.entries.remove(&place)?;
        self.objects -= 1;
        self.bytes -= entry.bytes;
        let (object, part) = place;
        let next = if entry.last { (object.saturating_add(1), 0) } else { (object, part.saturating_add(1)) };
        self.current = Some(Current { group: number, next });
        Some(entry)
    }

    /// When the next object was captured, if it is there.
    pub fn next_media(&self) -> Option<Micros> {
        let first = match self.current {
            Some(current) => self.groups.range(current.group..).find(|(_, group)| !group.entries.is_empty()),
            None => self.groups.last_key_value(),
        };
        first?.1.entries.first_key_value().map(|(_, entry)| entry.media)
    }

    /// Gives up the group that is leaving: what follows starts with the next one.
    pub fn skip_group(&mut self) {
        if let Some(current) = self.current {
            self.skipped += self.remove(current.group) as u64;
            self.current = Some(Current { group: current.group, next: END });
            self.groups
                .insert(current.group, Group { source: u32::MAX, entries: BTreeMap::new(), ended: true });
        }
    }

    /// Objects that were left out since the last time this was asked.
    pub fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }

    /// Starts over.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn choose_group(&mut self, playhead: Micros) {
        let Some(current) = self.current else {
            // The newest group that has its first object: the nearest to live there is.
            let newest = self.groups.iter().rev().find(|(_, group)| group.entries.contains_key(&START));
            if let Some(number) = newest.map(|(number, _)| *number) {
                self.move_to(number);
            }
            return;
        };
        let over = |group: Option<&Group<T>>| match group {
            Some(group) => group.ended && group.entries.is_empty(),
            // It was given up for want of room.
            None => current.next == END,
        };
        let stuck = self.groups.get(&current.group).is_none_or(|group| {
            group
                .entries
                .first_key_value()
                .is_none_or(|(place, entry)| *place != current.next && !group.ended && entry.media > playhead)
        });
        let later =
            (current.group.checked_add(1).map(|first| self.groups.range(first..)).into_iter().flatten())
                .filter_map(|(number, group)| group.entries.get(&START).map(|entry| (*number, entry.media)));
        let mut next = None;
        let mut due = None;
        for (number, media) in later {
            next = next.or(Some(number));
            let late_by = playhead - media;
            if media <= playhead && (stuck || late_by > OVERDUE) {
                due = Some(number);
            }
        }
        if let Some(number) = due {
            self.move_to(number);
        } else if over(self.groups.get(&current.group))
            && let Some(number) = next
        {
            self.move_to(number);
        }
    }

    fn move_to(&mut self, number: u64) {
        let left: Vec<u64> = self.groups.range(..number).map(|(number, _)| *number).collect();
        for group in left {
            self.skipped += self.remove(group) as u64;
        }
        self.current = Some(Current { group: number, next: START });
    }

    fn remove(&mut self, number: u64) -> usize {
        let Some(group) = self.groups.remove(&number) else { return 0 };
        let bytes: usize = group.entries.values().map(|entry| entry.bytes).sum();
        self.bytes -= bytes;
        self.objects -= group.entries.len();
        group.entries.len()
    }

    fn keep_within_bounds(&mut self) {
        while self.objects > MAX_OBJECTS || self.bytes > MAX_BYTES {
            let Some(oldest) = self.groups.first_key_value().map(|(number, _)| *number) else { return };
            if self.current.is_some_and(|current| current.group == oldest) {
                self.skip_group();
                // What is left of it is its end, which holds nothing.
                if self.groups.len() == 1 {
                    return;
                }
                self.groups.remove(&oldest);
            } else {
                self.skipped += self.remove(oldest) as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FAR: Micros = Micros(u64::MAX);
    /// Frames are 40 ms apart, groups a second.
    fn media(group: u64, object: u64) -> Micros {
        Micros::from_millis(group * 1_000 + object * 40)
    }

    fn entry(group: u64, object: u64, source: u32) -> Entry<()> {
        Entry {
            location: Location::new(group, object),
            part: 0,
            last: true,
            media: media(group, object),
            source,
            bytes: 100,
            item: (),
        }
    }

    fn order(objects: &[(u64, u64)]) -> Order<()> {
        let mut order = Order::default();
        for (group, object) in objects {
            order.insert(entry(*group, *object, 1));
        }
        order
    }

    fn all(order: &mut Order<()>, playhead: Micros) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| order.pop(playhead, FAR))
            .map(|entry| (entry.location.group, entry.location.object))
            .collect()
    }

    #[test]
    fn a_joined_group_waits_for_its_beginning() {
        let mut order = order(&[(5, 3), (5, 4)]);
        assert_eq!(all(&mut order, Micros(0)), []);
        for object in [0, 1, 2] {
            order.insert(entry(5, object, 1));
        }
        assert_eq!(all(&mut order, Micros(0)), [(5, 0), (5, 1), (5, 2), (5, 3), (5, 4)]);
    }

    #[test]
    fn it_starts_with_the_newest_group() {
        let mut order = order(&[(4, 0), (5, 0), (6, 1)]);
        assert_eq!(all(&mut order, Micros(0)), [(5, 0)]);
        assert_eq!(order.take_skipped(), 1);
    }

    #[test]
    fn groups_follow_each_other_even_if_they_overtake() {
        let mut order = order(&[(5, 0), (6, 0), (5, 1)]);
        order.current = Some(Current { group: 5, next: START });
        assert_eq!(all(&mut order, Micros(0)), [(5, 0), (5, 1)], "group 5 has not ended");
        order.insert(entry(5, 2, 1));
        order.ended(5, 1);
        assert_eq!(all(&mut order, Micros(0)), [(5, 2), (6, 0)]);
        order.ended(6, 1);
        order.insert(entry(8, 0, 1));
        assert_eq!(all(&mut order, Micros(0)), [(8, 0)], "numbers need not be dense");
    }

    #[test]
    fn a_group_that_is_stuck_is_left_when_its_successor_is_due() {
        let mut order = order(&[(5, 0), (5, 1)]);
        assert_eq!(all(&mut order, Micros(0)).len(), 2);
        order.insert(entry(6, 0, 1));
        order.insert(entry(6, 1, 1));
        assert_eq!(all(&mut order, media(5, 20)), []);
        assert_eq!(all(&mut order, media(6, 0)), [(6, 0), (6, 1)]);
        order.insert(entry(5, 2, 1));
        assert_eq!(all(&mut order, media(6, 1)), [], "too late");
    }

    #[test]
    fn after_a_stall_the_newest_group_that_is_due_is_next() {
        let mut order = order(&[(5, 0), (5, 1), (5, 2)]);
        assert!(order.pop(Micros(0), FAR).is_some());
        for group in 6..9 {
            order.insert(entry(group, 0, 1));
        }
        assert_eq!(all(&mut order, media(7, 10)), [(7, 0)]);
        assert_eq!(order.take_skipped(), 3);
    }

    #[test]
    fn a_gap_is_waited_for_until_it_is_due() {
        let mut order = order(&[(5, 0), (5, 2), (5, 3)]);
        assert_eq!(all(&mut order, media(5, 1)), [(5, 0)]);
        assert_eq!(all(&mut order, media(5, 2)), [(5, 2), (5, 3)]);
    }

    #[test]
    fn nothing_leaves_before_the_horizon() {
        let mut order = order(&[(5, 0), (5, 1)]);
        assert!(order.pop(Micros(0), media(5, 0)).is_some());
        assert!(order.pop(Micros(0), media(5, 0)).is_none());
        assert_eq!(order.next_media(), Some(media(5, 1)));
        assert!(order.pop(Micros(0), media(5, 1)).is_some());
    }

    #[test]
    fn another_rendition_takes_over_at_a_group_that_has_not_begun() {
        let mut order = order(&[(5, 0), (5, 1), (6, 0)]);
        order.current = Some(Current { group: 5, next: START });
        assert_eq!(all(&mut order, Micros(0)), [(5, 0), (5, 1)]);
        order.insert(entry(5, 0, 2));
        order.insert(entry(6, 0, 2));
        order.insert(entry(6, 1, 1));
        order.insert(entry(6, 1, 2));
        order.ended(5, 1);
        let sources: Vec<u32> =
            std::iter::from_fn(|| order.pop(Micros(0), FAR)).map(|entry| entry.source).collect();
        assert_eq!(sources, [2, 2]);
    }

    #[test]
    fn a_group_that_cannot_be_decoded_is_skipped() {
        let mut order = order(&[(5, 0), (5, 1)]);
        assert!(order.pop(Micros(0), FAR).is_some());
        order.skip_group();
        order.insert(entry(5, 2, 1));
        order.insert(entry(6, 0, 1));
        assert_eq!(all(&mut order, Micros(0)), [(6, 0)]);
    }

    #[test]
    fn an_object_of_parts_leaves_part_by_part() {
        let part = |object, part, last| Entry {
            part,
            last,
            media: media(5, object * 2 + u64::from(part)),
            ..entry(5, object, 1)
        };
        let mut order = Order::default();
        for entry in [part(0, 0, false), part(0, 1, true), part(1, 0, false), part(1, 1, true)] {
            order.insert(entry.clone());
            // Once more, by another way.
            order.insert(entry);
        }
        let mut parts = |horizon| {
            let next = std::iter::from_fn(|| order.pop(Micros(0), horizon));
            next.map(|entry| (entry.location.object, entry.part)).collect::<Vec<_>>()
        };
        assert_eq!(parts(media(5, 2)), [(0, 0), (0, 1), (1, 0)]);
        assert_eq!(parts(FAR), [(1, 1)]);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let mut order = Order::default();
        for group in 0..40 {
            order.insert(Entry { bytes: 1 << 20, ..entry(group, 0, 1) });
        }
        assert!(order.bytes <= MAX_BYTES);
        assert_eq!(order.take_skipped(), 8);
    }

    proptest! {
        #[test]
        fn locations_only_rise(
            steps in prop::collection::vec((0..6u64, 0..6u64, 0..3u32, 0..8u8, 0..8_000u64), 0..300),
        ) {
            let mut order = Order::default();
            let mut last = None;
            for (group, object, source, action, playhead) in steps {
                match action {
                    0..=3 => order.insert(entry(group, object, source)),
                    4 => order.ended(group, source),
                    5 => order.skip_group(),
                    _ => {
                        let popped = order.pop(Micros::from_millis(playhead), FAR).map(|entry| entry.location);
                        if let Some(popped) = popped {
                            prop_assert!(last.is_none_or(|last| last < popped));
                            last = Some(popped);
                        }
                    }
                }
                let held: usize = order.groups.values().map(|group| group.entries.len()).sum();
                prop_assert_eq!(order.objects, held);
                prop_assert_eq!(order.bytes, held * 100);
            }
        }
    }
}
