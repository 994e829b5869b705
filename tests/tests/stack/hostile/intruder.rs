//! An intruder: a member of the room with a client of their own making.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use fanfare_tests::{Node, ROOM, ScriptedSession, Stack};
use moqt::{
    DoneCode, Event, Misuse, Namespace, Params, Properties, RequestCode, TrackName,
    data::{ObjectHeader, Status, SubgroupHeader, SubgroupId},
    session::{RequestId, StreamId},
};
use wire::{Act, EdgeMessage, FanMessage, Frame, Frames, Hello, Say, names};

pub(crate) struct Intruder {
    pub(crate) client: ScriptedSession,
    answers: RequestId,
    acts: StreamId,
    sent: u64,
}

/// Names a reserved track of the room, one that begins with a dot.
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

/// Waits until a request is refused. Returns the code.
pub(crate) async fn refused(client: &mut ScriptedSession, request: RequestId) -> Result<RequestCode> {
    let answer = |event| match event {
        Event::RequestError { request: of, error } if of == request => Some(Ok(error.code)),
        Event::SubscribeOk { request: of, .. } | Event::RequestOk { request: of, .. } if of == request => {
            Some(Err(anyhow::anyhow!("it is allowed")))
        }
        _ => None,
    };
    client.until(answer).await?
}

impl Intruder {
    /// Enters the room. Nothing is sent on `acts` yet.
    pub(crate) async fn enter(stack: &Stack, token: Option<String>) -> Result<Self> {
        let mut client = ScriptedSession::enter(stack, Node::FanEdge, token).await?;
        let (answers, acts) = (own(names::FAN, names::ANSWERS)?, own(names::FAN, names::ACTS)?);
        let answers = client.call(|session, _| session.subscribe(answers, Params::default())).await??;
        let is_ok = |event| matches!(event, Event::SubscribeOk { .. }).then_some(());
        client.until(is_ok).await?;
        let acts =
            client.call(|session, _| session.publish(acts, Params::default(), Properties::NONE)).await??;
        client
            .until(|event| matches!(event, Event::RequestOk { request, .. } if request == acts).then_some(()))
            .await?;
        let acts = client.call(move |session, _| session.open_subgroup(acts, header())).await??;
        Ok(Self { client, answers, acts, sent: 0 })
    }

    /// Sends any bytes as a packet of `acts`.
    pub(crate) async fn send(&mut self, packet: Vec<u8>) -> Result<()> {
        let (stream, id) = (self.acts, self.sent);
        self.sent += 1;
        let sent = self.client.call(move |session, now| -> Result<(), Misuse> {
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

    /// Waits for a message of the edge for which `wanted` gives a value.
    pub(crate) async fn message<T>(
        &mut self,
        mut wanted: impl FnMut(EdgeMessage<'_>) -> Option<T>,
    ) -> Result<T> {
        self.client
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

    /// Waits until the edge ends the membership. Returns the code and the reason.
    pub(crate) async fn membership_end(mut self) -> Result<(DoneCode, String)> {
        let answers = self.answers;
        let end = |event| match event {
            Event::Done { request, code, reason, .. } if request == answers => Some((code, reason)),
            _ => None,
        };
        let (code, reason) = self.client.until(end).await.context("the session ended without a reason")?;
        let reason = String::from_utf8(reason.to_vec())?;
        ensure!(!reason.is_empty() && reason.lines().count() == 1, "{reason:?}");
        Ok((code, reason))
    }
}

/// A chat message, as the act of that number.
pub(crate) fn say(number: u64, text: &str) -> FanMessage<'_> {
    FanMessage::Act { number, act: Act::Say(Say { text, ..Say::default() }) }
}
