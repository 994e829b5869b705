//! An edge that follows an edge, and an origin that drains: each part of the stack real.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use creator::Source;
use fanfare_tests::{Exit, Node, ROOM, ScriptedSession, Stack, Talker};
use media::testcard::{Config, Rendition};
use moqt::{Event, Namespace, Params, TrackName};
use outbox::Outcome;
use serde_json::json;
use token::Role;
use tokio::task::LocalSet;
use wire::TrackItem;

const PATIENCE: Duration = Duration::from_mins(1);
/// Sessions that watch one edge while the origin stops.
const WATCHING: usize = 20;
/// Lines and cheers from each end of a chain.
const LINES: usize = 20;

async fn evening<T>(run: impl AsyncFnOnce(Stack) -> Result<T>) -> Result<T> {
    let all = async {
        let renditions = vec![Rendition { width: 160, height: 90, bitrate: 60_000 }];
        let card = Config { renditions, title: "TEST".into(), ..Config::default() };
        run(Stack::open(Source::demo(card)?).await?).await
    };
    tokio::time::timeout(PATIENCE, LocalSet::new().run_until(all)).await.context("too slow")?
}

/// The first video track of the show.
async fn video(stack: &Stack, node: Node) -> Result<(ScriptedSession, moqt::session::RequestId)> {
    let mut client = ScriptedSession::enter(stack, node, None).await?;
    let name = TrackName::new(Namespace::from_path(ROOM)?, "video/90p")?;
    let request = client.call(move |session, _| session.subscribe(name, Params::default())).await??;
    client.until(|event| matches!(event, Event::SubscribeOk { .. }).then_some(())).await?;
    Ok((client, request))
}

/// The next group that begins.
async fn group(client: &mut ScriptedSession) -> Result<u64> {
    client
        .until(|event| match event {
            Event::Subgroup { header, .. } => Some(header.group),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn a_chain_of_edges_carries_the_picture_and_counts_what_both_ends_do_once() -> Result<()> {
    evening(async |mut stack| {
        stack.extend().await?;
        let (mut watching, _) = video(&stack, Node::FarEdge).await?;
        let first = group(&mut watching).await?;
        ensure!(group(&mut watching).await? > first, "the picture stands still");

        // Moderators have no limit of lines.
        let token = |name| stack.token_of(Role::Moderator, name);
        let mut far = Talker::enter(&stack, Node::FarEdge, Some(token("far")?))?;
        let mut near = Talker::enter(&stack, Node::CreatorEdge, Some(token("near")?))?;
        far.joined().await?;
        near.joined().await?;
        for nth in 0..LINES {
            for (end, talker) in [("far", &mut far), ("near", &mut near)] {
                let said = talker.order(json!({ "say": { "text": format!("{end} {nth}") } })).await?;
                ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
                let cheered = talker.order(json!({ "cheer": { "kind": 0, "count": 1 } })).await?;
                ensure!(matches!(cheered, Outcome::Taken { .. }), "{cheered:?}");
            }
        }
        let all: BTreeSet<String> =
            ["far", "near"].iter().flat_map(|end| (0..LINES).map(move |nth| format!("{end} {nth}"))).collect();
        for talker in [&mut far, &mut near] {
            let mut seen = Vec::new();
            talker
                .until(|item| {
                    if let TrackItem::Said(line) = item {
                        seen.push(line.text.to_string());
                    }
                    seen.len() == all.len()
                })
                .await?;
            ensure!(seen.iter().cloned().collect::<BTreeSet<_>>() == all, "{seen:?}");
        }
        let counted = |item: &TrackItem<'_>| {
            matches!(item, TrackItem::Pulse(pulse) if pulse.cheers.0 == [2 * LINES as u64] && pulse.viewers == 2)
        };
        far.until(counted).await
    })
    .await
}

#[tokio::test]
async fn an_edge_of_an_edge_that_is_gone_for_a_moment_goes_on() -> Result<()> {
    evening(async |mut stack| {
        stack.extend().await?;
        let mut far = Talker::enter(&stack, Node::FarEdge, None)?;
        far.joined().await?;
        stack.restart(Node::FanEdge, Exit::Killed).await?;
        let said = far.order(json!({ "say": { "text": "still here" } })).await?;
        ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
        far.until(|item| matches!(item, TrackItem::Said(line) if line.text == "still here")).await
    })
    .await
}

#[tokio::test]
async fn an_origin_that_stops_under_load_costs_a_fan_at_most_one_group() -> Result<()> {
    evening(async |mut stack| {
        let (mut direct, _) = video(&stack, Node::Origin).await?;
        let mut watching = Vec::new();
        for _ in 0..WATCHING {
            watching.push(video(&stack, Node::FanEdge).await?.0);
        }
        let mut seen = Vec::new();
        for session in &mut watching {
            seen.push(vec![group(session).await?]);
        }
        stack.restart(Node::Origin, Exit::Stopped).await?;
        direct.until(|event| matches!(event, Event::GoAway { .. }).then_some(())).await?;
        for (session, seen) in watching.iter_mut().zip(&mut seen) {
            while seen.len() < 6 {
                seen.push(group(session).await?);
            }
            // The group numbers of one creator have no gaps.
            let missed = seen.windows(2).map(|pair| pair[1].saturating_sub(pair[0] + 1));
            ensure!(seen.is_sorted_by(|before, after| before < after), "{seen:?}");
            ensure!(missed.sum::<u64>() <= 1, "more than one group is missing: {seen:?}");
        }
        Ok(())
    })
    .await
}
