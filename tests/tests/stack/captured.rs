//! A captured edge, and a leaked token: what they cannot do, and that one revocation ends them.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use creator::Source;
use fanfare_tests::{Node, ROOM, ScriptedSession, Setting, Stack, Talker, send_group};
use media::testcard::{Config, Rendition};
use moqt::{Event, Namespace, Params, Properties, RequestCode, TrackName, session::RequestId};
use outbox::{Failure, Outcome};
use serde_json::{Value, json};
use token::{Claims, EVERY_ROOM, EdgeNumber, Keys, Revocation, Role, now};
use tokio::task::LocalSet;
use wire::{
    Act, Down, EdgeId, FanId, Frame, Frames, Micros, Moderation, Reason, Say, Screen, SessionId, StreamId,
    TrackItem, Up, names,
};

const PATIENCE: Duration = Duration::from_mins(1);
const LIFE: Duration = Duration::from_hours(1);
/// The captured edge: the origin knows its keys.
const CAPTURED: Node = Node::FarEdge;

async fn evening<T>(run: impl AsyncFnOnce(Stack) -> Result<T>) -> Result<T> {
    let all = async {
        let renditions = vec![Rendition { width: 160, height: 90, bitrate: 60_000 }];
        let card = Config { renditions, title: "TEST".into(), ..Config::default() };
        let mut stack = Stack::empty_with(Setting { own_keys: true, ..Setting::default() }).await?;
        stack.begin_show(Source::demo(card)?).await?;
        run(stack).await
    };
    tokio::time::timeout(PATIENCE, LocalSet::new().run_until(all)).await.context("too slow")?
}

/// A program with the keys of the captured edge, in a session with the origin.
struct Captured {
    client: ScriptedSession,
    deltas: RequestId,
    sequence: u64,
}

fn number() -> EdgeId {
    EdgeId(CAPTURED as u64)
}

fn own_token(stack: &Stack) -> Result<String> {
    let now = now();
    Ok(stack.keys_of(CAPTURED).mint(&Claims::for_edge(number(), now, now + Micros::from_secs(3600)))?)
}

fn link(edge: EdgeId, track: &'static str) -> Result<TrackName> {
    let prefix = [names::EDGE.to_owned(), format!("{:x}", edge.0), "1".to_owned()];
    Ok(TrackName::new(Namespace::new(prefix)?.join(&Namespace::from_path(ROOM)?)?, track)?)
}

/// Subscribes to the answers of a link. Returns the code of a refusal.
async fn open(client: &mut ScriptedSession, edge: EdgeId) -> Result<Result<(), RequestCode>> {
    let downs = link(edge, names::DOWNS)?;
    let request = client.call(|session, _| session.subscribe(downs, Params::default())).await??;
    let answer = |event| match event {
        Event::SubscribeOk { request: of, .. } if of == request => Some(Ok(())),
        Event::RequestError { request: of, error } if of == request => Some(Err(error.code)),
        _ => None,
    };
    client.until(answer).await
}

impl Captured {
    async fn enter(stack: &Stack) -> Result<Self> {
        let mut client = ScriptedSession::enter(stack, Node::Origin, Some(own_token(stack)?)).await?;
        ensure!(open(&mut client, number()).await? == Ok(()), "its own link is open to it");
        let name = link(number(), names::DELTAS)?;
        let publish = client.call(|session, _| session.publish(name, Params::default(), Properties::NONE));
        let deltas = publish.await??;
        client
            .until(|event| {
                matches!(event, Event::RequestOk { request, .. } if request == deltas).then_some(())
            })
            .await?;
        Ok(Self { client, deltas, sequence: 0 })
    }

    /// Sends a delta with these entries, and waits until its answer, in which `wanted` finds something.
    async fn delta<T>(
        &mut self,
        entries: &[Up<'_>],
        mut wanted: impl FnMut(Down<'_>) -> Option<T>,
    ) -> Result<T> {
        self.sequence += 1;
        let (edge, sequence) = (number(), self.sequence);
        let head = Up::Head { edge, incarnation: 1, sequence, oldest: 1, at: now() };
        let mut packet = wire::packet(&head);
        for entry in entries {
            wire::put(&mut packet, entry);
        }
        let (deltas, group) = (self.deltas, self.sequence - 1);
        let send = move |session: &mut moqt::Session, now| {
            send_group(session, now, deltas, group, vec![packet.into()])
        };
        self.client.call(send).await??;
        self.client
            .until(|event| {
                let Event::Payload { data, .. } = event else { return None };
                let frames = Frames::<Down<'_>>::new(&data).ok()?.filter_map(Result::ok);
                frames.into_iter().find_map(|frame| match frame {
                    Frame::Known(down) => wanted(down),
                    Frame::Unknown(_) => None,
                })
            })
            .await
    }
}

/// Attaches a session as somebody, in a role of the edge's choice.
fn attach(session: u32, fan: FanId, role: wire::Role) -> [Up<'static>; 2] {
    let session = SessionId(session);
    let stream = StreamId(900 + u64::from(session.0));
    [
        Up::Attach { session, fan, stream, next: 1, role },
        Up::Known { session, name: "the moderator", anonymous: false },
    ]
}

/// Signs with a key of the captured edge whose scope was taken out of its file.
fn unscoped(keys: &Keys, at: usize, claims: &Claims) -> Result<String> {
    let mut set: Value = serde_json::from_str(&keys.private_json())?;
    let mut key = set["keys"][at].take();
    key.as_object_mut().context("a key")?.remove("fanfare");
    Ok(Keys::parse(&json!({ "keys": [key] }).to_string())?.mint(claims)?)
}

async fn joined(stack: &Stack, node: Node, token: Option<String>) -> Result<(Talker, FanId)> {
    let mut talker = Talker::enter(stack, node, token)?;
    talker.joined().await?;
    let said = talker.order(json!({ "say": { "text": "hello" } })).await?;
    ensure!(matches!(said, Outcome::Taken { .. }), "{said:?}");
    let fan = talker.fan.context("an identity")?;
    Ok((talker, fan))
}

#[tokio::test]
async fn edges_with_keys_of_their_own_carry_everybody_as_who_they_are() -> Result<()> {
    evening(async |stack| {
        let moderator = stack.token_of(Role::Moderator, "a moderator")?;
        let (mut moderator, id) = joined(&stack, Node::FanEdge, Some(moderator)).await?;
        let (mut stranger, other) = joined(&stack, Node::CreatorEdge, None).await?;
        let is = |item: &TrackItem<'_>, fan: FanId, name: &str| {
            matches!(item, TrackItem::Said(line) if line.fan == fan && line.name == name && line.text == "named")
        };
        moderator.order(json!({ "say": { "text": "named" } })).await?;
        stranger.until(|item| is(item, id, "a moderator")).await?;
        stranger.order(json!({ "say": { "text": "named" } })).await?;
        moderator.until(|item| is(item, other, "")).await?;
        let banned = moderator.order(json!({ "moderate": "unpin" })).await?;
        ensure!(matches!(banned, Outcome::Taken { .. }), "{banned:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_captured_edge_speaks_for_its_own_strangers_only() -> Result<()> {
    evening(async |stack| {
        let token = stack.token_of(Role::Moderator, "a moderator")?;
        let (mut moderator, id) = joined(&stack, Node::FanEdge, Some(token)).await?;
        let (mut fan, victim) = joined(&stack, Node::CreatorEdge, None).await?;

        // Its keys sign for nobody else, and what they sign beyond their scope is refused.
        let keys = stack.keys_of(CAPTURED);
        let operator = Claims::new(EVERY_ROOM, Role::Operator, "operator", LIFE);
        ensure!(keys.mint(&operator).is_err());
        for at in 0..2 {
            let forged = unscoped(&keys, at, &operator)?;
            for method in ["GET", "DELETE"] {
                let answer =
                    stack.ask_admin_with(Node::Origin, method, &format!("/api/fans/{id}"), &forged).await?;
                ensure!(answer.starts_with("HTTP/1.0 401"), "{answer}");
            }
        }

        // It takes no other edge's link.
        let mut client = ScriptedSession::enter(&stack, Node::Origin, Some(own_token(&stack)?)).await?;
        for other in [Node::FanEdge, Node::CreatorEdge] {
            let refused = open(&mut client, EdgeId(other as u64)).await?;
            ensure!(refused == Err(RequestCode::UNAUTHORIZED), "{refused:?}");
        }

        // On its own link it is believed about nobody.
        let mut captured = Captured::enter(&stack).await?;
        let mut entries = attach(0, id, wire::Role::Creator).to_vec();
        let ban = Act::Moderate(Moderation::Ban(wire::Subject::Fan(victim)));
        entries.push(Up::Act { session: SessionId(0), number: 1, screen: Screen::Pass, act: ban });
        let refused = captured.delta(&entries, |down| match down {
            Down::Rejected { number: 1, reason, .. } => Some(reason),
            _ => None,
        });
        ensure!(refused.await? == Reason::NotAllowed);
        let say = Act::Say(Say { text: "as somebody", ..Say::default() });
        let mut entries = attach(1, victim, wire::Role::Fan).to_vec();
        for session in [0, 1] {
            let (session, number) = (SessionId(session), 2 - u64::from(session));
            entries.push(Up::Act { session, number, screen: Screen::Pass, act: say.clone() });
        }
        captured
            .delta(&entries, |down| matches!(down, Down::Said { session: SessionId(1), .. }).then_some(()))
            .await?;
        let mut seen = Vec::new();
        moderator
            .until(|item| {
                if let TrackItem::Said(line) = item
                    && line.text == "as somebody"
                {
                    seen.push((line.fan, line.role));
                }
                seen.len() == 2
            })
            .await?;
        for (fan, role) in seen {
            ensure!(fan != id && fan != victim && role == wire::Role::Fan, "{fan} {role:?}");
        }
        // Nobody has been banned, and the moderator has lost nothing.
        ensure!(matches!(
            fan.order(json!({ "say": { "text": "still here" } })).await?,
            Outcome::Taken { .. }
        ));
        let title = moderator.order(json!({ "moderate": "unpin" })).await?;
        ensure!(matches!(title, Outcome::Taken { .. }), "{title:?}");

        // One revocation, and it is nobody.
        stack.revoke(Revocation { edge: Some(EdgeNumber(number())), ..Revocation::default() });
        while captured.client.next().await.is_some() {}
        ended(ScriptedSession::enter(&stack, Node::Origin, Some(own_token(&stack)?)).await).await?;
        let stranger = keys.mint_anonymous([7; 16], now())?;
        ended(ScriptedSession::enter(&stack, Node::Origin, Some(stranger)).await).await?;
        ensure!(matches!(fan.order(json!({ "say": { "text": "and now" } })).await?, Outcome::Taken { .. }));
        Ok(())
    })
    .await
}

/// Checks that a session does not begin, or ends at once.
async fn ended(session: Result<ScriptedSession>) -> Result<()> {
    if let Ok(mut session) = session {
        while session.next().await.is_some() {}
    }
    Ok(())
}

/// A leaked token is undone at the origin: its sessions end there and at edges, and it opens nothing any more.
#[tokio::test]
async fn a_revoked_token_ends_its_sessions_and_opens_no_others() -> Result<()> {
    evening(async |stack| {
        let jwt = stack.token_of(Role::Moderator, "a moderator")?;
        let (_fan, _) = joined(&stack, Node::FanEdge, None).await?;
        let mut sessions = Vec::new();
        for node in [Node::Origin, Node::FanEdge, Node::CreatorEdge] {
            sessions.push(ScriptedSession::enter(&stack, node, Some(jwt.clone())).await?);
        }
        let unaffected = ScriptedSession::enter(&stack, Node::FanEdge, None).await?;
        let jti = stack.keys().verify(&jwt, now())?.jti;
        stack.revoke(Revocation { jti, ..Revocation::default() });
        for mut session in sessions {
            while session.next().await.is_some() {}
        }
        ended(ScriptedSession::enter(&stack, Node::Origin, Some(jwt.clone())).await).await?;
        let mut nobody = Talker::enter(&stack, Node::FanEdge, Some(jwt))?;
        nobody.joined().await?;
        let refused = nobody.order(json!({ "moderate": "unpin" })).await?;
        ensure!(refused == Outcome::Failed(Failure::Rejected(Reason::NotAllowed)), "{refused:?}");
        unaffected.call(|session, _| session.open_requests()).await?;
        Ok(())
    })
    .await
}
