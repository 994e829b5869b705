//! A MoQ session, with any node of a stack, that runs the calls of a test.

use std::{cell::Cell, future::poll_fn, net::Ipv4Addr, rc::Rc, task::Poll};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use moqt::{
    Event, Micros, Misuse, Properties, Session, Token,
    data::{ObjectHeader, Status, SubgroupHeader, SubgroupId},
    session::RequestId,
};
use quic::{Endpoint, Trust};
use rustls::ClientConfig;
use testnet::{Probe, Word};
use tokio::sync::{mpsc, oneshot};
use url::Url;

use crate::{Node, Stack};

/// A session with one node. Dropping it ends it. Create it inside a [`LocalSet`](tokio::task::LocalSet).
pub struct ScriptedSession {
    words: mpsc::UnboundedSender<Word>,
    events: mpsc::UnboundedReceiver<Event>,
    frozen: Rc<Cell<bool>>,
}

impl ScriptedSession {
    /// Connects to `node`, with `token` if there is one.
    pub async fn enter(stack: &Stack, node: Node, token: Option<String>) -> Result<Self> {
        Self::enter_as(stack, node, token, None).await
    }

    /// Connects to `node` with the implementation's name of another program.
    pub async fn enter_as(
        stack: &Stack,
        node: Node,
        token: Option<String>,
        implementation: Option<&'static str>,
    ) -> Result<Self> {
        Self::open(stack, node, Ipv4Addr::LOCALHOST, token.as_slice(), implementation).await
    }

    /// Connects to `node` from an address of the loopback, with all of these tokens.
    pub async fn enter_from(stack: &Stack, node: Node, address: Ipv4Addr, tokens: &[String]) -> Result<Self> {
        Self::open(stack, node, address, tokens, None).await
    }

    async fn open(
        stack: &Stack,
        node: Node,
        address: Ipv4Addr,
        tokens: &[String],
        implementation: Option<&'static str>,
    ) -> Result<Self> {
        let tls = Trust::Fingerprints(vec![stack.fingerprint().parse().map_err(anyhow::Error::msg)?]);
        let url = Url::parse(&format!("moqt://127.0.0.1:{}/", stack.addr_of(node).port()))?;
        Self::dial(&url, tls.client_config()?, address, tokens, implementation).await
    }

    /// Connects to a URL from an address of the loopback, over QUIC, WebTransport or a WebSocket.
    pub async fn dial(
        url: &Url,
        tls: ClientConfig,
        address: Ipv4Addr,
        tokens: &[String],
        implementation: Option<&'static str>,
    ) -> Result<Self> {
        let mut connected = Endpoint::client((address, 0).into(), tls)?.dial(url).await?;
        let setup = &mut connected.config().setup;
        setup.tokens.extend(tokens.iter().cloned().map(Token::value));
        setup.implementation = implementation.map(Into::into);
        let (mut probe, words, events) = Probe::new();
        let frozen = Rc::new(Cell::new(false));
        let is_frozen = Rc::clone(&frozen);
        tokio::task::spawn_local(async move {
            let mut session = connected.run(&mut probe);
            let _ = poll_fn(|task| if is_frozen.get() { Poll::Pending } else { session.as_mut().poll(task) })
                .await;
        });
        let mut this = Self { words, events, frozen };
        this.until(|event| matches!(event, Event::Ready(_)).then_some(())).await?;
        Ok(this)
    }

    /// Stops reading and writing from now on, while the connection stays open.
    pub fn freeze(&self) {
        self.frozen.set(true);
    }

    /// Calls `word` on the session, and returns its result.
    pub async fn call<T: 'static>(
        &self,
        word: impl FnOnce(&mut Session, Micros) -> T + 'static,
    ) -> Result<T> {
        let (respond, answer) = oneshot::channel();
        let word: Word = Box::new(move |session, now| {
            let _ = respond.send(word(session, now));
        });
        self.words.send(word).ok().context("the session is over")?;
        answer.await.context("the session is over")
    }

    /// The next event; `None` when the session is over.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Returns the next event for which `wanted` gives a value, and drops the events before it.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(Event) -> Option<T>) -> Result<T> {
        loop {
            let event = self.next().await.context("the session is over")?;
            if let Some(found) = wanted(event) {
                return Ok(found);
            }
        }
    }
}

/// Sends a whole group to a subscriber, or to a peer that was offered the track.
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
