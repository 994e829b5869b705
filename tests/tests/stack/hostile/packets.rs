//! Hostile packets of a fan.

use anyhow::{Result, ensure};
use fanfare_tests::{Node, Stack, Talker};
use moqt::DoneCode;
use outbox::Outcome;
use serde_json::json;
use token::{Claims, Role};
use wire::{Act, EdgeMessage, FanMessage, TrackItem, limits};

use crate::hostile::{
    Innocents, evening,
    intruder::{Intruder, say},
};

/// Sends the packets after a hello, and checks that the edge ends the membership with that code.
async fn ends_membership(packets: Vec<Vec<u8>>, expected: DoneCode) -> Result<()> {
    evening(async |stack| {
        let mut innocents = Innocents::enter(&stack).await?;
        let mut intruder = Intruder::enter(&stack, None).await?;
        intruder.hello(7).await?;
        for packet in packets {
            // The edge may have ended the membership before the last packet.
            if intruder.send(packet).await.is_err() {
                break;
            }
        }
        let (code, why) = intruder.membership_end().await?;
        ensure!(code == expected, "{code:?}: {why}");
        innocents.go_on().await
    })
    .await
}

#[tokio::test]
async fn hostile_packets_that_cannot_be_read() -> Result<()> {
    ends_membership(vec![vec![1, 9, 9, 9]], DoneCode::MALFORMED_TRACK).await?;
    // Another version; then a packet that begins well.
    ends_membership(vec![vec![0xff; 40]], DoneCode::MALFORMED_TRACK).await?;
    let mut cut = wire::packet(&say(1, "as it should be"));
    cut.extend([200, 1]);
    ends_membership(vec![cut], DoneCode::MALFORMED_TRACK).await
}

#[tokio::test]
async fn hostile_packets_that_are_too_large() -> Result<()> {
    ends_membership(vec![vec![1; limits::FAN_PACKET + 1]], DoneCode::MALFORMED_TRACK).await?;
    ends_membership(vec![vec![1; 8 << 20]], DoneCode::MALFORMED_TRACK).await
}

#[tokio::test]
async fn hostile_second_hello() -> Result<()> {
    let hello = wire::Hello { stream: wire::StreamId(8), next: 1 };
    ends_membership(vec![wire::packet(&FanMessage::Hello(hello))], DoneCode::MALFORMED_TRACK).await
}

#[tokio::test]
async fn hostile_floods() -> Result<()> {
    let cheer = |number| FanMessage::Act { number, act: Act::Cheer { kind: 0, count: 1 } };
    let mut many = Vec::new();
    wire::start(&mut many);
    for number in 1..=2 * limits::UNACKED {
        wire::put(&mut many, &cheer(number));
    }
    ends_membership(vec![many], DoneCode::EXCESSIVE_LOAD).await?;
    // Act numbers far ahead, then many bytes: each packet may pass, all together may not.
    ends_membership(vec![wire::packet(&cheer(limits::NUMBER))], DoneCode::EXCESSIVE_LOAD).await?;
    let text = "x".repeat(12_000);
    let packets = (0..200).map(|_| wire::packet(&say(1, &text))).collect();
    ends_membership(packets, DoneCode::EXCESSIVE_LOAD).await
}

/// An act number used again with another text, on the same connection or another, is answered and not counted. The
/// numbers of another fan's stream are separate.
#[tokio::test]
async fn hostile_replays() -> Result<()> {
    const STREAM: u64 = 77;
    evening(async |stack| {
        let mut innocents = Innocents::enter(&stack).await?;
        let token = stack.token_of(Role::Fan, "somebody")?;
        let acked =
            |message: EdgeMessage<'_>| matches!(message, EdgeMessage::Acked { through: 1 }).then_some(());
        let mut one = Intruder::enter(&stack, Some(token.clone())).await?;
        one.hello(STREAM).await?;
        one.send(wire::packet(&say(1, "the first"))).await?;
        one.send(wire::packet(&say(1, "the second"))).await?;
        one.message(acked).await?;
        let mut again = Intruder::enter(&stack, Some(token)).await?;
        again.hello(STREAM).await?;
        again.send(wire::packet(&say(1, "the third"))).await?;
        again.message(acked).await?;
        let mut other = Intruder::enter(&stack, Some(stack.token_of(Role::Fan, "somebody else")?)).await?;
        other.hello(STREAM).await?;
        other.send(wire::packet(&say(1, "the fourth"))).await?;
        other.message(acked).await?;
        innocents.go_on().await?;
        let mut seen = Vec::new();
        let mut late = Talker::enter(&stack, Node::FanEdge, None)?;
        late.until(|item| {
            let TrackItem::Said(line) = item else { return false };
            seen.push(line.text.to_owned());
            line.text.starts_with("line")
        })
        .await?;
        ensure!(seen == ["the first", "the fourth", "line 1 of somebody else"], "{seen:?}");
        Ok(())
    })
    .await
}

/// A gift that is given again with its key is one gift.
#[tokio::test]
async fn hostile_gifts_given_twice() -> Result<()> {
    evening(async |stack: Stack| {
        let mut owner = Talker::enter(&stack, Node::FanEdge, Some(stack.token()?))?;
        let gifts = json!([{ "id": 1, "name": "rose", "icon": "*", "value": 5 }]);
        let set = owner.order(json!({ "moderate": { "setGifts": gifts } })).await?;
        ensure!(matches!(set, Outcome::Taken { .. }), "{set:?}");
        let claims = Claims::new(fanfare_tests::ROOM, Role::Fan, "giver", std::time::Duration::from_hours(1));
        let mut tabs = Vec::new();
        for node in [Node::FanEdge, Node::CreatorEdge] {
            tabs.push(Talker::enter(&stack, node, Some(stack.sign(&claims)?))?);
        }
        let mut outcomes = Vec::new();
        for tab in &mut tabs {
            outcomes.push(tab.order(json!({ "gift": { "gift": 1, "count": 2, "key": "0f" } })).await?);
        }
        let again = wire::Reason::AlreadyCounted;
        ensure!(matches!(outcomes[0], Outcome::Taken { .. }), "{outcomes:?}");
        ensure!(outcomes[1] == Outcome::Failed(outbox::Failure::Rejected(again)), "{outcomes:?}");
        owner
            .until(|item| matches!(item, TrackItem::Pulse(pulse) if pulse.gifts.0 == [(wire::GiftId(1), 2)]))
            .await
    })
    .await
}
