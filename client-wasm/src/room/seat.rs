//! The fan's seat: two tracks for what they say and are answered, and three for what everybody sees, under namespaces of
//! the house's own.

use bytes::Bytes;
use moqt::{
    GroupOrder, Micros, Misuse, Namespace, Params, Properties, TrackName,
    data::{ObjectHeader, Status, SubgroupHeader},
    session::{Delivery, RequestId, StreamId},
};
use wire::Track;

use super::{Purpose, RENDEZVOUS, RETRY, Room};
use crate::{clock::now, talk::Do};

/// What one fan says and hears is under this, and then the room's name,
const FAN: &str = ".fan";
/// and under this what all of them see.
const ROOM: &str = ".room";
/// After the catalog, before sound.
const PRIORITY: u8 = 48;
/// How long until an edge that has nothing but the stage is asked again.
const REFUSED: Micros = Micros::from_millis(5_000);
/// The tracks that all fans see.
const SHOWN: [Track; 3] = [Track::Chat, Track::Pulse, Track::Stage];

/// How far taking a seat has come.
#[derive(Debug, Default)]
pub(super) struct Seat {
    answers: Option<RequestId>,
    acts: Option<RequestId>,
    /// The stream that packets go out on, and the next object's number.
    stream: Option<(StreamId, u64)>,
    /// The tracks that all see, as in [`SHOWN`].
    shown: [Option<RequestId>; SHOWN.len()],
    /// Before that, nothing is asked for again.
    retry_at: Option<Micros>,
}

impl Room {
    /// Asks for what is missing of a seat.
    pub(super) fn take_seat(&mut self) -> Result<(), Misuse> {
        if self.seat.retry_at.is_some_and(|at| at > now()) {
            return Ok(());
        }
        if self.seat.answers.is_none() {
            let params = Params { priority: Some(PRIORITY), ..Params::default() };
            let track = self.under(FAN, "answers")?;
            let request = self.connection.with(|session| session.subscribe(track, params))?;
            self.requests.insert(request, Purpose::Answers);
            self.seat.answers = Some(request);
        }
        for (at, track) in SHOWN.into_iter().enumerate() {
            if self.seat.shown[at].is_some() {
                continue;
            }
            let order = if track == Track::Chat { GroupOrder::Ascending } else { GroupOrder::Descending };
            let params = Params {
                priority: Some(PRIORITY),
                group_order: Some(order),
                rendezvous_timeout: Some(RENDEZVOUS.as_millis()),
                ..Params::default()
            };
            let name = self.under(ROOM, track.name())?;
            let request = self.connection.with(|session| session.subscribe(name, params))?;
            self.requests.insert(request, Purpose::Shown(track));
            self.seat.shown[at] = Some(request);
            self.talk.borrow_mut().subscribed(track);
        }
        Ok(())
    }

    fn under(&self, field: &'static str, name: &'static str) -> Result<TrackName, Misuse> {
        let name = Namespace::new([Bytes::from_static(field.as_bytes())])
            .and_then(|prefix| prefix.join(&self.namespace))
            .and_then(|namespace| TrackName::new(namespace, name));
        name.map_err(|_| Misuse::BadField("a room's name that is too long"))
    }

    /// The answers will come: what the fan says may go out.
    pub(super) fn seat_subscribed(&mut self, request: RequestId) -> Result<(), Misuse> {
        if self.seat.answers != Some(request) || self.seat.acts.is_some() {
            return Ok(());
        }
        let track = self.under(FAN, "acts")?;
        let acts = self
            .connection
            .with(|session| session.publish(track, Params::default(), Properties::default()))?;
        self.requests.insert(acts, Purpose::Acts);
        self.seat.acts = Some(acts);
        Ok(())
    }

    /// The edge takes what the fan says.
    pub(super) fn seat_published(&mut self, request: RequestId) -> Result<(), Misuse> {
        if self.seat.acts != Some(request) || self.seat.stream.is_some() {
            return Ok(());
        }
        let header = SubgroupHeader { first_object: true, ..SubgroupHeader::default() };
        let stream = self.connection.with(|session| session.open_subgroup(request, header))?;
        self.seat.stream = Some((stream, 0));
        self.talk.borrow_mut().joined(now());
        self.talk_out()
    }

    /// Has the fan's words go out, and does what else is due of them.
    pub(crate) fn talk_out(&mut self) -> Result<(), Misuse> {
        self.talk.borrow_mut().tick(now());
        loop {
            let next = self.talk.borrow_mut().poll(now());
            match next {
                Some(Do::Send(packet)) => self.say(packet)?,
                Some(Do::StartOver) => self.stand_up(Micros(0))?,
                None => return Ok(()),
            }
        }
    }

    fn say(&mut self, packet: Vec<u8>) -> Result<(), Misuse> {
        let Some((stream, id)) = &mut self.seat.stream else { return Ok(()) };
        let header = ObjectHeader {
            id: *id,
            properties: Properties::default(),
            payload_len: packet.len() as u64,
            status: Status::Normal,
        };
        *id += 1;
        let (stream, time) = (*stream, now());
        let sent = self.connection.with(|session| session.object(time, stream, &header, time))?;
        match sent {
            Delivery::Sent => self.connection.with(|session| session.payload(stream, packet.into())),
            Delivery::Expired => self.stand_up(RETRY),
        }
    }

    /// A packet to this fan came.
    pub(super) fn answered_by_edge(&mut self, packet: &[u8]) -> Result<(), Misuse> {
        let received = self.talk.borrow_mut().receive(now(), packet);
        match received {
            Ok(()) => self.talk_out(),
            // Another version is spoken there, perhaps not for long.
            Err(_) => self.stand_up(REFUSED),
        }
    }

    /// One of the seat's requests was refused or is over.
    pub(super) fn seat_lost(&mut self, request: RequestId, refused: bool) -> Result<(), Misuse> {
        if self.seat.answers == Some(request) || self.seat.acts == Some(request) {
            if refused {
                self.talk.borrow_mut().refused();
            }
            return self.stand_up(if refused { REFUSED } else { RETRY });
        }
        for shown in &mut self.seat.shown {
            shown.take_if(|shown| *shown == request);
        }
        self.retry_seat(if refused { REFUSED } else { RETRY });
        Ok(())
    }

    /// A stream is over: of the fan's words, or of the answers to them.
    pub(super) fn seat_stream_over(&mut self, stream: StreamId, of: Option<RequestId>) -> Result<(), Misuse> {
        let ours = self.seat.stream.is_some_and(|(ours, _)| ours == stream);
        if ours || of.is_some() && of == self.seat.answers {
            self.stand_up(RETRY)?;
        }
        Ok(())
    }

    /// Gives the seat back, to take it anew after a while.
    fn stand_up(&mut self, after: Micros) -> Result<(), Misuse> {
        self.talk.borrow_mut().left();
        self.seat.stream = None;
        (self.seat.acts, self.seat.answers) = (None, None);
        self.retry_seat(after);
        self.take_back(|purpose| matches!(purpose, Purpose::Acts | Purpose::Answers))?;
        self.talk_out()
    }

    fn retry_seat(&mut self, after: Micros) {
        let at = now() + after;
        self.seat.retry_at = Some(self.seat.retry_at.map_or(at, |other| other.max(at)));
    }
}
