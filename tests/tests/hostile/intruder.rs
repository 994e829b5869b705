//! Somebody with a place in the room and a client of their own making.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use fanfare_tests::{Door, Guest, House, ROOM};
use moqt::{
    DoneCode, Event, Misuse, Namespace, Params, Properties, RequestCode, TrackName,
    data::{ObjectHeader, Status, SubgroupHeader, SubgroupId},
    session::{RequestId, StreamId},
};
use wire::{Act, EdgeMessage, FanMessage, Frame, Frames, Hello, Say, names};

pub(crate) struct Intruder {
    pub(crate) guest: Guest,
    answers: RequestId,
    acts: StreamId,
    sent: u64,
}

/// A track of the house's own, of the room.
pub(crate) fn own(first: &str, track: &'static str) -> Result<TrackName> {
    let room = Namespace::from_path(ROOM)?;
    Ok(TrackName::new(Namespace::new([first.to_owned()])?.join(&room)?, track)?)
}

pub(crate) fn header() -> SubgroupHeader {
    SubgroupHeader {
        track_alias: 0,
        group: 0,
        subgroup: SubgroupId::Zero,
        priority: None,
        properties: false,
        end_of_group: true,
        first_object: true,
    }
}

/// Why a request of theirs is refused.
pub(crate) async fn refused(guest: &mut Guest, request: RequestId) -> Result<RequestCode> {
    let answer = |event| match event {
        Event::RequestError { request: of, error } if of == request => Some(Ok(error.code)),
        Event::SubscribeOk { request: of, .. } | Event::RequestOk { request: of, .. } if of == request => {
            Some(Err(anyhow::anyhow!("it is allowed")))
        }
        _ => None,
    };
    guest.until(answer).await?
}

impl Intruder {
    /// One who has a place, and has said nothing.
    pub(crate) async fn enter(house: &House, token: Option<String>) -> Result<Self> {
        let mut guest = Guest::enter(house, Door::Fans, token).await?;
        let (answers, acts) = (own(names::FAN, names::ANSWERS)?, own(names::FAN, names::ACTS)?);
        let answers = guest.call(|session, _| session.subscribe(answers, Params::default())).await??;
        let is_ok = |event| matches!(event, Event::SubscribeOk { .. }).then_some(());
        guest.until(is_ok).await?;
        let acts =
            guest.call(|session, _| session.publish(acts, Params::default(), Properties::NONE)).await??;
        guest
            .until(|event| matches!(event, Event::RequestOk { request, .. } if request == acts).then_some(()))
            .await?;
        let acts = guest.call(move |session, _| session.open_subgroup(acts, header())).await??;
        Ok(Self { guest, answers, acts, sent: 0 })
    }

    /// Sends whatever bytes as a packet.
    pub(crate) async fn send(&mut self, packet: Vec<u8>) -> Result<()> {
        let (stream, id) = (self.acts, self.sent);
        self.sent += 1;
        let sent = self.guest.call(move |session, now| -> Result<(), Misuse> {
            let header = ObjectHeader {
                id,
                properties: Properties::NONE,
                payload_len: packet.len() as u64,
                status: Status::Normal,
            };
            let _ = session.object(now, stream, &header, now)?;
            session.payload(stream, Bytes::from(packet))
        });
        Ok(sent.await??)
    }

    pub(crate) async fn hello(&mut self, stream: u64) -> Result<()> {
        self.send(wire::packet(&FanMessage::Hello(Hello { stream: wire::StreamId(stream), next: 1 }))).await
    }

    /// Waits for a message of the edge's.
    pub(crate) async fn told<T>(
        &mut self,
        mut wanted: impl FnMut(EdgeMessage<'_>) -> Option<T>,
    ) -> Result<T> {
        self.guest
            .until(|event| {
                let Event::Payload { data, .. } = event else { return None };
                let frames = Frames::<EdgeMessage<'_>>::new(&data).ok()?;
                frames.filter_map(Result::ok).find_map(|frame| match frame {
                    Frame::Known(message) => wanted(message),
                    Frame::Unknown(_) => None,
                })
            })
            .await
    }

    /// How their place in the room ends.
    pub(crate) async fn shown_out(mut self) -> Result<(DoneCode, String)> {
        let answers = self.answers;
        let end = |event| match event {
            Event::Done { request, code, reason, .. } if request == answers => Some((code, reason)),
            _ => None,
        };
        let (code, reason) = self.guest.until(end).await.context("no word of why")?;
        let reason = String::from_utf8(reason.to_vec())?;
        ensure!(!reason.is_empty() && reason.lines().count() == 1, "{reason:?}");
        Ok((code, reason))
    }
}

/// A line, as a message of that number.
pub(crate) fn say(number: u64, text: &str) -> FanMessage<'_> {
    FanMessage::Act { number, act: Act::Say(Say { text, ..Say::default() }) }
}
