//! An edge carries all that its fans subscribe to over its one session with the origin.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use fanfare_tests::{Node, ScriptedSession, Stack};
use moqt::{Event, Namespace, Params, Properties, TrackName};
use tokio::task::LocalSet;
use wire::names;

const PATIENCE: Duration = Duration::from_secs(90);
const TRACKS: usize = 200;
const ROOMS: usize = 300;

fn room(nth: usize) -> Result<Namespace> {
    Ok(Namespace::new([format!("room{nth}")])?)
}

#[tokio::test]
async fn two_hundred_tracks_and_three_hundred_rooms_go_through_one_upstream_session() -> Result<()> {
    let all = async {
        let stack = Stack::empty().await?;
        let mut creator = ScriptedSession::enter(&stack, Node::Origin, Some(stack.token()?)).await?;
        for nth in 0..ROOMS {
            let namespace = room(nth)?;
            creator.call(|session, _| session.publish_namespace(namespace, Params::default())).await??;
        }
        for _ in 0..ROOMS {
            creator.until(|event| matches!(event, Event::RequestOk { .. }).then_some(())).await?;
        }
        let mut fan = ScriptedSession::enter(&stack, Node::FanEdge, None).await?;
        let mut asked = BTreeSet::new();
        for nth in 0..TRACKS {
            let name = TrackName::new(room(0)?, format!("track{nth}"))?;
            asked.insert(fan.call(|session, _| session.subscribe(name, Params::default())).await??);
        }
        for nth in 0..ROOMS {
            let namespace = Namespace::new([names::ROOM])?.join(&room(nth)?)?;
            let name = TrackName::new(namespace, wire::Track::Stage.name())?;
            asked.insert(fan.call(|session, _| session.subscribe(name, Params::default())).await??);
        }
        let answer = async {
            loop {
                let request = creator
                    .until(|event| match event {
                        Event::Subscribe { request, .. } => Some(request),
                        _ => None,
                    })
                    .await?;
                let accept = move |session: &mut moqt::Session, _| {
                    session.accept_subscribe(request, Params::default(), Properties::NONE)
                };
                creator.call(accept).await??;
            }
        };
        let answered = async {
            while !asked.is_empty() {
                let request = fan
                    .until(|event| match event {
                        Event::SubscribeOk { request, .. } => Some(Ok(request)),
                        Event::RequestError { error, .. } => Some(Err(error)),
                        _ => None,
                    })
                    .await?;
                let request = request.map_err(|error| anyhow::anyhow!("{error:?}"))?;
                ensure!(asked.remove(&request), "an answer to nothing");
            }
            Ok(())
        };
        tokio::select! {
            failed = answer => failed,
            done = answered => done,
        }?;
        // The edge has one upstream session, and one session of a fan.
        ensure!(stack.figure("sessions").await? == 2, "the edge opened more sessions");
        Ok(())
    };
    tokio::time::timeout(PATIENCE, LocalSet::new().run_until(all)).await.context("too slow")?
}
