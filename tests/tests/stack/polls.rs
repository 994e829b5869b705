//! Polls, and the fans who may vote in them.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use fanfare_tests::{Node, ROOM, Stack, Talker};
use outbox::{Failure, Outcome};
use serde_json::{Value, json};
use token::Role;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket},
    task::{LocalSet, spawn_local},
};
use url::Url;
use wire::{Reason, TrackItem, Who};

use crate::hostile::show;

const PATIENCE: Duration = Duration::from_mins(1);

/// Forwards connections to `server`, from another address of this machine. Returns the address to connect to.
async fn from(address: [u8; 4], server: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    spawn_local(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            spawn_local(async move {
                let socket = TcpSocket::new_v4()?;
                socket.bind((address, 0).into())?;
                let mut upstream = socket.connect(server).await?;
                copy_bidirectional(&mut client, &mut upstream).await
            });
        }
    });
    Ok(at)
}

fn refused(outcome: &Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Failed(Failure::Rejected(reason)) => Some(*reason),
        _ => None,
    }
}

fn open(who: &str) -> Value {
    let poll = json!({ "question": "Encore?", "options": ["yes", "no"], "seconds": 60, "who": who });
    json!({ "moderate": { "openPoll": poll } })
}

async fn poll(who: Who, talker: &mut Talker) -> Result<u32> {
    let mut number = 0;
    let shown = |item: &TrackItem<'_>| match item {
        TrackItem::Stage(stage) => stage.poll.as_ref().is_some_and(|poll| {
            number = poll.poll.0;
            poll.open && poll.choice.who() == who
        }),
        _ => false,
    };
    talker.until(shown).await?;
    Ok(number)
}

#[tokio::test]
async fn a_poll_by_address_counts_one_stranger_of_each_and_every_named_fan() -> Result<()> {
    let voting = async {
        let stack = Stack::open(show()?).await?;
        let edge = stack.addr_of(Node::FanEdge);
        let mut creator =
            Talker::enter(&stack, Node::FanEdge, Some(stack.token_of(Role::Creator, "somebody")?))?;
        let opened = creator.order(open("address")).await?;
        ensure!(matches!(opened, Outcome::Taken { .. }), "{opened:?}");
        let poll = poll(Who::Address, &mut creator).await?;
        let vote = json!({ "vote": { "poll": poll, "option": 0 } });

        // The second comes over another carrier, the third from an address of its own.
        let mut first = Talker::enter(&stack, Node::FanEdge, None)?;
        let mut second = Talker::enter_at(Url::parse(&format!("ws://{edge}/"))?, ROOM, None)?;
        let other = from([127, 0, 0, 2], edge).await?;
        let mut third = Talker::enter_at(Url::parse(&format!("ws://{other}/"))?, ROOM, None)?;
        let token = stack.token_of(Role::Fan, "Grace")?;
        let mut named = Talker::enter(&stack, Node::FanEdge, Some(token))?;

        let outcome = first.order(vote.clone()).await?;
        ensure!(matches!(outcome, Outcome::Taken { .. }), "{outcome:?}");
        let outcome = second.order(vote.clone()).await?;
        ensure!(refused(&outcome) == Some(Reason::AddressVoted), "{outcome:?}");
        for talker in [&mut third, &mut named] {
            let outcome = talker.order(vote.clone()).await?;
            ensure!(matches!(outcome, Outcome::Taken { .. }), "{outcome:?}");
        }
        let strangers =
            |item: &TrackItem<'_>| matches!(item, TrackItem::Strangers(votes) if votes.votes.0 == [2, 0]);
        creator.until(strangers).await?;
        let all = |item: &TrackItem<'_>| {
            let TrackItem::Pulse(pulse) = item else { return false };
            pulse.poll.as_ref().is_some_and(|result| result.votes.0 == [3, 0])
        };
        creator.until(all).await
    };
    let local = LocalSet::new();
    tokio::time::timeout(PATIENCE, local.run_until(Box::pin(voting))).await.context("too slow")?
}

#[tokio::test]
async fn a_poll_of_named_fans_refuses_strangers() -> Result<()> {
    let voting = async {
        let stack = Stack::open(show()?).await?;
        let mut creator =
            Talker::enter(&stack, Node::FanEdge, Some(stack.token_of(Role::Creator, "somebody")?))?;
        creator.order(open("named")).await?;
        let poll = poll(Who::Named, &mut creator).await?;
        let vote = json!({ "vote": { "poll": poll, "option": 0 } });
        let mut stranger = Talker::enter(&stack, Node::FanEdge, None)?;
        let outcome = stranger.order(vote.clone()).await?;
        ensure!(refused(&outcome) == Some(Reason::NotAllowed), "{outcome:?}");
        let mut named = Talker::enter(&stack, Node::FanEdge, Some(stack.token_of(Role::Fan, "Grace")?))?;
        let outcome = named.order(vote).await?;
        ensure!(matches!(outcome, Outcome::Taken { .. }), "{outcome:?}");
        Ok(())
    };
    let local = LocalSet::new();
    tokio::time::timeout(PATIENCE, local.run_until(Box::pin(voting))).await.context("too slow")?
}
