//! Tracks that not every client may use.

use anyhow::{Result, ensure};
use fanfare_tests::{Node, ROOM, ScriptedSession, Stack};
use moqt::{Event, Namespace, Params, Properties, RequestCode, TrackName};
use wire::names;

use crate::hostile::{
    Innocents, evening,
    intruder::{Intruder, own, refused},
};

/// Rooms that one session requests, and the memberships that a session may have.
const ROOMS: usize = 1000;
const MEMBERSHIPS: usize = 4;

#[tokio::test]
async fn hostile_acts_without_a_membership() -> Result<()> {
    evening(async |stack: Stack| {
        let mut innocents = Innocents::enter(&stack).await?;
        let mut client = ScriptedSession::enter(&stack, Node::FanEdge, None).await?;
        let acts = own(names::FAN, names::ACTS)?;
        let publish =
            |session: &mut moqt::Session| session.publish(acts, Params::default(), Properties::NONE);
        let request = client.call(|session, _| publish(session)).await??;
        ensure!(refused(&mut client, request).await? == RequestCode::DOES_NOT_EXIST);
        // A second `acts` track for a member that has one.
        let mut member = Intruder::enter(&stack, None).await?;
        let acts = own(names::FAN, names::ACTS)?;
        let second =
            member.client.call(|session, _| session.publish(acts, Params::default(), Properties::NONE));
        match second.await? {
            Ok(request) => {
                ensure!(refused(&mut member.client, request).await? == RequestCode::DOES_NOT_EXIST);
            }
            Err(misuse) => ensure!(matches!(misuse, moqt::Misuse::DuplicateSubscription(_)), "{misuse}"),
        }
        innocents.go_on().await
    })
    .await
}

/// The tracks between edges and the origin, and the answers to another fan.
#[tokio::test]
async fn hostile_listeners_hear_nothing() -> Result<()> {
    evening(async |stack: Stack| {
        let mut innocents = Innocents::enter(&stack).await?;
        let link = |track| TrackName::new(Namespace::from_path(&format!(".edge/2/1/{ROOM}"))?, track);
        for node in [Node::FanEdge, Node::Origin] {
            let mut client = ScriptedSession::enter(&stack, node, None).await?;
            for name in [link(names::DOWNS)?, link(names::DELTAS)?, own(names::FAN, names::ACTS)?] {
                let asked = name.clone();
                let request = client.call(|session, _| session.subscribe(asked, Params::default())).await??;
                let code = refused(&mut client, request).await?;
                let known =
                    [RequestCode::UNAUTHORIZED, RequestCode::DOES_NOT_EXIST, RequestCode::NOT_SUPPORTED];
                ensure!(known.contains(&code), "{node:?}, {name}: {code:?}");
            }
        }
        // A subscription to all answers gets the member's own only.
        let mut nosy = Intruder::enter(&stack, None).await?;
        let prefix = Namespace::new([names::FAN])?;
        nosy.client.call(|session, _| session.subscribe_tracks(prefix, Params::default())).await??;
        nosy.hello(1).await?;
        let own = nosy.message(|message| match message {
            wire::EdgeMessage::Welcome { fan, .. } => Some(fan),
            _ => None,
        });
        own.await?;
        innocents.go_on().await?;
        nosy.send(wire::packet(&crate::hostile::intruder::say(1, "and now I"))).await?;
        let first = nosy.message(|message| match message {
            wire::EdgeMessage::Said { number, .. } => Some(number),
            wire::EdgeMessage::Acked { through } => Some(through),
            _ => None,
        });
        ensure!(first.await? == 1, "an answer to another fan");
        Ok(())
    })
    .await
}

/// The namespaces that begin with a dot are reserved, even with a creator's token for every room.
#[tokio::test]
async fn hostile_publishers_of_reserved_tracks() -> Result<()> {
    evening(async |stack: Stack| {
        let mut innocents = Innocents::enter(&stack).await?;
        for (node, token) in [
            (Node::FanEdge, None),
            (Node::FanEdge, Some(stack.token()?)),
            (Node::Origin, Some(stack.token()?)),
        ] {
            for path in
                [format!(".room/{ROOM}"), format!(".edge/2/1/{ROOM}"), format!(".fan/{ROOM}"), ".new".into()]
            {
                let mut client = ScriptedSession::enter(&stack, node, token.clone()).await?;
                let namespace = Namespace::from_path(&path)?;
                let of = namespace.clone();
                let request =
                    client.call(|session, _| session.publish_namespace(of, Params::default())).await??;
                is_turned_away(&mut client, request, &path).await?;
                let mut client = ScriptedSession::enter(&stack, node, token.clone()).await?;
                let name = TrackName::new(namespace, "chat")?;
                let publish =
                    |session: &mut moqt::Session| session.publish(name, Params::default(), Properties::NONE);
                let request = client.call(|session, _| publish(session)).await??;
                is_turned_away(&mut client, request, &path).await?;
            }
            innocents.go_on().await?;
        }
        Ok(())
    })
    .await
}

/// Waits until the request is refused or cancelled, or the session closed.
async fn is_turned_away(
    client: &mut ScriptedSession,
    request: moqt::session::RequestId,
    path: &str,
) -> Result<()> {
    let end = |event| match event {
        Event::RequestError { request: of, error } if of == request => Some(Ok(error.code.0)),
        Event::Closed { code, .. } => Some(Ok(code.0)),
        Event::RequestOk { request: of, .. } if of == request => Some(Err(())),
        _ => None,
    };
    if let Ok(code) = client.until(end).await? {
        ensure!(code != 0, "{path}: no code");
    } else {
        // An edge accepts the request before it has checked it, and cancels it soon after.
        let over = |event| matches!(event, Event::Cancelled { .. } | Event::Closed { .. }).then_some(());
        client.until(over).await?;
    }
    Ok(())
}

/// Rooms that do not exist: each request ends, and other fans still get into a room.
#[tokio::test]
async fn hostile_session_in_a_thousand_rooms() -> Result<()> {
    evening(async |stack: Stack| {
        let mut innocents = Innocents::enter(&stack).await?;
        let mut client = ScriptedSession::enter(&stack, Node::FanEdge, None).await?;
        for at in 0..ROOMS {
            let name = TrackName::new(Namespace::from_path(&format!(".fan/nowhere/{at}"))?, names::ANSWERS)?;
            client.call(|session, _| session.subscribe(name, Params::default())).await??;
        }
        let (mut full, mut absent) = (0, 0);
        while full + absent < ROOMS {
            let code = client.until(|event| match event {
                Event::RequestError { error, .. } => Some(error.code),
                _ => None,
            });
            match code.await? {
                RequestCode::EXCESSIVE_LOAD => full += 1,
                RequestCode::DOES_NOT_EXIST => absent += 1,
                code => anyhow::bail!("{code:?}"),
            }
            if full + absent == ROOMS / 2 {
                innocents.go_on().await?;
            }
        }
        ensure!((1..=2 * MEMBERSHIPS).contains(&absent), "{absent} were asked for at the origin");
        // Each request is cancelled before the next is made: the edge keeps none of them.
        for at in 0..ROOMS + 100 {
            let name =
                TrackName::new(Namespace::from_path(&format!(".fan/elsewhere/{at}"))?, names::ANSWERS)?;
            let asked = move |session: &mut moqt::Session| {
                let request = session.subscribe(name, Params::default())?;
                session.cancel(request)
            };
            client.call(|session, _| asked(session)).await??;
        }
        innocents.go_on().await?;
        Innocents::enter(&stack).await?.go_on().await
    })
    .await
}
