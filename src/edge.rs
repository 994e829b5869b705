//! `fanfare edge`.

use std::{
    net::{Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::SystemTime,
};

use ::token::Keys;
use clap::Args as ClapArgs;
use node::{Edge, EdgeConfig, Pages, RoomsConfig};
use quic::{Certificate, Fingerprint, Trust};
use url::Url;

use crate::{
    Failure, data,
    rooms::{self, WorkerArgs},
    signal::interrupted,
};

/// Where an edge listens unless told otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 4444);

/// Serve fans near them: tracks over WebTransport, raw QUIC and WebSocket, and the watch page.
///
/// What is not here is fetched from the origin, once for all who watch it. Creators may publish
/// here too: what they present goes on to the origin.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// The origin: moqt://HOST:PORT for raw QUIC, https://HOST:PORT/ for WebTransport
    #[arg(long, value_name = "URL")]
    origin: Url,

    /// The address for QUIC (UDP), pages and WebSockets (TCP)
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_LISTEN)]
    listen: SocketAddr,

    #[command(flatten)]
    data: data::Data,

    #[command(flatten)]
    certificate: data::Certificate,

    #[command(flatten)]
    pages: PagesArgs,

    #[command(flatten)]
    worker: WorkerArgs,

    /// The private keys of the house, for rooms: fans without a token get one signed with them, and the edge is
    /// known to the origin by them [default: keys.json in the data directory, if it is there]
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,

    /// Trust whoever answers as the origin, without looking at its certificate
    #[arg(long)]
    insecure: bool,

    /// Trust the origin with this certificate, whoever signed it; may be given more than once
    #[arg(long, value_name = "SHA256HEX", conflicts_with = "insecure")]
    fingerprint: Vec<Fingerprint>,
}

/// Where the pages are.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct PagesArgs {
    /// The folder with the pages; without it, only the API and the tracks are served
    #[arg(long, value_name = "DIR", env = "FANFARE_PAGES", requires = "client")]
    pages: Option<PathBuf>,

    /// The folder with the browser client, as `cargo xtask wasm` makes it
    #[arg(long, value_name = "DIR", env = "FANFARE_CLIENT")]
    client: Option<PathBuf>,
}

impl PagesArgs {
    pub(crate) fn pages(self) -> Result<Option<Pages>, Failure> {
        let (Some(www), Some(client)) = (self.pages, self.client) else { return Ok(None) };
        for (folder, file) in [(&www, "watch.html"), (&client, "index.js")] {
            if !folder.join(file).is_file() {
                return Err(Failure::usage(format!("{} has no {file}", folder.display())));
            }
        }
        Ok(Some(Pages { www, client }))
    }
}

/// Serves until Ctrl-C.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    if !matches!(args.origin.scheme(), "moqt" | "https") || args.origin.host_str().is_none_or(str::is_empty) {
        return Err(Failure::usage(format!(
            "--origin {}: give moqt://HOST:PORT or https://HOST:PORT/",
            args.origin
        )));
    }
    let dir = args.data.dir()?;
    let trust = match (args.fingerprint, args.insecure) {
        (_, true) => Trust::Anyone,
        (prints, false) if prints.is_empty() => Trust::System,
        (prints, false) => Trust::Fingerprints(prints),
    };
    let client = trust.client_config().map_err(Failure::run)?;
    let certificate =
        Certificate::load(args.certificate.source(&dir), SystemTime::now()).map_err(Failure::run)?;
    let keys = match args.keys {
        Some(path) => Some(Keys::load(&path).map_err(Failure::run)?),
        None => data::keys(&dir)?,
    };
    let rooms = match (args.worker.load(&dir)?, keys) {
        (Some(workers), Some(keys)) => Some(RoomsConfig {
            edge: rooms::edge_id(&dir)?,
            keys,
            engine: workers.engine,
            worker: workers.worker,
            fallback: workers.fallback,
        }),
        (Some(_), None) => {
            return Err(Failure::usage(format!(
                "--worker: rooms need the private keys of the house: give --keys FILE, or put keys.json into {}",
                dir.display()
            )));
        }
        (None, _) => None,
    };
    let config = EdgeConfig {
        rooms,
        listen: args.listen,
        tls: certificate.server_config(&[]).map_err(Failure::run)?,
        fingerprints: certificate.fingerprints(),
        origin: Some((args.origin.clone(), client)),
        pages: args.pages.pages()?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::run(format!("cannot start: {error}")))?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let edge = Edge::bind(config).map_err(Failure::run)?;
        let addr = edge.local_addr().map_err(Failure::run)?;
        tokio::task::spawn_local(certificate.keep_renewed());
        eprintln!("edge: on {addr}, udp and tcp, following {}", args.origin);
        edge.run(interrupted()).await.map_err(Failure::run)
    })
}
