//! A relay that is shut down sends GOAWAY to its clients.

use std::{collections::BTreeSet, time::Duration};

use testnet::{Rng, Seeds, Weather};

use crate::{
    content::{CREATORS, Shape},
    creator::Announce,
    subscriber::Manner,
    topology::{World, seconds},
};

#[test]
fn all_clients_leave_a_relay_that_drains_and_it_keeps_its_upstream() {
    Seeds::new(100).run(|seed| {
        let mut world = World::at_random(seed, 1);
        let origin = world.relay(None);
        let edge = world.relay(Some(origin));
        world.creator(origin, Announce::Namespace);
        let reports = [0; 3].map(|_| world.subscriber(edge, Manner::Names, &[0]));
        world.run(seconds(5));
        world.running(edge).drain(Duration::from_secs(2));
        world.run(seconds(8));
        for report in &reports {
            // They may come back: the relay still answers.
            assert_eq!((report.goaways.get(), report.sessions.get()), (1, 2));
        }
        assert_eq!(world.figure(edge, "upstream"), 1);
        world.assert_fresh();
        world.finish();
    });
}

#[test]
fn an_edge_and_a_creator_move_from_an_origin_that_drains_and_miss_a_group_at_most() {
    Seeds::new(100).run(|seed| {
        let mut weather = Weather::at_random(&mut Rng::new(seed));
        weather.mtu = weather.mtu.max(300);
        let mut world = World::new(seed, &[Shape::plain()], weather);
        let origin = world.origin();
        let (near, far) = (world.relay(Some(origin)), world.relay(Some(origin)));
        world.creator(near, Announce::Namespace);
        let report = world.subscriber(far, Manner::Names, &[0]);
        world.run(seconds(10));
        world.running(origin).drain(Duration::from_secs(2));
        world.run(seconds(20));
        let groups: BTreeSet<_> = report.objects.borrow().iter().map(|(_, at, _)| at.group).collect();
        if std::env::var("FANFARE_SEED").is_ok() {
            eprintln!("{weather:?}");
            for o in report.objects.borrow().iter().filter(|o| o.1.group >= 4032 && o.1.group <= 4052) {
                eprintln!("{o:?}");
            }
        }
        let span = (groups.last().unwrap() - groups.first().unwrap()) / CREATORS + 1;
        assert!(span - groups.len() as u64 <= 1, "{groups:?}");
        assert_eq!(report.sessions.get(), 1);
        for edge in [near, far] {
            assert_eq!(world.figure(edge, "upstream"), 1);
        }
        world.assert_fresh();
        world.finish();
    });
}
