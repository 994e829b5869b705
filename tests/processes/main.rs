//! Tests of the binary itself: an origin and edges as processes.

mod chaos;
mod cloudflare;
mod count;
mod crowd;
mod load;
mod parts;
mod rivals;
mod soak;
mod strangers;

use std::time::Duration;

use anyhow::Result;
use creator::{Publish, Source};
use media::testcard::{Config, Rendition};
use moqt::Namespace;
use quic::Trust;
use token::{Claims, Role};

use parts::Parts;

const ROOM: &str = "stage";
/// The lifetime of tokens.
const LIFE: Duration = Duration::from_hours(2);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Starts a creator, which opens the room.
fn begin_show(parts: &Parts) -> Result<tokio::task::JoinHandle<()>> {
    let renditions = vec![Rendition { width: 160, height: 90, bitrate: 60_000 }];
    let source = Source::demo(Config { renditions, title: "TEST".into(), ..Config::default() })?;
    let publish = Publish {
        url: parts.edges()?.remove(0),
        tls: Trust::Anyone.client_config()?,
        room: Namespace::from_path(ROOM)?,
        token: Some(parts.keys.mint(&Claims::new(ROOM, Role::Creator, "a creator", LIFE))?),
        takeover: false,
    };
    Ok(tokio::task::spawn_local(async move {
        let ended = creator::publish(publish, source, |_| {}, std::future::pending()).await;
        eprintln!("the creator is gone: {ended:?}");
    }))
}
