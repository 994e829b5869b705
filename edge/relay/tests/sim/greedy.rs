//! Creators that send more than they may have open, and clients that fetch more than they read.

use std::{cell::Cell, rc::Rc};

use bytes::Bytes;
use moqt::{
    Cx, Event, FetchOk, Location, Micros, Namespace, Params, Properties, RequestCode, TrackName,
    data::{FetchObject, ObjectHeader, Status, SubgroupHeader, SubgroupId},
    message::FetchKind,
    session::RequestId,
};
use relay::{Limits, Share};
use testnet::{Seeds, Weather};

use crate::{
    content::Shape,
    creator::Announce,
    executor::NodeId,
    scripted::Hands,
    topology::{World, seconds},
};

fn name(of: &str) -> TrackName {
    TrackName::new(Namespace::from_path("greedy").unwrap(), of.to_owned()).unwrap()
}

fn world(seed: u64) -> World {
    let mut world = World::new(seed, &[Shape::plain()], Weather::fair());
    world.limits = Limits { creator: Share { open_bytes: 256 << 10, ..Share::CREATOR }, ..Limits::default() };
    world
}

/// Publishes a track as soon as its session is ready. Returns its request, later.
fn publish(client: &Hands) -> Rc<Cell<Option<RequestId>>> {
    let request = Rc::new(Cell::new(None));
    let published = Rc::clone(&request);
    client.order(move |cx| {
        published.set(cx.session.publish(name("video"), Params::default(), Properties::NONE).ok());
    });
    request
}

fn subgroup(group: u64, subgroup: u64) -> SubgroupHeader {
    SubgroupHeader {
        group,
        subgroup: SubgroupId::Id(subgroup),
        priority: Some(128),
        ..SubgroupHeader::default()
    }
}

#[test]
fn a_creator_that_never_ends_a_group_is_cut_off_at_its_share() {
    Seeds::new(5).run(|seed| {
        for kind in ["subgroups", "objects", "bytes"] {
            let mut world = world(seed);
            let origin = world.relay(None);
            world.creator(origin, Announce::Namespace);
            let fan = world.subscriber_that_waits(origin, None, &[0]);
            let greedy = world.scripted_client(origin);
            let request = publish(&greedy);
            world.run(seconds(1));
            let request = request.get().unwrap();
            for round in 0..40_u64 {
                greedy.order(move |cx| {
                    for of in 0..100 {
                        let number = round * 100 + of;
                        if kind != "subgroups" && number > 0 {
                            continue;
                        }
                        let Ok(stream) = cx.session.open_subgroup(request, subgroup(1, number)) else {
                            continue;
                        };
                        if kind == "subgroups" {
                            let _ = cx.session.finish(cx.now, stream);
                            continue;
                        }
                        for id in 0..4_000 {
                            let payload_len = if kind == "bytes" { 100 } else { 0 };
                            let header = ObjectHeader {
                                id,
                                properties: Properties::NONE,
                                payload_len,
                                status: Status::Normal,
                            };
                            if cx.session.object(cx.now, stream, &header, cx.now).is_err() {
                                break;
                            }
                            if payload_len > 0 {
                                let _ = cx.session.payload(stream, Bytes::from_static(&[0; 100]));
                            }
                        }
                    }
                });
                world.run(Micros::from_millis(100));
            }
            world.run(seconds(10));
            assert!(greedy.is_closed(), "{kind}");
            assert!(world.figure(origin, "kept_bytes") < 1 << 20);
            assert!(fan.refused.borrow().len() < 5);
            world.assert_fresh();
            world.finish();
        }
    });
}

#[test]
fn a_creator_that_ends_its_groups_may_send_without_end() {
    Seeds::new(5).run(|seed| {
        let mut world = world(seed);
        let origin = world.relay(None);
        let steady = world.scripted_client(origin);
        let request = publish(&steady);
        world.run(seconds(1));
        let request = request.get().unwrap();
        for group in 0..50 {
            steady.order(move |cx| {
                let stream = cx.session.open_subgroup(request, subgroup(group, 0)).unwrap();
                let header = ObjectHeader {
                    id: 0,
                    properties: Properties::NONE,
                    payload_len: 50_000,
                    status: Status::Normal,
                };
                let _ = cx.session.object(cx.now, stream, &header, cx.now);
                cx.session.payload(stream, vec![0; 50_000].into()).unwrap();
                cx.session.finish(cx.now, stream).unwrap();
            });
            world.run(seconds(1));
        }
        assert!(!steady.is_closed());
    });
}

/// An upstream that answers each FETCH with 40 MB at once. Returns how many fetches it has open.
fn generous(world: &mut World) -> (NodeId, Rc<Cell<i64>>) {
    let open = Rc::new(Cell::new(0));
    let count = Rc::clone(&open);
    let answer = move |cx: &mut Cx<'_>, event: &Event| match event {
        Event::Fetch { request, start, .. } => {
            count.set(count.get() + 1);
            let ok = FetchOk { end: Location::new(start.group, 1_000), ..FetchOk::default() };
            cx.session.accept_fetch(*request, ok).unwrap();
            let stream = cx.session.open_fetch(*request).unwrap();
            for object in 0..400 {
                let header = FetchObject {
                    location: Location::new(start.group, object),
                    subgroup: Some(0),
                    priority: 128,
                    properties: Properties::NONE,
                    payload_len: 100_000,
                };
                cx.session.fetch_object(stream, &header).unwrap();
                cx.session.payload(stream, vec![0; 100_000].into()).unwrap();
            }
        }
        Event::Cancelled { .. } | Event::StreamStopped { .. } => count.set(count.get() - 1),
        _ => {}
    };
    (world.scripted_server(Rc::new(answer)), open)
}

fn fetch(cx: &mut Cx<'_>, group: u64) {
    let (start, end) = (Location::new(group, 0), Location::new(group + 1, 0));
    let kind = FetchKind::Standalone { track: name("video"), start, end };
    cx.session.fetch(kind, Params::default()).unwrap();
}

#[test]
fn what_a_client_fetches_and_does_not_read_is_bounded_and_stopped_upstream() {
    Seeds::new(5).run(|seed| {
        let wide = Weather { mtu: 60_000, pace: Micros(100), ..Weather::fair() };
        let mut world = World::new(seed, &[Shape::plain()], wide);
        let (upstream, open) = generous(&mut world);
        let edge = world.relay(Some(upstream));
        world.run(seconds(1));
        let slow = world.scripted_client(edge);
        world.run(seconds(1));
        let links = world.sim.links(|_, to| to == edge);
        let thin = Weather { mtu: 1_000, pace: Micros::from_millis(100), ..Weather::fair() };
        world.sim.with_net(|net| net.set_weather(links[0].1, thin));
        slow.order(|cx| (0..2).for_each(|group| fetch(cx, group)));
        let used = |world: &World| -> u64 {
            let used = world.in_use(edge);
            let bytes = used.iter().find_map(|line| line.strip_prefix("kind=fetch_bytes,role=fan "));
            bytes.map_or(0, |bytes| bytes.parse().unwrap())
        };
        let mut most = 0;
        for _ in 0..1_000 {
            world.run(Micros::from_millis(2));
            most = most.max(used(&world));
        }
        assert!((1 << 20..=Share::FAN.fetch_bytes).contains(&most), "{most}");
        assert!(world.sim.paused().0 + world.sim.paused().1 as usize > 0, "it asks for less");
        // This net does not hold back one stream: at the bound, the fetch is given up.
        world.run(seconds(10));
        assert_eq!(open.get(), 0, "fetches that the upstream still answers");
        assert_eq!(used(&world), 0);
    });
}

#[test]
fn a_fetch_whose_client_is_gone_is_stopped_upstream() {
    Seeds::new(5).run(|seed| {
        let mut world = World::new(seed, &[Shape::plain()], Weather::fair());
        let (upstream, open) = generous(&mut world);
        let edge = world.relay(Some(upstream));
        world.run(seconds(1));
        let client = world.scripted_client(edge);
        client.order(|cx| fetch(cx, 0));
        world.run(seconds(1));
        assert_eq!(open.get(), 1);
        world.kill(client.node.get().unwrap());
        world.run(seconds(6));
        assert_eq!(open.get(), 0);
        assert_eq!(world.in_use(edge), Vec::<String>::new());
    });
}

#[test]
fn a_client_has_so_many_fetches_under_way() {
    Seeds::new(5).run(|seed| {
        let mut world = World::new(seed, &[Shape::plain()], Weather::fair());
        let silent = world.scripted_server(Rc::new(|_, _| {}));
        let edge = world.relay(Some(silent));
        world.run(seconds(1));
        let client = world.scripted_client(edge);
        client.order(|cx| (0..10).for_each(|group| fetch(cx, group)));
        world.run(seconds(2));
        let refusals = client.refusals();
        assert_eq!(refusals.len(), 10 - Share::FAN.fetches as usize);
        assert!(refusals.iter().all(|(code, _)| *code == RequestCode::EXCESSIVE_LOAD));
    });
}

#[test]
fn a_client_that_asks_and_does_not_read_the_answers_is_cut_off_at_its_share() {
    Seeds::new(5).run(|seed| {
        let mut world = World::new(seed, &[Shape::plain()], Weather::fair());
        world.limits = Limits { fan: Share { unread_bytes: 4 << 10, ..Share::FAN }, ..Limits::default() };
        let origin = world.relay(None);
        let (deaf, reads) = (world.scripted_client(origin), world.scripted_client(origin));
        world.run(seconds(1));
        let links = world.sim.links(|from, to| to == origin && Some(from) == deaf.node.get());
        world.sim.with_net(|net| {
            let until = Micros(net.now.0 + 5_000_000);
            net.stall(links[0].1, until);
        });
        let ask = |cx: &mut Cx<'_>| {
            for _ in 0..200 {
                let _ = cx.session.track_status(name("nothing"), Params::default());
            }
        };
        deaf.order(ask);
        reads.order(ask);
        world.run(seconds(4));
        assert!(world.in_use(origin).iter().any(|line| line.contains("unread_bytes")) || deaf.is_closed());
        world.run(seconds(4));
        assert!(deaf.is_closed());
        assert!(!reads.is_closed());
        assert_eq!(reads.refusals().len(), 200);
        let unread = |line: &String| line.contains("unread_bytes") && !line.ends_with(" 0");
        assert!(!world.in_use(origin).iter().any(unread), "{:?}", world.in_use(origin));
    });
}
