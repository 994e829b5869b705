//! A session that does what a test says, at any door of a house.

use std::{cell::Cell, future::poll_fn, pin::pin, rc::Rc, task::Poll};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use moqt::{
    Event, Micros, Misuse, Properties, Session, Token,
    data::{ObjectHeader, Status, SubgroupHeader, SubgroupId},
    session::RequestId,
};
use quic::{Clock, Connection, Endpoint, Trust, drive};
use testnet::{Probe, Word};
use tokio::sync::{mpsc, oneshot};
use url::Url;

use crate::{Door, House};

/// The session. It ends when this is dropped. To be made in a [`LocalSet`](tokio::task::LocalSet).
pub struct Guest {
    words: mpsc::UnboundedSender<Word>,
    events: mpsc::UnboundedReceiver<Event>,
    frozen: Rc<Cell<bool>>,
}

impl Guest {
    /// One who comes by a door, with that token.
    pub async fn enter(house: &House, door: Door, token: Option<String>) -> Result<Self> {
        let tls = Trust::Fingerprints(vec![house.fingerprint().parse().map_err(anyhow::Error::msg)?]);
        let endpoint = Endpoint::client(([127, 0, 0, 1], 0).into(), tls.client_config()?)?;
        let url = Url::parse(&format!("moqt://127.0.0.1:{}/", house.door(door).port()))?;
        let mut connection = endpoint.connect(&url).await?;
        connection.config.setup.tokens.extend(token.map(Token::value));
        let (mut probe, words, events) = Probe::new();
        let frozen = Rc::new(Cell::new(false));
        let is_frozen = Rc::clone(&frozen);
        tokio::task::spawn_local(async move {
            let Connection { transport, config, .. } = connection;
            let mut session = pin!(drive(transport, config, Clock::default(), &mut probe));
            let _ = poll_fn(|task| if is_frozen.get() { Poll::Pending } else { session.as_mut().poll(task) })
                .await;
        });
        let mut guest = Self { words, events, frozen };
        guest.until(|event| matches!(event, Event::Ready(_)).then_some(())).await?;
        Ok(guest)
    }

    /// From now on it reads nothing and writes nothing, but the connection stays.
    pub fn freeze(&self) {
        self.frozen.set(true);
    }

    /// Has the session do something, and waits for its answer.
    pub async fn call<T: 'static>(
        &self,
        word: impl FnOnce(&mut Session, Micros) -> T + 'static,
    ) -> Result<T> {
        let (tell, answer) = oneshot::channel();
        let word: Word = Box::new(move |session, now| {
            let _ = tell.send(word(session, now));
        });
        self.words.send(word).ok().context("the session is over")?;
        answer.await.context("the session is over")
    }

    /// The next event; `None` when the session is over.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// The next event that is of interest; those before are dropped.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(Event) -> Option<T>) -> Result<T> {
        loop {
            let event = self.next().await.context("the session is over")?;
            if let Some(found) = wanted(event) {
                return Ok(found);
            }
        }
    }
}

/// Sends all of a group to who subscribed, or was offered the track.
pub fn send_group(
    session: &mut Session,
    now: Micros,
    request: RequestId,
    group: u64,
    objects: Vec<Bytes>,
) -> Result<(), Misuse> {
    let header = SubgroupHeader {
        track_alias: 0,
        group,
        subgroup: SubgroupId::Zero,
        priority: None,
        properties: false,
        end_of_group: true,
        first_object: true,
    };
    let stream = session.open_subgroup(request, header)?;
    for (id, object) in (0..).zip(objects) {
        let len = object.len() as u64;
        let header =
            ObjectHeader { id, properties: Properties::NONE, payload_len: len, status: Status::Normal };
        let _ = session.object(now, stream, &header, now)?;
        session.payload(stream, object)?;
    }
    session.finish(now, stream)
}
