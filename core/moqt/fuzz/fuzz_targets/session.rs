//! A whole session, driven through what a transport, a peer and an application
//! can do. It does not panic, uses only streams that are open, changes nothing
//! when it refuses a call, is silent once closed, and then holds nothing.
#![no_main]

mod shell;
mod wording;

use libfuzzer_sys::fuzz_target;
use moqt::{
    Config, DoneCode, FetchOk, Filter, GroupOrder, Location, Micros, Misuse, Params, Properties, RequestCode,
    ResetCode, SessionCode, Version,
    data::{Datagram, DatagramBody, FetchObject, ObjectHeader, RangeEnd, Status, SubgroupHeader, SubgroupId},
    message::{FetchKind, JoiningStart, Redirect, RequestError},
    session::{Dir, Input, Side, Transport},
};
use shell::Shell;
use wording::Words;

/// Steps of one run.
const MAX_STEPS: usize = 512;
/// Open requests of the peer that the session allows.
const MAX_REQUESTS: usize = 8;

fuzz_target!(|input: &[u8]| {
    let mut words = Words::new(input);
    let first = words.byte();
    let side = if first & 1 == 0 { Side::Client } else { Side::Server };
    let transport = if first & 2 == 0 { Transport::Quic } else { Transport::WebTransport };
    let mut config = Config::new(side, transport, Version::Draft18);
    config.limits.requests = MAX_REQUESTS;
    config.limits.held_bytes = 1024;
    config.limits.held_datagrams = 4;
    config.limits.token_cache = 64;
    config.limits.namespaces = 4;
    let mut shell = Shell::new(config, first & 4 == 0);
    for _ in 0..MAX_STEPS {
        if words.is_empty() {
            break;
        }
        step(&mut shell, &mut words);
        shell.drain();
    }
    shell.close();
});

fn step(shell: &mut Shell, words: &mut Words<'_>) {
    match words.byte() {
        kind @ 0..64 => transport(shell, words, kind),
        64..112 => {
            let (stream, bytes) = (words.byte(), words.message(shell.peer_side()));
            shell.say(stream, &bytes);
        }
        112..144 => {
            let (stream, bytes) = (words.byte(), words.data());
            shell.deliver(stream, &bytes);
        }
        kind => call(shell, words, kind),
    }
}

/// Reports an event of the transport.
fn transport(shell: &mut Shell, words: &mut Words<'_>, kind: u8) {
    match kind % 16 {
        0..=2 => shell.opened(Dir::Uni),
        3..=5 => shell.opened(Dir::Bi),
        6..=8 => {
            let stream = words.byte();
            let bytes = words.some();
            shell.deliver(stream, &bytes);
        }
        9 => shell.finished(words.byte()),
        10 => shell.reset(words.byte(), ResetCode(u64::from(words.byte()))),
        11 => shell.stopped(words.byte(), ResetCode(u64::from(words.byte()))),
        12 => shell.delivered(words.byte()),
        13 => {
            let bytes = if words.flag() { words.datagram() } else { words.some() };
            shell.datagram(&bytes);
        }
        14 => shell.wait(Micros::from_millis(u64::from(words.byte()) * 50)),
        _ => match words.byte() {
            0 => shell.handle(Input::Closed { code: SessionCode::NO_ERROR, reason: "gone".into() }),
            _ => shell.timeout(),
        },
    }
}

/// Makes a request or an answer as an application does.
fn call(shell: &mut Shell, words: &mut Words<'_>, kind: u8) {
    let request = shell.request(words.byte());
    let now = shell.now();
    let mut made = None;
    let session = &mut shell.session;
    let outcome: Result<(), Misuse> = match kind % 40 {
        0 => session.subscribe(words.track(), words.params()).map(|id| made = Some(id)),
        1 => session.publish(words.track(), words.params(), words.properties()).map(|id| made = Some(id)),
        2 => session.publish_namespace(words.namespace(), words.params()).map(|id| made = Some(id)),
        3 => session.subscribe_namespace(words.namespace(), words.params()).map(|id| made = Some(id)),
        4 => session.subscribe_tracks(words.namespace(), words.params()).map(|id| made = Some(id)),
        5 => session.track_status(words.track(), words.params()).map(|id| made = Some(id)),
        6 => {
            let kind = FetchKind::Standalone {
                track: words.track(),
                start: words.location(),
                end: words.location(),
            };
            session.fetch(kind, words.params()).map(|id| made = Some(id))
        }
        7 => {
            let start = u64::from(words.byte());
            let start =
                if start % 2 == 0 { JoiningStart::Relative(start) } else { JoiningStart::Absolute(start) };
            session
                .fetch(FetchKind::Joining { request_id: request.0, start }, words.params())
                .map(|id| made = Some(id))
        }
        8 => session.update(request, words.params()),
        9 => session.cancel(request),
        10..=12 => session.accept_subscribe(request, words.params(), words.properties()),
        13..=15 => session.accept(request, words.params(), words.properties()),
        16 => session.reject(request, words.error()),
        17 | 18 => {
            let ok = FetchOk { end_of_track: words.flag(), end: words.location(), ..FetchOk::default() };
            session.accept_fetch(request, ok)
        }
        19 => session.accept_update(request, words.params()),
        20 => session.reject_update(request, words.error()),
        21 => session.namespace(request, words.namespace()),
        22 => session.namespace_done(request, words.namespace()),
        23 => session.publish_blocked(request, words.track()),
        24 => session.hold(now, request).map(drop),
        25 => session.done(request, DoneCode(u64::from(words.byte())), "done"),
        26 => {
            let timeout = words.flag().then(|| Micros::from_millis(u64::from(words.byte())));
            session.goaway(now, words.uri(), timeout)
        }
        27 => {
            let timeout = words.flag().then(|| Micros::from_millis(u64::from(words.byte())));
            session.goaway_request(now, request, words.uri(), timeout)
        }
        28 | 29 => session.open_subgroup(request, words.subgroup()).map(drop),
        30..=36 => return send(shell, words, kind % 40),
        37 => session.open_fetch(request).map(drop),
        38 => {
            let body = if words.flag() {
                DatagramBody::Payload(words.some().into())
            } else {
                DatagramBody::Status(words.status())
            };
            let datagram = Datagram {
                track_alias: 0,
                group: u64::from(words.byte()),
                object: u64::from(words.byte()),
                priority: words.flag().then_some(7),
                properties: words.properties(),
                end_of_group: words.flag(),
                body,
            };
            session.datagram(request, datagram)
        }
        _ => {
            if words.byte() == 0 {
                session.close(SessionCode::NO_ERROR, "enough");
            }
            Ok(())
        }
    };
    shell.called(outcome);
    shell.made(made);
}

/// Writes to a stream as an application does.
fn send(shell: &mut Shell, words: &mut Words<'_>, kind: u8) {
    let stream = shell.stream(words.byte());
    let now = shell.now();
    let session = &mut shell.session;
    let outcome = match kind {
        30 | 31 => {
            let status = words.status();
            let header = ObjectHeader {
                id: u64::from(words.byte()),
                properties: words.properties(),
                payload_len: if status == Status::Normal { u64::from(words.byte() % 8) } else { 0 },
                status,
            };
            let born = Micros(now.0.saturating_sub(u64::from(words.byte()) * 10_000));
            // An expired object ends its stream: no refusal, though it is not sent.
            session.object(now, stream, &header, born).map(drop)
        }
        32 => session.payload(stream, words.some().into()),
        33 => session.finish(now, stream),
        34 => {
            if words.flag() {
                session.reset(stream, ResetCode::CANCELLED)
            } else {
                session.stop(stream, ResetCode::CANCELLED)
            }
        }
        35 => {
            let object = FetchObject {
                location: words.location(),
                subgroup: words.flag().then_some(3),
                priority: words.byte(),
                properties: words.properties(),
                payload_len: u64::from(words.byte() % 8),
            };
            session.fetch_object(stream, &object)
        }
        _ => {
            let end = words.location();
            let end = if words.flag() { RangeEnd::Unknown(end) } else { RangeEnd::NonExistent(end) };
            session.range_end(stream, end)
        }
    };
    shell.called(outcome);
}

impl Words<'_> {
    fn subgroup(&mut self) -> SubgroupHeader {
        let flags = self.byte();
        SubgroupHeader {
            track_alias: 0,
            group: u64::from(self.byte()),
            subgroup: match flags & 3 {
                0 => SubgroupId::Zero,
                1 => SubgroupId::FirstObject,
                _ => SubgroupId::Id(u64::from(flags)),
            },
            priority: (flags & 4 != 0).then_some(flags),
            properties: flags & 8 != 0,
            end_of_group: flags & 16 != 0,
            first_object: flags & 32 != 0,
        }
    }

    fn status(&mut self) -> Status {
        match self.byte() % 8 {
            0 => Status::EndOfGroup,
            1 => Status::EndOfTrack,
            _ => Status::Normal,
        }
    }

    fn error(&mut self) -> RequestError {
        let code = RequestCode(u64::from(self.byte()));
        let mut error = RequestError::new(code, "no");
        if code == RequestCode::REDIRECT && self.flag() {
            error.redirect = Some(Box::new(Redirect { uri: self.uri().into(), ..Redirect::default() }));
        }
        error
    }

    fn uri(&mut self) -> &'static str {
        if self.flag() { "moqt://elsewhere.example/" } else { "" }
    }

    fn properties(&mut self) -> Properties {
        match self.byte() {
            0 => Properties::builder().int(0x3C, 1).build(),
            1 => Properties::builder().int(0x02, 500).int(0x06, 700).build(),
            2 => Properties::builder().int(0x4000, 1).build(),
            3 => Properties::builder().int(0x22, 9).build(),
            _ => Properties::NONE,
        }
    }

    fn params(&mut self) -> Params {
        let mut params = Params::default();
        let which = self.byte();
        if which >= 128 {
            return params;
        }
        if which & 1 != 0 {
            params.forward = Some(self.flag());
        }
        if which & 2 != 0 {
            params.priority = Some(self.byte());
        }
        if which & 4 != 0 {
            params.filter = Some(match self.byte() % 4 {
                0 => Filter::NextGroup,
                1 => Filter::LargestObject,
                2 => Filter::From(self.location()),
                _ => Filter::Range { start: self.location(), end_group: u64::from(self.byte()) },
            });
        }
        if which & 8 != 0 {
            params.group_order = Some(GroupOrder::Descending);
        }
        if which & 16 != 0 {
            params.largest = Some(self.location());
        }
        if which & 32 != 0 {
            params.subgroup_delivery_timeout = Some(u64::from(self.byte()));
            params.rendezvous_timeout = Some(u64::from(self.byte()));
        }
        if which & 64 != 0 {
            params.namespace_prefix = Some(self.namespace());
        }
        params
    }

    fn location(&mut self) -> Location {
        Location::new(u64::from(self.byte()), u64::from(self.byte()))
    }
}
