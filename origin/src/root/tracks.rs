//! What a root publishes: the room's three tracks, and one for each edge.

use std::sync::Arc;

use bytes::Bytes;
use moq_transport::{
    coding::TrackNamespace,
    serve::{ServeError, Subgroup, SubgroupWriter, SubgroupsWriter, Track as Described, TrackReader},
};
use wire::{Micros, Track, names, worker::Group};

use crate::{
    Error,
    registry::{LiveKey, Registry},
};

/// Objects in a group of what goes down to an edge: a group is in memory until its end.
const GROUP_PACKETS: u64 = 256;
/// Before the media, which can wait.
const PRIORITY: u8 = 1;

/// A track that is written to.
struct Writer {
    groups: SubgroupsWriter,
    current: Option<SubgroupWriter>,
    next: u64,
    objects: u64,
}

impl Writer {
    fn new(groups: SubgroupsWriter, first: u64) -> Self {
        Self { groups, current: None, next: first, objects: 0 }
    }

    fn write(&mut self, object: Bytes, group: Group) -> Result<(), ServeError> {
        let current = if let (Some(current), Group::Same) = (self.current.take(), group) {
            current
        } else {
            let subgroup = Subgroup { group_id: self.next, subgroup_id: 0, priority: PRIORITY };
            self.next += 1;
            self.objects = 0;
            self.groups.create(subgroup)?
        };
        self.objects += 1;
        self.current.insert(current).write(object)
    }
}

/// What goes down to one edge.
pub(crate) struct Downs(Writer);

impl Downs {
    /// The track, and what is to be served of it.
    pub(super) fn new(namespace: TrackNamespace, name: &str) -> Result<(Self, TrackReader), ServeError> {
        let (writer, reader) = Described::new(namespace, name).produce();
        Ok((Self(Writer::new(writer.subgroups()?, 0)), reader))
    }

    pub(super) fn send(&mut self, packet: Bytes) -> Result<(), ServeError> {
        let group = if self.0.objects == GROUP_PACKETS { Group::New } else { Group::Same };
        self.0.write(packet, group)
    }
}

/// The room's three tracks, for all fans. They end when it is dropped.
pub(super) struct Tracks {
    registry: Arc<Registry>,
    writers: Vec<(Track, LiveKey, Writer)>,
}

impl Tracks {
    pub(super) fn open(registry: &Arc<Registry>, room: &str, now: Micros) -> Result<Self, Error> {
        let mut tracks = Self { registry: Arc::clone(registry), writers: Vec::new() };
        for track in [Track::Chat, Track::Pulse, Track::Stage] {
            let namespace = TrackNamespace::from_utf8_path(&format!("{}/{room}", names::ROOM));
            let (writer, reader) = Described::new(namespace, track.name()).produce();
            let live = registry.open_track(&format!("{}/{room}", names::ROOM), reader)?;
            let groups = writer.subgroups().map_err(|error| Error::Serve(error.to_string()))?;
            // Later than all groups of the root's lives before.
            tracks.writers.push((track, live, Writer::new(groups, now.as_millis())));
        }
        Ok(tracks)
    }

    pub(super) fn publish(&mut self, track: Track, group: Group, object: Bytes) {
        let Some((_, _, writer)) = self.writers.iter_mut().find(|(of, ..)| *of == track) else { return };
        if let Err(error) = writer.write(object, group) {
            tracing::warn!(track = track.name(), %error, "an object of a room's track is lost");
        }
    }
}

impl Drop for Tracks {
    fn drop(&mut self) {
        for (_, live, _) in &self.writers {
            self.registry.remove_live(live);
        }
    }
}
