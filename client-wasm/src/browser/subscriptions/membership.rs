//! The fan's membership in a room: one track for the fan's acts and one for the answers to them, and the three tracks
//! that every fan sees. Their namespaces are reserved ones: see [`wire::names`].

use bytes::Bytes;
use moqt::{
    GroupOrder, Micros, Misuse, Namespace, Params, Properties, TrackName,
    data::{ObjectHeader, Status, SubgroupHeader},
    session::{Delivery, RequestId, StreamId},
};
use wire::{Track, names};

use super::{Purpose, RENDEZVOUS, RETRY, Subscriptions};
use crate::browser::{clock::now, room_client::Step};

/// Priority of these tracks: after the catalog, before sound.
const PRIORITY: u8 = 48;
/// Pause before an edge without rooms is asked again.
const REFUSED: Micros = Micros::from_millis(5_000);
/// The tracks that every fan of a room subscribes to.
const SHOWN: [Track; 3] = [Track::Chat, Track::Pulse, Track::Stage];

/// The requests of a membership.
#[derive(Debug, Default)]
pub(super) struct Membership {
    answers: Option<RequestId>,
    acts: Option<RequestId>,
    /// The stream that carries the acts, and the ID of its next object.
    stream: Option<(StreamId, u64)>,
    /// The subscriptions to the shared tracks, in the order of [`SHOWN`].
    shown: [Option<RequestId>; SHOWN.len()],
    /// The time before which no request is repeated.
    retry_at: Option<Micros>,
}

impl Subscriptions {
    /// Sends the requests that are missing.
    pub(super) fn join_room(&mut self) -> Result<(), Misuse> {
        if self.membership.retry_at.is_some_and(|at| at > now()) {
            return Ok(());
        }
        if self.membership.answers.is_none() {
            let params = Params { priority: Some(PRIORITY), ..Params::default() };
            let track = self.room_track(names::FAN, names::ANSWERS)?;
            let request = self.connection.with(|session| session.subscribe(track, params))?;
            self.requests.insert(request, Purpose::Answers);
            self.membership.answers = Some(request);
        }
        for (at, track) in SHOWN.into_iter().enumerate() {
            if self.membership.shown[at].is_some() {
                continue;
            }
            let order = if track == Track::Chat { GroupOrder::Ascending } else { GroupOrder::Descending };
            let params = Params {
                priority: Some(PRIORITY),
                group_order: Some(order),
                rendezvous_timeout: Some(RENDEZVOUS.as_millis()),
                ..Params::default()
            };
            let name = self.room_track(names::ROOM, track.name())?;
            let request = self.connection.with(|session| session.subscribe(name, params))?;
            self.requests.insert(request, Purpose::Shown(track));
            self.membership.shown[at] = Some(request);
            self.room_client.borrow_mut().subscribed(track);
        }
        Ok(())
    }

    fn room_track(&self, field: &'static str, name: &'static str) -> Result<TrackName, Misuse> {
        let name = Namespace::new([Bytes::from_static(field.as_bytes())])
            .and_then(|prefix| prefix.join(&self.namespace))
            .and_then(|namespace| TrackName::new(namespace, name));
        name.map_err(|_| Misuse::BadField("a room name that is too long"))
    }

    /// Publishes the track of acts, once the edge has accepted the subscription to the answers.
    pub(super) fn on_answers_accepted(&mut self, request: RequestId) -> Result<(), Misuse> {
        if self.membership.answers != Some(request) || self.membership.acts.is_some() {
            return Ok(());
        }
        let track = self.room_track(names::FAN, names::ACTS)?;
        let acts = self
            .connection
            .with(|session| session.publish(track, Params::default(), Properties::default()))?;
        self.requests.insert(acts, Purpose::Acts);
        self.membership.acts = Some(acts);
        Ok(())
    }

    /// Opens the stream of acts, once the edge has accepted the track.
    pub(super) fn on_acts_accepted(&mut self, request: RequestId) -> Result<(), Misuse> {
        if self.membership.acts != Some(request) || self.membership.stream.is_some() {
            return Ok(());
        }
        let header = SubgroupHeader { first_object: true, ..SubgroupHeader::default() };
        let stream = self.connection.with(|session| session.open_subgroup(request, header))?;
        self.membership.stream = Some((stream, 0));
        self.room_client.borrow_mut().joined(now());
        self.flush_outbox()
    }

    /// Sends the outbox's packets, and whatever else is due of it.
    pub(crate) fn flush_outbox(&mut self) -> Result<(), Misuse> {
        self.room_client.borrow_mut().tick(now());
        loop {
            let next = self.room_client.borrow_mut().poll(now());
            match next {
                Some(Step::Send(packet)) => self.send_acts(packet)?,
                Some(Step::StartOver) => self.leave_room(Micros(0))?,
                None => return Ok(()),
            }
        }
    }

    fn send_acts(&mut self, packet: Vec<u8>) -> Result<(), Misuse> {
        let Some((stream, id)) = &mut self.membership.stream else { return Ok(()) };
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
            Delivery::Expired => self.leave_room(RETRY),
        }
    }

    /// Handles a packet of answers to this fan.
    pub(super) fn receive_answers(&mut self, packet: &[u8]) -> Result<(), Misuse> {
        let received = self.room_client.borrow_mut().receive(now(), packet);
        match received {
            Ok(()) => self.flush_outbox(),
            // The edge speaks another version, but it may be replaced soon.
            Err(_) => self.leave_room(REFUSED),
        }
    }

    /// Handles the end of one of the membership's requests.
    pub(super) fn membership_lost(&mut self, request: RequestId, refused: bool) -> Result<(), Misuse> {
        if self.membership.answers == Some(request) || self.membership.acts == Some(request) {
            if refused {
                self.room_client.borrow_mut().refused();
            }
            return self.leave_room(if refused { REFUSED } else { RETRY });
        }
        for shown in &mut self.membership.shown {
            shown.take_if(|shown| *shown == request);
        }
        self.retry_membership(if refused { REFUSED } else { RETRY });
        Ok(())
    }

    /// Leaves the room if the stream that ended carried the acts or the answers.
    pub(super) fn membership_stream_ended(
        &mut self,
        stream: StreamId,
        of: Option<RequestId>,
    ) -> Result<(), Misuse> {
        let ours = self.membership.stream.is_some_and(|(ours, _)| ours == stream);
        if ours || of.is_some() && of == self.membership.answers {
            self.leave_room(RETRY)?;
        }
        Ok(())
    }

    /// Cancels the fan's own two tracks; they are requested again after a pause.
    fn leave_room(&mut self, after: Micros) -> Result<(), Misuse> {
        self.room_client.borrow_mut().left();
        self.membership.stream = None;
        (self.membership.acts, self.membership.answers) = (None, None);
        self.retry_membership(after);
        self.cancel_requests(|purpose| matches!(purpose, Purpose::Acts | Purpose::Answers))?;
        self.flush_outbox()
    }

    fn retry_membership(&mut self, after: Micros) {
        let at = now() + after;
        self.membership.retry_at = Some(self.membership.retry_at.map_or(at, |other| other.max(at)));
    }
}
