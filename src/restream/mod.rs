//! `fanfare restream`.

use std::io;

use clap::Args as ClapArgs;
use restream::{Address, Options};

use crate::{Failure, signal::interrupted, trust::TrustArgs};

mod line;

use line::Line;

const EXAMPLES: &str = "\
Examples:
  A room of an origin of ours to a relay of somebody else's:
    fanfare restream --from moqt://origin.example:4443/show --to https://relay.example/guest

  A room of theirs to our origin, which takes a token for publishing:
    FANFARE_TO_TOKEN=… fanfare restream --from https://relay.example/show \\
      --to moqt://origin.example:4443/show

  A track that no catalog names:
    fanfare restream --track clock --from https://relay.example/clock --to moqt://localhost:4443/clock";

/// Carry a room from one MoQ relay to another, frame for frame.
///
/// Both ends are relays that speak MoQ Transport, draft 18: origins and edges of ours, Cloudflare's moq-relay-ietf,
/// moq-dev's moq-relay. Streams, groups, objects and their properties are the same at both, and nothing is encoded
/// anew. The room may have another name at the destination.
///
/// The catalogs of the room are carried (MSF, hang and the common catalog) and all tracks that they name, now or later.
/// The room is announced at the destination once the source has it, and a track is subscribed to at the source while
/// the destination is subscribed to it. A destination that is too slow skips to the newest group.
///
/// A connection that is lost is made again. Ctrl-C withdraws the room and ends both sessions.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The source, and the room there as the path: https://HOST:PORT/ROOM for WebTransport,
    /// moqt://HOST:PORT/ROOM for raw QUIC. A token may be in it as ?jwt=TOKEN
    #[arg(long, value_name = "URL")]
    from: Address,

    /// The destination, and the room there, likewise
    #[arg(long, value_name = "URL")]
    to: Address,

    /// The right to watch the room at the source, a JWT. Best given in the environment, where other users of
    /// this machine do not see it
    #[arg(long, value_name = "JWT", env = "FANFARE_FROM_TOKEN", hide_env_values = true)]
    from_token: Option<String>,

    /// The right to publish in the room at the destination, likewise
    #[arg(long, value_name = "JWT", env = "FANFARE_TO_TOKEN", hide_env_values = true)]
    to_token: Option<String>,

    /// Carry this track too, though no catalog names it; may be given more than once. With it, the room is
    /// announced even without a catalog
    #[arg(long = "track", value_name = "NAME")]
    tracks: Vec<String>,

    #[command(flatten)]
    trust: TrustArgs,
}

/// Carries the room until Ctrl-C, or until a relay refuses for good.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let tls = args.trust.trust().client_config().map_err(Failure::run)?;
    let with = |address: Address, token: Option<String>| match token {
        Some(token) => address.with_token(token),
        None => address,
    };
    let options = Options {
        from: with(args.from, args.from_token),
        to: with(args.to, args.to_token),
        tls,
        tracks: args.tracks,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::run(format!("cannot start: {error}")))?;
    let mut line = Line::new(io::stderr(), &options);
    runtime.block_on(async {
        let ended = restream::restream(options, |report| line.show(report), interrupted()).await;
        line.end();
        ended.map_err(Failure::run)
    })
}
