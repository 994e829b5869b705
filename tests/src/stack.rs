//! Runs all of Fanfare in one process, each component on a thread of its own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use creator::{Publish, Source};
use moqt::Namespace;
use node::{Edge, EdgeConfig, Pages, RoomsConfig};
use origin::{
    Handle, Origin, State,
    keep::{self, Keep, Retention},
};
use quic::{Certificate, CertificateSource, Trust};
use serde_json::{Value, json};
use tempfile::TempDir;
use token::{Algorithm, Claims, EVERY_ROOM, Keys, Revocation, Role, Scope};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};
use url::Url;
use wasm_host::{Engine, Version};
use wire::EdgeId;

use crate::{
    Exit, ROOM, client_folder,
    component::{Component, Stopped},
    room_component, root, worker_cache,
};

const TOKEN_LIFE: Duration = Duration::from_hours(1);

/// An origin, an edge where creators publish, and another edge where fans watch. Dropping it ends them all.
#[derive(Debug)]
pub struct Stack {
    plan: Plan,
    origin: Served,
    /// The origin's handle. It keeps the origin's sockets open, so a restart has to drop it first.
    handle: Option<Handle>,
    creators: Served,
    fans: Served,
    far: Option<Served>,
    creator: Option<Component>,
    _dir: Arc<TempDir>,
}

/// A node that runs, and its addresses.
#[derive(Debug)]
struct Served {
    component: Component,
    addr: SocketAddr,
    admin: SocketAddr,
}

/// The settings that all components have in common.
#[derive(Clone, Debug)]
struct Plan {
    /// The folder of the certificate and of the origin's data.
    dir: Arc<TempDir>,
    tls: CertificateSource,
    fingerprint: String,
    /// The keys of the house.
    keys: Keys,
    /// The keys that the origin verifies tokens with. Its clones in the origin change with it.
    of_origin: Keys,
    setting: Setting,
    engine: Engine,
    worker: Version,
}

/// The choice of what the nodes of a stack may do.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// Set if each edge has keys of its own, which sign for that edge only; otherwise all have the house's.
    pub own_keys: bool,
    /// Patterns of the private rooms.
    pub private: Vec<String>,
}

/// A node of the stack: what a client dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// The origin itself.
    Origin,
    /// The edge to which creators publish.
    CreatorEdge,
    /// The edge at which fans watch.
    FanEdge,
    /// An edge behind the fans' edge: it is absent until [`Stack::extend`] starts it.
    FarEdge,
}

impl Stack {
    /// Starts the stack, with a creator that publishes `source`.
    pub async fn open(source: Source) -> Result<Self> {
        let mut stack = Self::empty().await?;
        stack.begin_show(source).await?;
        Ok(stack)
    }

    /// Starts a creator that publishes `source`, and waits until the origin has the room live.
    pub async fn begin_show(&mut self, source: Source) -> Result<()> {
        self.creator = Some(self.plan.creator(self.creators.addr, source).await?);
        let handle = self.handle.as_ref().context("no origin")?;
        let mut changes = handle.changes();
        while handle.room(ROOM).is_none_or(|room| room.state != State::Live) {
            changes.changed().await?;
        }
        Ok(())
    }

    /// Starts the stack without a creator.
    pub async fn empty() -> Result<Self> {
        Self::empty_with(Setting::default()).await
    }

    /// Starts the stack with a setting, and without a creator.
    pub async fn empty_with(setting: Setting) -> Result<Self> {
        log();
        let dir = Arc::new(tempfile::tempdir()?);
        let plan = Plan::new(Arc::clone(&dir), setting)?;
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let (origin, handle) = plan.origin(any).await?;
        let creators = plan.edge(Node::CreatorEdge, any, origin.addr).await?;
        let fans = plan.edge(Node::FanEdge, any, origin.addr).await?;
        Ok(Self { plan, origin, handle: Some(handle), creators, fans, far: None, creator: None, _dir: dir })
    }

    /// Starts one more edge, with the fans' edge as its upstream.
    pub async fn extend(&mut self) -> Result<()> {
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        self.far = Some(self.plan.edge(Node::FarEdge, any, self.fans.addr).await?);
        Ok(())
    }

    /// Ends a node and starts it again, at the same address and with nothing in its memory.
    pub async fn restart(&mut self, node: Node, exit: Exit) -> Result<()> {
        let upstream = if node == Node::FarEdge { self.fans.addr } else { self.origin.addr };
        let slot = match node {
            Node::Origin => {
                self.handle = None;
                &mut self.origin
            }
            Node::CreatorEdge => &mut self.creators,
            Node::FanEdge => &mut self.fans,
            Node::FarEdge => self.far.as_mut().context("no edge follows an edge")?,
        };
        let at = slot.addr;
        slot.component.end(exit).await;
        *slot = match node {
            Node::Origin => {
                let (origin, handle) = self.plan.origin(at).await?;
                self.handle = Some(handle);
                origin
            }
            Node::CreatorEdge | Node::FanEdge | Node::FarEdge => self.plan.edge(node, at, upstream).await?,
        };
        Ok(())
    }

    /// The URL of a page on the fans' edge.
    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.addr().port())
    }

    /// The addresses of the fans' edge, in the JSON that pages of other sites need.
    pub fn edge(&self) -> Value {
        let port = self.addr().port();
        json!({
            "webtransport": format!("https://127.0.0.1:{port}/"),
            "websocket": format!("ws://127.0.0.1:{port}/moq"),
            "fingerprints": [self.fingerprint()],
        })
    }

    /// The address of the fans' edge, for UDP and TCP.
    pub fn addr(&self) -> SocketAddr {
        self.addr_of(Node::FanEdge)
    }

    /// The address of a node, for UDP and TCP.
    pub fn addr_of(&self, node: Node) -> SocketAddr {
        match node {
            Node::Origin => self.origin.addr,
            Node::CreatorEdge => self.creators.addr,
            Node::FanEdge => self.fans.addr,
            // Port 0, to which nothing can connect: the edge is not there.
            Node::FarEdge => self.far.as_ref().map_or((Ipv4Addr::LOCALHOST, 0).into(), |far| far.addr),
        }
    }

    /// The SHA-256 of the certificate that all nodes present, in hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.plan.fingerprint
    }

    /// Signs a creator's token for every room.
    pub fn token(&self) -> Result<String> {
        Ok(self.plan.keys.mint(&Claims::new(EVERY_ROOM, Role::Creator, "somebody", TOKEN_LIFE))?)
    }

    /// Signs an operator's token for every room.
    pub fn operator(&self) -> Result<String> {
        self.sign(&Claims::new(EVERY_ROOM, Role::Operator, "an operator", TOKEN_LIFE))
    }

    /// Signs a token for the stack's room.
    pub fn token_of(&self, role: Role, name: &str) -> Result<String> {
        self.sign(&Claims::new(ROOM, role, name, TOKEN_LIFE))
    }

    /// The keys that sign the stack's tokens.
    pub fn keys(&self) -> &Keys {
        &self.plan.keys
    }

    /// The private keys of an edge.
    pub fn keys_of(&self, edge: Node) -> Keys {
        self.plan.keys_of(edge)
    }

    /// Revokes tokens at the origin, as its operator does.
    pub fn revoke(&self, entry: Revocation) {
        let mut list = self.plan.of_origin.revocations();
        list.revoked.push(entry);
        let keys = self.plan.origin_keys().without(list);
        self.plan.of_origin.replace(&keys);
    }

    /// Signs a token with these claims, right or wrong.
    pub fn sign(&self, claims: &Claims) -> Result<String> {
        Ok(self.plan.keys.mint(claims)?)
    }

    /// Sets the component that nodes run as the worker of their rooms, from their next restart on.
    pub fn set_worker(&mut self, component: &[u8]) -> Result<()> {
        self.plan.worker = self.plan.engine.load(component)?;
        Ok(())
    }

    /// Sends an HTTP request to a node. Returns the response, head and body.
    pub async fn ask(&self, node: Node, method: &str, path: &str) -> Result<String> {
        self.ask_with(node, method, path, &self.token()?).await
    }

    /// Sends an HTTP request to a node, with that token. Returns the response, head and body.
    pub async fn ask_with(&self, node: Node, method: &str, path: &str, token: &str) -> Result<String> {
        self.ask_at(self.addr_of(node), method, path, token).await
    }

    /// Sends an HTTP request to the admin side of a node. Returns the response, head and body.
    pub async fn ask_admin(&self, node: Node, method: &str, path: &str) -> Result<String> {
        self.ask_admin_with(node, method, path, &self.operator()?).await
    }

    /// Sends an HTTP request to the admin side of a node, with that token. Returns the response, head and body.
    pub async fn ask_admin_with(&self, node: Node, method: &str, path: &str, token: &str) -> Result<String> {
        let served = match node {
            Node::Origin => &self.origin,
            Node::CreatorEdge => &self.creators,
            Node::FanEdge => &self.fans,
            Node::FarEdge => self.far.as_ref().context("no edge follows an edge")?,
        };
        self.ask_at(served.admin, method, path, token).await
    }

    async fn ask_at(&self, addr: SocketAddr, method: &str, path: &str, token: &str) -> Result<String> {
        let mut stream = TcpStream::connect(addr).await?;
        let request = format!("{method} {path} HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// Reads a figure of the fans' edge from its `/metrics`.
    pub async fn figure(&self, name: &str) -> Result<i64> {
        let answer = self.ask_admin(Node::FanEdge, "GET", "/metrics").await?;
        let figure = |line: &str| line.strip_prefix(&format!("fanfare_edge_{name} "))?.parse().ok();
        answer.lines().find_map(figure).with_context(|| format!("no {name} in {answer}"))
    }

    /// Waits until a figure of the fans' edge is `wanted`.
    pub async fn until_figure(&self, name: &str, wanted: i64) -> Result<()> {
        let mut every = tokio::time::interval(Duration::from_millis(50));
        while self.figure(name).await? != wanted {
            every.tick().await;
        }
        Ok(())
    }

    /// Ends the show: stops the creator.
    pub fn end_show(&self) {
        if let Some(creator) = &self.creator {
            creator.order(Exit::Stopped);
        }
    }
}

/// Turns on the components' logging, as the binary has it, where the environment requests it: `FANFARE_LOG=node=trace`.
fn log() {
    let levels = std::env::var("FANFARE_LOG").ok().and_then(|levels| levels.parse::<Targets>().ok());
    if let Some(levels) = levels {
        // Another stack of this process may have set up logging already.
        let lines = tracing_subscriber::fmt::layer().with_test_writer();
        let _ = tracing_subscriber::registry().with(lines).with(levels).try_init();
    }
}

fn pages() -> Result<Pages> {
    Ok(Pages { www: root()?.join("www"), client: client_folder()? })
}

impl Plan {
    fn new(dir: Arc<TempDir>, setting: Setting) -> Result<Self> {
        let names = ["localhost", "127.0.0.1"].map(String::from).into();
        let tls = CertificateSource::SelfSigned { dir: dir.path().to_owned(), names };
        let certificate = Certificate::load(tls.clone(), SystemTime::now())?;
        let fingerprint = certificate.fingerprint().unwrap_or_default();
        // The first test compiles the component, and the later ones find it in the cache.
        let engine = Engine::new(Some(worker_cache()?))?;
        let worker = engine.load_file(&room_component()?)?;
        let (keys, of_origin) = (Keys::generate(Algorithm::EdDSA)?, Keys::none());
        let plan = Self { dir, tls, fingerprint, keys, of_origin, setting, engine, worker };
        plan.of_origin.replace(&plan.origin_keys());
        Ok(plan)
    }

    /// The keys of an edge: the house's, or its own with the public half of the house's.
    fn keys_of(&self, edge: Node) -> Keys {
        if !self.setting.own_keys {
            return self.keys.clone();
        }
        let (number, seed) = (EdgeId(edge as u64), edge as u8);
        let own = Keys::scoped(Algorithm::EdDSA, [seed + 1; 32], Scope::edge(number));
        let strangers = Keys::scoped(Algorithm::EdDSA, [seed + 101; 32], Scope::strangers(number));
        own.and(&strangers).and(&public(&self.keys))
    }

    /// The keys of the origin: nothing but public halves, if edges have keys of their own.
    fn origin_keys(&self) -> Keys {
        if !self.setting.own_keys {
            return Keys::none().and(&self.keys);
        }
        let edges = [Node::CreatorEdge, Node::FanEdge, Node::FarEdge].map(|edge| public(&self.keys_of(edge)));
        edges.iter().fold(public(&self.keys), Keys::and)
    }

    async fn origin(&self, listen: SocketAddr) -> Result<(Served, Handle)> {
        let mut config = origin::Config {
            listen,
            tcp: admin_side(),
            certificate: self.tls.clone(),
            keys: Some(self.of_origin.clone()),
            private: self.setting.private.clone().into(),
            ..origin::Config::default()
        };
        let (engine, worker, file) =
            (self.engine.clone(), self.worker.clone(), self.dir.path().join(keep::FILE));
        let serving = async move |stopped: Stopped| {
            let keep = Keep::open(&file).await?;
            config.rooms = Some(origin::RoomsConfig {
                keep,
                engine,
                worker,
                fallback: None,
                retention: Retention::default(),
            });
            let origin = Origin::bind(config)?;
            let opened =
                (origin.local_addr(), origin.admin_addr().context("an admin side")?, origin.handle());
            Ok((opened, async move { report("the origin", origin.run(stopped.wait()).await) }))
        };
        let (component, (addr, admin, handle)) = Component::start("origin", serving).await?;
        Ok((Served { component, addr, admin }, handle))
    }

    async fn edge(&self, node: Node, listen: SocketAddr, origin: SocketAddr) -> Result<Served> {
        let certificate = Certificate::load(self.tls.clone(), SystemTime::now())?;
        let config = EdgeConfig {
            listen,
            tcp: admin_side(),
            tls: certificate.server_config(&[])?,
            fingerprints: certificate.fingerprints(),
            origin: Some((at(origin)?, Trust::Shown(certificate.fingerprints()).client_config()?)),
            pages: if node == Node::FanEdge { Some(pages()?) } else { None },
            limits: node::Limits::default(),
            rooms: Some(RoomsConfig {
                edge: EdgeId(node as u64),
                incarnation: token::now().0,
                keys: self.keys_of(node),
                engine: self.engine.clone(),
                worker: self.worker.clone(),
                fallback: None,
            }),
        };
        let serving = async move |stopped: Stopped| {
            let edge = Edge::bind(config)?;
            let addresses = (edge.local_addr()?, edge.admin_addr().context("an admin side")?);
            Ok((addresses, async move { report("an edge", edge.run(stopped.wait()).await) }))
        };
        let (component, (addr, admin)) = Component::start("edge", serving).await?;
        Ok(Served { component, addr, admin })
    }

    async fn creator(&self, edge: SocketAddr, source: Source) -> Result<Component> {
        let certificate = Certificate::load(self.tls.clone(), SystemTime::now())?;
        let publish = Publish {
            url: at(edge)?,
            tls: Trust::Shown(certificate.fingerprints()).client_config()?,
            room: Namespace::from_path(ROOM)?,
            token: Some(self.keys.mint(&Claims::new(ROOM, Role::Creator, "a creator", TOKEN_LIFE))?),
            takeover: false,
        };
        let publishing = async move |stopped: Stopped| {
            let published = async move {
                report("the creator", creator::publish(publish, source, |_| {}, stopped.wait()).await);
            };
            Ok(((), published))
        };
        Ok(Component::start("creator", publishing).await?.0)
    }
}

/// The options of a node whose admin side is on some free port.
fn admin_side() -> front::Options {
    front::Options { admin: Some((Ipv4Addr::LOCALHOST, 0).into()), ..front::Options::default() }
}

fn public(keys: &Keys) -> Keys {
    Keys::parse(&keys.public_json()).unwrap_or_else(|_| Keys::none())
}

fn at(addr: SocketAddr) -> Result<Url> {
    Ok(Url::parse(&format!("moqt://127.0.0.1:{}/", addr.port()))?)
}

fn report(who: &str, outcome: Result<(), impl std::fmt::Display>) {
    if let Err(error) = outcome {
        eprintln!("{who} is gone: {error}");
    }
}
