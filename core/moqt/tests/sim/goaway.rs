//! GOAWAY: sessions move to another server without loss.

use moqt::{Event, Micros, Misuse, Params, RequestCode, SessionCode};

use testnet::{App, Cx, Rng, Weather, World};

use crate::{LONG, apps::track, seeds};

/// A server that leaves, and what it and its client see.
#[derive(Default)]
struct Leaver {
    /// True if it leaves by the clock, rather than when a peer is there.
    by_the_clock: bool,
    leaving: bool,
    closed: Option<SessionCode>,
}

struct Guest {
    /// True if it leaves when it is asked to.
    obliging: bool,
    request: Option<moqt::session::RequestId>,
    uri: Option<String>,
    refused: Option<RequestCode>,
    closed: Option<SessionCode>,
    /// Ask again at the same time as the server leaves.
    racing: bool,
}

impl App for Leaver {
    fn start(&mut self, cx: &mut Cx<'_>) {
        if self.by_the_clock {
            cx.wake_at(cx.now + Micros(200_000));
        }
    }

    fn wake(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        cx.session(0).goaway(now, "https://elsewhere.example/", Some(Micros::from_millis(2_000))).unwrap();
        assert!(cx.session(0).goaway(now, "", None).is_err(), "once is enough");
        self.leaving = true;
    }

    fn event(&mut self, cx: &mut Cx<'_>, session: usize, event: Event) {
        match event {
            Event::Subscribe { request, .. } => {
                assert!(!self.leaving, "requests after GOAWAY are refused by the session");
                cx.session(session)
                    .accept_subscribe(request, Params::default(), moqt::Properties::NONE)
                    .unwrap();
                if !self.by_the_clock {
                    cx.wake_at(cx.now + Micros(200_000));
                }
            }
            Event::Closed { code, .. } => self.closed = Some(code),
            _ => {}
        }
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl App for Guest {
    fn start(&mut self, cx: &mut Cx<'_>) {
        if self.racing {
            cx.wake_at(cx.now + Micros(200_001));
        } else {
            self.request = Some(cx.session(0).subscribe(track(), Params::default()).unwrap());
        }
    }

    fn wake(&mut self, cx: &mut Cx<'_>) {
        self.request = cx.session(0).subscribe(track(), Params::default()).ok();
    }

    fn event(&mut self, cx: &mut Cx<'_>, session: usize, event: Event) {
        match event {
            Event::GoAway { uri, timeout, .. } => {
                self.uri = Some(String::from_utf8(uri.to_vec()).unwrap());
                assert_eq!(timeout, Some(Micros::from_millis(2_000)));
                let again = cx.session(session).subscribe(track(), Params::default());
                assert!(matches!(again, Err(Misuse::GoingAway | Misuse::DuplicateSubscription(_))));
                if self.obliging {
                    if let Some(request) = self.request {
                        let _ = cx.session(session).cancel(request);
                    }
                    cx.session(session).close(SessionCode::NO_ERROR, "moved");
                }
            }
            Event::RequestError { error, .. } => self.refused = Some(error.code),
            Event::Closed { code, .. } => self.closed = Some(code),
            _ => {}
        }
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn leave(seed: u64, obliging: bool, racing: bool) -> (World, usize, usize) {
    let mut rng = Rng::new(seed);
    let mut world = World::new(rng.next());
    let server = world.node(Leaver { by_the_clock: racing, ..Leaver::default() });
    let client =
        world.node(Guest { obliging, request: None, uri: None, refused: None, closed: None, racing });
    let mut weather = Weather::at_random(&mut rng);
    weather.latency = Micros(weather.latency.0.min(40_000));
    world.link(client, server, weather);
    world.run(LONG);
    (world, server, client)
}

#[test]
fn a_client_that_leaves_when_asked_leaves_without_an_error() {
    seeds(300, |seed| {
        let (world, server, client) = leave(seed, true, false);
        assert_eq!(world.app::<Guest>(client).uri.as_deref(), Some("https://elsewhere.example/"));
        assert_eq!(world.app::<Guest>(client).closed, Some(SessionCode::NO_ERROR));
        assert_eq!(world.app::<Leaver>(server).closed, Some(SessionCode::NO_ERROR));
    });
}

#[test]
fn a_client_that_stays_is_shown_the_door() {
    seeds(300, |seed| {
        let (world, server, client) = leave(seed, false, false);
        assert_eq!(world.app::<Leaver>(server).closed, Some(SessionCode::GOAWAY_TIMEOUT));
        assert_eq!(world.app::<Guest>(client).closed, Some(SessionCode::GOAWAY_TIMEOUT));
    });
}

#[test]
fn a_request_that_crosses_goaway_is_refused_as_such() {
    seeds(300, |seed| {
        let (world, _, client) = leave(seed, false, true);
        let guest = world.app::<Guest>(client);
        if guest.request.is_some() {
            assert_eq!(guest.refused, Some(RequestCode::GOING_AWAY));
        }
    });
}
