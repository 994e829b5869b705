//! Memberships: the rooms that one session takes part in.

use std::{rc::Rc, task::Context};

use moqt::{
    Cx, DoneCode, Event, Namespace, Params, Properties, RequestCode, TrackName,
    message::RequestError,
    packet_track::{Broken, Inflow, Outflow},
    session::{RequestId, StreamId},
};
use relay::{Credentials, Guard as _, Service, SessionService};
use token::Verified;
use wire::{EdgeMessage, FanId, SessionId, limits, names};

use crate::{
    leaf::{Leaf, MAILBOX_BYTES, Mailbox, Status},
    rooms::Rooms,
    uplink::has_uplink,
};

/// Rooms that one session may take part in.
const MAX_MEMBERSHIPS: usize = 4;

impl Service for Rooms {
    fn session(&self) -> Box<dyn SessionService> {
        Box::new(Memberships::new(self.clone()))
    }
}

/// The memberships of one session.
struct Memberships {
    rooms: Rooms,
    joined: Vec<Membership>,
    /// Fans' requests that wait until this node knows which rooms are private.
    waiting: Vec<Waiting>,
    /// The token minted for a fan without one. All memberships of the session share it.
    anonymous_token: Option<String>,
}

/// A request to join a room, and the offer of acts that followed it.
struct Waiting {
    answers: (RequestId, TrackName),
    acts: Option<(RequestId, TrackName)>,
    credentials: Credentials,
}

struct Membership {
    leaf: Rc<Leaf>,
    session: SessionId,
    fan: FanId,
    mailbox: Rc<Mailbox>,
    answers: RequestId,
    /// The answers to the fan, once the room is open.
    outflow: Option<Outflow>,
    acts: Option<Acts>,
    over: Option<RequestError>,
}

struct Acts {
    request: RequestId,
    accepted: bool,
    inflow: Inflow,
}

impl SessionService for Memberships {
    fn event(&mut self, cx: &mut Cx<'_>, event: &Event, credentials: &Credentials) -> bool {
        match event {
            Event::Subscribe { request, track, .. } if is_fan(track.namespace()) => {
                let waiting = Waiting {
                    answers: (*request, track.clone()),
                    acts: None,
                    credentials: credentials.clone(),
                };
                if self.is_ready() {
                    self.join(cx, waiting);
                } else if self.waiting.len() < MAX_MEMBERSHIPS {
                    self.waiting.push(waiting);
                } else {
                    let _ = cx.session.reject(*request, too_many());
                }
                true
            }
            Event::Publish { request, track, .. } if is_fan(track.namespace()) => {
                let of_room = |waiting: &&mut Waiting| {
                    waiting.acts.is_none() && waiting.answers.1.namespace() == track.namespace()
                };
                match self.waiting.iter_mut().find(of_room) {
                    Some(waiting) => waiting.acts = Some((*request, track.clone())),
                    None => self.publish(cx, *request, track),
                }
                true
            }
            Event::Cancelled { request, .. }
                if self.waiting.iter().any(|waiting| waiting.answers.0 == *request) =>
            {
                self.waiting.retain(|waiting| waiting.answers.0 != *request);
                true
            }
            event => self.handle(event),
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) {
        if !self.waiting.is_empty() {
            if let Some(trust) = self.rooms.0.shared.trust.get() {
                trust.wake_later(task.waker());
            }
            if self.is_ready() {
                for waiting in std::mem::take(&mut self.waiting) {
                    self.join(cx, waiting);
                }
            }
        }
        self.joined.retain_mut(|membership| {
            membership.mailbox.watch(task.waker());
            match membership.advance(cx) {
                Ok(()) => true,
                Err(error) => {
                    membership.end(cx, error);
                    false
                }
            }
        });
    }
}

impl Memberships {
    pub(crate) fn new(rooms: Rooms) -> Self {
        Self { rooms, joined: Vec::new(), waiting: Vec::new(), anonymous_token: None }
    }

    /// Returns whether this node knows which rooms are private.
    fn is_ready(&self) -> bool {
        self.rooms.0.shared.trust.get().is_none_or(|trust| trust.generation() > 0)
    }

    fn join(&mut self, cx: &mut Cx<'_>, waiting: Waiting) {
        let (request, track) = waiting.answers;
        match self.enter(request, &track, &waiting.credentials) {
            Ok(membership) => self.joined.push(membership),
            Err(error) => drop(cx.session.reject(request, error)),
        }
        if let Some((request, track)) = waiting.acts {
            self.publish(cx, request, &track);
        }
    }

    /// Checks that the holder of these tokens may take part in a room.
    fn may_enter(&self, track: &TrackName, credentials: &Credentials) -> Result<(), RequestError> {
        let Some(trust) = self.rooms.0.shared.trust.get() else { return Ok(()) };
        let tokens: Vec<_> = credentials.valid().cloned().collect();
        trust.watch(&tokens, track.namespace())
    }

    /// Joins the room that a fan asks for the answers of.
    fn enter(
        &mut self,
        answers: RequestId,
        track: &TrackName,
        credentials: &Credentials,
    ) -> Result<Membership, RequestError> {
        let room = room_of(track, names::ANSWERS)?;
        self.may_enter(track, credentials)?;
        let rooms = self.rooms.clone();
        if self.joined.len() >= MAX_MEMBERSHIPS || self.in_room(&room).is_some() {
            return Err(too_many());
        }
        // Tokens name a room as its path.
        let no_text = || RequestError::new(RequestCode::DOES_NOT_EXIST, "a room's name is text");
        let path = room.path().ok_or_else(no_text)?;
        let leaf = rooms.leaf(&room)?;
        let (token, jwt, anonymous_token) = rooms.identify(credentials, &mut self.anonymous_token)?;
        let address = credentials.address().filter(|_| token.claims.anonymous);
        let (session, mailbox) = leaf.enter(token::holder(&token, &path).identity(), &jwt, address);
        let fan = token.fan_id();
        if let Some(token) = anonymous_token {
            mailbox.put(&wire::packet(&EdgeMessage::Token { token: &token }));
        }
        Ok(Membership { leaf, session, fan, mailbox, answers, outflow: None, acts: None, over: None })
    }

    /// A fan offers the track of its acts.
    fn publish(&mut self, cx: &mut Cx<'_>, request: RequestId, track: &TrackName) {
        let room = room_of(track, names::ACTS);
        let membership = room.and_then(|room| {
            let membership = self
                .joined
                .iter_mut()
                .find(|membership| membership.leaf.room == room && membership.acts.is_none());
            let first = "subscribe to the answers first, and send once";
            membership.ok_or_else(|| RequestError::new(RequestCode::DOES_NOT_EXIST, first))
        });
        match membership {
            Ok(membership) => {
                let inflow = Inflow::new(limits::FAN_PACKET);
                membership.acts = Some(Acts { request, accepted: false, inflow });
            }
            Err(error) => drop(cx.session.reject(request, error)),
        }
    }

    /// Handles an event of one of the memberships' tracks. Returns whether it was one.
    fn handle(&mut self, event: &Event) -> bool {
        let of = match event {
            Event::Subgroup { request, .. } => self.of_request(*request),
            Event::Object { stream, .. }
            | Event::Payload { stream, .. }
            | Event::StreamEnded { stream }
            | Event::StreamReset { stream, .. } => self.of_stream(*stream),
            Event::StreamStopped { stream, .. } => self
                .joined
                .iter_mut()
                .find(|membership| membership.outflow.as_ref().is_some_and(|outflow| outflow.is(*stream))),
            Event::Cancelled { request, .. } | Event::Done { request, .. } => {
                let of = |membership: &Membership| {
                    membership.answers == *request || membership.is_sending(*request)
                };
                let count = self.joined.len();
                self.joined.retain(|membership| !of(membership));
                return self.joined.len() < count;
            }
            _ => None,
        };
        let Some(membership) = of else { return false };
        if let Err(broken) = membership.read(event) {
            let error = RequestError::new(RequestCode::MALFORMED_TRACK, &broken.to_string());
            membership.over = Some(error);
        }
        true
    }

    fn in_room(&self, room: &Namespace) -> Option<&Membership> {
        self.joined.iter().find(|membership| membership.leaf.room == *room)
    }

    fn of_request(&mut self, request: RequestId) -> Option<&mut Membership> {
        self.joined.iter_mut().find(|membership| membership.is_sending(request))
    }

    fn of_stream(&mut self, stream: StreamId) -> Option<&mut Membership> {
        let reads = |membership: &&mut Membership| {
            membership.acts.as_ref().is_some_and(|acts| acts.inflow.has(stream))
        };
        self.joined.iter_mut().find(reads)
    }
}

impl Membership {
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
            // A stream was broken off, in either direction: the fan rejoins.
            _ => return Err(Broken::Gap),
        }
        while let Some(packet) = acts.inflow.take() {
            self.leaf.packet(self.session, &self.mailbox, &packet);
        }
        Ok(())
    }

    fn advance(&mut self, cx: &mut Cx<'_>) -> Result<(), RequestError> {
        if let Some(error) = self.over.take() {
            return Err(error);
        }
        match self.leaf.status() {
            Status::Opening => return Ok(()),
            Status::Refused(error) => return Err(error),
            Status::Open => {}
        }
        let misused =
            |error: moqt::Misuse| RequestError::new(RequestCode::INTERNAL_ERROR, &error.to_string());
        if self.outflow.is_none() {
            let answered = cx.session.accept_subscribe(self.answers, Params::default(), Properties::NONE);
            answered.map_err(misused)?;
            // The reader keeps no groups, so that one group, on one stream, will do.
            self.outflow = Some(Outflow::new(self.answers, u64::MAX));
        }
        if let Some(acts) = self.acts.as_mut().filter(|acts| !acts.accepted) {
            cx.session.accept(acts.request, Params::default(), Properties::NONE).map_err(misused)?;
            acts.accepted = true;
        }
        if let Some(outflow) = self.outflow.as_mut().filter(|outflow| outflow.backlog(cx) < MAILBOX_BYTES)
            && let Some(packet) = self.mailbox.take()
        {
            outflow.send(cx, packet).map_err(misused)?;
        }
        self.mailbox.closed().map_or(Ok(()), Err)
    }

    /// Ends both tracks. The fan may rejoin.
    fn end(&mut self, cx: &mut Cx<'_>, error: RequestError) {
        if self.outflow.is_some() {
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

impl Drop for Membership {
    fn drop(&mut self) {
        self.leaf.exit(self.session, self.fan);
    }
}

impl Rooms {
    /// Identifies the fan by the first token that the session has proven. Returns what the token says, the token itself
    /// and, if that is near its end, a renewed one for the client to keep. Without a valid token the fan is anonymous:
    /// the identity minted earlier in this session is reused, or a new one is minted, if the session's address may have
    /// one more.
    fn identify(
        &self,
        credentials: &Credentials,
        anonymous_token: &mut Option<String>,
    ) -> Result<(Verified, String, Option<String>), RequestError> {
        let failed = |error: token::Error| {
            RequestError::new(RequestCode::INTERNAL_ERROR, &format!("no token can be made: {error}"))
        };
        let (keys, now) = (&self.0.shared.config.keys, self.0.shared.platform.wall());
        if let Some((token, jwt)) = credentials.standing(now) {
            let renewed = keys.renew(token, now).map_err(failed)?;
            return Ok((token.clone(), jwt.to_owned(), renewed));
        }
        let jwt = if let Some(jwt) = anonymous_token {
            jwt.clone()
        } else {
            credentials.mint_stranger()?;
            let random = self.0.shared.platform.random().map_err(failed)?;
            anonymous_token.insert(keys.mint_anonymous(random, now).map_err(failed)?).clone()
        };
        Ok((keys.examine(&jwt, now).map_err(failed)?, jwt.clone(), Some(jwt)))
    }
}

fn too_many() -> RequestError {
    RequestError::new(RequestCode::EXCESSIVE_LOAD, "a session joins a room once, and only a few rooms")
}

/// Reads the room from the namespace of a fan's track.
fn room_of(track: &TrackName, name: &str) -> Result<Namespace, RequestError> {
    let absent = |why| RequestError::new(RequestCode::DOES_NOT_EXIST, why);
    if track.name() != name.as_bytes() {
        return Err(absent("there is no such track"));
    }
    let prefix = Namespace::new([names::FAN]).map_err(|_| absent("there is no such room"))?;
    let room = track.namespace().strip_prefix(&prefix).filter(|room| !room.is_empty());
    let reserved =
        |room: &Namespace| room.fields().iter().any(|field| field.first() == Some(&names::RESERVED));
    let room = room.filter(|room| !reserved(room)).ok_or_else(|| absent("there is no such room"))?;
    if has_uplink(&room) { Ok(room) } else { Err(absent("a room's name is shorter")) }
}

/// Returns whether a namespace is that of a fan's own two tracks.
fn is_fan(namespace: &Namespace) -> bool {
    namespace.fields().first().is_some_and(|field| &field[..] == names::FAN.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_whose_name_leaves_no_space_for_its_uplink_does_not_exist() {
        let room = |fields: usize| {
            let fields = std::iter::once(names::FAN.to_owned()).chain((0..fields).map(|of| of.to_string()));
            let track = TrackName::new(Namespace::new(fields).unwrap(), names::ANSWERS).unwrap();
            room_of(&track, names::ANSWERS).map_err(|error| error.code)
        };
        assert!(room(29).is_ok());
        assert_eq!(room(30), Err(RequestCode::DOES_NOT_EXIST));
        assert_eq!(room(31), Err(RequestCode::DOES_NOT_EXIST));
    }
}
