//! Priorities: urgent objects overtake others.

use bytes::Bytes;
use moqt::{
    Event, GroupOrder, Location, Micros, Namespace, Params, Properties, TrackName,
    data::{ObjectHeader, Status, SubgroupHeader},
    session::RequestId,
};

use testnet::{App, Cx, Rng, Weather, World};

use crate::{LONG, seeds};

fn name(track: &'static str) -> TrackName {
    TrackName::new(Namespace::from_path("p").unwrap(), track).unwrap()
}

/// Answers every subscription with five groups at once, far more than the link
/// carries.
#[derive(Default)]
struct Flood {
    asked: Vec<RequestId>,
    wanted: usize,
}

struct Watcher {
    wants: Vec<(&'static str, Params)>,
    requests: Vec<RequestId>,
    streams: std::collections::BTreeMap<moqt::session::StreamId, (RequestId, u64)>,
    /// The subgroups in the order in which they were complete.
    ended: Vec<(usize, u64)>,
    /// Raise the last one's priority after so many have ended.
    raise_after: Option<usize>,
}

impl App for Flood {
    fn event(&mut self, cx: &mut Cx<'_>, session: usize, event: Event) {
        match event {
            Event::Subscribe { request, .. } => {
                let session = cx.session(session);
                session.accept_subscribe(request, Params::default(), Properties::NONE).unwrap();
                self.asked.push(request);
                if self.asked.len() < self.wanted {
                    return;
                }
                let now = cx.now;
                for request in self.asked.clone() {
                    for group in 100..105 {
                        let session = cx.session(0);
                        let header = SubgroupHeader { group, ..SubgroupHeader::default() };
                        let stream = session.open_subgroup(request, header).unwrap();
                        let object = ObjectHeader {
                            id: 0,
                            properties: Properties::NONE,
                            payload_len: 20_000,
                            status: Status::Normal,
                        };
                        let _ = session.object(now, stream, &object, now).unwrap();
                        session.payload(stream, Bytes::from(vec![0; 20_000])).unwrap();
                        session.finish(now, stream).unwrap();
                    }
                }
            }
            Event::Update { request, .. } => {
                cx.session(session).accept_update(request, Params::default()).unwrap();
            }
            _ => {}
        }
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl App for Watcher {
    fn start(&mut self, cx: &mut Cx<'_>) {
        for (track, params) in self.wants.clone() {
            let request = cx.session(0).subscribe(name(track), params).unwrap();
            self.requests.push(request);
        }
    }

    fn event(&mut self, cx: &mut Cx<'_>, session: usize, event: Event) {
        match event {
            Event::Subgroup { stream, request, header } => {
                self.streams.insert(stream, (request, header.group));
            }
            Event::StreamEnded { stream } => {
                let (request, group) = self.streams[&stream];
                let track = self.requests.iter().position(|asked| *asked == request).unwrap();
                self.ended.push((track, group));
                if Some(self.ended.len()) == self.raise_after {
                    let last = *self.requests.last().unwrap();
                    let params = Params { priority: Some(1), ..Params::default() };
                    cx.session(session).update(last, params).unwrap();
                }
            }
            _ => {}
        }
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn watch(seed: u64, wants: Vec<(&'static str, Params)>, raise_after: Option<usize>) -> Vec<(usize, u64)> {
    let mut rng = Rng::new(seed);
    let mut world = World::new(rng.next());
    let publisher = world.node(Flood { wanted: wants.len(), ..Flood::default() });
    let watcher = world.node(Watcher {
        wants,
        requests: Vec::new(),
        streams: std::collections::BTreeMap::new(),
        ended: Vec::new(),
        raise_after,
    });
    // A slow link that keeps the order it was given.
    let weather = Weather { pace: Micros(1_000), mtu: 1_200, ..Weather::fair() };
    world.link(watcher, publisher, weather);
    world.run(LONG);
    world.app::<Watcher>(watcher).ended.clone()
}

fn params(priority: u8, order: GroupOrder) -> Params {
    Params { priority: Some(priority), group_order: Some(order), ..Params::default() }
}

#[test]
fn groups_come_in_the_order_asked_for() {
    seeds(50, |seed| {
        let ascending = watch(seed, vec![("a", params(128, GroupOrder::Ascending))], None);
        assert_eq!(ascending, (100..105).map(|group| (0, group)).collect::<Vec<_>>());
        let descending = watch(seed, vec![("a", params(128, GroupOrder::Descending))], None);
        assert_eq!(descending, (100..105).rev().map(|group| (0, group)).collect::<Vec<_>>());
    });
}

#[test]
fn the_more_urgent_subscription_comes_first() {
    seeds(50, |seed| {
        let wants =
            vec![("low", params(200, GroupOrder::Ascending)), ("high", params(10, GroupOrder::Ascending))];
        let ended = watch(seed, wants, None);
        let tracks: Vec<_> = ended.iter().map(|(track, _)| *track).collect();
        assert_eq!(tracks, [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
    });
}

#[test]
fn what_is_raised_overtakes() {
    seeds(50, |seed| {
        let wants =
            vec![("first", params(100, GroupOrder::Ascending)), ("last", params(200, GroupOrder::Ascending))];
        let ended = watch(seed, wants, Some(1));
        // One group of the first had ended; the raise takes a round trip.
        let first_of_last = ended.iter().position(|(track, _)| *track == 1).unwrap();
        assert!(first_of_last < 5, "{ended:?}");
        assert_eq!(Location::new(ended[0].0 as u64, ended[0].1), Location::new(0, 100));
    });
}
