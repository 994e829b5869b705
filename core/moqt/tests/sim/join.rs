use std::sync::atomic::{AtomicU64, Ordering};

use moqt::{DoneCode, Location, Micros, RequestCode};

use testnet::{Rng, Weather, World};

use crate::{
    LONG,
    apps::{Announce, Ask, Publisher, Relay, Subscriber},
    seeds,
    track::Shape,
};

/// Live and past meet without a gap or an overlap: through a relay that is told
/// of objects in one order and delivers them in another.
#[test]
fn a_late_joiner_gets_past_and_live_exactly_once() {
    let whole = AtomicU64::new(0);
    seeds(2000, |seed| {
        let mut rng = Rng::new(seed);
        let shape = Shape::at_random(&mut rng);
        let mut world = World::new(rng.next());
        let mut app = Publisher::new(shape);
        app.announce = Announce::Namespace;
        app.pace = Micros(rng.of(1..20_000));
        let publisher = world.node(app);
        let relay = world.node(Relay::default());
        let early = {
            let mut early = Subscriber::new(shape, Ask::Subscribe);
            early.rendezvous = Some(30_000);
            world.node(early)
        };
        let after = Micros(rng.of(0..300_000));
        let late = {
            let mut late = Subscriber::new(shape, Ask::Join { after, back: 100 });
            late.rendezvous = Some(30_000);
            world.node(late)
        };
        for client in [publisher, early, late] {
            world.link(client, relay, Weather::at_random(&mut rng));
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
        whole.fetch_add(1, Ordering::Relaxed);
        assert_eq!(late.done, Some(DoneCode::TRACK_ENDED));
        let joining = late.accepted.as_ref().unwrap().largest;
        for at in shape.locations() {
            // What FirstObject subgroups had begun cannot be told to a late joiner
            // on a stream of its own; with the fetch it has what is before.
            let mid_stream =
                joining.is_some_and(|joining| at > joining && at.group == joining.group && at.group % 2 == 0);
            let got = late.collector.got.get(&at).copied().unwrap_or_default();
            assert!(got == 1 || (mid_stream && got == 0), "{at:?} came {got} times, joined at {joining:?}");
        }
    });
    let whole = whole.into_inner();
    assert!(whole > 500, "only {whole} of 2000 joined in time");
}
