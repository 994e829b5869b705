//! A creator's tracks: the newest groups of each, and the catalog that describes them.

use std::collections::VecDeque;

use bytes::Bytes;
use media::{Groups, Kind, Packaging, Position, Sample, TrackInfo};
use moqt::{
    GroupOrder, Location, Micros, NameError, Namespace, Properties, TrackName, TrackProperties, loc, msf,
};

use crate::{
    bitrate::{BitrateProbe, Measured},
    describe::{self, Alternatives},
};

/// Number of groups of each track that are kept for subscribers that join.
pub const KEPT_GROUPS: usize = 2;
/// Bytes of one group that are kept; a longer group loses its oldest objects.
pub const MAX_GROUP_BYTES: usize = 32 << 20;
/// Time after the end of a group for which it may still be on its way to a subscriber; then it is reset.
pub const MAX_GROUP_DELAY: Micros = Micros(2_000_000);
/// Group numbers reserved for each second since the UNIX epoch. A creator that starts again gets higher numbers than
/// before, as long as it made at most this many groups a second.
const GROUP_RATE: u64 = 10;
/// Priority of the catalog: before all media.
const CATALOG_PRIORITY: u8 = 0;

/// Settings of a broadcast.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespace of the tracks, which is the room's name.
    pub namespace: Namespace,
    /// The container of the samples: LOC or CMAF.
    pub packaging: Packaging,
    /// The time since the UNIX epoch, from which the first group gets its number.
    pub now: Micros,
}

/// A creator's tracks: their newest groups, and the catalog.
///
/// Samples go in ([`push`](Self::push)), then each [`Publisher`](crate::Publisher) that serves the broadcast is
/// flushed. A broadcast belongs to no connection: the next connection goes on with it where the last one ended.
#[derive(Debug)]
pub struct Broadcast {
    namespace: Namespace,
    groups: Groups,
    catalog: msf::Catalog,
    /// The catalog's track, then the tracks of the samples in their order.
    tracks: Vec<Track>,
    media: Vec<Media>,
    counts: Counts,
    end: End,
}

/// Facts about a media track that are needed here but are not sent.
#[derive(Debug)]
struct Media {
    info: TrackInfo,
    packaging: Packaging,
    probe: BitrateProbe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Reached,
}

/// Counts of what has passed through a broadcast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Payload bytes of all tracks.
    pub bytes: u64,
    /// Frames of the first video track; without video, of the first track.
    pub frames: u64,
    /// Groups of the track whose frames are counted.
    pub groups: u64,
    /// Number of the newest group of that track.
    pub newest: Option<u64>,
    /// Samples dropped because they came before the first key frame.
    pub early: u64,
}

/// A track of a broadcast, with the groups that are kept.
#[derive(Debug)]
pub struct Track {
    name: TrackName,
    priority: u8,
    properties: Properties,
    groups: VecDeque<Group>,
    /// Location of the newest object that has been dropped.
    evicted: Option<Location>,
}

/// A group that is kept, or as much of it as fits.
#[derive(Debug)]
pub struct Group {
    id: u64,
    /// ID of the first object that is kept.
    first: u64,
    objects: VecDeque<Object>,
    bytes: usize,
    ended: bool,
}

/// An object that is kept.
#[derive(Clone, Debug)]
pub struct Object {
    /// The object's properties, encoded.
    pub properties: Properties,
    /// The object's payload.
    pub payload: Bytes,
    /// The time at which the sample came, by the clock of the sessions.
    pub born: Micros,
}

impl Broadcast {
    /// Creates a broadcast of these tracks, without samples yet.
    pub fn new(config: Config, infos: &[TrackInfo]) -> Result<Self, NameError> {
        let Config { namespace, packaging, now } = config;
        let first = now.as_millis().saturating_mul(GROUP_RATE) / 1000;
        let names = describe::names(infos);
        let mut tracks = vec![Track::new(TrackName::new(namespace.clone(), msf::TRACK)?, CATALOG_PRIORITY)];
        for (name, priority) in names.iter().zip(describe::priorities(infos)) {
            tracks.push(Track::media(TrackName::new(namespace.clone(), name.clone())?, priority));
        }
        let alternatives = Alternatives::of(infos);
        let described = infos
            .iter()
            .zip(&names)
            .map(|(info, name)| describe::track(info, name, packaging, alternatives))
            .collect();
        let catalog =
            msf::Catalog { generated_at: Some(now.as_millis()), is_complete: false, tracks: described };
        let media = infos
            .iter()
            .map(|info| Media { info: info.clone(), packaging, probe: BitrateProbe::default() })
            .collect();
        let mut broadcast = Self {
            namespace,
            groups: Groups::new(infos, first),
            catalog,
            tracks,
            media,
            counts: Counts::default(),
            end: End::Open,
        };
        broadcast.publish_catalog(Micros(0), first);
        Ok(broadcast)
    }

    /// Adds a sample. `now` is by the clock of the sessions.
    pub fn push(&mut self, now: Micros, sample: Sample) {
        let Some(Position { group, object }) = self.groups.position(&sample) else {
            self.counts.early += 1;
            return;
        };
        let Some(media) = self.media.get_mut(sample.track) else { return };
        let header = media.header(&sample, object);
        let measured = media.probe.sample(&sample);
        let (index, frames) = (sample.track, u64::from(sample.frames));
        self.counts.bytes += sample.data.len() as u64;
        if index == self.counted() {
            self.counts.frames += frames;
            self.counts.groups += u64::from(object == 0);
            self.counts.newest = self.counts.newest.max(Some(group));
        }
        let object = Object { properties: header.to_properties(), payload: sample.data, born: now };
        if let Some(track) = self.tracks.get_mut(index + 1) {
            track.push(group, object);
        }
        if let Some(measured) = measured {
            self.describe_measured(now, index, measured);
        }
    }

    /// Ends the broadcast: the catalog says so, and every group ends.
    pub fn finish(&mut self, now: Micros) {
        if self.end == End::Reached {
            return;
        }
        self.end = End::Reached;
        self.catalog.is_complete = true;
        for track in &mut self.catalog.tracks {
            track.is_live = false;
            track.target_latency = None;
        }
        self.next_catalog(now);
        for group in self.tracks.iter_mut().filter_map(|track| track.groups.back_mut()) {
            group.ended = true;
        }
    }

    /// Returns whether [`finish`](Self::finish) was called.
    pub fn is_finished(&self) -> bool {
        self.end == End::Reached
    }

    /// Returns the namespace of the tracks.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Returns the tracks, the catalog's first.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Returns the current catalog.
    pub fn catalog(&self) -> &msf::Catalog {
        &self.catalog
    }

    /// Returns the counts so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Returns the index of the track with this name.
    pub(crate) fn find(&self, name: &TrackName) -> Option<usize> {
        self.tracks.iter().position(|track| track.name == *name)
    }

    fn counted(&self) -> usize {
        self.media.iter().position(|media| media.info.is_video()).unwrap_or(0)
    }

    /// Adds the measured bitrate and frame rate to the catalog where the input gave none.
    fn describe_measured(&mut self, now: Micros, index: usize, measured: Measured) {
        let Some(track) = self.catalog.tracks.get_mut(index) else { return };
        let before = track.clone();
        track.bitrate = track.bitrate.or(Some(measured.bitrate));
        if track.is_video() {
            track.framerate = track.framerate.or(Some(measured.framerate));
        }
        if *track != before {
            self.next_catalog(now);
        }
    }

    /// Publishes the catalog as a group of its own.
    fn next_catalog(&mut self, now: Micros) {
        let group = self.tracks[0].groups.back().map_or(0, |newest| newest.id + 1);
        self.publish_catalog(now, group);
    }

    fn publish_catalog(&mut self, now: Micros, group: u64) {
        let payload = self.catalog.encode();
        let catalog = &mut self.tracks[0];
        catalog.push(group, Object { properties: Properties::NONE, payload, born: now });
        if let Some(newest) = catalog.groups.back_mut() {
            newest.ended = true;
        }
    }
}

impl Media {
    /// Returns the LOC properties of a sample.
    fn header(&self, sample: &Sample, object: u64) -> loc::Header {
        let mut header = loc::Header::at(Micros(sample.pts.0));
        if self.packaging == Packaging::Frames && matches!(self.info.kind, Kind::Video { .. }) {
            let independent = sample.keyframe;
            header.marking = Some(loc::FrameMarking { independent, ..loc::FrameMarking::default() });
            // A longer property would be refused; the catalog has the configuration in any case.
            let config = self.info.description.as_ref().filter(|config| config.len() <= MAX_CONFIG);
            header.video_config = config.filter(|_| object == 0).cloned();
        }
        header
    }
}

/// Bytes of a decoder's configuration that fit into a property.
const MAX_CONFIG: usize = 65_535;

impl Track {
    /// Creates a track without properties: each group carries its own priority, and relays can serve a track from their
    /// caches without describing it.
    fn new(name: TrackName, priority: u8) -> Self {
        Self { name, priority, properties: Properties::NONE, groups: VecDeque::new(), evicted: None }
    }

    /// Creates a track whose groups expire after [`MAX_GROUP_DELAY`].
    fn media(name: TrackName, priority: u8) -> Self {
        let properties = TrackProperties {
            priority: Some(priority),
            group_order: Some(GroupOrder::Descending),
            subgroup_delivery_timeout: Some(MAX_GROUP_DELAY),
            ..TrackProperties::default()
        };
        let properties = properties.write(Properties::builder()).build();
        Self { properties, ..Self::new(name, priority) }
    }

    /// Returns the full name of the track.
    pub fn name(&self) -> &TrackName {
        &self.name
    }

    /// Returns the priority; a lower number is sent first.
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// Returns the properties that subscribers get with SUBSCRIBE_OK.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Returns the groups that are kept, oldest first.
    pub fn groups(&self) -> impl DoubleEndedIterator<Item = &Group> {
        self.groups.iter()
    }

    /// Returns the location of the newest object.
    pub fn largest(&self) -> Option<Location> {
        let newest = self.groups.back()?;
        Some(Location::new(newest.id, newest.end().saturating_sub(1)))
    }

    /// Returns the location of the newest object that has been dropped.
    pub(crate) fn evicted(&self) -> Option<Location> {
        self.evicted
    }

    fn push(&mut self, id: u64, object: Object) {
        if self.groups.back().is_none_or(|newest| newest.id < id) {
            if let Some(newest) = self.groups.back_mut() {
                newest.ended = true;
            }
            let group = Group { id, first: 0, objects: VecDeque::new(), bytes: 0, ended: false };
            self.groups.push_back(group);
        }
        while self.groups.len() > KEPT_GROUPS {
            if let Some(oldest) = self.groups.pop_front() {
                self.evicted = Some(Location::new(oldest.id, oldest.end().saturating_sub(1)));
            }
        }
        let Some(newest) = self.groups.back_mut() else { return };
        newest.bytes += object.payload.len();
        newest.objects.push_back(object);
        while newest.bytes > MAX_GROUP_BYTES && newest.objects.len() > 1 {
            if let Some(oldest) = newest.objects.pop_front() {
                newest.bytes -= oldest.payload.len();
                self.evicted = Some(Location::new(newest.id, newest.first));
                newest.first += 1;
            }
        }
    }
}

impl Group {
    /// Returns the group's number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns whether the group is complete.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Returns the ID of the first object that is kept; 0 unless the group was too long.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Returns the ID after that of the last object so far.
    pub fn end(&self) -> u64 {
        self.first + self.objects.len() as u64
    }

    /// Returns the object with this ID, if it is kept.
    pub fn object(&self, id: u64) -> Option<&Object> {
        self.objects.get(usize::try_from(id.checked_sub(self.first)?).ok()?)
    }
}
