//! The uplink: one session with the origin, on which the deltas of all rooms go up and their roots' answers come down.

use std::{
    collections::BTreeMap,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use moqt::{
    App, Connected, Cx, Event, GoingAway, Later, Micros, NameError, Namespace, Params, Properties,
    RequestCode, Token, TrackName,
    message::RequestError,
    packet_track::{Inflow, Outflow},
    session::{RequestId, StreamId},
};
use relay::{Backoff, Credentials, Dial, DialError, IMPLEMENTATION, Moved, run_until_moved};
use token::Claims;
use wire::{EdgeId, limits, names, worker::Input};

use crate::{
    Error,
    leaf::{Leaf, Status, UPLINK_BYTES},
    rooms::Rooms,
    shared::Shared,
};

/// The pause before a room's uplink that the origin broke off is opened again.
const REOPEN_AFTER: Micros = Micros::from_millis(500);
/// The pause before the next try, while another node has the link.
const RIVAL_PAUSE: Micros = Micros::from_secs(10);
/// The rendezvous timeout of a room's uplink: an origin that has just started waits so long for its creators.
const RENDEZVOUS_MS: u64 = 3000;
/// Packets in a group of deltas.
const GROUP_PACKETS: u64 = 256;
/// The lifetime of the token that an edge presents to the origin.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_hours(24);

impl Rooms {
    /// Keeps a session with the origin for as long as there are rooms.
    pub async fn follow(&self, origin: Rc<dyn Dial>) {
        let way = Way { rooms: self, origin: &*origin };
        let (platform, url) = (Rc::clone(&self.0.shared.platform), origin.name());
        let mut backoff = Backoff::default();
        let mut next = None;
        loop {
            let changed = self.0.changed.notified();
            if self.0.leaves.borrow().is_empty() {
                changed.await;
                continue;
            }
            let begun = platform.now();
            let dialled = match next.take() {
                Some(connection) => Ok(connection),
                None => way.dial(None).await,
            };
            match dialled {
                Ok(connection) => {
                    let mut uplink = Uplink::new(self.clone());
                    let going_away = uplink.going_away.clone();
                    let way = (&way as &dyn Dial, None);
                    match run_until_moved(&*platform, connection, &mut uplink, &going_away, way).await {
                        Moved::To(connection) => {
                            next = Some(connection);
                            continue;
                        }
                        Moved::Ended(ended) => tracing::info!(url, ?ended, "the uplink ended"),
                    }
                    if going_away.is_set() {
                        backoff.reset();
                    }
                }
                Err(error) => tracing::warn!(url, %error, "cannot open the uplink"),
            }
            relay::wait(&*platform, &mut backoff, begun).await;
        }
    }
}

/// The way to the origin, with a token of this edge.
struct Way<'a> {
    rooms: &'a Rooms,
    origin: &'a dyn Dial,
}

impl Dial for Way<'_> {
    fn dial(&self, client: Option<&Credentials>) -> Later<'_, Result<Box<dyn Connected>, DialError>> {
        let client = client.cloned();
        Box::pin(async move {
            let config = &self.rooms.0.shared.config;
            let now = self.rooms.0.shared.platform.wall();
            let end = now + wire::Micros::from_secs(TOKEN_LIFE.as_secs());
            let guards = self.rooms.0.shared.trust.get().is_some_and(|trust| trust.is_known());
            let claims = Claims { guards, ..Claims::for_edge(config.edge, now, end) };
            let token = config.keys.mint(&claims).map_err(|error| DialError::Token(error.to_string()))?;
            let mut connection = self.origin.dial(client.as_ref()).await?;
            let setup = &mut connection.config().setup;
            setup.implementation = Some(IMPLEMENTATION.into());
            setup.tokens = vec![Token::value(token)];
            Ok(connection)
        })
    }

    fn name(&self) -> &str {
        self.origin.name()
    }
}

/// The session with the origin, as an application.
struct Uplink {
    rooms: Rooms,
    /// The rooms' parts of it, by the incarnation of the leaf.
    rooms_up: BTreeMap<u64, RoomUplink>,
    /// The time to open the next room's part again, and the sleep until then.
    reopen_at: Option<(Micros, Later<'static, ()>)>,
    /// Set once the origin has sent GOAWAY.
    going_away: GoingAway,
}

/// The part of the uplink that carries one room.
struct RoomUplink {
    leaf: Rc<Leaf>,
    downs: RequestId,
    inflow: Inflow,
    deltas: Option<RequestId>,
    /// The deltas' track, once the origin accepted it.
    outflow: Option<Outflow>,
    /// The time to open it again, after it was broken off.
    reopen_at: Option<Micros>,
}

impl Uplink {
    fn new(rooms: Rooms) -> Self {
        Self { rooms, rooms_up: BTreeMap::new(), reopen_at: None, going_away: GoingAway::default() }
    }

    /// Opens and closes the rooms' parts so that there is one for each leaf.
    fn match_leaves(&mut self, cx: &mut Cx<'_>) {
        let leaves: Vec<_> = self.rooms.0.leaves.borrow().values().cloned().collect();
        let is_there = |incarnation: u64| leaves.iter().any(|leaf| leaf.incarnation == incarnation);
        self.rooms_up.retain(|incarnation, room_uplink| {
            let stays = is_there(*incarnation);
            if !stays {
                room_uplink.end(cx);
            }
            stays
        });
        if self.going_away.is_set() {
            return;
        }
        let now = self.rooms.0.shared.platform.now();
        for leaf in leaves {
            let due = self
                .rooms_up
                .get(&leaf.incarnation)
                .is_none_or(|room_uplink| room_uplink.reopen_at.is_some_and(|at| at <= now));
            if due && !matches!(leaf.status(), Status::Refused(_)) {
                match RoomUplink::open(&self.rooms, Rc::clone(&leaf), cx) {
                    Ok(room_uplink) => drop(self.rooms_up.insert(leaf.incarnation, room_uplink)),
                    Err(error @ Error::Name(_)) => {
                        tracing::debug!(room = %leaf.room, %error, "a room cannot have an uplink");
                        let error = RequestError::new(RequestCode::DOES_NOT_EXIST, &error.to_string());
                        leaf.set(Status::Refused(error));
                    }
                    Err(error) => tracing::warn!(room = %leaf.room, %error, "cannot open a room's uplink"),
                }
            }
        }
    }

    fn of_request(&mut self, request: RequestId) -> Option<&mut RoomUplink> {
        self.rooms_up
            .values_mut()
            .find(|room_uplink| room_uplink.downs == request || room_uplink.deltas == Some(request))
    }

    fn of_stream(&mut self, stream: StreamId) -> Option<&mut RoomUplink> {
        self.rooms_up.values_mut().find(|room_uplink| room_uplink.inflow.has(stream))
    }
}

impl App for Uplink {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        let room_uplink = match &event {
            Event::SubscribeOk { request, .. }
            | Event::RequestOk { request, .. }
            | Event::RequestError { request, .. }
            | Event::Cancelled { request, .. }
            | Event::Done { request, .. }
            | Event::Subgroup { request, .. } => self.of_request(*request),
            Event::Object { stream, .. }
            | Event::Payload { stream, .. }
            | Event::StreamEnded { stream }
            | Event::StreamReset { stream, .. } => self.of_stream(*stream),
            Event::StreamStopped { stream, .. } => {
                let sends = |room_uplink: &&mut RoomUplink| {
                    room_uplink.outflow.as_ref().is_some_and(|flow| flow.is(*stream))
                };
                self.rooms_up.values_mut().find(sends)
            }
            Event::GoAway { .. } => return self.going_away.set(),
            _ => None,
        };
        // What still comes of one that was broken off is the end of its tracks.
        if let Some(room_uplink) = room_uplink.filter(|room_uplink| room_uplink.reopen_at.is_none())
            && let Err(error) = room_uplink.event(cx, &event)
        {
            // Anyone can ask for any room name, so a missing room is no warning. Wrong keys are one.
            let is_absent = |refusal: &RequestError| refusal.code != RequestCode::UNAUTHORIZED;
            if matches!(room_uplink.leaf.status(), Status::Refused(refusal) if is_absent(&refusal)) {
                tracing::debug!(room = %room_uplink.leaf.room, %error, "the origin refuses a room");
            } else {
                tracing::warn!(room = %room_uplink.leaf.room, %error, "a room's uplink is broken");
            }
            room_uplink.break_off(cx, &error);
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        self.rooms.0.shared.uplink.set(Some(task.waker().clone()));
        self.match_leaves(cx);
        if self.rooms_up.is_empty() || self.going_away.poll_leave(task).is_ready() {
            return Poll::Ready(());
        }
        for room_uplink in self.rooms_up.values_mut() {
            if let Err(error) = room_uplink.send(cx) {
                tracing::warn!(room = %room_uplink.leaf.room, %error, "a room's uplink is broken");
                room_uplink.break_off(cx, &error);
            }
        }
        if let Some(at) = self.rooms_up.values().filter_map(|room_uplink| room_uplink.reopen_at).min() {
            if self.reopen_at.as_ref().is_none_or(|(due, _)| at < *due) {
                let platform = &self.rooms.0.shared.platform;
                self.reopen_at = Some((at, platform.sleep(Duration::from_micros((at - platform.now()).0))));
            }
            let is_due = |(_, sleep): &mut (Micros, Later<'static, ()>)| sleep.as_mut().poll(task).is_ready();
            if self.reopen_at.as_mut().is_some_and(is_due) {
                self.reopen_at = None;
                task.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}

impl RoomUplink {
    fn open(rooms: &Rooms, leaf: Rc<Leaf>, cx: &mut Cx<'_>) -> Result<Self, Error> {
        let params = Params { rendezvous_timeout: Some(RENDEZVOUS_MS), ..Params::default() };
        let downs = cx.session.subscribe(track_name(&rooms.0.shared, &leaf, names::DOWNS)?, params)?;
        let inflow = Inflow::new(limits::FRAME);
        Ok(Self { leaf, downs, inflow, deltas: None, outflow: None, reopen_at: None })
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Event) -> Result<(), Error> {
        match event {
            Event::SubscribeOk { .. } => {
                let name = track_name(self.leaf.shared(), &self.leaf, names::DELTAS)?;
                self.deltas = Some(cx.session.publish(name, Params::default(), Properties::NONE)?);
            }
            Event::RequestOk { .. } => {
                self.outflow = self.deltas.map(|request| Outflow::new(request, GROUP_PACKETS));
                self.leaf.connect(true);
            }
            Event::RequestError { error, .. } => self.refused(error)?,
            Event::Subgroup { stream, header, .. } => {
                self.inflow.begin(*stream, *header)?;
            }
            Event::Object { stream, header } => {
                self.inflow.object(*stream, header)?;
            }
            Event::Payload { stream, data } => {
                self.inflow.payload(*stream, data)?;
            }
            Event::StreamEnded { stream } => self.inflow.end(*stream)?,
            _ => return Err(Error::Ended),
        }
        while let Some(packet) = self.inflow.take() {
            self.leaf.input(&Input::FromRoot { packet: &packet });
        }
        Ok(())
    }

    fn refused(&self, error: &RequestError) -> Result<(), Error> {
        // An open room stays open: after a restart the origin may not know it yet.
        let (why, for_good) = match error.code {
            RequestCode::DOES_NOT_EXIST | RequestCode::TIMEOUT => ("there is no such room", true),
            RequestCode::UNAUTHORIZED => ("the origin does not know this edge's keys", true),
            RequestCode::DUPLICATE_SUBSCRIPTION => return Err(Error::Rival),
            _ => ("it does not accept the link", false),
        };
        if for_good && matches!(self.leaf.status(), Status::Opening) {
            // A room that was waited for in vain is one that does not exist.
            let code =
                if error.code == RequestCode::TIMEOUT { RequestCode::DOES_NOT_EXIST } else { error.code };
            self.leaf.set(Status::Refused(RequestError::new(code, why)));
        }
        Err(Error::Refused(why))
    }

    fn send(&mut self, cx: &mut Cx<'_>) -> Result<(), Error> {
        let Some(outflow) = &mut self.outflow else { return Ok(()) };
        while outflow.backlog(cx) < UPLINK_BYTES
            && let Some(delta) = self.leaf.delta()
        {
            outflow.send(cx, delta)?;
        }
        if self.leaf.backlog() > UPLINK_BYTES { Err(Error::Behind) } else { Ok(()) }
    }

    /// Cancels both tracks until it is opened again.
    fn break_off(&mut self, cx: &mut Cx<'_>, error: &Error) {
        self.cancel(cx);
        self.outflow = None;
        self.leaf.connect(false);
        let pause = if matches!(error, Error::Rival) { RIVAL_PAUSE } else { REOPEN_AFTER };
        self.reopen_at = Some(self.leaf.shared().platform.now() + pause);
    }

    /// Ends both tracks for good. The deltas sent last still arrive.
    fn end(&mut self, cx: &mut Cx<'_>) {
        match self.outflow.take() {
            Some(outflow) => {
                self.leaf.connect(false);
                let _ = outflow.end(cx);
                let _ = cx.session.cancel(self.downs);
            }
            None => self.cancel(cx),
        }
    }

    fn cancel(&self, cx: &mut Cx<'_>) {
        for request in [Some(self.downs), self.deltas].into_iter().flatten() {
            let _ = cx.session.cancel(request);
        }
    }
}

impl Drop for RoomUplink {
    fn drop(&mut self) {
        if self.outflow.is_some() {
            self.leaf.connect(false);
        }
    }
}

/// Names one of the two tracks of a room's uplink.
fn track_name(shared: &Shared, leaf: &Leaf, track: &'static str) -> Result<TrackName, Error> {
    link_track(shared.config.edge, leaf.incarnation, &leaf.room, track)
        .map_err(|_| Error::Name(leaf.room.to_string()))
}

/// Returns whether a room's name leaves space for those of its uplink, which are longer. Anyone can ask for any name.
pub(crate) fn has_uplink(room: &Namespace) -> bool {
    [names::DOWNS, names::DELTAS]
        .into_iter()
        .all(|track| link_track(EdgeId(u64::MAX), u64::MAX, room, track).is_ok())
}

fn link_track(
    edge: EdgeId,
    incarnation: u64,
    room: &Namespace,
    track: &'static str,
) -> Result<TrackName, NameError> {
    let prefix = [names::EDGE.to_owned(), format!("{:x}", edge.0), format!("{incarnation:x}")];
    TrackName::new(Namespace::new(prefix)?.join(room)?, track)
}
