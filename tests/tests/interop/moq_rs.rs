//! `moq-pub` and `moq-sub` of moq-rs: fragmented MP4 through a pipe, over our nodes, and out of a pipe.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fanfare_tests::{LoopedMedia, Node, Peer, ROOM, Stack, demux};
use media::{Sample, TrackInfo};
use tokio::time::timeout;

/// The longest until all frames have arrived.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn every_frame_comes_through_the_origin() -> Result<()> {
    every_frame_comes_through(Node::Origin, Node::Origin, "https").await
}

#[tokio::test]
async fn every_frame_comes_from_one_edge_to_another() -> Result<()> {
    every_frame_comes_through(Node::CreatorEdge, Node::FanEdge, "https").await
}

#[tokio::test]
async fn every_frame_comes_from_one_edge_to_another_over_raw_quic() -> Result<()> {
    every_frame_comes_through(Node::CreatorEdge, Node::FanEdge, "moqt").await
}

async fn every_frame_comes_through(creators: Node, fans: Node, scheme: &str) -> Result<()> {
    let stack = Stack::empty().await?;
    let mut media = LoopedMedia::new()?;
    let mut publisher = Peer::moq_pub(&stack, creators, scheme).await?;
    publisher.write(media.header()).await?;
    let mut player = play(&stack, fans, scheme)?;
    // Both subscriptions are in place: from now on the player misses nothing.
    for track in ["track_name=1.m4s", "track_name=2.m4s"] {
        publisher.says(&["msg_type=\"SUBSCRIBE\"", track]).await?;
    }
    let mut sent = media.header().to_vec();
    sent.extend(media.play(&mut publisher, media.lap() * 2).await?);
    let (sent_tracks, sent) = demux(&sent)?;
    // The player keeps back its last piece until there is more to write, so more is sent.
    let (tracks, received) = tokio::select! {
        received = timeout(PATIENCE, read_all(&mut player, &sent)) => received.context("not all comes")??,
        ended = media.play_on(&mut publisher) => match ended? {},
    };
    assert_eq!(tracks, sent_tracks);
    for track in 0..tracks.len() {
        let all = of(&sent, track).eq(of(&received, track).take(of(&sent, track).count()));
        ensure!(all, "track {track} is not what was published");
    }
    println!("{} frames from {creators:?} to {fans:?} over {scheme}", received.len());
    Ok(())
}

/// Reads until each track has as many frames as were sent: tracks do not come in step.
async fn read_all(player: &mut Peer, sent: &[Sample]) -> Result<(Vec<TrackInfo>, Vec<Sample>)> {
    const STEP: usize = 4096;
    let mut mp4 = player.read(sent.iter().map(|sample| sample.data.len()).sum()).await?;
    loop {
        let (tracks, received) = demux(&mp4)?;
        if (0..tracks.len()).all(|track| of(&received, track).count() >= of(sent, track).count()) {
            return Ok((tracks, received));
        }
        mp4.extend(player.read(STEP).await?);
    }
}

fn of(samples: &[Sample], track: usize) -> impl Iterator<Item = &Sample> {
    samples.iter().filter(move |sample| sample.track == track)
}

#[tokio::test]
async fn who_has_no_token_publishes_nothing() -> Result<()> {
    let stack = Stack::empty().await?;
    for node in [Node::Origin, Node::CreatorEdge] {
        let url = format!("https://localhost:{}/", stack.addr_of(node).port());
        let publisher = Peer::start("moq-pub", ["--tls-disable-verify", "--name", ROOM, &url])?;
        publisher.says(&["msg_type=\"REQUEST_ERROR\"", "error_code=1 ", "publishing needs a token"]).await?;
    }
    Ok(())
}

/// Starts a player that writes into a pipe.
fn play(stack: &Stack, node: Node, scheme: &str) -> Result<Peer> {
    let url = format!("{scheme}://localhost:{}/", stack.addr_of(node).port());
    Peer::start("moq-sub", ["--tls-disable-verify", "--name", ROOM, &url])
}
