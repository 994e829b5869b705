//! All of Fanfare, each part on a thread of its own.

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
use token::{Algorithm, Claims, EVERY_ROOM, Keys, Role};
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
    part::{Part, Stopped},
    room_component, root, worker_cache,
};

const TOKEN_LIFE: Duration = Duration::from_hours(1);

/// An origin, an edge where creators publish, and another edge where fans watch. All ends
/// when it is dropped.
#[derive(Debug)]
pub struct House {
    plan: Plan,
    origin: (Part, SocketAddr),
    /// What the origin sees. It has the origin's sockets open, as long as it is there.
    stage: Option<Handle>,
    creators: (Part, SocketAddr),
    fans: (Part, SocketAddr),
    far: Option<(Part, SocketAddr)>,
    creator: Option<Part>,
    _dir: Arc<TempDir>,
}

/// What its parts have in common.
#[derive(Clone, Debug)]
struct Plan {
    /// Where all of it keeps what it keeps.
    dir: Arc<TempDir>,
    tls: CertificateSource,
    fingerprint: String,
    keys: Keys,
    engine: Engine,
    worker: Version,
}

/// One of the doors of a house.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// That of the origin.
    Origin,
    /// That of the edge where creators publish.
    Creators,
    /// That of the edge where fans watch.
    Fans,
    /// That of an edge that follows the edge for fans, once [`House::extend`] has opened it.
    Far,
}

impl House {
    /// Opens it, for a creator who publishes that.
    pub async fn open(source: Source) -> Result<Self> {
        let mut house = Self::empty().await?;
        house.begin_show(source).await?;
        Ok(house)
    }

    /// A creator begins to publish that, and the origin knows.
    pub async fn begin_show(&mut self, source: Source) -> Result<()> {
        self.creator = Some(self.plan.creator(self.creators.1, source).await?);
        let stage = self.stage.as_ref().context("no origin")?;
        let mut changes = stage.changes();
        while stage.room(ROOM).is_none_or(|room| room.state != State::Live) {
            changes.changed().await?;
        }
        Ok(())
    }

    /// Opens it with nobody on stage.
    pub async fn empty() -> Result<Self> {
        log();
        let dir = Arc::new(tempfile::tempdir()?);
        let plan = Plan::new(Arc::clone(&dir))?;
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let (origin, stage) = plan.origin(any).await?;
        let creators = plan.edge(Door::Creators, any, origin.1).await?;
        let fans = plan.edge(Door::Fans, any, origin.1).await?;
        Ok(Self { plan, origin, stage: Some(stage), creators, fans, far: None, creator: None, _dir: dir })
    }

    /// Opens one more edge, which follows the edge for fans.
    pub async fn extend(&mut self) -> Result<()> {
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        self.far = Some(self.plan.edge(Door::Far, any, self.fans.1).await?);
        Ok(())
    }

    /// Ends a part and starts it again, at the same address and with nothing in its memory.
    pub async fn restart(&mut self, door: Door, exit: Exit) -> Result<()> {
        let upstream = if door == Door::Far { self.fans.1 } else { self.origin.1 };
        let slot = match door {
            Door::Origin => {
                self.stage = None;
                &mut self.origin
            }
            Door::Creators => &mut self.creators,
            Door::Fans => &mut self.fans,
            Door::Far => self.far.as_mut().context("no edge follows an edge")?,
        };
        let at = slot.1;
        slot.0.end(exit).await;
        *slot = match door {
            Door::Origin => {
                let (origin, stage) = self.plan.origin(at).await?;
                self.stage = Some(stage);
                origin
            }
            Door::Creators | Door::Fans | Door::Far => self.plan.edge(door, at, upstream).await?,
        };
        Ok(())
    }

    /// The URL of a page at the edge for fans.
    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.addr().port())
    }

    /// What pages elsewhere need to know of the edge for fans.
    pub fn edge(&self) -> Value {
        let port = self.addr().port();
        json!({
            "webtransport": format!("https://127.0.0.1:{port}/"),
            "websocket": format!("ws://127.0.0.1:{port}/moq"),
            "fingerprints": [self.fingerprint()],
        })
    }

    /// Where fans find the edge: UDP and TCP.
    pub fn addr(&self) -> SocketAddr {
        self.door(Door::Fans)
    }

    /// Where a door is: UDP and TCP.
    pub fn door(&self, door: Door) -> SocketAddr {
        match door {
            Door::Origin => self.origin.1,
            Door::Creators => self.creators.1,
            Door::Fans => self.fans.1,
            // Without it there is no port to connect to.
            Door::Far => self.far.as_ref().map_or((Ipv4Addr::LOCALHOST, 0).into(), |far| far.1),
        }
    }

    /// The SHA-256 of the certificate that is shown at all doors, in hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.plan.fingerprint
    }

    /// A token to publish with, in any room.
    pub fn token(&self) -> Result<String> {
        Ok(self.plan.keys.mint(&Claims::new(EVERY_ROOM, Role::Creator, "somebody", TOKEN_LIFE))?)
    }

    /// A token for its room.
    pub fn token_of(&self, role: Role, name: &str) -> Result<String> {
        self.sign(&Claims::new(ROOM, role, name, TOKEN_LIFE))
    }

    /// What its tokens are signed with.
    pub fn keys(&self) -> &Keys {
        &self.plan.keys
    }

    /// A token that says whatever it should.
    pub fn sign(&self, claims: &Claims) -> Result<String> {
        Ok(self.plan.keys.mint(claims)?)
    }

    /// What is restarted from now on runs that component as the worker of its rooms.
    pub fn set_worker(&mut self, component: &[u8]) -> Result<()> {
        self.plan.worker = self.plan.engine.load(component)?;
        Ok(())
    }

    /// Asks a door something over HTTP; the answer, head and body.
    pub async fn ask(&self, door: Door, method: &str, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.door(door)).await?;
        let token = self.token()?;
        let request = format!("{method} {path} HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// A figure of the edge for fans, as its `/metrics` has it.
    pub async fn figure(&self, name: &str) -> Result<i64> {
        let answer = self.ask(Door::Fans, "GET", "/metrics").await?;
        let figure = |line: &str| line.strip_prefix(&format!("fanfare_edge_{name} "))?.parse().ok();
        answer.lines().find_map(figure).with_context(|| format!("no {name} in {answer}"))
    }

    /// Waits until a figure of the edge for fans is that.
    pub async fn until_figure(&self, name: &str, wanted: i64) -> Result<()> {
        let mut every = tokio::time::interval(Duration::from_millis(50));
        while self.figure(name).await? != wanted {
            every.tick().await;
        }
        Ok(())
    }

    /// The creator ends the show.
    pub fn end_show(&self) {
        if let Some(creator) = &self.creator {
            creator.order(Exit::Stopped);
        }
    }
}

/// Has the parts log as the binary does, where it is wished for: `FANFARE_LOG=node=trace`.
fn log() {
    let levels = std::env::var("FANFARE_LOG").ok().and_then(|levels| levels.parse::<Targets>().ok());
    if let Some(levels) = levels {
        // Another house may have begun to.
        let lines = tracing_subscriber::fmt::layer().with_test_writer();
        let _ = tracing_subscriber::registry().with(lines).with(levels).try_init();
    }
}

fn pages() -> Result<Pages> {
    Ok(Pages { www: root()?.join("www"), client: client_folder()? })
}

impl Plan {
    fn new(dir: Arc<TempDir>) -> Result<Self> {
        let names = ["localhost", "127.0.0.1"].map(String::from).into();
        let tls = CertificateSource::SelfSigned { dir: dir.path().to_owned(), names };
        let certificate = Certificate::load(tls.clone(), SystemTime::now())?;
        let fingerprint = certificate.fingerprint().unwrap_or_default();
        // Compiled once, and found by the tests that come after.
        let engine = Engine::new(Some(worker_cache()?))?;
        let worker = engine.load_file(&room_component()?)?;
        Ok(Self { dir, tls, fingerprint, keys: Keys::generate(Algorithm::EdDSA)?, engine, worker })
    }

    async fn origin(&self, listen: SocketAddr) -> Result<((Part, SocketAddr), Handle)> {
        let mut config = origin::Config {
            listen,
            certificate: self.tls.clone(),
            keys: Some(self.keys.clone()),
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
            let opened = (origin.local_addr(), origin.handle());
            Ok((opened, async move { report("the origin", origin.run(stopped.wait()).await) }))
        };
        let (part, (addr, stage)) = Part::start("origin", serving).await?;
        Ok(((part, addr), stage))
    }

    async fn edge(&self, door: Door, listen: SocketAddr, origin: SocketAddr) -> Result<(Part, SocketAddr)> {
        let certificate = Certificate::load(self.tls.clone(), SystemTime::now())?;
        let config = EdgeConfig {
            listen,
            tls: certificate.server_config(&[])?,
            fingerprints: certificate.fingerprints(),
            origin: Some((at(origin)?, Trust::Shown(certificate.fingerprints()).client_config()?)),
            pages: if door == Door::Fans { Some(pages()?) } else { None },
            rooms: Some(RoomsConfig {
                edge: EdgeId(door as u64),
                keys: self.keys.clone(),
                engine: self.engine.clone(),
                worker: self.worker.clone(),
                fallback: None,
            }),
        };
        Part::start("edge", async move |stopped: Stopped| {
            let edge = Edge::bind(config)?;
            let addr = edge.local_addr()?;
            Ok((addr, async move { report("an edge", edge.run(stopped.wait()).await) }))
        })
        .await
    }

    async fn creator(&self, edge: SocketAddr, source: Source) -> Result<Part> {
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
        Ok(Part::start("creator", publishing).await?.0)
    }
}

fn at(addr: SocketAddr) -> Result<Url> {
    Ok(Url::parse(&format!("moqt://127.0.0.1:{}/", addr.port()))?)
}

fn report(who: &str, outcome: Result<(), impl std::fmt::Display>) {
    if let Err(error) = outcome {
        eprintln!("{who} is gone: {error}");
    }
}
