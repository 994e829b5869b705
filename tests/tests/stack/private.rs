//! Private rooms: private at every edge and in all that a room has, and open there to people with a token.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use creator::Source;
use fanfare_tests::{Node, ROOM, ScriptedSession, Setting, Stack, Talker};
use media::testcard::{Config, Rendition};
use moqt::{
    Event, Location, Namespace, Params, RequestCode, TrackName, message::FetchKind, session::RequestId,
};
use outbox::Outcome;
use serde_json::json;
use token::Role;
use tokio::task::LocalSet;
use wire::{TrackItem, names};

const PATIENCE: Duration = Duration::from_mins(1);
const EDGES: [Node; 3] = [Node::CreatorEdge, Node::FanEdge, Node::FarEdge];

/// Runs a test with a private show, which is published through an edge.
async fn evening<T>(own_keys: bool, run: impl AsyncFnOnce(Stack) -> Result<T>) -> Result<T> {
    let all = async {
        let renditions = vec![Rendition { width: 160, height: 90, bitrate: 60_000 }];
        let card = Config { renditions, title: "TEST".into(), ..Config::default() };
        let mut stack = Stack::empty_with(Setting { own_keys, private: vec![ROOM.into()] }).await?;
        stack.begin_show(Source::demo(card)?).await?;
        stack.extend().await?;
        run(stack).await
    };
    tokio::time::timeout(PATIENCE, LocalSet::new().run_until(all)).await.context("too slow")?
}

fn track(prefix: Option<&str>, name: &'static str) -> Result<TrackName> {
    let room = Namespace::from_path(ROOM)?;
    let namespace = match prefix {
        Some(prefix) => Namespace::new([prefix.to_owned()])?.join(&room)?,
        None => room,
    };
    Ok(TrackName::new(namespace, name)?)
}

/// Waits for the answer to a request: the code of a refusal, or none.
async fn answer(client: &mut ScriptedSession, request: RequestId) -> Result<Option<RequestCode>> {
    client
        .until(|event| match event {
            Event::RequestError { request: of, error } if of == request => Some(Some(error.code)),
            Event::SubscribeOk { request: of, .. }
            | Event::RequestOk { request: of, .. }
            | Event::FetchOk { request: of, .. }
                if of == request =>
            {
                Some(None)
            }
            _ => None,
        })
        .await
}

/// Checks that a client sees and gets nothing of the room.
async fn sees_nothing(stack: &Stack, node: Node, token: Option<String>) -> Result<()> {
    let mut client = ScriptedSession::enter(stack, node, token).await?;
    let prefix = Namespace::default();
    client.call(|session, _| session.subscribe_namespace(prefix, Params::default())).await??;
    for name in [
        track(None, "catalog")?,
        track(None, "video/90p")?,
        track(Some(names::ROOM), "chat")?,
        track(Some(names::ROOM), "stage")?,
        track(Some(names::FAN), names::ANSWERS)?,
    ] {
        let asked = name.clone();
        let request = client.call(|session, _| session.subscribe(asked, Params::default())).await??;
        let code = answer(&mut client, request).await?;
        ensure!(code == Some(RequestCode::UNAUTHORIZED), "SUBSCRIBE of {name} at {node:?}: {code:?}");
        let asked = name.clone();
        let request = client.call(|session, _| session.track_status(asked, Params::default())).await??;
        let code = answer(&mut client, request).await?;
        ensure!(code == Some(RequestCode::UNAUTHORIZED), "TRACK_STATUS of {name} at {node:?}: {code:?}");
        let kind = FetchKind::Standalone {
            track: name.clone(),
            start: Location::new(0, 0),
            end: Location::new(9, 0),
        };
        let request = client.call(|session, _| session.fetch(kind, Params::default())).await??;
        let code = answer(&mut client, request).await?;
        ensure!(code == Some(RequestCode::UNAUTHORIZED), "FETCH of {name} at {node:?}: {code:?}");
    }
    // Whatever the edge tells of namespaces comes before the answer to a later request.
    let request =
        client.call(|session, _| session.subscribe(track(None, "none").expect("a name"), Params::default()));
    let request = request.await??;
    client
        .until(|event| match event {
            Event::Namespace { suffix, .. } if suffix.path().is_some_and(|path| path.contains(ROOM)) => {
                Some(Err(anyhow::anyhow!("{node:?} tells of {suffix}")))
            }
            Event::RequestError { request: of, .. } if of == request => Some(Ok(())),
            _ => None,
        })
        .await?
}

async fn is_private_at_every_edge(own_keys: bool) -> Result<()> {
    evening(own_keys, async |stack| {
        ensure!(stack.ask(Node::Origin, "GET", "/api/rooms").await?.ends_with("[]"));
        let foreign =
            stack.sign(&token::Claims::new("another", Role::Creator, "x", Duration::from_hours(1)))?;
        for node in EDGES {
            for token in [None, Some(foreign.clone())] {
                sees_nothing(&stack, node, token).await?;
            }
        }
        // A fan with a token watches and talks at each of them.
        for node in EDGES {
            let token = stack.token_of(Role::Fan, &format!("guest {}", node as u64))?;
            let mut client = ScriptedSession::enter(&stack, node, Some(token.clone())).await?;
            let video = track(None, "video/90p")?;
            client.call(|session, _| session.subscribe(video, Params::default())).await??;
            client.until(|event| matches!(event, Event::Subgroup { .. }).then_some(())).await?;
            let prefix = Namespace::default();
            client.call(|session, _| session.subscribe_namespace(prefix, Params::default())).await??;
            client
                .until(|event| match event {
                    Event::Namespace { suffix, .. } => (suffix.path().as_deref() == Some(ROOM)).then_some(()),
                    _ => None,
                })
                .await?;
            let mut guest = Talker::enter(&stack, node, Some(token))?;
            guest.joined().await?;
            let text = format!("through {node:?}");
            let said = guest.order(json!({ "say": { "text": &text } })).await?;
            ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
            guest.until(|item| matches!(item, TrackItem::Said(line) if line.text == text)).await?;
        }
        // What the edges carry now, they still show to nobody else.
        for node in EDGES {
            sees_nothing(&stack, node, None).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_private_room_is_private_at_every_edge_and_open_to_who_has_a_token() -> Result<()> {
    is_private_at_every_edge(false).await
}

#[tokio::test]
async fn a_private_room_is_private_where_edges_have_keys_of_their_own() -> Result<()> {
    is_private_at_every_edge(true).await
}

/// An edge of an earlier version shows its clients everything: it gets nothing of a private room.
#[tokio::test]
async fn an_edge_that_does_not_ask_for_tokens_gets_no_private_room() -> Result<()> {
    evening(false, async |stack| {
        let now = token::now();
        let end = now + wire::Micros::from_secs(3600);
        let claims = token::Claims::for_edge(wire::EdgeId(77), now, end);
        let edge = stack.sign(&claims)?;
        let mut client =
            ScriptedSession::enter_as(&stack, Node::Origin, Some(edge.clone()), Some("fanfare-edge/0.0"))
                .await?;
        let downs = Namespace::new([".edge", "4d", "1"])?.join(&Namespace::from_path(ROOM)?)?;
        for name in [track(None, "video/90p")?, TrackName::new(downs, names::DOWNS)?] {
            let asked = name.clone();
            let request = client.call(|session, _| session.subscribe(asked, Params::default())).await??;
            let code = answer(&mut client, request).await?;
            ensure!(code == Some(RequestCode::UNAUTHORIZED), "{name}: {code:?}");
        }
        let creator = stack.token_of(Role::Creator, "a creator")?;
        let mut client =
            ScriptedSession::enter_as(&stack, Node::Origin, Some(creator), Some("fanfare-edge/0.0")).await?;
        let room = Namespace::from_path(ROOM)?;
        let request = client.call(|session, _| session.publish_namespace(room, Params::default())).await??;
        match client
            .until(|event| match event {
                Event::RequestError { request: of, error } if of == request => Some(Some(error)),
                Event::RequestOk { request: of, .. } if of == request => Some(None),
                _ => None,
            })
            .await?
        {
            Some(error) => ensure!(error.reason_text().contains("would show it to anyone"), "{error:?}"),
            None => bail!("a private room is published through an edge that shows it"),
        }
        Ok(())
    })
    .await
}
