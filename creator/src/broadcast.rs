use std::collections::VecDeque;

use bytes::Bytes;
use media::{Groups, Kind, Packaging, Position, Sample, TrackInfo};
use moqt::{
    GroupOrder, Location, Micros, NameError, Namespace, Properties, TrackName, TrackProperties, loc, msf,
};

use crate::{
    describe::{self, Alternatives},
    measure::{Measure, Measured},
};

/// Groups of each track that are kept for those who join.
pub const KEPT_GROUPS: usize = 2;
/// Bytes of one group that are kept; of a longer one, the start is let go.
pub const MAX_GROUP_BYTES: usize = 32 << 20;
/// How long after its end a group may still be on its way to a subscriber before it
/// is broken off.
pub const MAX_GROUP_DELAY: Micros = Micros(2_000_000);
/// New group numbers for each second since the UNIX epoch: a creator that starts
/// anew has higher ones than before, as long as it made no more than this many.
const GROUP_RATE: u64 = 10;
/// Before all else.
const CATALOG_PRIORITY: u8 = 0;

/// What a broadcast is to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its namespace: the room.
    pub namespace: Namespace,
    /// What its samples hold.
    pub packaging: Packaging,
    /// The time since the UNIX epoch; the first group is numbered by it.
    pub now: Micros,
}

/// A creator's tracks: their newest groups, and the catalog.
///
/// Samples go in ([`push`](Self::push)), then each [`Outlet`](crate::Outlet) that
/// serves it is flushed. It belongs to no connection: another one goes on with it
/// where the last one ended.
#[derive(Debug)]
pub struct Broadcast {
    namespace: Namespace,
    groups: Groups,
    catalog: msf::Catalog,
    /// The catalog's, then those of the samples in their order.
    tracks: Vec<Track>,
    media: Vec<Media>,
    counts: Counts,
    end: End,
}

/// What there is to know of a track besides what is sent.
#[derive(Debug)]
struct Media {
    info: TrackInfo,
    packaging: Packaging,
    measure: Measure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Reached,
}

/// What went through a broadcast so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes of payload, of all tracks.
    pub bytes: u64,
    /// Frames of the first track of pictures; without one, of the first track.
    pub frames: u64,
    /// Groups, of the track whose frames are counted.
    pub groups: u64,
    /// The newest group.
    pub newest: Option<u64>,
    /// Samples before the first key frame.
    pub early: u64,
}

/// A track of a broadcast.
#[derive(Debug)]
pub struct Track {
    name: TrackName,
    priority: u8,
    properties: Properties,
    groups: VecDeque<Group>,
    /// The newest object that is not kept any more.
    evicted: Option<Location>,
}

/// A group that is kept.
#[derive(Debug)]
pub struct Group {
    id: u64,
    /// The ID of the first object that is kept.
    first: u64,
    objects: VecDeque<Object>,
    bytes: usize,
    ended: bool,
}

/// An object that is kept.
#[derive(Clone, Debug)]
pub struct Object {
    /// What is said of it.
    pub properties: Properties,
    /// What it is.
    pub payload: Bytes,
    /// When it came, by the clock of the sessions.
    pub born: Micros,
}

impl Broadcast {
    /// A broadcast of these tracks.
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
            .map(|info| Media { info: info.clone(), packaging, measure: Measure::default() })
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

    /// Takes in a sample. `now` is by the clock of the sessions.
    pub fn push(&mut self, now: Micros, sample: Sample) {
        let Some(Position { group, object }) = self.groups.position(&sample) else {
            self.counts.early += 1;
            return;
        };
        let Some(media) = self.media.get_mut(sample.track) else { return };
        let header = media.header(&sample, object);
        let measured = media.measure.sample(&sample);
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
            self.learn(now, index, measured);
        }
    }

    /// Nothing more will come: the catalog says so, and all groups end.
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

    /// Whether nothing more will come.
    pub fn is_finished(&self) -> bool {
        self.end == End::Reached
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The tracks: the catalog's first.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The catalog as it is now.
    pub fn catalog(&self) -> &msf::Catalog {
        &self.catalog
    }

    /// What went through it.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The index of the track with this name.
    pub(crate) fn find(&self, name: &TrackName) -> Option<usize> {
        self.tracks.iter().position(|track| track.name == *name)
    }

    fn counted(&self) -> usize {
        self.media.iter().position(|media| media.info.is_video()).unwrap_or(0)
    }

    /// Says in the catalog what the input did not say of a track.
    fn learn(&mut self, now: Micros, index: usize, measured: Measured) {
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

    /// A new version of the catalog, in a group of its own.
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
    /// What is said of a sample in its properties.
    fn header(&self, sample: &Sample, object: u64) -> loc::Header {
        let mut header = loc::Header::at(Micros(sample.pts.0));
        if self.packaging == Packaging::Frames && matches!(self.info.kind, Kind::Video { .. }) {
            let independent = sample.keyframe;
            header.marking = Some(loc::FrameMarking { independent, ..loc::FrameMarking::default() });
            // A property this long would be refused; the catalog has it in any case.
            let config = self.info.description.as_ref().filter(|config| config.len() <= MAX_CONFIG);
            header.video_config = config.filter(|_| object == 0).cloned();
        }
        header
    }
}

/// Bytes of a decoder's configuration that fit into a property.
const MAX_CONFIG: usize = 65_535;

impl Track {
    /// Without properties: each group says how urgent it is, and relays can hand out
    /// of their caches what they need not describe.
    fn new(name: TrackName, priority: u8) -> Self {
        Self { name, priority, properties: Properties::NONE, groups: VecDeque::new(), evicted: None }
    }

    /// A track whose groups lose their worth with time.
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

    /// Its name.
    pub fn name(&self) -> &TrackName {
        &self.name
    }

    /// How urgent it is; lower goes first.
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// What is said of it to subscribers.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// The groups that are kept, oldest first.
    pub fn groups(&self) -> impl DoubleEndedIterator<Item = &Group> {
        self.groups.iter()
    }

    /// The newest object.
    pub fn largest(&self) -> Option<Location> {
        let newest = self.groups.back()?;
        Some(Location::new(newest.id, newest.end().saturating_sub(1)))
    }

    /// The newest object that is not kept any more.
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
    /// Its number.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether it is whole.
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// The ID of the first object that is kept; 0 unless the group was too long.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The ID after that of the last object so far.
    pub fn end(&self) -> u64 {
        self.first + self.objects.len() as u64
    }

    /// The object with this ID, if it is kept.
    pub fn object(&self, id: u64) -> Option<&Object> {
        self.objects.get(usize::try_from(id.checked_sub(self.first)?).ok()?)
    }
}
