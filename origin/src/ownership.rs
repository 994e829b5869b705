//! Ownership of rooms: claim, takeover, and the grace time for a creator to return.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use serde::Serialize;

use relay::PeerId;

use crate::Error;

/// The most rooms at once, the recently ended ones included.
pub const MAX_ROOMS: usize = 4096;
/// The time from the last withdrawal to the end of the room, in which the creator may publish again.
const SETTLE: Duration = Duration::from_millis(500);
/// The time for which an ended room is still listed.
const SHOW_ENDED: Duration = Duration::from_mins(1);

/// The state of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A creator publishes into the room.
    Live,
    /// The creator vanished, and the room is held for its return.
    Reconnecting,
    /// The creator ended the show or did not return in time.
    Ended,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Reconnecting => "reconnecting",
            Self::Ended => "ended",
        })
    }
}

/// A session that publishes, with the name and wish of its creator.
#[derive(Clone, Debug)]
pub(crate) struct Creator {
    pub(crate) session: PeerId,
    /// The name in its token; `None` without a token.
    pub(crate) name: Option<String>,
    pub(crate) takeover: bool,
}

/// The outcome of a claim on a room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The room belongs to the session, as before or from now on.
    Granted,
    /// The room belongs to the session now, and no longer to this one.
    TakenFrom(PeerId),
}

#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) state: State,
    pub(crate) creator: Option<String>,
    pub(crate) since: Instant,
    owner: Option<PeerId>,
    /// The number of namespaces and tracks that the owner publishes now.
    publications: usize,
    /// Set if the owner withdrew its last publication, rather than vanishing with it.
    finished: bool,
    deadline: Option<Instant>,
}

impl Room {
    /// The time until which a subscriber may wait for the creator to return.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        self.deadline.filter(|_| self.state == State::Reconnecting)
    }

    fn end(&mut self, now: Instant) {
        self.state = State::Ended;
        self.owner = None;
        self.since = now;
        self.deadline = Some(now + SHOW_ENDED);
    }
}

/// The owners of rooms: inputs are [`publish`](Self::publish), [`withdraw`](Self::withdraw) and [`leave`](Self::leave);
/// after each, and when the time that it returns has come, call [`poll`](Self::poll).
///
/// A room has at most one owner, and only its owner's publications count.
#[derive(Debug)]
pub(crate) struct Ownership {
    rooms: BTreeMap<String, Room>,
    grace: Duration,
}

impl Ownership {
    pub(crate) fn new(grace: Duration) -> Self {
        Self { rooms: BTreeMap::new(), grace }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Room)> {
        self.rooms.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Room> {
        self.rooms.get(name)
    }

    /// The room that contains a namespace: that namespace itself, or the nearest one above it.
    pub(crate) fn containing(&self, namespace: &str) -> Option<(&String, &Room)> {
        let mut name = namespace;
        loop {
            if let Some(found) = self.rooms.get_key_value(name) {
                return Some(found);
            }
            name = name.rsplit_once('/')?.0;
        }
    }

    /// Claims the room `name` for one more publication.
    pub(crate) fn publish(&mut self, now: Instant, name: &str, by: &Creator) -> Result<Claim, Error> {
        if let Some(room) = self.rooms.get_mut(name) {
            let same_name = room.creator == by.name;
            // A creator whose connection died may return before the origin notices.
            let own = same_name || room.owner == Some(by.session);
            let may = own || by.takeover || room.state == State::Ended;
            if !may {
                return Err(Error::RoomTaken {
                    room: name.into(),
                    state: room.state,
                    creator: room.creator.clone().unwrap_or_else(|| "anonymous".into()),
                });
            }
            let from = room.owner.filter(|owner| *owner != by.session);
            if room.state == State::Ended || !same_name {
                room.since = now;
            }
            if room.owner != Some(by.session) {
                room.publications = 0;
            }
            room.state = State::Live;
            room.owner = Some(by.session);
            room.creator.clone_from(&by.name);
            room.publications += 1;
            room.finished = false;
            room.deadline = None;
            return Ok(from.map_or(Claim::Granted, Claim::TakenFrom));
        }
        if self.rooms.len() >= MAX_ROOMS {
            return Err(Error::TooManyRooms(MAX_ROOMS));
        }
        let room = Room {
            state: State::Live,
            creator: by.name.clone(),
            since: now,
            owner: Some(by.session),
            publications: 1,
            finished: false,
            deadline: None,
        };
        self.rooms.insert(name.into(), room);
        Ok(Claim::Granted)
    }

    /// Withdraws one publication of the session.
    pub(crate) fn withdraw(&mut self, now: Instant, name: &str, session: PeerId) {
        let Some(room) = self.rooms.get_mut(name).filter(|room| room.owner == Some(session)) else {
            return;
        };
        room.publications = room.publications.saturating_sub(1);
        if room.publications == 0 {
            room.finished = true;
            room.deadline = Some(now + SETTLE);
        }
    }

    /// Removes a session: a room that it did not finish is held for its return.
    pub(crate) fn leave(&mut self, now: Instant, session: PeerId) {
        for room in self.rooms.values_mut().filter(|room| room.owner == Some(session)) {
            if room.finished {
                room.deadline = Some(now);
            } else {
                room.state = State::Reconnecting;
                room.owner = None;
                room.publications = 0;
                room.deadline = Some(now + self.grace);
            }
        }
    }

    /// Advances to `now`. Returns the rooms that ended, and the time of the next call.
    pub(crate) fn poll(&mut self, now: Instant) -> (Vec<String>, Option<Instant>) {
        let mut ended = Vec::new();
        self.rooms.retain(|name, room| {
            let due = room.deadline.is_some_and(|deadline| deadline <= now);
            if room.state == State::Ended {
                return !due;
            }
            if due {
                room.end(now);
                ended.push(name.clone());
            }
            true
        });
        let next = self.rooms.values().filter_map(|room| room.deadline).min();
        (ended, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(15);

    fn by(session: u64, name: &str) -> Creator {
        let name = (!name.is_empty()).then(|| name.to_owned());
        Creator { session: PeerId(session), name, takeover: false }
    }

    fn state(rooms: &Ownership) -> Option<State> {
        rooms.containing("demo/cam").map(|(_, room)| room.state)
    }

    #[test]
    fn a_second_creator_is_refused_and_may_take_over() {
        let (mut rooms, now) = (Ownership::new(GRACE), Instant::now());
        assert_eq!(rooms.publish(now, "demo", &by(1, "ada")).ok(), Some(Claim::Granted));
        let refused = rooms.publish(now, "demo", &by(2, "bob")).expect_err("taken");
        assert_eq!(
            refused.to_string(),
            "room \"demo\" is live with creator \"ada\"; publish with ?takeover=1 to take it over"
        );
        let bob = Creator { takeover: true, ..by(2, "bob") };
        let taken = rooms.publish(now, "demo", &bob).ok();
        assert_eq!(taken, Some(Claim::TakenFrom(PeerId(1))));
        rooms.leave(now, PeerId(1));
        assert_eq!(state(&rooms), Some(State::Live));
    }

    #[test]
    fn the_same_creator_returns_before_its_death_is_noticed() {
        let (mut rooms, now) = (Ownership::new(GRACE), Instant::now());
        rooms.publish(now, "demo", &by(1, "ada")).expect("free");
        let again = rooms.publish(now, "demo", &by(2, "ada")).ok();
        assert_eq!(again, Some(Claim::TakenFrom(PeerId(1))));
        // All creators without a token count as the same one.
        rooms.publish(now, "open", &by(3, "")).expect("free");
        assert!(rooms.publish(now, "open", &by(4, "")).is_ok());
        assert!(rooms.publish(now, "open", &by(5, "bob")).is_err());
    }

    #[test]
    fn a_vanished_creator_has_the_grace_time_to_return() {
        let (mut rooms, now) = (Ownership::new(GRACE), Instant::now());
        rooms.publish(now, "demo", &by(1, "ada")).expect("free");
        rooms.leave(now, PeerId(1));
        assert_eq!(state(&rooms), Some(State::Reconnecting));
        assert!(rooms.publish(now, "demo", &by(2, "bob")).is_err());
        assert_eq!(rooms.publish(now, "demo", &by(3, "ada")).ok(), Some(Claim::Granted));
        assert_eq!(state(&rooms), Some(State::Live));

        rooms.leave(now, PeerId(3));
        assert_eq!(rooms.poll(now), (vec![], Some(now + GRACE)));
        assert_eq!(rooms.poll(now + GRACE).0, ["demo"]);
        assert_eq!(state(&rooms), Some(State::Ended));
        assert_eq!(rooms.poll(now + GRACE + SHOW_ENDED), (vec![], None));
        assert_eq!(state(&rooms), None);
    }

    #[test]
    fn a_creator_that_says_goodbye_ends_the_room() {
        let (mut rooms, now) = (Ownership::new(GRACE), Instant::now());
        for leaves in [true, false] {
            rooms.publish(now, "demo", &by(1, "ada")).expect("free");
            rooms.publish(now, "demo", &by(1, "ada")).expect("own");
            rooms.withdraw(now, "demo", PeerId(1));
            assert_eq!(rooms.poll(now).1, None);
            rooms.withdraw(now, "demo", PeerId(1));
            if leaves {
                rooms.leave(now, PeerId(1));
                assert_eq!(rooms.poll(now).0, ["demo"]);
            } else {
                assert_eq!(rooms.poll(now + SETTLE).0, ["demo"]);
            }
            assert_eq!(state(&rooms), Some(State::Ended));
        }
    }

    #[test]
    fn rooms_are_bounded() {
        let (mut rooms, now) = (Ownership::new(GRACE), Instant::now());
        for room in 0..MAX_ROOMS {
            rooms.publish(now, &room.to_string(), &by(1, "ada")).expect("free");
        }
        let full = rooms.publish(now, "one more", &by(1, "ada"));
        assert!(matches!(full, Err(Error::TooManyRooms(_))));
    }
}
