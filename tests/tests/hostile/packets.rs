//! What comes in a fan's packets.

use anyhow::{Result, ensure};
use fanfare_tests::{Door, House, Talker};
use moqt::DoneCode;
use outbox::Outcome;
use serde_json::json;
use token::{Claims, Role};
use wire::{Act, EdgeMessage, FanMessage, TrackItem, limits};

use crate::{
    Innocents, evening,
    intruder::{Intruder, say},
};

/// Somebody sends that after a hello, and is shown out.
async fn shown_out(packets: Vec<Vec<u8>>, expected: DoneCode) -> Result<()> {
    evening(async |house| {
        let mut innocents = Innocents::enter(&house).await?;
        let mut intruder = Intruder::enter(&house, None).await?;
        intruder.hello(7).await?;
        for packet in packets {
            // The edge may have had enough before the last one.
            if intruder.send(packet).await.is_err() {
                break;
            }
        }
        let (code, why) = intruder.shown_out().await?;
        ensure!(code == expected, "{code:?}: {why}");
        innocents.go_on().await
    })
    .await
}

#[tokio::test]
async fn hostile_packets_that_cannot_be_read() -> Result<()> {
    shown_out(vec![vec![1, 9, 9, 9]], DoneCode::MALFORMED_TRACK).await?;
    // Of another version; and a packet that begins well.
    shown_out(vec![vec![0xff; 40]], DoneCode::MALFORMED_TRACK).await?;
    let mut cut = wire::packet(&say(1, "as it should be"));
    cut.extend([200, 1]);
    shown_out(vec![cut], DoneCode::MALFORMED_TRACK).await
}

#[tokio::test]
async fn hostile_packets_that_are_too_large() -> Result<()> {
    shown_out(vec![vec![1; limits::FAN_PACKET + 1]], DoneCode::MALFORMED_TRACK).await?;
    shown_out(vec![vec![1; 8 << 20]], DoneCode::MALFORMED_TRACK).await
}

#[tokio::test]
async fn hostile_second_hello() -> Result<()> {
    let hello = wire::Hello { stream: wire::StreamId(8), next: 1 };
    shown_out(vec![wire::packet(&FanMessage::Hello(hello))], DoneCode::MALFORMED_TRACK).await
}

#[tokio::test]
async fn hostile_floods() -> Result<()> {
    let cheer = |number| FanMessage::Act { number, act: Act::Cheer { kind: 0, count: 1 } };
    let mut many = Vec::new();
    wire::start(&mut many);
    for number in 1..=2 * limits::UNACKED {
        wire::put(&mut many, &cheer(number));
    }
    shown_out(vec![many], DoneCode::EXCESSIVE_LOAD).await?;
    // Numbers that are far away, and bytes: each packet may pass, all together may not.
    shown_out(vec![wire::packet(&cheer(limits::NUMBER))], DoneCode::EXCESSIVE_LOAD).await?;
    let text = "x".repeat(12_000);
    let packets = (0..200).map(|_| wire::packet(&say(1, &text))).collect();
    shown_out(packets, DoneCode::EXCESSIVE_LOAD).await
}

/// The same number with another text, on the same connection and on another, is answered and not counted; and the
/// numbers of another fan's stream are that fan's alone.
#[tokio::test]
async fn hostile_replays() -> Result<()> {
    const STREAM: u64 = 77;
    evening(async |house| {
        let mut innocents = Innocents::enter(&house).await?;
        let token = house.token_of(Role::Fan, "somebody")?;
        let acked =
            |message: EdgeMessage<'_>| matches!(message, EdgeMessage::Acked { through: 1 }).then_some(());
        let mut one = Intruder::enter(&house, Some(token.clone())).await?;
        one.hello(STREAM).await?;
        one.send(wire::packet(&say(1, "the first"))).await?;
        one.send(wire::packet(&say(1, "the second"))).await?;
        one.told(acked).await?;
        let mut again = Intruder::enter(&house, Some(token)).await?;
        again.hello(STREAM).await?;
        again.send(wire::packet(&say(1, "the third"))).await?;
        again.told(acked).await?;
        let mut other = Intruder::enter(&house, Some(house.token_of(Role::Fan, "somebody else")?)).await?;
        other.hello(STREAM).await?;
        other.send(wire::packet(&say(1, "the fourth"))).await?;
        other.told(acked).await?;
        innocents.go_on().await?;
        let mut seen = Vec::new();
        let mut late = Talker::enter(&house, Door::Fans, None)?;
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
    evening(async |house: House| {
        let mut owner = Talker::enter(&house, Door::Fans, Some(house.token()?))?;
        let gifts = json!([{ "id": 1, "name": "rose", "icon": "*", "value": 5 }]);
        let set = owner.order(json!({ "moderate": { "setGifts": gifts } })).await?;
        ensure!(matches!(set, Outcome::Taken { .. }), "{set:?}");
        let claims = Claims::new(fanfare_tests::ROOM, Role::Fan, "giver", std::time::Duration::from_hours(1));
        let mut tabs = Vec::new();
        for door in [Door::Fans, Door::Creators] {
            tabs.push(Talker::enter(&house, door, Some(house.sign(&claims)?))?);
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
