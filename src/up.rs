//! The command `fanfare up`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use ::origin::{Config, Origin};
use ::token::{Algorithm, Claims, Keys, Role};
use clap::Args as ClapArgs;
use creator::{Publish, Source};
use media::testcard;
use moqt::Namespace;
use node::{Edge, EdgeConfig, RoomsConfig};
use quic::Trust;
use tokio::sync::watch;
use url::Url;

use crate::{
    Failure,
    args::{
        data_dir, keys,
        tcp::connections,
        worker::{self, WorkerArgs, Workers},
    },
    edge::PagesArgs,
    signal::interrupted,
};

/// Default port of the edge.
const DEFAULT_PORT: u16 = 8080;
/// Validity of the printed token.
const TOKEN_LIFE: Duration = Duration::from_hours(24);
/// Room of the demo creator.
const ROOM: &str = "demo";

/// Run everything on this machine: an origin, an edge and a demo creator.
///
/// Prints the link to open, a token to publish with, and the data directory. Ctrl-C ends everything in order.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Port of the edge, UDP and TCP; the origin takes a free one
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT)]
    port: u16,

    #[command(flatten)]
    data: data_dir::DataDir,

    #[command(flatten)]
    pages: PagesArgs,

    #[command(flatten)]
    worker: WorkerArgs,

    /// Leave out the demo creator
    #[arg(long)]
    no_demo: bool,
}

/// Runs until Ctrl-C.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let (dir, _lock) = args.data.of_edge()?;
    let keys = keys_of(&dir)?;
    let workers = args.worker.load(&dir)?;
    let edge_id = worker::edge_id(&dir)?;
    let incarnation = worker::incarnation(&dir)?;
    let wanted = !args.no_demo;
    let pages = args.pages.pages()?;
    let (has_pages, has_rooms) = (pages.is_some(), workers.is_some());
    let here = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::run(format!("cannot start: {error}")))?;
    let tcp = front::Options {
        admin: Some(here(0)),
        connections: connections(front::Limits::default()),
        ..front::Options::default()
    };
    let outcome = tokio::task::LocalSet::new().block_on(&runtime, async {
        let config = Config {
            listen: here(0),
            tcp: tcp.clone(),
            certificate: data_dir::self_signed(&dir),
            keys: Some(keys.clone()),
            rooms: worker::origin_rooms(workers.clone(), &dir).await?,
            ..Config::default()
        };
        let origin = Origin::bind(config).map_err(Failure::run)?;
        let at_origin = origin.local_addr();
        let fingerprint = origin.handle().fingerprint().unwrap_or_default();
        let certificate = origin.handle().certificate();
        let trust = || Trust::Shown(certificate.fingerprints()).client_config().map_err(Failure::run);
        let url = |query: &str| {
            Url::parse(&format!("moqt://localhost:{}/{query}", at_origin.port())).map_err(Failure::run)
        };

        let edge = Edge::bind(EdgeConfig {
            listen: here(args.port),
            tcp,
            tls: certificate.server_config(&[]).map_err(Failure::run)?,
            fingerprints: certificate.fingerprints(),
            origin: Some((url("")?, trust()?)),
            pages,
            limits: node::Limits::default(),
            rooms: workers.map(|Workers { engine, worker, fallback }| RoomsConfig {
                edge: edge_id,
                incarnation,
                keys: keys.clone(),
                engine,
                worker,
                fallback,
            }),
        })
        .map_err(Failure::run)?;
        let at_edge = edge.local_addr().map_err(Failure::run)?;

        let claims = Claims::new("*", Role::Creator, "you", TOKEN_LIFE);
        let token = keys.mint(&claims).map_err(Failure::run)?;
        let port = at_edge.port();
        if has_pages {
            println!("Watch      http://localhost:{port}/{ROOM}");
        } else {
            println!("Watch      needs the pages: run `cargo xtask up`, or give --pages and --client");
        }
        println!("Publish    fanfare publish --room NAME --fingerprint {fingerprint} \\");
        println!("             --token {token} \\");
        println!("             moqt://localhost:{port} FILE");
        if has_pages && has_rooms {
            println!("Moderate   http://localhost:{port}/{ROOM}#token={token}");
        }
        if has_rooms {
            println!("Chat       fanfare chat {ROOM} moqt://localhost:{port} --fingerprint {fingerprint}");
        }
        println!("Rooms      http://localhost:{}/api/rooms", origin.http_addr().port());
        for (whose, admin) in [("origin", origin.admin_addr()), ("edge", edge.admin_addr())] {
            if let Some(admin) = admin {
                println!("Figures    http://localhost:{}/metrics of the {whose}", admin.port());
            }
        }
        println!("Data       {}", dir.display());
        println!("Ctrl-C ends it.");

        let (stop, stopped) = watch::channel(());
        let until = |mut stopped: watch::Receiver<()>| async move { drop(stopped.changed().await) };
        let origin = tokio::spawn(origin.run(until(stopped.clone())));
        let edge = tokio::task::spawn_local(edge.run(until(stopped.clone())));
        let demo = demo(wanted, &keys, url("")?, trust()?, until(stopped))?;
        let demo = tokio::task::spawn_local(demo);
        interrupted().await;
        eprintln!("ending");
        drop(stop);
        let _ = demo.await;
        let edge = edge.await.map_err(Failure::run)?;
        let origin = origin.await.map_err(Failure::run)?;
        edge.map_err(Failure::run)?;
        origin.map_err(Failure::run)
    });
    runtime.shutdown_background();
    outcome
}

/// Returns the keys of the data directory, made now if there are none.
fn keys_of(dir: &Path) -> Result<Keys, Failure> {
    if let Some(keys) = keys::watch(dir, None)? {
        return Ok(keys);
    }
    let made = Keys::generate(Algorithm::EdDSA).map_err(Failure::run)?;
    made.save_private(&dir.join(keys::KEYS_FILE)).map_err(Failure::run)?;
    Ok(keys::watch(dir, None)?.unwrap_or(made))
}

/// Publishes the test card to the origin.
fn demo<S: Future<Output = ()> + 'static>(
    wanted: bool,
    keys: &Keys,
    url: Url,
    tls: rustls::ClientConfig,
    stopped: S,
) -> Result<impl Future<Output = ()> + use<S>, Failure> {
    let publish = if wanted {
        let claims = Claims::new(ROOM, Role::Creator, "demo", TOKEN_LIFE * 365);
        let token = keys.mint(&claims).map_err(Failure::run)?;
        let source = Source::demo(testcard::Config::default()).map_err(Failure::run)?;
        let room = Namespace::from_path(ROOM).map_err(Failure::run)?;
        Some((Publish { url, tls, room, token: Some(token), takeover: false }, source))
    } else {
        None
    };
    Ok(async move {
        if let Some((publish, source)) = publish
            && let Err(error) = creator::publish(publish, source, |_| {}, stopped).await
        {
            eprintln!("the demo creator has failed: {error}");
        }
    })
}
