//! A session serves requests for as long as it lives, however many.

use std::collections::VecDeque;

use bytes::Bytes;
use moqt::{
    App, Cx, Event, Micros, Namespace, Params, RequestCode, TrackName, Version, WebSocketSession,
    message::RequestError,
    session::{Config, Side, Transport},
};

/// Requests in one session's life: three times what a 16-bit count of them would hold.
const REQUESTS: u64 = 200_000;
/// Requests that are open at once.
const OPEN: u64 = 500;

/// Asks for one track after another.
#[derive(Default)]
struct Asker {
    asked: u64,
    refused: u64,
}

impl App for Asker {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::RequestError { .. } => self.refused += 1,
            Event::Closed { .. } if self.refused < REQUESTS => panic!("closed after {}", self.refused),
            _ => {}
        }
        while self.asked < REQUESTS && self.asked - self.refused < OPEN {
            let namespace = Namespace::new([format!("{}", self.asked)]).expect("short");
            let track = TrackName::new(namespace, "video").expect("short");
            if cx.session.subscribe(track, Params::default()).is_err() {
                break;
            }
            self.asked += 1;
        }
    }
}

/// An application that refuses every track.
struct Refuser;

impl App for Refuser {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        if let Event::Subscribe { request, .. } = event {
            let error = RequestError::new(RequestCode::DOES_NOT_EXIST, "there is no such track");
            cx.session.reject(request, error).expect("open");
        }
    }
}

#[test]
fn two_hundred_thousand_requests_are_answered_in_one_session() {
    let session = |side| {
        let config = Config::new(side, Transport::WebTransport, Version::Draft18);
        WebSocketSession::new(Micros(0), config).expect("a session")
    };
    let (mut client, mut server) = (session(Side::Client), session(Side::Server));
    let (mut asker, mut refuser) = (Asker::default(), Refuser);
    let mut task = std::task::Context::from_waker(std::task::Waker::noop());
    let mut now = Micros(0);
    while asker.refused < REQUESTS {
        now = now + Micros(1_000);
        client.run(&mut task, now, &mut asker);
        server.run(&mut task, now, &mut refuser);
        let (up, down): (VecDeque<Bytes>, VecDeque<Bytes>) = (
            std::iter::from_fn(|| client.pop(now)).collect(),
            std::iter::from_fn(|| server.pop(now)).collect(),
        );
        assert!(!up.is_empty() || !down.is_empty(), "both wait after {} answers", asker.refused);
        for message in up {
            server.received(now, message);
        }
        for message in down {
            client.received(now, message);
        }
    }
    assert_eq!(asker.asked, REQUESTS);
}
