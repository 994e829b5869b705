//! The command `fanfare origin`.

use std::{net::SocketAddr, path::PathBuf};

use ::origin::{Config, Origin};
use clap::Args as ClapArgs;

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

const EXAMPLES: &str = "\
Examples:
  On this machine, with keys for creators' tokens:
    fanfare token keys --data fanfare-data
    fanfare origin

  With a certificate of one's own:
    fanfare origin --listen 0.0.0.0:443 --cert cert.pem --key key.pem";

/// Accept tracks from creators, keep the newest groups, and serve edges and players.
///
/// Media is served over Media over QUIC Transport (draft 18), on raw QUIC and WebTransport, on one UDP port. The TCP
/// port of the same number serves HTTPS: /healthz, /readyz and /api/rooms; and /moq, a WebSocket for edges that cannot
/// use QUIC. Plain HTTP is for this machine and for proxies that are named. The admin side is a port of its own.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address for QUIC (UDP) and HTTP (TCP)
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = ::origin::DEFAULT_LISTEN)]
    listen: SocketAddr,

    #[command(flatten)]
    tcp: TcpArgs,

    #[command(flatten)]
    limits: LimitsArgs,

    #[command(flatten)]
    data: data_dir::DataDir,

    #[command(flatten)]
    certificate: data_dir::Certificate,

    /// Let anyone publish into any free room, without a token
    #[arg(long)]
    open_publish: bool,

    /// Rooms that need a token, to be watched and to take part in, here and at every edge; * stands for any characters;
    /// may be given more than once
    #[arg(long, value_name = "PATTERN")]
    private: Vec<String>,

    /// Keys that tokens are verified with, a JWKS file or a folder of such files [default: keys.json and keys.d in the data
    /// directory]. Read again when they change
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,

    #[command(flatten)]
    worker: WorkerArgs,
}

/// Serves until Ctrl-C.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let limits = args.limits.load()?;
    let dir = args.data.dir()?;
    let keys = keys::watch(&dir, args.keys)?;
    if keys.is_none() && !args.open_publish {
        return Err(Failure::usage(format!(
            "there are no keys, so no creator could publish: make keys with `fanfare token keys --data {}`, or give --open-publish",
            dir.display()
        )));
    }
    let workers = args.worker.load(&dir)?;
    let mut config = Config {
        listen: args.listen,
        tcp: args.tcp.options(args.listen, limits.connections)?,
        limits: limits.sessions,
        certificate: args.certificate.source(&dir),
        keys,
        open_publish: args.open_publish,
        private: args.private.into(),
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::run(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        config.rooms = worker::origin_rooms(workers, &dir).await?;
        let origin = Origin::bind(config).map_err(Failure::run)?;
        eprintln!("origin: media on udp {}, http on tcp {}", origin.local_addr(), origin.http_addr());
        if let Some(admin) = origin.admin_addr() {
            eprintln!("origin: admin side on {admin}");
        }
        if let Some(fingerprint) = origin.handle().fingerprint() {
            eprintln!("origin: self-signed certificate {fingerprint}");
        }
        origin.run(interrupted()).await.map_err(Failure::run)
    })
}
