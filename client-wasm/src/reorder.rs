//! The reorder buffer: puts a track's objects in order, and drops those that are too late.
//!
//! Groups come on streams of their own, the newest may overtake the one before it, and a group that was joined in its
//! middle comes half by fetch and half by subscription. Objects leave in the order of their locations, each group from
//! its first object on. A group that does not go on when its successor is due is abandoned for the successor.

use std::collections::BTreeMap;

use moqt::{Location, Micros};

/// Largest number of objects in the buffer.
pub const MAX_OBJECTS: usize = 4_096;
/// Largest number of bytes in the buffer.
pub const MAX_BYTES: usize = 32 << 20;
/// Lateness of a group at which the buffer jumps to it, even if the one before it goes on.
const OVERDUE: Micros = Micros::from_millis(250);

/// An object of a track, or a part of one that leaves by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// The object's location in the track.
    pub location: Location,
    /// Index of this part of the object, from zero; all parts are inserted together.
    pub part: u32,
    /// Set for the last part.
    pub last: bool,
    /// Capture time.
    pub media: Micros,
    /// The subscription that it came by; a later one replaces groups of an earlier one that have not begun.
    pub source: u32,
    /// Number of bytes it holds.
    pub bytes: usize,
    /// The content.
    pub item: T,
}

/// The objects of one track, or of one rendition after the other.
#[derive(Debug)]
pub struct Reorder<T> {
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
    /// Set if no more objects will come.
    ended: bool,
}

/// Position in a group: an object and the part of it.
type Place = (u64, u32);

/// Position at which a group starts.
const START: Place = (0, 0);
/// Position after every other.
const END: Place = (u64::MAX, 0);

/// The group that is leaving, and the next position in it.
#[derive(Clone, Copy, Debug)]
struct Current {
    group: u64,
    next: Place,
}

impl<T> Default for Reorder<T> {
    fn default() -> Self {
        Self { groups: BTreeMap::new(), current: None, objects: 0, bytes: 0, skipped: 0 }
    }
}

impl<T> Reorder<T> {
    /// Inserts an object.
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

    /// Notes that a group gets no more objects from a source.
    pub fn ended(&mut self, group: u64, source: u32) {
        match self.groups.get_mut(&group) {
            Some(group) if group.source == source => group.ended = true,
            Some(_) => {}
            // Every object has left, or none came: the next group may follow.
            None => {
                if self.current.is_some_and(|current| current.group == group) {
                    let entries = BTreeMap::new();
                    self.groups.insert(group, Group { source, entries, ended: true });
                }
            }
        }
    }

    /// Removes the next object, if it was captured up to `horizon`. `playhead` is the capture time that is due.
    pub fn pop(&mut self, playhead: Micros, horizon: Micros) -> Option<Entry<T>> {
        self.choose_group(playhead);
        let Current { group: number, next } = self.current?;
        let group = self.groups.get_mut(&number)?;
        let (place, entry) = group.entries.first_key_value()?;
        let (place, media) = (*place, entry.media);
        // A gap may yet be filled, unless the object after it is due.
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

    /// Returns the capture time of the next object, if it is here.
    pub fn next_media(&self) -> Option<Micros> {
        let first = match self.current {
            Some(current) => self.groups.range(current.group..).find(|(_, group)| !group.entries.is_empty()),
            None => self.groups.last_key_value(),
        };
        first?.1.entries.first_key_value().map(|(_, entry)| entry.media)
    }

    /// Abandons the group that is leaving; the next object is the start of another group.
    pub fn skip_group(&mut self) {
        if let Some(current) = self.current {
            self.skipped += self.remove(current.group) as u64;
            self.current = Some(Current { group: current.group, next: END });
            self.groups
                .insert(current.group, Group { source: u32::MAX, entries: BTreeMap::new(), ended: true });
        }
    }

    /// Returns the number of objects dropped since the last call.
    pub fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }

    /// Empties the buffer.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn choose_group(&mut self, playhead: Micros) {
        let Some(current) = self.current else {
            // The newest group that has its first object is the nearest to live.
            let newest = self.groups.iter().rev().find(|(_, group)| group.entries.contains_key(&START));
            if let Some(number) = newest.map(|(number, _)| *number) {
                self.move_to(number);
            }
            return;
        };
        let over = |group: Option<&Group<T>>| match group {
            Some(group) => group.ended && group.entries.is_empty(),
            // The group was dropped because the buffer was full.
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
                // The rest of the group is its end, which holds nothing.
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

    fn reorder(objects: &[(u64, u64)]) -> Reorder<()> {
        let mut reorder = Reorder::default();
        for (group, object) in objects {
            reorder.insert(entry(*group, *object, 1));
        }
        reorder
    }

    fn all(reorder: &mut Reorder<()>, playhead: Micros) -> Vec<(u64, u64)> {
        std::iter::from_fn(|| reorder.pop(playhead, FAR))
            .map(|entry| (entry.location.group, entry.location.object))
            .collect()
    }

    #[test]
    fn a_joined_group_waits_for_its_beginning() {
        let mut reorder = reorder(&[(5, 3), (5, 4)]);
        assert_eq!(all(&mut reorder, Micros(0)), []);
        for object in [0, 1, 2] {
            reorder.insert(entry(5, object, 1));
        }
        assert_eq!(all(&mut reorder, Micros(0)), [(5, 0), (5, 1), (5, 2), (5, 3), (5, 4)]);
    }

    #[test]
    fn it_starts_with_the_newest_group() {
        let mut reorder = reorder(&[(4, 0), (5, 0), (6, 1)]);
        assert_eq!(all(&mut reorder, Micros(0)), [(5, 0)]);
        assert_eq!(reorder.take_skipped(), 1);
    }

    #[test]
    fn groups_follow_each_other_even_if_they_overtake() {
        let mut reorder = reorder(&[(5, 0), (6, 0), (5, 1)]);
        reorder.current = Some(Current { group: 5, next: START });
        assert_eq!(all(&mut reorder, Micros(0)), [(5, 0), (5, 1)], "group 5 has not ended");
        reorder.insert(entry(5, 2, 1));
        reorder.ended(5, 1);
        assert_eq!(all(&mut reorder, Micros(0)), [(5, 2), (6, 0)]);
        reorder.ended(6, 1);
        reorder.insert(entry(8, 0, 1));
        assert_eq!(all(&mut reorder, Micros(0)), [(8, 0)], "numbers need not be dense");
    }

    #[test]
    fn a_group_that_is_stuck_is_left_when_its_successor_is_due() {
        let mut reorder = reorder(&[(5, 0), (5, 1)]);
        assert_eq!(all(&mut reorder, Micros(0)).len(), 2);
        reorder.insert(entry(6, 0, 1));
        reorder.insert(entry(6, 1, 1));
        assert_eq!(all(&mut reorder, media(5, 20)), []);
        assert_eq!(all(&mut reorder, media(6, 0)), [(6, 0), (6, 1)]);
        reorder.insert(entry(5, 2, 1));
        assert_eq!(all(&mut reorder, media(6, 1)), [], "too late");
    }

    #[test]
    fn after_a_stall_the_newest_group_that_is_due_is_next() {
        let mut reorder = reorder(&[(5, 0), (5, 1), (5, 2)]);
        assert!(reorder.pop(Micros(0), FAR).is_some());
        for group in 6..9 {
            reorder.insert(entry(group, 0, 1));
        }
        assert_eq!(all(&mut reorder, media(7, 10)), [(7, 0)]);
        assert_eq!(reorder.take_skipped(), 3);
    }

    #[test]
    fn a_gap_is_waited_for_until_it_is_due() {
        let mut reorder = reorder(&[(5, 0), (5, 2), (5, 3)]);
        assert_eq!(all(&mut reorder, media(5, 1)), [(5, 0)]);
        assert_eq!(all(&mut reorder, media(5, 2)), [(5, 2), (5, 3)]);
    }

    #[test]
    fn nothing_leaves_before_the_horizon() {
        let mut reorder = reorder(&[(5, 0), (5, 1)]);
        assert!(reorder.pop(Micros(0), media(5, 0)).is_some());
        assert!(reorder.pop(Micros(0), media(5, 0)).is_none());
        assert_eq!(reorder.next_media(), Some(media(5, 1)));
        assert!(reorder.pop(Micros(0), media(5, 1)).is_some());
    }

    #[test]
    fn another_rendition_takes_over_at_a_group_that_has_not_begun() {
        let mut reorder = reorder(&[(5, 0), (5, 1), (6, 0)]);
        reorder.current = Some(Current { group: 5, next: START });
        assert_eq!(all(&mut reorder, Micros(0)), [(5, 0), (5, 1)]);
        reorder.insert(entry(5, 0, 2));
        reorder.insert(entry(6, 0, 2));
        reorder.insert(entry(6, 1, 1));
        reorder.insert(entry(6, 1, 2));
        reorder.ended(5, 1);
        let sources: Vec<u32> =
            std::iter::from_fn(|| reorder.pop(Micros(0), FAR)).map(|entry| entry.source).collect();
        assert_eq!(sources, [2, 2]);
    }

    #[test]
    fn a_group_that_cannot_be_decoded_is_skipped() {
        let mut reorder = reorder(&[(5, 0), (5, 1)]);
        assert!(reorder.pop(Micros(0), FAR).is_some());
        reorder.skip_group();
        reorder.insert(entry(5, 2, 1));
        reorder.insert(entry(6, 0, 1));
        assert_eq!(all(&mut reorder, Micros(0)), [(6, 0)]);
    }

    #[test]
    fn an_object_of_parts_leaves_part_by_part() {
        let part = |object, part, last| Entry {
            part,
            last,
            media: media(5, object * 2 + u64::from(part)),
            ..entry(5, object, 1)
        };
        let mut reorder = Reorder::default();
        for entry in [part(0, 0, false), part(0, 1, true), part(1, 0, false), part(1, 1, true)] {
            reorder.insert(entry.clone());
            // The same object again, by another subscription.
            reorder.insert(entry);
        }
        let mut parts = |horizon| {
            let next = std::iter::from_fn(|| reorder.pop(Micros(0), horizon));
            next.map(|entry| (entry.location.object, entry.part)).collect::<Vec<_>>()
        };
        assert_eq!(parts(media(5, 2)), [(0, 0), (0, 1), (1, 0)]);
        assert_eq!(parts(FAR), [(1, 1)]);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let mut reorder = Reorder::default();
        for group in 0..40 {
            reorder.insert(Entry { bytes: 1 << 20, ..entry(group, 0, 1) });
        }
        assert!(reorder.bytes <= MAX_BYTES);
        assert_eq!(reorder.take_skipped(), 8);
    }

    proptest! {
        #[test]
        fn locations_only_rise(
            steps in prop::collection::vec((0..6u64, 0..6u64, 0..3u32, 0..8u8, 0..8_000u64), 0..300),
        ) {
            let mut reorder = Reorder::default();
            let mut last = None;
            for (group, object, source, action, playhead) in steps {
                match action {
                    0..=3 => reorder.insert(entry(group, object, source)),
                    4 => reorder.ended(group, source),
                    5 => reorder.skip_group(),
                    _ => {
                        let popped = reorder.pop(Micros::from_millis(playhead), FAR).map(|entry| entry.location);
                        if let Some(popped) = popped {
                            prop_assert!(last.is_none_or(|last| last < popped));
                            last = Some(popped);
                        }
                    }
                }
                let held: usize = reorder.groups.values().map(|group| group.entries.len()).sum();
                prop_assert_eq!(reorder.objects, held);
                prop_assert_eq!(reorder.bytes, held * 100);
            }
        }
    }
}
