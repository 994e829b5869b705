//! Joining fetches: the past and the live objects of a track.

use std::sync::atomic::{AtomicU64, Ordering};

use moqt::{DoneCode, Location, Micros, RequestCode};

use testnet::{Rng, Weather, World};

use crate::{
    LONG,
    apps::{Ask, Publisher, Subscriber},
    seeds,
    track::Shape,
};

/// Live and past meet without a gap or an overlap.
#[test]
fn a_late_joiner_gets_past_and_live_exactly_once() {
    let whole = AtomicU64::new(0);
    seeds(2000, |seed| {
        let mut rng = Rng::new(seed);
        let shape = Shape::at_random(&mut rng);
        let mut world = World::new(rng.next());
        let mut app = Publisher::new(shape);
        app.pace = Micros(rng.of(1..20_000));
        let publisher = world.node(app);
        let early = {
            let mut early = Subscriber::new(shape, Ask::Subscribe);
            early.rendezvous = Some(30_000);
            world.node(early)
        };
        let after = Micros(rng.of(0..100_000));
        let late = {
            let mut late = Subscriber::new(shape, Ask::Join { after, back: 100 });
            late.rendezvous = Some(30_000);
            world.node(late)
        };
        for client in [early, late] {
            world.link(client, publisher, Weather::at_random(&mut rng));
        }
        world.run(LONG);
        let early = world.app::<Subscriber>(early);
        if early.accepted.as_ref().is_some_and(|params| params.largest.is_none()) {
            early.collector.assert_whole(Location::default());
        }
        let late = world.app::<Subscriber>(late);
        let too_late = late.accepted.is_none();
        // The show may be over when it comes, or between its two requests.
        if too_late || late.refused.iter().any(|error| error.code == RequestCode::INVALID_JOINING_REQUEST_ID)
        {
            return;
        }
        let joining = late.accepted.as_ref().unwrap().largest;
        // The publisher ends the subscriptions that are there when its last object is sent.
        if joining == Some(shape.last()) {
            return;
        }
        whole.fetch_add(1, Ordering::Relaxed);
        assert_eq!(late.done, Some(DoneCode::TRACK_ENDED));
        for at in shape.locations() {
            // The publisher gives a late joiner no rest of a subgroup that it has begun.
            let mid_stream = joining.is_some_and(|joining| {
                at > joining && at.group == joining.group && at.object >= shape.subgroups
            });
            let got = late.collector.got.get(&at).copied().unwrap_or_default();
            assert!(got == 1 || (mid_stream && got == 0), "{at:?} came {got} times, joined at {joining:?}");
        }
    });
    let whole = whole.into_inner();
    assert!(whole > 500, "only {whole} of 2000 joined in time");
}
