//! Slow subscribers: one that is too slow misses the rest of a group, and goes on with the next.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use creator::{Broadcast, Config, MAX_BACKLOG, MAX_GROUP_BYTES, Publisher, SessionContext};
use media::{Packaging, Sample, TrackInfo, testcard};
use moqt::{
    Event, Input, Location, Micros, Namespace, Output, Params, ResetCode, Session, TrackName, Version,
    session::{Config as SessionConfig, Dir, Side, StreamId, Transport},
};

/// A creator's session and its peer's, connected without any delay.
struct Pair {
    creator: Session,
    peer: Session,
    /// The peer's stream IDs by ours, and ours by the peer's.
    there: BTreeMap<StreamId, StreamId>,
    here: BTreeMap<StreamId, StreamId>,
    now: Micros,
    /// Streams whose data the transport pretends not to take.
    stuck: BTreeSet<StreamId>,
    opened: Vec<StreamId>,
    resets: Vec<ResetCode>,
    /// Locations of the objects that the peer received.
    got: Vec<Location>,
    groups: BTreeMap<StreamId, u64>,
}

impl SessionContext for Pair {
    fn session(&mut self) -> &mut Session {
        &mut self.creator
    }
    fn now(&self) -> Micros {
        self.now
    }
    fn backlog(&self, stream: StreamId) -> usize {
        if self.stuck.contains(&stream) { MAX_BACKLOG + 1 } else { 0 }
    }
}

impl Pair {
    fn new() -> Self {
        let session = |side| {
            let config = SessionConfig::new(side, Transport::WebTransport, Version::SUPPORTED[0]);
            Session::new(Micros(0), config).unwrap()
        };
        Self {
            creator: session(Side::Client),
            peer: session(Side::Server),
            there: BTreeMap::new(),
            here: BTreeMap::new(),
            now: Micros(0),
            stuck: BTreeSet::new(),
            opened: Vec::new(),
            resets: Vec::new(),
            got: Vec::new(),
            groups: BTreeMap::new(),
        }
    }

    /// Carries everything over, both ways, until nothing is left.
    fn settle(&mut self, publisher: &mut Publisher, broadcast: &Broadcast) {
        loop {
            publisher.flush(self, broadcast);
            let mut idle = true;
            while let Some(output) = self.creator.poll() {
                idle = false;
                match output {
                    Output::Event(event) => publisher.event(self, broadcast, &event).unwrap(),
                    Output::Open { stream, dir, .. } => {
                        let theirs = self.peer.opened(dir);
                        self.there.insert(stream, theirs);
                        self.here.insert(theirs, stream);
                        if dir == Dir::Uni {
                            self.opened.push(stream);
                        }
                    }
                    Output::Reset { stream, code } => {
                        self.resets.push(code);
                        self.peer.handle(self.now, Input::Reset { stream: self.there[&stream], code });
                    }
                    output => carry(&mut self.peer, &self.there, self.now, output),
                }
            }
            while let Some(output) = self.peer.poll() {
                idle = false;
                match output {
                    Output::Event(event) => self.on_event(event),
                    Output::Open { stream, dir, .. } => {
                        let ours = self.creator.opened(dir);
                        self.here.insert(stream, ours);
                        self.there.insert(ours, stream);
                    }
                    output => carry(&mut self.creator, &self.here, self.now, output),
                }
            }
            if idle {
                return;
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Subgroup { stream, header, .. } => {
                self.groups.insert(stream, header.group);
            }
            Event::Object { stream, header } => {
                self.got.push(Location::new(self.groups[&stream], header.id));
            }
            _ => {}
        }
    }
}

fn carry(to: &mut Session, names: &BTreeMap<StreamId, StreamId>, now: Micros, output: Output) {
    match output {
        Output::Write { stream, data } => to.handle(now, Input::Data { stream: names[&stream], data }),
        Output::Finish { stream } => to.handle(now, Input::Finished { stream: names[&stream] }),
        Output::Stop { stream, code } => to.handle(now, Input::Stopped { stream: names[&stream], code }),
        Output::Close { code, reason } => panic!("{code}: {reason:?}"),
        _ => {}
    }
}

fn tracks() -> Vec<TrackInfo> {
    let rendition = testcard::Rendition { width: 64, height: 64, bitrate: 50_000 };
    let config = testcard::Config { renditions: vec![rendition], ..testcard::Config::default() };
    testcard::TestCard::new(config).unwrap().tracks().to_vec()
}

fn broadcast() -> Broadcast {
    let namespace = Namespace::from_path("room").unwrap();
    let now = Micros(0);
    Broadcast::new(Config { namespace, packaging: Packaging::Frames, now }, &tracks()).unwrap()
}

/// Returns a frame of ten a second, the first a key frame.
fn frame(number: u64, len: usize) -> Sample {
    let at = media::Micros::from_millis(number * 100);
    let (duration, keyframe) = (media::Micros::ZERO, number.is_multiple_of(10));
    Sample { track: 0, pts: at, dts: at, duration, keyframe, frames: 1, data: Bytes::from(vec![0; len]) }
}

#[test]
fn the_rest_of_a_group_is_left_out() {
    let (mut pair, mut publisher, mut broadcast) = (Pair::new(), Publisher::default(), broadcast());
    pair.settle(&mut publisher, &broadcast);
    let track = TrackName::new(broadcast.namespace().clone(), "video/64p").unwrap();
    pair.peer.subscribe(track, Params::default()).unwrap();
    pair.settle(&mut publisher, &broadcast);
    pair.opened.clear();
    for number in 0..25 {
        if number == 5 {
            // The stream of the first group gets stuck.
            pair.stuck.extend(pair.opened.iter().copied());
        }
        broadcast.push(pair.now, frame(number, 100));
        pair.settle(&mut publisher, &broadcast);
    }
    let expected = (0..5).chain(10..25).map(|number| Location::new(number / 10, number % 10));
    assert_eq!(pair.got, expected.collect::<Vec<_>>());
    assert_eq!((publisher.drops(), &pair.resets[..]), (1, &[ResetCode::TOO_FAR_BEHIND][..]));
}

#[test]
fn kept_groups_are_bounded() {
    let mut broadcast = broadcast();
    let mebibyte = 1 << 20;
    // One group without end, and then two more.
    broadcast.push(Micros(0), frame(0, mebibyte));
    for number in 1..100 {
        let sample = Sample { keyframe: false, ..frame(number, mebibyte) };
        broadcast.push(Micros(0), sample);
        let kept: u64 = broadcast.tracks()[1].groups().map(|group| group.end() - group.first()).sum();
        assert!(kept * mebibyte as u64 <= MAX_GROUP_BYTES as u64);
    }
    assert_eq!(broadcast.tracks()[1].largest(), Some(Location::new(0, 99)));
    for number in [100, 110] {
        broadcast.push(Micros(0), frame(number, 1));
    }
    let kept: Vec<u64> = broadcast.tracks()[1].groups().map(creator::Group::id).collect();
    assert_eq!(kept, [1, 2]);
}
