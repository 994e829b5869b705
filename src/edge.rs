//! The command `fanfare edge`.

use std::{
    net::{Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::SystemTime,
};

use ::token::{Claims, Keys};
use clap::Args as ClapArgs;
use node::{Edge, EdgeConfig, Pages, RoomsConfig};
use quic::{Certificate, Fingerprint, Trust};
use url::Url;
use wire::EdgeId;

use crate::{
    Failure,
    args::{
        data_dir, keys,
        limits::LimitsArgs,
        tcp::TcpArgs,
        worker::{self, WorkerArgs},
    },
    signal::interrupted,
};

/// Default address of an edge.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED), 4444);

/// Serve fans near them: tracks over WebTransport, raw QUIC and WebSocket, and the watch page.
///
/// The edge fetches each track from the origin once for all its fans. Creators may publish here too: the edge passes
/// their tracks on to the origin.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Address of the origin: moqt://HOST:PORT for raw QUIC, https://HOST:PORT/ for WebTransport
    #[arg(long, value_name = "URL")]
    origin: Url,

    /// Address for QUIC (UDP), pages and WebSockets (TCP; plain HTTP only from this machine and --proxy)
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_LISTEN)]
    listen: SocketAddr,

    #[command(flatten)]
    tcp: TcpArgs,

    #[command(flatten)]
    limits: LimitsArgs,

    #[command(flatten)]
    data: data_dir::DataDir,

    #[command(flatten)]
    certificate: data_dir::Certificate,

    #[command(flatten)]
    pages: PagesArgs,

    #[command(flatten)]
    worker: WorkerArgs,

    /// Keys for rooms, a JWKS file or a folder of such files: the private ones sign the tokens of anonymous fans, and
    /// authenticate the edge to the origin [default: keys.json and keys.d in the data directory]. Read again when they
    /// change
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,

    /// Accept any certificate of the origin
    #[arg(long)]
    insecure: bool,

    /// Accept the origin only with this certificate, also a self-signed one; may be given more than once
    #[arg(long, value_name = "SHA256HEX", conflicts_with = "insecure")]
    fingerprint: Vec<Fingerprint>,
}

/// The flags for the pages.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct PagesArgs {
    /// Folder with the pages; without it, only the API and the tracks are served
    #[arg(long, value_name = "DIR", env = "FANFARE_PAGES", requires = "client")]
    pages: Option<PathBuf>,

    /// Folder with the browser client, as `cargo xtask wasm` makes it
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
    let limits = args.limits.load()?;
    let (dir, _lock) = args.data.of_edge()?;
    let trust = match (args.fingerprint, args.insecure) {
        (_, true) => Trust::Anyone,
        (prints, false) if prints.is_empty() => Trust::System,
        (prints, false) => Trust::Fingerprints(prints),
    };
    let client = trust.client_config().map_err(Failure::run)?;
    let certificate =
        Certificate::load(args.certificate.source(&dir), SystemTime::now()).map_err(Failure::run)?;
    let keys = keys::watch(&dir, args.keys)?;
    let rooms = match (args.worker.load(&dir)?, keys) {
        (Some(workers), Some(keys)) => Some(RoomsConfig {
            edge: checked_edge(&dir, &keys)?,
            incarnation: worker::incarnation(&dir)?,
            keys,
            engine: workers.engine,
            worker: workers.worker,
            fallback: workers.fallback,
        }),
        (Some(_), None) => {
            return Err(Failure::usage(format!(
                "--worker: rooms need private keys: make some with `fanfare token keys --kind edge --data {}`",
                dir.display()
            )));
        }
        (None, _) => None,
    };
    let config = EdgeConfig {
        rooms,
        limits: limits.sessions,
        listen: args.listen,
        tcp: args.tcp.options(args.listen, limits.connections)?,
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
        if let Some(admin) = edge.admin_addr() {
            eprintln!("edge: admin side on {admin}");
        }
        edge.run(interrupted()).await.map_err(Failure::run)
    })
}

/// Returns this edge's number, after checking that its keys can sign its own token and those of anonymous fans.
fn checked_edge(dir: &Path, keys: &Keys) -> Result<EdgeId, Failure> {
    let edge = worker::edge_id(dir)?;
    let now = ::token::now();
    let own = keys.signing_scope(&Claims::for_edge(edge, now, now)).map_err(Failure::run)?;
    keys.mint_anonymous([0; 16], now).map_err(Failure::run)?;
    if own.is_none() {
        let dir = dir.display();
        eprintln!(
            "edge: these keys can sign every token of the house; an edge needs keys of its own only: `fanfare token keys --kind edge --data {dir}`, then remove the private house key here"
        );
    }
    Ok(edge)
}
