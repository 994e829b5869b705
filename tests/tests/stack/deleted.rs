//! Lines that are taken back: no node serves them any more.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fanfare_tests::{Node, ROOM, ScriptedSession, Stack, Talker};
use moqt::{
    Event, Location, Namespace, Params, TrackName,
    message::FetchKind,
    session::{RequestId, StreamId},
};
use outbox::Outcome;
use serde_json::json;
use token::Role;
use tokio::task::LocalSet;
use wire::{ChatId, TrackItem, names};

use crate::hostile::show;

const PATIENCE: Duration = Duration::from_mins(1);

fn chat() -> Result<TrackName> {
    let namespace = Namespace::new([names::ROOM])?.join(&Namespace::from_path(ROOM)?)?;
    Ok(TrackName::new(namespace, wire::Track::Chat.name())?)
}

/// Fetches a group of the chat, as a client without a token. Returns nothing of a group that the node no longer keeps.
async fn fetched(client: &mut ScriptedSession, group: u64) -> Result<Vec<u8>> {
    let (start, end) = (Location::new(group, 0), Location::new(group, 0));
    let kind = FetchKind::Standalone { track: chat()?, start, end };
    let request = client.call(|session, _| session.fetch(kind, Params::default())).await??;
    let (mut bytes, mut from): (Vec<u8>, Option<StreamId>) = (Vec::new(), None);
    loop {
        match client.next().await.context("the session is over")? {
            Event::RequestError { request: of, .. } if of == request => return Ok(Vec::new()),
            Event::FetchStream { stream, request: of } if of == request => from = Some(stream),
            Event::Payload { stream, data } if Some(stream) == from => bytes.extend_from_slice(&data),
            Event::StreamEnded { stream } if Some(stream) == from => return Ok(bytes),
            Event::StreamReset { stream, code } if Some(stream) == from => {
                anyhow::bail!("FETCH of group {group}: {code:?}")
            }
            _ => {}
        }
    }
}

/// A reader of the chat at one node, and the groups that it has seen.
struct Reader {
    node: Node,
    client: ScriptedSession,
    request: RequestId,
    groups: Vec<u64>,
}

impl Reader {
    async fn enter(stack: &Stack, node: Node) -> Result<Self> {
        let client = ScriptedSession::enter(stack, node, None).await?;
        let chat = chat()?;
        let request = client.call(|session, _| session.subscribe(chat, Params::default())).await??;
        Ok(Self { node, client, request, groups: Vec::new() })
    }

    /// Reads until an object has these bytes.
    async fn until(&mut self, bytes: &[u8]) -> Result<()> {
        loop {
            match self.client.next().await.context("the session is over")? {
                Event::Subgroup { request, header, .. } if request == self.request => {
                    self.groups.push(header.group);
                }
                Event::Payload { data, .. } if has(&data, bytes) => return Ok(()),
                _ => {}
            }
        }
    }

    /// Reads until an object has the item, and two more groups have begun.
    async fn renewed(&mut self, item: &TrackItem<'_>) -> Result<()> {
        self.until(&wire::packet(item)[1..]).await?;
        for _ in 0..2 {
            let request = self.request;
            let next = |event| match event {
                Event::Subgroup { request: of, header, .. } if of == request => Some(header.group),
                _ => None,
            };
            self.groups.push(self.client.until(next).await?);
        }
        Ok(())
    }

    /// Returns whether the node serves the text to a client without a token, in any group that there was.
    async fn serves(&self, stack: &Stack, text: &str) -> Result<bool> {
        let mut client = ScriptedSession::enter(stack, self.node, None).await?;
        let (mut all, mut found) = (0, false);
        for group in &self.groups {
            let bytes = fetched(&mut client, *group).await?;
            all += bytes.len();
            found |= has(&bytes, text.as_bytes());
        }
        ensure!(all > 0, "{:?} serves no group of the chat", self.node);
        Ok(found)
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Says a line. Returns its number, once everybody in the room has it.
async fn said(talker: &mut Talker, text: &str) -> Result<ChatId> {
    let outcome = talker.order(json!({ "say": { "text": text } })).await?;
    ensure!(matches!(outcome, Outcome::Taken { .. }), "{outcome:?}");
    let mut number = ChatId(0);
    talker
        .until(|item| match item {
            TrackItem::Said(line) if line.text == text => {
                number = line.id;
                true
            }
            _ => false,
        })
        .await?;
    Ok(number)
}

#[tokio::test]
async fn a_line_that_is_deleted_or_forgotten_is_fetched_from_no_node() -> Result<()> {
    let talking = async {
        let stack = Stack::open(show()?).await?;
        let mut one = Talker::enter(&stack, Node::FanEdge, None)?;
        let moderator = stack.token_of(Role::Moderator, "Grace")?;
        let mut moderator = Talker::enter(&stack, Node::CreatorEdge, Some(moderator))?;
        moderator.joined().await?;
        let mut readers =
            [Reader::enter(&stack, Node::FanEdge).await?, Reader::enter(&stack, Node::Origin).await?];

        let text = "a secret that slipped out";
        let line = said(&mut one, text).await?;
        for reader in &mut readers {
            reader.until(text.as_bytes()).await?;
            ensure!(reader.serves(&stack, text).await?, "{:?} never served the line", reader.node);
        }
        let deleted = moderator.order(json!({ "moderate": { "delete": line.0 } })).await?;
        ensure!(matches!(deleted, Outcome::Taken { .. }), "{deleted:?}");
        for reader in &mut readers {
            reader.renewed(&TrackItem::Deleted(line)).await?;
            ensure!(!reader.serves(&stack, text).await?, "{:?} serves a deleted line", reader.node);
        }

        let text = "words of a person";
        said(&mut one, text).await?;
        for reader in &mut readers {
            reader.until(text.as_bytes()).await?;
            ensure!(reader.serves(&stack, text).await?, "{:?} never served the line", reader.node);
        }
        let fan = one.fan.context("the fan has no identity yet")?;
        let forgotten = stack.ask_admin(Node::Origin, "DELETE", &format!("/api/fans/{fan}")).await?;
        ensure!(forgotten.contains("204 No Content"), "{forgotten}");
        for reader in &mut readers {
            reader.renewed(&TrackItem::Purged(fan)).await?;
            ensure!(!reader.serves(&stack, text).await?, "{:?} serves a forgotten line", reader.node);
        }
        Ok(())
    };
    let local = LocalSet::new();
    tokio::time::timeout(PATIENCE, local.run_until(Box::pin(talking))).await.context("too slow")?
}
