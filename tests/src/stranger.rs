//! Strangers: clients without a token who do all that they can to a node.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use moqt::{Location, Namespace, Params, Properties, TrackName, message::FetchKind};
use rustls::ClientConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use url::Url;
use wire::names;

use crate::{ScriptedSession, send_group};

/// Requests of one stranger before it begins anew.
const REQUESTS: usize = 130;
/// Objects without a byte in one group.
const EMPTY_OBJECTS: u64 = 1_000;
/// The steps of priority that strangers leave to others.
const GO_LAST: i32 = 10;
/// The longest that a stranger keeps one connection.
const ROUND: Duration = Duration::from_secs(2);

/// A node that is attacked.
#[derive(Clone)]
pub struct Target {
    /// The URL of its sessions.
    pub url: Url,
    /// The TLS of a client that trusts its certificate.
    pub tls: ClientConfig,
    /// The address of its TCP port.
    pub tcp: SocketAddr,
    /// The room with the show.
    pub room: String,
    /// Tokens with a key that the node has, and a signature that nobody made.
    forged: Vec<String>,
}

impl Target {
    /// Describes a node. The token is one that it would take.
    pub fn new(url: Url, tls: ClientConfig, tcp: SocketAddr, room: &str, token: &str) -> Result<Self> {
        let (signed, _) = token.rsplit_once('.').context("a JWT")?;
        let forged = vec![format!("{signed}.{}", "A".repeat(86)); 2];
        Ok(Self { url, tls, tcp, room: room.to_owned(), forged })
    }

    async fn connect(&self, address: Ipv4Addr, tokens: &[String]) -> Result<ScriptedSession> {
        ScriptedSession::dial(&self.url, self.tls.clone(), address, tokens, None).await
    }
}

/// The attack that one stranger repeats.
#[derive(Clone, Copy, Debug)]
pub enum Attack {
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

/// Every attack.
pub const ATTACKS: [Attack; 10] = [
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

/// Lets everything else on this machine go before the calling thread: strangers have machines of their own.
pub fn go_last() -> Result<()> {
    Ok(rustix::process::nice(GO_LAST).map(drop)?)
}

/// Attacks until the test is over. What an attack ends with is the edge's business: most are turned away.
pub async fn persist(target: &Target, attack: Attack, address: Ipv4Addr, is_over: &AtomicBool) {
    let mut round = 0;
    while !is_over.load(Relaxed) {
        round += 1;
        let attacking = attack.begin(target, address, round, is_over);
        let _ = tokio::time::timeout(ROUND, attacking).await;
        tokio::task::yield_now().await;
    }
}

impl Attack {
    async fn begin(self, target: &Target, address: Ipv4Addr, round: u32, is_over: &AtomicBool) -> Result<()> {
        if matches!(self, Self::Slow) {
            return slow(target, address).await;
        }
        let tokens: &[String] = if matches!(self, Self::Forged) { &target.forged } else { &[] };
        let mut client = target.connect(address, tokens).await?;
        for number in 0..REQUESTS {
            if is_over.load(Relaxed) {
                return Ok(());
            }
            self.ask(&target.room, &client, &format!("nobody/{address}-{round}-{number}")).await?;
        }
        // What is answered is read, and not heeded.
        while client.next().await.is_some() {}
        Ok(())
    }

    async fn ask(self, room: &str, client: &ScriptedSession, path: &str) -> Result<()> {
        let (namespace, room) = (Namespace::from_path(path)?, Namespace::from_path(room)?);
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
                        send_group(session, now, request, 0, objects)?;
                    }
                    Self::Fetches => {
                        let track = TrackName::new(room, "video/90p")?;
                        let (start, end) = (Location::default(), Location { group: 1 << 30, object: 0 });
                        session.fetch(FetchKind::Standalone { track, start, end }, Params::default())?;
                    }
                }
                Ok(())
            })
            .await?
    }
}

/// Connections that never finish a request, one that begins TLS, and one that asks for a WebSocket and then says nothing.
async fn slow(target: &Target, address: Ipv4Addr) -> Result<()> {
    let connect = async || -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((address, 0).into())?;
        Ok(socket.connect(target.tcp).await?)
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
