//! The link: one session with the origin, by which the deltas of all rooms go up, and what their
//! roots answer comes down.

use std::{
    collections::BTreeMap,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use moqt::{
    Event, Micros, Misuse, Namespace, Params, Properties, RequestCode, SessionCode, Token, TrackName,
    message::RequestError,
    session::{RequestId, StreamId},
};
use token::{Claims, EVERY_ROOM, Role};
use wire::{limits, names, worker::Input};

use super::{
    Rooms,
    seat::{LINK_BYTES, Seat, Status},
};
use crate::{
    App, Cx, Dial, Dialled, Later,
    packets::{Inflow, Outflow},
    relay::IMPLEMENTATION,
};

/// The first pause before the origin is tried again, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Before a room's line is opened again that the origin has broken off.
const AGAIN: Micros = Micros::from_millis(500);
/// How long the origin may wait for a room to be there: who has just come up has its creators to come.
const PATIENCE_MS: u64 = 3000;
/// Packets in a group of deltas: the origin keeps a group until its end.
const GROUP_PACKETS: u64 = 256;
/// For how long the token is good that an edge shows the origin.
const TOKEN_LIFE: Duration = Duration::from_hours(24);

impl Rooms {
    /// Keeps a session with the origin for as long as there are rooms.
    pub async fn follow(&self, origin: Rc<dyn Dial>) {
        let (platform, url) = (Rc::clone(&self.0.platform), origin.name());
        let mut pause = BACKOFF.0;
        loop {
            let changed = self.0.changed.notified();
            if self.0.seats.borrow().is_empty() {
                changed.await;
                continue;
            }
            let begun = platform.now();
            match self.connect(&*origin).await {
                Ok(connection) => {
                    let mut link = Link::new(self.clone());
                    let ended = connection.run(&mut link).await;
                    tracing::info!(url, ?ended, "the rooms' link is over");
                }
                Err(error) => tracing::warn!(url, error, "no link for rooms"),
            }
            if platform.now() - begun > Micros(BACKOFF.1.as_micros() as u64) {
                pause = BACKOFF.0;
            }
            platform.sleep(pause).await;
            pause = (pause * 2).min(BACKOFF.1);
        }
    }

    async fn connect(&self, origin: &dyn Dial) -> Result<Box<dyn Dialled>, String> {
        let config = &self.0.config;
        let end = self.0.platform.wall() + wire::Micros::from_secs(TOKEN_LIFE.as_secs());
        let claims = Claims::until(EVERY_ROOM, Role::Edge, &config.edge.0.to_string(), end);
        let token = config.keys.mint(&claims).map_err(|error| format!("no token can be made: {error}"))?;
        let mut connection = origin.dial(None).await?;
        let setup = &mut connection.config().setup;
        setup.implementation = Some(IMPLEMENTATION.into());
        setup.tokens = vec![Token::value(token)];
        Ok(connection)
    }
}

/// The session.
struct Link {
    rooms: Rooms,
    /// By the incarnation of the seat.
    lines: BTreeMap<u64, Line>,
    /// The next time that one is opened again.
    again: Option<Later<'static, ()>>,
}

/// What one room has of it.
struct Line {
    seat: Rc<Seat>,
    downs: RequestId,
    inflow: Inflow,
    deltas: Option<RequestId>,
    /// Once the origin takes deltas.
    outflow: Option<Outflow>,
    /// Broken off; opened again then.
    again: Option<Micros>,
}

impl Link {
    fn new(rooms: Rooms) -> Self {
        Self { rooms, lines: BTreeMap::new(), again: None }
    }

    /// Opens and closes lines, so that there is one for each seat.
    fn look(&mut self, cx: &mut Cx<'_>) {
        let seats: Vec<_> = self.rooms.0.seats.borrow().values().cloned().collect();
        let is_there = |incarnation: u64| seats.iter().any(|seat| seat.incarnation == incarnation);
        self.lines.retain(|incarnation, line| {
            let stays = is_there(*incarnation);
            if !stays {
                line.end(cx);
            }
            stays
        });
        let now = self.rooms.0.platform.now();
        for seat in seats {
            let due =
                self.lines.get(&seat.incarnation).is_none_or(|line| line.again.is_some_and(|at| at <= now));
            if due && !matches!(seat.status(), Status::Refused(_)) {
                match Line::open(&self.rooms, Rc::clone(&seat), cx) {
                    Ok(line) => drop(self.lines.insert(seat.incarnation, line)),
                    Err(error) => tracing::warn!(room = %seat.room, %error, "a room's line is not opened"),
                }
            }
        }
    }

    fn of_request(&mut self, request: RequestId) -> Option<&mut Line> {
        self.lines.values_mut().find(|line| line.downs == request || line.deltas == Some(request))
    }

    fn of_stream(&mut self, stream: StreamId) -> Option<&mut Line> {
        self.lines.values_mut().find(|line| line.inflow.has(stream))
    }
}

impl App for Link {
    fn event(&mut self, cx: &mut Cx<'_>, event: Event) {
        let line = match &event {
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
                let sends = |line: &&mut Line| line.outflow.as_ref().is_some_and(|flow| flow.is(*stream));
                self.lines.values_mut().find(sends)
            }
            Event::GoAway { .. } => return cx.session.close(SessionCode::NO_ERROR, "moving on"),
            _ => None,
        };
        if let Some(line) = line
            && let Err(why) = line.event(cx, &event)
        {
            // Anybody may ask for any room; that the keys are wrong, whoever runs the edge has to know.
            let absent = |error: &RequestError| error.code != RequestCode::UNAUTHORIZED;
            if matches!(line.seat.status(), Status::Refused(error) if absent(&error)) {
                tracing::debug!(room = %line.seat.room, why, "a room is refused");
            } else {
                tracing::warn!(room = %line.seat.room, why, "a room's line is broken");
            }
            line.break_off(cx);
        }
    }

    fn poll(&mut self, task: &mut Context<'_>, cx: &mut Cx<'_>) -> Poll<()> {
        self.rooms.0.link.set(Some(task.waker().clone()));
        self.look(cx);
        if self.lines.is_empty() {
            return Poll::Ready(());
        }
        for line in self.lines.values_mut() {
            if let Err(why) = line.send(cx) {
                tracing::warn!(room = %line.seat.room, why, "a room's line is broken");
                line.break_off(cx);
            }
        }
        if let Some(at) = self.lines.values().filter_map(|line| line.again).min() {
            let platform = &self.rooms.0.platform;
            let again = self
                .again
                .get_or_insert_with(|| platform.sleep(Duration::from_micros((at - platform.now()).0)));
            if again.as_mut().poll(task).is_ready() {
                self.again = None;
                task.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}

impl Line {
    fn open(rooms: &Rooms, seat: Rc<Seat>, cx: &mut Cx<'_>) -> Result<Self, Misuse> {
        let params = Params { rendezvous_timeout: Some(PATIENCE_MS), ..Params::default() };
        let downs = cx.session.subscribe(named(rooms, &seat, names::DOWNS)?, params)?;
        let inflow = Inflow::new(limits::FRAME);
        Ok(Self { seat, downs, inflow, deltas: None, outflow: None, again: None })
    }

    fn event(&mut self, cx: &mut Cx<'_>, event: &Event) -> Result<(), &'static str> {
        match event {
            Event::SubscribeOk { .. } => {
                let name = named(self.seat.rooms(), &self.seat, names::DELTAS);
                let asked =
                    name.and_then(|name| cx.session.publish(name, Params::default(), Properties::NONE));
                self.deltas = Some(asked.map_err(|_| "no deltas can be offered")?);
            }
            Event::RequestOk { .. } => {
                self.outflow = self.deltas.map(|request| Outflow::new(request, GROUP_PACKETS));
                self.seat.connect(true);
            }
            Event::RequestError { error, .. } => self.refused(error)?,
            Event::Subgroup { stream, header, .. } => {
                self.inflow.begin(*stream, *header).map_err(|_| "groups come twice")?;
            }
            Event::Object { stream, header } => {
                self.inflow.object(*stream, header).map_err(|_| "what comes down is too long")?;
            }
            Event::Payload { stream, data } => {
                self.inflow.payload(*stream, data).map_err(|_| "too much comes down out of order")?;
            }
            Event::StreamEnded { stream } => self.inflow.end(*stream).map_err(|_| "a stream is not known")?,
            _ => return Err("the origin has broken it off"),
        }
        while let Some(packet) = self.inflow.take() {
            self.seat.input(&Input::FromRoot { packet: &packet });
        }
        Ok(())
    }

    fn refused(&self, error: &RequestError) -> Result<(), &'static str> {
        // A room that is open stays so: its origin has yet to hear of it again.
        let (why, for_good) = match error.code {
            RequestCode::DOES_NOT_EXIST | RequestCode::TIMEOUT => ("there is no such room", true),
            RequestCode::UNAUTHORIZED => ("the origin does not know this edge's keys", true),
            _ => ("the origin does not take it", false),
        };
        if for_good && matches!(self.seat.status(), Status::Opening) {
            self.seat.set(Status::Refused(RequestError::new(error.code, why)));
        }
        Err(why)
    }

    fn send(&mut self, cx: &mut Cx<'_>) -> Result<(), &'static str> {
        let Some(outflow) = &mut self.outflow else { return Ok(()) };
        while outflow.backlog(cx) < LINK_BYTES
            && let Some(delta) = self.seat.delta()
        {
            outflow.send(cx, delta).map_err(|_| "a delta cannot be sent")?;
        }
        if self.seat.backlog() > LINK_BYTES { Err("the origin takes deltas too slowly") } else { Ok(()) }
    }

    /// Lets go of both tracks, for the moment.
    fn break_off(&mut self, cx: &mut Cx<'_>) {
        self.cancel(cx);
        self.outflow = None;
        self.seat.connect(false);
        self.again = Some(self.seat.rooms().0.platform.now() + AGAIN);
    }

    /// The room needs it no more: what was sent last arrives.
    fn end(&mut self, cx: &mut Cx<'_>) {
        match self.outflow.take() {
            Some(outflow) => {
                self.seat.connect(false);
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

impl Drop for Line {
    fn drop(&mut self) {
        if self.outflow.is_some() {
            self.seat.connect(false);
        }
    }
}

/// A track of a room's line.
fn named(rooms: &Rooms, seat: &Seat, track: &'static str) -> Result<TrackName, Misuse> {
    let long = |_| Misuse::BadField("a room's name is too long");
    let (edge, incarnation) = (rooms.0.config.edge.0, seat.incarnation);
    let prefix = [names::EDGE.to_owned(), format!("{edge:x}"), format!("{incarnation:x}")];
    let namespace = Namespace::new(prefix).and_then(|prefix| prefix.join(&seat.room)).map_err(long)?;
    TrackName::new(namespace, track).map_err(long)
}
