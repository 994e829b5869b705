//! All of MoQ Transport behind a few exports: `cargo xtask bench moqt-size` prints its size.
//!
//! An export takes values that a compiler cannot guess and returns values that it cannot drop, so that all of
//! the codec and the session stays in.
#![allow(unsafe_code, reason = "an export's name is the linker's business")]

use std::cell::RefCell;

use moqt::{
    Config, DoneCode, Event, FetchOk, Filter, GroupOrder, Input, Location, Micros, Namespace, Output, Params,
    Properties, RequestCode, ResetCode, Session, SessionCode, Token, TrackName, Version,
    data::{Datagram, DatagramBody, FetchObject, ObjectHeader, RangeEnd, Status, SubgroupHeader, SubgroupId},
    message::{FetchKind, JoiningStart, RequestError},
    session::{Dir, RequestId, Side, StreamId, Transport},
};

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// Runs the operation that `what` selects on the given numbers, and folds all results into one.
#[unsafe(no_mangle)]
pub extern "C" fn step(what: u32, a: u64, b: u64, c: u64) -> u64 {
    let now = Micros(a);
    SESSION.with_borrow_mut(|slot| {
        let session = if let Some(session) = slot {
            session
        } else {
            let side = if c == 0 { Side::Client } else { Side::Server };
            let transport = if b == 0 { Transport::Quic } else { Transport::WebTransport };
            let config = Config::new(side, transport, Version::Draft18);
            let Ok(session) = Session::new(now, config) else { return 0 };
            slot.insert(session)
        };
        let done = act(session, what, now, b, c);
        let mut sum = u64::from(done) + session.timeout().map_or(0, |at| at.0);
        while let Some(output) = session.poll() {
            sum = sum.wrapping_mul(31).wrapping_add(fold(&output));
        }
        sum
    })
}

#[allow(clippy::too_many_lines, reason = "one arm for each method of a session")]
fn act(session: &mut Session, what: u32, now: Micros, b: u64, c: u64) -> bool {
    let stream = StreamId(b);
    let request = RequestId(b);
    let bytes = || c.to_be_bytes().to_vec();
    let code = ResetCode(c);
    let namespace = || Namespace::new([bytes(), bytes()]).unwrap_or_default();
    let track = || TrackName::new(namespace(), bytes()).ok();
    let location = Location::new(b, c);
    let properties = || Properties::builder().int(b & !1, c).bytes(b | 1, bytes()).build();
    let params = Params {
        object_delivery_timeout: Some(b),
        tokens: vec![Token::value(bytes())],
        rendezvous_timeout: (c > 1).then_some(b),
        subgroup_delivery_timeout: (c > 2).then_some(b),
        expires: (c > 3).then_some(b),
        largest: (c > 4).then_some(location),
        fill_timeout: (c > 5).then_some(b),
        forward: (c > 6).then_some(b > 3),
        priority: (c > 7).then_some(b as u8),
        filter: (c > 8).then_some(Filter::Range { start: location, end_group: c }),
        group_order: (c > 9).then_some(GroupOrder::Descending),
        new_group_request: (c > 10).then_some(b),
        namespace_prefix: (c > 11).then(namespace),
    };
    match what {
        0 => session.opened(if b == 0 { Dir::Bi } else { Dir::Uni }).0 > c,
        1 => {
            session.handle(now, Input::Data { stream, data: bytes().into() });
            true
        }
        2 => {
            session.handle(now, Input::Finished { stream });
            session.handle(now, Input::Reset { stream, code });
            session.handle(now, Input::Stopped { stream, code });
            session.handle(now, Input::Delivered { stream });
            session.handle(now, Input::Datagram(bytes().into()));
            session.handle(now, Input::Timeout);
            session.handle(now, Input::Closed { code: SessionCode(c), reason: bytes().into() });
            true
        }
        3 => track().is_some_and(|track| session.subscribe(track, params).is_ok()),
        4 => track().is_some_and(|track| session.publish(track, params, properties()).is_ok()),
        5 => session.publish_namespace(namespace(), params).is_ok(),
        6 => session.subscribe_namespace(namespace(), params).is_ok(),
        7 => session.subscribe_tracks(namespace(), params).is_ok(),
        8 => track().is_some_and(|track| session.track_status(track, params).is_ok()),
        9 => track().is_some_and(|track| {
            session.fetch(FetchKind::Standalone { track, start: location, end: location }, params).is_ok()
        }),
        10 => {
            let kind = FetchKind::Joining { request_id: b, start: JoiningStart::Relative(c) };
            session.fetch(kind, params).is_ok()
        }
        11 => session.update(request, params).is_ok(),
        12 => session.cancel(request).is_ok(),
        13 => session.accept_subscribe(request, params, properties()).is_ok(),
        14 => session.accept(request, params, properties()).is_ok(),
        15 => session.accept_fetch(request, FetchOk { end: location, ..FetchOk::default() }).is_ok(),
        16 => session.reject(request, RequestError::new(RequestCode(c), "no")).is_ok(),
        17 => session.accept_update(request, params).is_ok(),
        18 => session.reject_update(request, RequestError::new(RequestCode(c), "no")).is_ok(),
        19 => session.hold(now, request).is_ok(),
        20 => session.namespace(request, namespace()).is_ok(),
        21 => session.namespace_done(request, namespace()).is_ok(),
        22 => track().is_some_and(|track| session.publish_blocked(request, track).is_ok()),
        23 => session.done(request, DoneCode(c), "over").is_ok(),
        24 => {
            let header =
                SubgroupHeader { group: c, subgroup: SubgroupId::Id(c), ..SubgroupHeader::default() };
            session.open_subgroup(request, header).is_ok()
        }
        25 => {
            let header =
                ObjectHeader { id: c, properties: properties(), payload_len: c, status: Status::Normal };
            session.object(now, stream, &header, now).is_ok()
        }
        26 => session.payload(stream, bytes().into()).is_ok(),
        27 => session.finish(now, stream).is_ok(),
        28 => session.reset(stream, code).is_ok(),
        29 => {
            let datagram = Datagram {
                track_alias: 0,
                group: b,
                object: c,
                priority: Some(c as u8),
                properties: properties(),
                end_of_group: false,
                body: DatagramBody::Payload(bytes().into()),
            };
            session.datagram(request, datagram).is_ok()
        }
        30 => session.open_fetch(request).is_ok(),
        31 => {
            let object = FetchObject { location, properties: properties(), ..FetchObject::default() };
            session.fetch_object(stream, &object).is_ok()
        }
        32 => session.range_end(stream, RangeEnd::Unknown(location)).is_ok(),
        33 => session.goaway(now, "", Some(now)).is_ok(),
        34 => session.goaway_request(now, request, "", None).is_ok(),
        35 => session.stop(stream, code).is_ok(),
        _ => {
            session.close(SessionCode(c), "bye");
            session.is_closed()
        }
    }
}

/// Looks at what a shell and an application would look at.
fn fold(output: &Output) -> u64 {
    match output {
        Output::Open { stream, order, .. } | Output::SetOrder { stream, order } => {
            stream.0 + order.to_i64() as u64
        }
        Output::Write { stream, data } => stream.0 + data.iter().map(|byte| u64::from(*byte)).sum::<u64>(),
        Output::Finish { stream } => stream.0,
        Output::Reset { stream, code } | Output::Stop { stream, code } => stream.0 + code.0,
        Output::Datagram(data) => data.len() as u64,
        Output::Close { code, .. } => code.0,
        Output::Event(event) => match event {
            Event::Subgroup { header, .. } => header.group,
            Event::Object { header, .. } => header.id + header.properties.int(2).unwrap_or_default(),
            Event::FetchObject { object, .. } => object.location.group,
            Event::Payload { data, .. } => data.len() as u64,
            Event::Subscribe { track, params, .. } => {
                track.name().len() as u64 + params.expires.unwrap_or_default()
            }
            Event::RequestError { error, .. } => error.code.0,
            Event::Done { code, .. } => code.0,
            _ => 1,
        },
    }
}
