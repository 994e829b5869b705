//! Hostile clients of a Durable Object: they are stopped, and other fans go on.

use std::{net::TcpListener, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use fanfare_tests::{Deployed, Isolate, Socket, Talker};
use futures_util::{SinkExt as _, StreamExt as _};
use moqt::{
    Version,
    mux::{self, MAX_FRAME},
};
use outbox::Outcome;
use serde_json::json;
use token::{Algorithm, Claims, Keys, Role};
use tokio_tungstenite::tungstenite::{Error, Message};
use wire::TrackItem;

use crate::{LIFE, ROOM, evening, owner};

/// The longest that a chat line takes from one fan to the other, under any attack.
const SOON: Duration = Duration::from_secs(3);
/// The close code of a WebSocket to a room that does not exist.
const NO_ROOM: u16 = 4404;
/// The close code while it is unknown whether the room exists.
const UNSURE: u16 = 1013;
/// The close code of a session: 4000 and PROTOCOL_VIOLATION.
const VIOLATION: u16 = 4003;

/// Waits until a WebSocket closes. Returns the code and the reason.
async fn closed(socket: &mut Socket) -> Result<(u16, String)> {
    while let Some(message) = socket.next().await {
        if let Message::Close(Some(close)) = message? {
            return Ok((close.code.into(), close.reason.to_string()));
        }
    }
    bail!("it is closed without a word")
}

/// Two fans who mean no harm.
struct Innocents {
    one: Talker,
    other: Talker,
}

impl Innocents {
    async fn enter(isolate: &Isolate, keys: &Keys) -> Result<Self> {
        let mut one = Talker::enter_at(isolate.url()?, ROOM, Some(owner(keys)?))?;
        let mut other = Talker::enter_at(isolate.url()?, ROOM, None)?;
        one.joined().await?;
        other.joined().await?;
        Ok(Self { one, other })
    }

    /// Checks that a chat line of one fan still reaches the other.
    async fn talk(&mut self, text: &str) -> Result<()> {
        let talking = async {
            let said = self.one.order(json!({ "say": { "text": text } })).await?;
            ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
            self.other.until(|item| matches!(item, TrackItem::Said(line) if line.text == text)).await
        };
        tokio::time::timeout(SOON, talking).await.with_context(|| format!("{text:?} takes too long"))?
    }
}

#[tokio::test]
async fn a_token_that_does_not_hold_opens_no_room() -> Result<()> {
    evening(
        |_| {},
        async |isolate, keys| {
            let mut innocents = Innocents::enter(&isolate, &keys).await?;
            let claims = |room: &str| Claims::new(room, Role::Creator, "eve", LIFE);
            let forged = Keys::generate(Algorithm::EdDSA)?.mint(&claims("elsewhere"))?;
            let mut over = claims("elsewhere");
            over.exp = 1_000_000;
            let fans = Claims::new("*", Role::Fan, "eve", LIFE);
            for token in [
                None,
                Some(String::new()),
                Some("a.b.c".repeat(2000)),
                Some(forged.clone()),
                Some(keys.mint(&over)?),
                Some(keys.mint(&claims("another"))?),
                Some(keys.mint(&fans)?),
                Some(keys.mint_anonymous([7; 16], token::now())?),
            ] {
                let mut socket = isolate.open("elsewhere", token.as_deref()).await?;
                let (code, why) = closed(&mut socket).await?;
                ensure!(code == NO_ROOM && why.contains("no such room"), "{token:?}: {code} {why}");
            }
            // In an open room, a client with a forged token is a stranger.
            let mut eve = Talker::enter_at(isolate.url()?, ROOM, Some(forged))?;
            let outcome = eve.order(json!({ "moderate": { "setTitle": "mine" } })).await?;
            ensure!(!matches!(outcome, Outcome::Taken { .. }), "{outcome:?}");
            innocents.talk("as ever").await
        },
    )
    .await
}

#[tokio::test]
async fn without_its_origin_no_room_is_said_not_to_be_there() -> Result<()> {
    // The listener is dropped at once, so connections to its port are refused.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let gone = format!("http://127.0.0.1:{port}").parse()?;
    evening(
        |deployed| deployed.origin = Some(gone),
        async |isolate, keys| {
            let mut innocents = Innocents::enter(&isolate, &keys).await?;
            let mut socket = isolate.open("elsewhere", None).await?;
            let (code, why) = closed(&mut socket).await?;
            ensure!(code == UNSURE && why.contains("the origin does not answer"), "{code} {why}");
            innocents.talk("as ever").await
        },
    )
    .await
}

#[tokio::test]
async fn what_is_deployed_wrongly_is_said_in_words() -> Result<()> {
    let mut deployed = Deployed::with(Keys::generate(Algorithm::EdDSA)?);
    deployed.sockets = Some(0);
    let isolate = Isolate::start(deployed).await?;
    let upgrade = format!(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: c2l4dGVlbiBieXRlcyBpdA==\r\nSec-WebSocket-Protocol: {}\r\n",
        mux::subprotocol(Version::Draft18)
    );
    let answer = isolate.ask_with("GET", &format!("/moq?room={ROOM}"), &upgrade).await?;
    ensure!(answer.starts_with("HTTP/1.1 500"), "{answer}");
    ensure!(answer.contains(r#"FANFARE_SOCKETS: "0" is no number of WebSockets"#), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_room_may_have_any_name_that_a_room_can_have() -> Result<()> {
    evening(
        |_| {},
        async |isolate, keys| {
            let mut innocents = Innocents::enter(&isolate, &keys).await?;
            let all = keys.mint(&Claims::new("*", Role::Creator, "ada", LIFE))?;
            let long = "l".repeat(5000);
            for name in ["", "/", "//", ".", "..", ".room/x", "a/.fan", "a//b", long.as_str()] {
                match isolate.open(name, Some(&all)).await {
                    Ok(_) => bail!("there is a room {name:?}"),
                    Err(error) => {
                        let Some(Error::Http(answer)) = error.downcast_ref::<Error>() else {
                            return Err(error);
                        };
                        ensure!(answer.status() == 400, "{name:?}: {answer:?}");
                    }
                }
            }
            for name in [
                "0:demo",
                "1:friday-night",
                "a/b",
                "a b+c%41&room=x#?",
                "'; DROP TABLE rooms; --",
                "\u{202e}☃\n\r\0 é",
            ] {
                println!("{name:?}");
                let mut one = Talker::enter_at(isolate.url()?, name, Some(all.clone()))?;
                one.joined().await.with_context(|| format!("{name:?}"))?;
                let said = one
                    .order(json!({ "say": { "text": name.trim().replace(['\n', '\r', '\0'], "") } }))
                    .await?;
                ensure!(matches!(said, Outcome::Taken { .. }), "{name:?}: {said:?}");
                let listed = isolate.get("/api/rooms", "").await?;
                let rooms: serde_json::Value = serde_json::from_str(&listed)?;
                let is_listed =
                    rooms.as_array().is_some_and(|rooms| rooms.iter().any(|room| room["name"] == name));
                ensure!(is_listed, "{name:?} is not in {listed}");
                let path: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
                let room = isolate.get(&format!("/api/rooms/{}", path.replace('+', "%20")), "").await?;
                ensure!(
                    serde_json::from_str::<serde_json::Value>(&room)?["name"] == name,
                    "{name:?}: {room}"
                );
            }
            innocents.talk("as ever").await
        },
    )
    .await
}

#[tokio::test]
async fn what_is_no_session_is_closed_with_a_reason() -> Result<()> {
    evening(
        |_| {},
        async |isolate, keys| {
            let mut innocents = Innocents::enter(&isolate, &keys).await?;
            for (name, message, wanted) in [
                ("text", Message::text("hello"), "text on a session of binary frames"),
                ("long", Message::binary(vec![2; MAX_FRAME + 1]), "a frame over its greatest length"),
                ("very long", Message::binary(vec![2; 4 << 20]), "a frame over its greatest length"),
                ("empty", Message::binary(vec![]), ""),
                ("unknown", Message::binary(vec![63; 40]), "an unknown kind of frame"),
                ("against its direction", Message::binary(vec![2, 1, 7]), "against its direction"),
                ("more than was sent", Message::binary(vec![8, 63]), "more taken than was sent"),
            ] {
                let mut socket = isolate.open(ROOM, None).await?;
                socket.send(message).await?;
                let (code, why) = closed(&mut socket).await?;
                ensure!(code == VIOLATION && why.contains(wanted), "{name}: {code} {why:?}");
            }
            innocents.talk("as ever").await
        },
    )
    .await
}

#[tokio::test]
async fn who_floods_a_room_is_shown_out_and_holds_up_nobody() -> Result<()> {
    evening(
        |_| {},
        async |isolate, keys| {
            let mut innocents = Innocents::enter(&isolate, &keys).await?;
            // Frames without a meaning, as fast as the socket takes them.
            let mut socket = isolate.open(ROOM, None).await?;
            let datagram = Message::binary([vec![6], vec![0; 1000]].concat());
            let flood = tokio::task::spawn_local(async move {
                for _ in 0..20_000 {
                    if socket.send(datagram.clone()).await.is_err() {
                        break;
                    }
                }
            });
            for round in 0..5 {
                innocents.talk(&format!("round {round} of a flood")).await?;
            }
            flood.await?;
            // A fan that sends more acts than may be unanswered.
            let eve = Talker::enter_at(isolate.url()?, ROOM, None)?;
            for nth in 0..500 {
                eve.send(nth, json!({ "say": { "text": format!("spam {nth}") } }))?;
            }
            innocents.talk("as ever").await
        },
    )
    .await
}
