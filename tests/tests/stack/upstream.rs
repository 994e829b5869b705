//! An edge carries all that its fans subscribe to over its one session with the origin.

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use fanfare_tests::{Node, ScriptedSession, Stack};
use futures_util::future::try_join_all;
use moqt::{Event, Namespace, Params, Properties, TrackName, session::RequestId};
use tokio::task::LocalSet;
use wire::names;

const PATIENCE: Duration = Duration::from_secs(90);
const TRACKS: usize = 200;
const ROOMS: usize = 300;
/// Creators with as many rooms each as one may have.
const CREATORS: usize = 3;
/// Fans, each in a network of its own: what one network may have waited for is bounded.
const FANS: usize = 20;

fn room(nth: usize) -> Result<Namespace> {
    Ok(Namespace::new([format!("room{nth}")])?)
}

/// Waits until all that a fan has asked for is accepted.
async fn all_answered(fan: &mut ScriptedSession, asked: &mut BTreeSet<RequestId>) -> Result<()> {
    while !asked.is_empty() {
        let answer = fan.until(|event| match event {
            Event::SubscribeOk { request, .. } => Some(Ok(request)),
            Event::RequestError { error, .. } => Some(Err(error)),
            _ => None,
        });
        let request = answer.await?.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        ensure!(asked.remove(&request), "an answer to nothing");
    }
    Ok(())
}

#[tokio::test]
async fn two_hundred_tracks_and_three_hundred_rooms_go_through_one_upstream_session() -> Result<()> {
    let all = async {
        let stack = Stack::empty().await?;
        let mut creators = Vec::new();
        for nth in 0..CREATORS {
            let mut creator = ScriptedSession::enter(&stack, Node::Origin, Some(stack.token()?)).await?;
            let rooms = nth * ROOMS / CREATORS..(nth + 1) * ROOMS / CREATORS;
            for namespace in rooms.clone().map(room) {
                let namespace = namespace?;
                creator.call(|session, _| session.publish_namespace(namespace, Params::default())).await??;
            }
            for _ in rooms {
                creator.until(|event| matches!(event, Event::RequestOk { .. }).then_some(())).await?;
            }
            creators.push(creator);
        }
        let [creator, ..] = &mut creators[..] else { unreachable!("three of them") };
        let mut names = Vec::new();
        for nth in 0..TRACKS {
            names.push(TrackName::new(room(0)?, format!("track{nth}"))?);
        }
        for nth in 0..ROOMS {
            let namespace = Namespace::new([names::ROOM])?.join(&room(nth)?)?;
            names.push(TrackName::new(namespace, wire::Track::Stage.name())?);
        }
        let mut fans = Vec::new();
        for (nth, wanted) in (1..).zip(names.chunks(names.len() / FANS)) {
            let address = Ipv4Addr::new(127, 0, nth, 1);
            let fan = ScriptedSession::enter_from(&stack, Node::FanEdge, address, &[]).await?;
            let mut asked = BTreeSet::new();
            for name in wanted.iter().cloned() {
                asked.insert(fan.call(|session, _| session.subscribe(name, Params::default())).await??);
            }
            fans.push((fan, asked));
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
        let answered = try_join_all(fans.iter_mut().map(|(fan, asked)| all_answered(fan, asked)));
        tokio::select! {
            failed = answer => failed,
            done = answered => done.map(drop),
        }?;
        let sessions = stack.figure("sessions").await?;
        ensure!(
            sessions == FANS as i64 + 1,
            "{sessions} sessions, where the fans' and one upstream were to be"
        );
        Ok(())
    };
    tokio::time::timeout(PATIENCE, LocalSet::new().run_until(all)).await.context("too slow")?
}
