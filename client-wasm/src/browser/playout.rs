//! Playout: reorders received objects, decodes them and presents them in time.

use js_sys::Reflect;
use moqt::{Location, Micros};
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::OffscreenCanvas;

use crate::{
    browser::{
        audio::Audio,
        small_map::SmallMap,
        stats::Stats,
        video::{Taken, Video},
    },
    catalog,
    frame::Frame,
    jitter::{Arrival, Jitter, Position},
    quality::Report,
    reorder::{Entry, Reorder},
};

/// Time before its due time at which a frame goes to the decoder.
const VIDEO_LEAD: Micros = Micros::from_millis(150);
/// The same for sound, which must be in the ring before it is played.
const AUDIO_LEAD: Micros = Micros::from_millis(300);
/// Largest time by which a frame is shown before another that is decoded earlier.
const MAX_REORDERED: Micros = Micros::from_millis(1_000);
/// Time from drawing to visibility: the browser composes the page at its next refresh.
const PAINT_LEAD: Micros = Micros::from_millis(16);
/// Time without an animation frame after which arriving objects drive the picture: browsers do not paint a hidden page.
const UNPAINTED: Micros = Micros::from_millis(100);

/// The track that a subscription's objects belong to.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Video(catalog::Video),
    Audio(catalog::Audio),
}

/// An event for the page.
#[derive(Clone, Debug)]
pub(crate) enum PlayoutEvent {
    FirstFrame,
    Size(u32, u32),
    Error(String),
}

/// The picture and the sound of a room.
pub(crate) struct Playout {
    pub(crate) jitter: Jitter,
    pub(crate) stats: Stats,
    video: Video,
    frames: Reorder<Frame>,
    audio: Option<Audio>,
    packets: Reorder<Frame>,
    sources: SmallMap<u32, Source>,
    position: Option<Position>,
    heard: Option<Micros>,
    /// The newest capture time that was received.
    newest: Micros,
    painted: Micros,
    /// The source and group of the last frame decoded.
    leaving: Option<(u32, u64)>,
    /// The latest capture time among the decoded frames.
    furthest: Micros,
    /// The largest time by which a frame decoded later is shown earlier than that.
    reordered: Micros,
    report: Report,
    /// Reports on groups that have left the reorder buffer in full.
    reports: Vec<Report>,
    events: Vec<PlayoutEvent>,
}

impl Playout {
    pub(crate) fn new(canvas: OffscreenCanvas, target: Micros) -> Result<Self, JsValue> {
        Ok(Self {
            jitter: Jitter::new(target),
            stats: Stats::default(),
            video: Video::new(canvas)?,
            frames: Reorder::default(),
            audio: None,
            packets: Reorder::default(),
            sources: SmallMap::default(),
            position: None,
            heard: None,
            newest: Micros(0),
            painted: Micros(0),
            leaving: None,
            furthest: Micros(0),
            reordered: Micros(0),
            report: Report::default(),
            reports: Vec::new(),
            events: Vec::new(),
        })
    }

    /// Adds a source, before its objects come.
    pub(crate) fn add_source(&mut self, source: u32, what: Source) {
        self.sources.insert(source, what);
    }

    /// Removes a source, which has no more objects.
    pub(crate) fn remove_source(&mut self, source: u32) {
        self.sources.remove(&source);
    }

    /// Takes in the frames of an object.
    pub(crate) fn object(
        &mut self,
        now: Micros,
        source: u32,
        location: Location,
        frames: Vec<Frame>,
        arrival: Arrival,
    ) {
        let times = || frames.iter().map(|frame| frame.media);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return };
        let Some(is_video) = self.sources.get(&source).map(|source| matches!(source, Source::Video(_)))
        else {
            return;
        };
        self.jitter.arrived(now, first, last - first, arrival);
        self.newest = self.newest.max(last);
        let due = self.position.filter(|position| arrival == Arrival::Live && !position.settling);
        let count = frames.len();
        for (part, frame) in (0u32..).zip(frames) {
            let (media, bytes) = (frame.media, frame.data.len());
            self.stats.bytes += bytes as u64;
            let last = part as usize + 1 == count;
            let entry = Entry { location, part, last, media, source, bytes, item: frame };
            if is_video {
                self.report.late += u64::from(due.is_some_and(|due| media < due.media));
                self.frames.insert(entry);
            } else {
                self.packets.insert(entry);
            }
        }
        if now - self.painted > UNPAINTED {
            self.tick(now);
        } else {
            self.feed(now);
        }
    }

    /// Notes that a group gets no more objects from a source.
    pub(crate) fn group_ended(&mut self, source: u32, group: u64) {
        match self.sources.get(&source) {
            Some(Source::Video(_)) => self.frames.ended(group, source),
            Some(Source::Audio(_)) => self.packets.ended(group, source),
            None => {}
        }
    }

    /// Draws the due frame; called when the page is painted.
    pub(crate) fn paint(&mut self, now: Micros) {
        self.painted = now;
        self.tick(now);
    }

    /// Returns the source that the picture comes from.
    pub(crate) fn video_source(&self) -> Option<u32> {
        self.leaving.map(|(source, _)| source)
    }

    /// Returns the events since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<PlayoutEvent> {
        std::mem::take(&mut self.events)
    }

    /// Returns the reports on groups that have left since the last call.
    pub(crate) fn take_reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// Plays sound into the given output from now on, or nowhere.
    pub(crate) fn set_audio(&mut self, link: Option<&JsValue>) -> Result<(), JsValue> {
        self.packets.clear();
        self.heard = None;
        self.audio = None;
        self.jitter.set_ahead(Micros(0));
        self.audio = link.map(Audio::new).transpose()?;
        Ok(())
    }

    pub(crate) fn set_clock(&mut self, heard: f64, at: Micros, latency: Micros) {
        if let Some(audio) = &mut self.audio {
            audio.set_clock(heard, at, latency);
            self.jitter.set_ahead(latency);
        }
    }

    /// Starts the picture over; the canvas keeps its picture.
    pub(crate) fn reset_video(&mut self) {
        self.frames.clear();
        self.video.reset();
        self.leaving = None;
        self.furthest = Micros(0);
        self.reordered = Micros(0);
        self.report = Report::default();
    }

    /// Starts the sound over.
    pub(crate) fn reset_audio(&mut self) {
        self.packets.clear();
        self.heard = None;
        if let Some(audio) = &mut self.audio {
            audio.reset();
        }
    }

    /// Starts everything over, for another session.
    pub(crate) fn reset(&mut self) {
        self.jitter.reset();
        self.position = None;
        self.newest = Micros(0);
        self.sources.clear();
        self.reset_video();
        self.reset_audio();
    }

    /// Returns the length of the received media that is not due yet.
    pub(crate) fn buffer(&self) -> Micros {
        self.position.map_or(Micros(0), |position| self.newest - position.media)
    }

    /// Returns the delay of the picture behind the sound, in microseconds.
    pub(crate) fn sync(&self) -> Option<f64> {
        let (heard, position) = (self.heard?, self.position?);
        Some(heard.0 as f64 - position.media.0 as f64)
    }

    fn tick(&mut self, now: Micros) {
        self.feed(now);
        let Some(position) = self.position else { return };
        // The picture follows the sound where there is any.
        let due = self.heard.unwrap_or(position.media) + PAINT_LEAD;
        let first = self.video.is_new();
        let presented = self.video.present(due);
        if !position.settling {
            self.stats.dropped += presented.dropped;
            self.report.dropped += presented.dropped;
        }
        if let Some(media) = presented.shown {
            self.stats.shown += 1;
            self.stats.newest = Some((media, now));
            if first {
                self.events.push(PlayoutEvent::FirstFrame);
            }
        }
        if let Some((width, height)) = presented.size {
            self.events.push(PlayoutEvent::Size(width, height));
        }
    }

    /// Decodes the frames and packets that are due soon.
    fn feed(&mut self, now: Micros) {
        let Some(position) = self.jitter.tick(now) else { return };
        self.position = Some(position);
        self.feed_video(&position);
        self.feed_audio(&position);
        self.heard = self.audio.as_mut().and_then(|audio| audio.steer(now, &position));
        for error in [self.video.take_error(), self.audio.as_mut().and_then(Audio::take_error)] {
            let Some(error) = error else { continue };
            self.stats.errors += 1;
            self.frames.skip_group();
            self.events.push(PlayoutEvent::Error(error));
        }
    }

    fn feed_video(&mut self, position: &Position) {
        loop {
            let horizon = position.media + VIDEO_LEAD + self.reordered;
            let next = self.frames.next_media().unwrap_or_default();
            if !self.video.has_room(next, position.media) {
                break;
            }
            let Some(entry) = self.frames.pop(position.media, horizon) else { break };
            let behind = self.furthest - entry.media;
            if behind < MAX_REORDERED {
                self.reordered = self.reordered.max(behind);
                self.furthest = self.furthest.max(entry.media);
            } else {
                self.furthest = entry.media;
            }
            let group = (entry.source, entry.location.group);
            if self.leaving.replace(group).is_some_and(|before| before != group) {
                self.reports.push(std::mem::take(&mut self.report));
            }
            let Some(Source::Video(track)) = self.sources.get(&entry.source) else { continue };
            if self.video.decode(entry.source, track, &entry.item) == Taken::SkipGroup {
                self.frames.skip_group();
            }
        }
        let skipped = self.frames.take_skipped();
        if !position.settling {
            self.stats.dropped += skipped;
            self.report.dropped += skipped;
        }
    }

    fn feed_audio(&mut self, position: &Position) {
        let Some(audio) = &mut self.audio else { return };
        let horizon = position.media + AUDIO_LEAD;
        while audio.has_room() {
            let Some(entry) = self.packets.pop(position.media, horizon) else { break };
            // The ring would skip sound that is long past.
            if entry.media + AUDIO_LEAD < position.media {
                continue;
            }
            let Some(Source::Audio(track)) = self.sources.get(&entry.source) else { continue };
            audio.decode(entry.source, track, &entry.item);
        }
    }
}

/// Returns the page's list of renditions to choose from.
pub(crate) fn renditions(video: &[catalog::Video]) -> JsValue {
    let list = js_sys::Array::new();
    for track in video {
        let entry = js_sys::Object::new();
        let set = |name: &str, value: JsValue| {
            let _ = Reflect::set(&entry, &name.into(), &value);
        };
        set("name", track.name.as_str().into());
        set("label", track.label().into());
        set("width", track.width.into());
        set("height", track.height.into());
        set("bitrate", (track.bitrate as f64).into());
        set("codec", track.codec.as_str().into());
        list.push(&entry);
    }
    list.unchecked_into()
}
