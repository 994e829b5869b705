//! Tracks that the node itself publishes.

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;
use moqt::{
    DoneCode, Properties, TrackName,
    data::{ObjectHeader, Status, SubgroupHeader, SubgroupId},
};

use super::{
    NODE, Relay,
    track::{End, Sequence, State, Track},
};

/// A track that the node itself publishes. Dropping it ends the track.
pub struct Publication {
    track: Rc<RefCell<Track>>,
    group: u64,
    /// The open group's subgroup, and the number of its next object.
    current: Option<(Sequence, u64)>,
}

impl Relay {
    /// Publishes a track whose first group has the number `first`.
    pub fn publish(&self, name: TrackName, first: u64) -> Publication {
        let track = Rc::new(RefCell::new(self.0.borrow().new_track(&name)));
        track.borrow_mut().offered_by(NODE, Properties::NONE, None);
        self.0.borrow_mut().install(&track, NODE);
        Publication { track, group: first, current: None }
    }
}

impl Publication {
    /// Adds a group of one object.
    pub fn push_group(&mut self, object: Bytes) {
        self.push_object(true, object);
        if let Some((sequence, _)) = self.current.take() {
            self.track.borrow_mut().end(sequence, End::Finished);
            self.group += 1;
        }
    }

    /// Adds an object to the open group, or to a new one.
    pub fn push_object(&mut self, new_group: bool, object: Bytes) {
        let mut track = self.track.borrow_mut();
        if new_group && let Some((sequence, _)) = self.current.take() {
            track.end(sequence, End::Finished);
            self.group += 1;
        }
        let (sequence, id) = self.current.take().unwrap_or_else(|| {
            let header = SubgroupHeader {
                track_alias: 0,
                group: self.group,
                subgroup: SubgroupId::Zero,
                // A higher priority than media, which can wait.
                priority: Some(1),
                properties: false,
                end_of_group: true,
                first_object: true,
            };
            (track.begin(header, None), 0)
        });
        let header = ObjectHeader {
            id,
            properties: Properties::NONE,
            payload_len: object.len() as u64,
            status: Status::Normal,
        };
        track.object(sequence, header);
        track.payload(sequence, object);
        self.current = Some((sequence, id + 1));
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        let mut track = self.track.borrow_mut();
        if let Some((sequence, _)) = self.current {
            track.end(sequence, End::Finished);
        }
        track.set(State::Ended(DoneCode::TRACK_ENDED));
    }
}
