//! All of Fanfare on one thread.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, anyhow};
use creator::{Publish, Source};
use moqt::Namespace;
use node::{Edge, EdgeConfig, Fingerprint, Pages, Trust};
use origin::{
    Origin, tls,
    token::{Algorithm, Claims, EVERY_ROOM, Keys, Role},
};
use serde_json::{Value, json};
use tokio::{
    sync::{oneshot, watch},
    task::LocalSet,
};
use url::Url;

use crate::{ROOM, client_folder, root};

const TOKEN_LIFE: Duration = Duration::from_hours(1);

/// An origin, an edge where creators publish, and another edge where fans watch. All ends
/// when it is dropped.
#[derive(Debug)]
pub struct House {
    open: Open,
    creator: watch::Sender<bool>,
    _dir: tempfile::TempDir,
}

/// Where its doors are.
#[derive(Debug)]
struct Open {
    origin: SocketAddr,
    creators: SocketAddr,
    fans: SocketAddr,
    fingerprint: String,
    keys: Keys,
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
}

impl House {
    /// Opens it, for a creator who publishes that.
    pub async fn open(source: Source) -> Result<Self> {
        Self::start(Some(source)).await
    }

    /// Opens it with nobody on stage.
    pub async fn empty() -> Result<Self> {
        Self::start(None).await
    }

    async fn start(source: Option<Source>) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().to_owned();
        let (creator, publishing) = watch::channel(true);
        let (ready, opened) = oneshot::channel();
        thread::Builder::new().name("house".into()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            LocalSet::new().block_on(&runtime, async move {
                let mut until = publishing.clone();
                let opening = serve(&path, source, publishing);
                let running = opening.is_ok();
                let _ = ready.send(opening);
                while running && until.changed().await.is_ok() {}
            });
        })?;
        let open = opened.await.context("the house fell")??;
        Ok(Self { open, creator, _dir: dir })
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
        self.open.fans
    }

    /// Where a door is: UDP and TCP.
    pub fn door(&self, door: Door) -> SocketAddr {
        match door {
            Door::Origin => self.open.origin,
            Door::Creators => self.open.creators,
            Door::Fans => self.open.fans,
        }
    }

    /// The SHA-256 of the certificate that is shown at all doors, in hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.open.fingerprint
    }

    /// A token to publish with, in any room.
    pub fn token(&self) -> Result<String> {
        Ok(self.open.keys.mint(&Claims::new(EVERY_ROOM, Role::Creator, "somebody", TOKEN_LIFE))?)
    }

    /// The creator ends the show.
    pub fn end_show(&self) {
        self.creator.send_replace(false);
    }
}

/// Starts all of it on this thread.
fn serve(dir: &Path, source: Option<Source>, mut publishing: watch::Receiver<bool>) -> Result<Open> {
    let here = || (Ipv4Addr::LOCALHOST, 0).into();
    let self_signed = || tls::Source::SelfSigned {
        dir: dir.to_owned(),
        names: ["localhost", "127.0.0.1"].map(String::from).into(),
    };
    let keys = Keys::generate(Algorithm::EdDSA)?;
    let origin = Origin::bind(origin::Config {
        listen: here(),
        certificate: self_signed(),
        keys: Some(keys.clone()),
        ..origin::Config::default()
    })?;
    let certificate = tls::Certificate::load(self_signed(), SystemTime::now())?;
    let fingerprint = certificate.fingerprint().context("no fingerprint")?;
    let print: Fingerprint = fingerprint.parse().map_err(|_| anyhow!("{fingerprint}"))?;
    let trust = || Trust::Fingerprints(vec![print]).client_config();
    let url = |addr: SocketAddr| Url::parse(&format!("moqt://127.0.0.1:{}/", addr.port()));
    let origin_addr = origin.local_addr();
    let at_origin = url(origin_addr)?;
    tokio::spawn(origin.run(std::future::pending()));

    let edge = |pages| {
        Edge::bind(EdgeConfig {
            listen: here(),
            tls: certificate.server_config(&[])?,
            fingerprints: vec![fingerprint.clone()],
            origin: Some((at_origin.clone(), trust()?)),
            pages,
        })
        .map_err(anyhow::Error::from)
    };
    let creators = edge(None)?;
    let fans = edge(Some(Pages { www: root()?.join("www"), client: client_folder()? }))?;
    let open = Open {
        origin: origin_addr,
        creators: creators.local_addr()?,
        fans: fans.local_addr()?,
        fingerprint: fingerprint.clone(),
        keys: keys.clone(),
    };
    for edge in [creators, fans] {
        tokio::task::spawn_local(edge.run(std::future::pending()));
    }
    let Some(source) = source else { return Ok(open) };

    let publish = Publish {
        url: url(open.creators)?,
        tls: trust()?,
        room: Namespace::from_path(ROOM)?,
        token: Some(keys.mint(&Claims::new(ROOM, Role::Creator, "a creator", TOKEN_LIFE))?),
        takeover: false,
    };
    tokio::task::spawn_local(async move {
        let over = async move { drop(publishing.wait_for(|publishing| !publishing).await) };
        if let Err(error) = creator::publish(publish, source, |_| {}, over).await {
            eprintln!("the creator is gone: {error}");
        }
    });
    Ok(open)
}
