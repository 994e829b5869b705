//! What a stranger can do, all of it at once and from eight addresses, while a fan watches and two talk.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use fanfare_tests::{Node, ROOM, ScriptedSession, Stack};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use moqt::{
    Event, Location, Namespace, Params, Properties, TrackName, message::FetchKind, session::RequestId,
};
use token::Role;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use wire::names;

use crate::hostile::{Innocents, evening};

/// The seconds of the attack; `FANFARE_SECONDS` has another number.
const SECONDS: u64 = 10;
/// The addresses that the strangers come from.
const ADDRESSES: u8 = 8;
/// Strangers of each kind: their work is done by the very thread of the fans.
const EACH: u8 = 2;
/// Requests of one stranger before it begins anew.
const REQUESTS: usize = 130;
/// Objects without a byte in one group.
const EMPTY_OBJECTS: u64 = 1_000;

/// What one stranger does, again and again.
#[derive(Clone, Copy, Debug)]
enum Attack {
    /// Asks for tracks in namespaces without a field, which end the sessions of some relays.
    Nameless,
    /// Has tracks waited for that nobody publishes.
    Waiting,
    /// Asks for all tracks below prefixes of their own.
    Prefixes,
    /// Asks and asks.
    Flood,
    /// Presents tokens that it has made up.
    Forged,
    /// Enters rooms that do not exist.
    Rooms,
    /// Publishes namespaces, for which an edge asks its origin.
    Namespaces,
    /// Sends objects without a byte on a track that nobody has accepted.
    Empty,
    /// Fetches the show, and reads nothing.
    Fetches,
    /// Opens TCP connections that say little, and WebSockets that say nothing.
    Slow,
}

const ATTACKS: [Attack; 10] = [
    Attack::Nameless,
    Attack::Waiting,
    Attack::Prefixes,
    Attack::Flood,
    Attack::Forged,
    Attack::Rooms,
    Attack::Namespaces,
    Attack::Empty,
    Attack::Fetches,
    Attack::Slow,
];

#[tokio::test]
async fn hostile_strangers_do_all_that_they_can_and_a_fan_misses_nothing() -> Result<()> {
    evening(async |stack: Stack| {
        // A moderator has no limit of lines.
        let token = stack.token_of(Role::Moderator, "mo")?;
        let mut innocents = Innocents::enter_as(&stack, ROOM, Some(token)).await?;
        let (watching, video) = watch(&stack).await?;
        let seconds = std::env::var("FANFARE_SECONDS").ok().and_then(|text| text.parse().ok());
        let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(SECONDS));
        let is_over = Cell::new(false);
        let mut strangers = FuturesUnordered::new();
        let all = ATTACKS.into_iter().cycle().take(ATTACKS.len() * usize::from(EACH));
        for (number, attack) in (0..).zip(all) {
            let address = Ipv4Addr::new(127, 0, 0, 2 + number % ADDRESSES);
            strangers.push(persist(&stack, attack, address, &is_over));
        }
        let attacking = async { while strangers.next().await.is_some() {} };
        let living = async {
            let mut waits = Vec::new();
            while Instant::now() < end {
                let asked = Instant::now();
                innocents.talk().await?;
                waits.push(asked.elapsed());
            }
            waits.sort();
            let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
            println!("{} lines; from saying to showing p50 {:?}, p99 {:?}", waits.len(), at(0.5), at(0.99));
            anyhow::Ok(())
        };
        let living = async {
            let lived = living.await;
            is_over.set(true);
            lived
        };
        let (lived, watched, ()) =
            tokio::join!(living, no_frame_missed(watching, video, &is_over), attacking);
        lived?;
        let frames = watched?;
        ensure!(frames > 0, "nothing was seen");
        ensure!(stack.figure("upstream").await? == 1, "the upstream is gone");
        let health = stack.ask(Node::FanEdge, "GET", "/healthz").await?;
        ensure!(health.starts_with("HTTP/1.0 200"), "{health}");
        Ok(())
    })
    .await
}

async fn watch(stack: &Stack) -> Result<(ScriptedSession, RequestId)> {
    let mut fan = ScriptedSession::enter(stack, Node::FanEdge, None).await?;
    let name = TrackName::new(Namespace::from_path(ROOM)?, "video/90p")?;
    let request = fan.call(move |session, _| session.subscribe(name, Params::default())).await??;
    fan.until(|event| matches!(event, Event::SubscribeOk { .. }).then_some(())).await?;
    Ok((fan, request))
}

/// Watches until the attack is over: no group is left out, and none is broken off or has a hole. Returns the number of
/// objects.
async fn no_frame_missed(mut fan: ScriptedSession, video: RequestId, is_over: &Cell<bool>) -> Result<usize> {
    let (mut groups, mut expected, mut seen) = (BTreeSet::new(), BTreeMap::new(), 0);
    while !is_over.get() {
        match fan.next().await.context("the watching fan was let go")? {
            Event::Subgroup { stream, request, header } if request == video => {
                groups.insert(header.group);
                // The first group that is seen may have begun before.
                expected.insert(stream, (groups.len() == 1).then_some(None));
            }
            Event::Object { stream, header } => {
                let Some(next) = expected.get_mut(&stream) else { continue };
                let next_id = next.unwrap_or(Some(0)).unwrap_or(header.id);
                ensure!(header.id == next_id, "object {} in place of {next_id}", header.id);
                (*next, seen) = (Some(Some(header.id + 1)), seen + 1);
            }
            Event::StreamReset { .. } | Event::Done { .. } | Event::Closed { .. } => {
                anyhow::bail!("the picture broke off")
            }
            _ => {}
        }
    }
    let span = groups.last().zip(groups.first()).map_or(0, |(last, first)| last - first + 1);
    // The last two may come in either order.
    ensure!(span <= groups.len() as u64 + 1, "of {span} groups, {} were seen", groups.len());
    Ok(seen)
}

/// Attacks until the test is over. What an attack ends with is the edge's business: most are turned away.
async fn persist(stack: &Stack, attack: Attack, address: Ipv4Addr, is_over: &Cell<bool>) {
    let mut round = 0;
    while !is_over.get() {
        round += 1;
        let attacking = attack.begin(stack, address, round, is_over);
        let _ = tokio::time::timeout(Duration::from_secs(2), attacking).await;
        tokio::task::yield_now().await;
    }
}

impl Attack {
    async fn begin(self, stack: &Stack, address: Ipv4Addr, round: u32, is_over: &Cell<bool>) -> Result<()> {
        if matches!(self, Self::Slow) {
            return slow(stack, address).await;
        }
        let tokens = if matches!(self, Self::Forged) { forged(stack)? } else { Vec::new() };
        let mut client = ScriptedSession::enter_from(stack, Node::FanEdge, address, &tokens).await?;
        for number in 0..REQUESTS {
            if is_over.get() {
                return Ok(());
            }
            self.ask(&client, &format!("nobody/{address}-{round}-{number}")).await?;
        }
        // What is answered is read, and not heeded.
        while client.next().await.is_some() {}
        Ok(())
    }

    async fn ask(self, client: &ScriptedSession, path: &str) -> Result<()> {
        let namespace = Namespace::from_path(path)?;
        let own = Namespace::from_path(&format!("{}/{path}", names::FAN))?;
        client
            .call(move |session, now| {
                let track = |namespace| TrackName::new(namespace, "video").map_err(anyhow::Error::from);
                match self {
                    Self::Nameless => {
                        session.subscribe(track(Namespace::default())?, Params::default())?;
                        session.track_status(track(Namespace::default())?, Params::default())?;
                    }
                    Self::Waiting => {
                        let params = Params { rendezvous_timeout: Some(30_000), ..Params::default() };
                        session.subscribe(track(namespace)?, params)?;
                    }
                    Self::Prefixes => {
                        session.subscribe_tracks(namespace, Params::default())?;
                    }
                    Self::Flood | Self::Slow => {
                        session.subscribe(track(namespace)?, Params::default())?;
                    }
                    Self::Forged | Self::Rooms => {
                        session.subscribe(TrackName::new(own, names::ANSWERS)?, Params::default())?;
                    }
                    Self::Namespaces => {
                        session.publish_namespace(namespace, Params::default())?;
                    }
                    Self::Empty => {
                        let request =
                            session.publish(track(namespace)?, Params::default(), Properties::NONE)?;
                        let objects = vec![Bytes::new(); EMPTY_OBJECTS as usize];
                        fanfare_tests::send_group(session, now, request, 0, objects)?;
                    }
                    Self::Fetches => {
                        let track = TrackName::new(Namespace::from_path(ROOM)?, "video/90p")?;
                        let (start, end) = (Location::default(), Location { group: 1 << 30, object: 0 });
                        session.fetch(FetchKind::Standalone { track, start, end }, Params::default())?;
                    }
                }
                Ok(())
            })
            .await?
    }
}

/// Two tokens with a key that the house has, and a signature that nobody made.
fn forged(stack: &Stack) -> Result<Vec<String>> {
    let token = stack.token()?;
    let (signed, _) = token.rsplit_once('.').context("a JWT")?;
    Ok(vec![format!("{signed}.{}", "A".repeat(86)); 2])
}

/// Connections that never finish a request, one that begins TLS, and one that asks for a WebSocket and then says nothing.
async fn slow(stack: &Stack, address: Ipv4Addr) -> Result<()> {
    let connect = async || -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((address, 0).into())?;
        Ok(socket.connect(stack.addr_of(Node::FanEdge)).await?)
    };
    let mut held = Vec::new();
    for first in [
        &b"GET /healthz HTTP/1.1\r\nX: "[..],
        b"\x16\x03\x01",
        b"",
        b"GET /moq HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
          Sec-WebSocket-Protocol: moqt-18.fanfare-ws\r\n\r\n",
    ] {
        for _ in 0..20 {
            let mut socket = connect().await?;
            socket.write_all(first).await?;
            held.push(socket);
        }
    }
    let mut answer = [0; 64];
    let last = held.last_mut().context("a connection")?;
    while last.read(&mut answer).await? > 0 {}
    Ok(())
}
