//! A fan's places: the rooms that one session takes part in.

use std::{borrow::Cow, rc::Rc, task::Context};

use moqt::{
    DoneCode, Event, Namespace, Params, Properties, RequestCode, Token, TrackName,
    message::RequestError,
    session::{RequestId, StreamId},
};
use token::Claims;
use wire::{EdgeMessage, SessionId, limits, names};

use super::{
    Rooms,
    seat::{MAIL_BYTES, Mailbox, Seat, Status},
};
use crate::{
    Cx,
    packets::{Broken, Inflow, Outflow},
};

/// Rooms that one session may take part in.
const MAX_PLACES: usize = 4;

/// Those of one session.
pub(crate) struct Places {
    rooms: Option<Rooms>,
    taken: Vec<Place>,
    /// The token that a stranger was given: they are the same one in every place of the session.
    given: Option<String>,
}

struct Place {
    seat: Rc<Seat>,
    session: SessionId,
    mailbox: Rc<Mailbox>,
    answers: RequestId,
    /// Once the room is open.
    mail: Option<Outflow>,
    acts: Option<Acts>,
    over: Option<RequestError>,
}

struct Acts {
    request: RequestId,
    accepted: bool,
    inflow: Inflow,
}

impl Places {
    pub(crate) fn new(rooms: Option<Rooms>) -> Self {
        Self { rooms, taken: Vec::new(), given: None }
    }

    /// Whether a namespace is the house's own, and not the relay's business.
    pub(crate) fn are_in(namespace: &Namespace) -> bool {
        namespace.fields().first().is_some_and(|field| &field[..] == names::FAN.as_bytes())
    }

    /// A fan asks for their answers: they take their place.
    pub(crate) fn subscribe(
        &mut self,
        cx: &mut Cx<'_>,
        request: RequestId,
        track: &TrackName,
        shown: &[Cow<'_, str>],
    ) {
        match self.enter(request, track, shown) {
            Ok(place) => self.taken.push(place),
            Err(error) => drop(cx.session.reject(request, error)),
        }
    }

    fn enter(
        &mut self,
        answers: RequestId,
        track: &TrackName,
        shown: &[Cow<'_, str>],
    ) -> Result<Place, RequestError> {
        let room = room_of(track, names::ANSWERS)?;
        let rooms = self
            .rooms
            .clone()
            .ok_or_else(|| RequestError::new(RequestCode::NOT_SUPPORTED, "this edge has no rooms"))?;
        if self.taken.len() >= MAX_PLACES || self.place_in(&room).is_some() {
            let error = RequestError::new(RequestCode::EXCESSIVE_LOAD, "a session has one place in a room");
            return Err(error);
        }
        // Tokens have it as people write it.
        let no_text = || RequestError::new(RequestCode::DOES_NOT_EXIST, "a room's name is text");
        let path = room.path().ok_or_else(no_text)?;
        let (claims, given) = rooms.who(shown, &mut self.given).map_err(|error| {
            RequestError::new(RequestCode::INTERNAL_ERROR, &format!("no token can be made: {error}"))
        })?;
        let seat = rooms.seat(&room)?;
        let (session, mailbox) = seat.enter(token::who(&claims, &path));
        if let Some(token) = given {
            mailbox.put(&wire::packet(&EdgeMessage::Token { token: &token }));
        }
        Ok(Place { seat, session, mailbox, answers, mail: None, acts: None, over: None })
    }

    /// A fan is about to send.
    pub(crate) fn publish(&mut self, cx: &mut Cx<'_>, request: RequestId, track: &TrackName) {
        let room = room_of(track, names::ACTS);
        let place = room.and_then(|room| {
            let place = self.taken.iter_mut().find(|place| place.seat.room == room && place.acts.is_none());
            let first = "subscribe to the answers first, and send once";
            place.ok_or_else(|| RequestError::new(RequestCode::DOES_NOT_EXIST, first))
        });
        match place {
            Ok(place) => {
                let inflow = Inflow::new(limits::FAN_PACKET);
                place.acts = Some(Acts { request, accepted: false, inflow });
            }
            Err(error) => drop(cx.session.reject(request, error)),
        }
    }

    /// Whether an event was about one of these.
    pub(crate) fn event(&mut self, event: &Event) -> bool {
        let of = match event {
            Event::Subgroup { request, .. } => self.of_request(*request),
            Event::Object { stream, .. }
            | Event::Payload { stream, .. }
            | Event::StreamEnded { stream }
            | Event::StreamReset { stream, .. } => self.of_stream(*stream),
            Event::StreamStopped { stream, .. } => {
                self.taken.iter_mut().find(|place| place.mail.as_ref().is_some_and(|mail| mail.is(*stream)))
            }
            Event::Cancelled { request, .. } | Event::Done { request, .. } => {
                let of = |place: &Place| place.answers == *request || place.is_sending(*request);
                let count = self.taken.len();
                self.taken.retain(|place| !of(place));
                return self.taken.len() < count;
            }
            _ => None,
        };
        let Some(place) = of else { return false };
        if let Err(broken) = place.read(event) {
            let error = RequestError::new(RequestCode::MALFORMED_TRACK, &broken.to_string());
            place.over = Some(error);
        }
        true
    }

    fn place_in(&self, room: &Namespace) -> Option<&Place> {
        self.taken.iter().find(|place| place.seat.room == *room)
    }

    fn of_request(&mut self, request: RequestId) -> Option<&mut Place> {
        self.taken.iter_mut().find(|place| place.is_sending(request))
    }

    fn of_stream(&mut self, stream: StreamId) -> Option<&mut Place> {
        let reads = |place: &&mut Place| place.acts.as_ref().is_some_and(|acts| acts.inflow.has(stream));
        self.taken.iter_mut().find(reads)
    }

    /// Answers, and passes on what the rooms say.
    pub(crate) fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) {
        self.taken.retain_mut(|place| {
            place.mailbox.watch(task.waker());
            match place.go_on(cx) {
                Ok(()) => true,
                Err(error) => {
                    place.end(cx, error);
                    false
                }
            }
        });
    }
}

impl Place {
    fn is_sending(&self, request: RequestId) -> bool {
        self.acts.as_ref().is_some_and(|acts| acts.request == request)
    }

    fn read(&mut self, event: &Event) -> Result<(), Broken> {
        let Some(acts) = &mut self.acts else { return Ok(()) };
        match event {
            Event::Subgroup { stream, header, .. } => acts.inflow.begin(*stream, *header)?,
            Event::Object { stream, header } => acts.inflow.object(*stream, header)?,
            Event::Payload { stream, data } => acts.inflow.payload(*stream, data)?,
            Event::StreamEnded { stream } => acts.inflow.end(*stream)?,
            // Either direction: the fan starts over.
            _ => return Err(Broken::Gap),
        }
        while let Some(packet) = acts.inflow.take() {
            self.seat.packet(self.session, &self.mailbox, &packet);
        }
        Ok(())
    }

    fn go_on(&mut self, cx: &mut Cx<'_>) -> Result<(), RequestError> {
        if let Some(error) = self.over.take() {
            return Err(error);
        }
        match self.seat.status() {
            Status::Opening => return Ok(()),
            Status::Refused(error) => return Err(error),
            Status::Open => {}
        }
        let misused =
            |error: moqt::Misuse| RequestError::new(RequestCode::INTERNAL_ERROR, &error.to_string());
        if self.mail.is_none() {
            let answered = cx.session.accept_subscribe(self.answers, Params::default(), Properties::NONE);
            answered.map_err(misused)?;
            // Whoever reads it keeps nothing: one group, one stream.
            self.mail = Some(Outflow::new(self.answers, u64::MAX));
        }
        if let Some(acts) = self.acts.as_mut().filter(|acts| !acts.accepted) {
            cx.session.accept(acts.request, Params::default(), Properties::NONE).map_err(misused)?;
            acts.accepted = true;
        }
        if let Some(mail) = self.mail.as_mut().filter(|mail| mail.backlog(cx) < MAIL_BYTES)
            && let Some(packet) = self.mailbox.take()
        {
            mail.send(cx, packet).map_err(misused)?;
        }
        self.mailbox.closed().map_or(Ok(()), Err)
    }

    /// Both tracks end: the fan may start over.
    fn end(&mut self, cx: &mut Cx<'_>, error: RequestError) {
        if self.mail.is_some() {
            let code = match error.code {
                RequestCode::EXCESSIVE_LOAD => DoneCode::EXCESSIVE_LOAD,
                RequestCode::MALFORMED_TRACK => DoneCode::MALFORMED_TRACK,
                _ => DoneCode::INTERNAL_ERROR,
            };
            let _ = cx.session.done(self.answers, code, error.reason_text());
        } else {
            let _ = cx.session.reject(self.answers, error.clone());
        }
        if let Some(acts) = &self.acts {
            let refused = !acts.accepted && cx.session.reject(acts.request, error).is_ok();
            if !refused {
                let _ = cx.session.cancel(acts.request);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.seat.exit(self.session);
    }
}

impl Rooms {
    /// Who a fan is, by the first token that holds, and a token that is to be shown from now on, if it is another. If
    /// none does, a stranger: the one whom that was `given` to, or a new one.
    fn who(
        &self,
        shown: &[Cow<'_, str>],
        given: &mut Option<String>,
    ) -> Result<(Claims, Option<String>), token::Error> {
        let (keys, now) = (&self.0.config.keys, self.0.platform.wall());
        if let Some(claims) = shown.iter().find_map(|jwt| keys.verify(jwt, now).ok()) {
            let renewed = keys.renew(&claims, now)?;
            return Ok((claims, renewed));
        }
        let jwt = match given {
            Some(jwt) => jwt.clone(),
            None => given.insert(keys.mint_anonymous(self.0.platform.random()?, now)?).clone(),
        };
        Ok((keys.verify(&jwt, now)?, Some(jwt)))
    }
}

/// The room in a fan's namespace.
fn room_of(track: &TrackName, name: &str) -> Result<Namespace, RequestError> {
    let absent = |why| RequestError::new(RequestCode::DOES_NOT_EXIST, why);
    if track.name() != name.as_bytes() {
        return Err(absent("there is no such track"));
    }
    let prefix = Namespace::new([names::FAN]).map_err(|_| absent("there is no such room"))?;
    let room = track.namespace().strip_prefix(&prefix).filter(|room| !room.is_empty());
    let reserved =
        |room: &Namespace| room.fields().iter().any(|field| field.first() == Some(&names::RESERVED));
    room.filter(|room| !reserved(room)).ok_or_else(|| absent("there is no such room"))
}

/// Whether a namespace is that of a room's tracks to all fans.
pub(crate) fn is_room_track(namespace: &Namespace) -> bool {
    namespace.fields().first().is_some_and(|field| &field[..] == names::ROOM.as_bytes())
}

/// The tokens that a session has shown.
pub(crate) fn shown<'a>(query: Option<&'a str>, tokens: &'a [Token]) -> Vec<Cow<'a, str>> {
    let in_setup = tokens.iter().filter_map(|token| match token {
        Token::UseValue { value, .. } | Token::Register { value, .. } => {
            String::from_utf8(value.to_vec()).ok()
        }
        Token::Delete { .. } | Token::UseAlias { .. } => None,
    });
    let in_query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let in_query = in_query.filter(|(key, _)| key == "jwt").map(|(_, value)| value);
    in_query.chain(in_setup.map(Into::into)).collect()
}
