//! `moq` of moq-dev, which publishes and plays with catalogs of its own, on any draft that both ends support.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use fanfare_tests::{LoopedMedia, Node, Peer, Stack, demux};
use media::Sample;

/// The bytes that a player writes before the test reads them: more than two seconds.
const BYTES: usize = 45_000;
/// The fewest frames of each track in those bytes.
const LEAST_FRAMES: usize = 20;

#[tokio::test]
#[ignore = "takes moq-cli, which `cargo xtask interop` builds"]
async fn frames_come_through_the_origin() -> Result<()> {
    frames_come_through(Node::Origin, Node::Origin, "https", 0).await
}

#[tokio::test]
#[ignore = "takes moq-cli, which `cargo xtask interop` builds"]
async fn frames_come_from_one_edge_to_another() -> Result<()> {
    frames_come_through(Node::CreatorEdge, Node::FanEdge, "https", 0).await
}

#[tokio::test]
#[ignore = "takes moq-cli, which `cargo xtask interop` builds"]
async fn frames_come_from_one_edge_to_another_over_raw_quic() -> Result<()> {
    frames_come_through(Node::CreatorEdge, Node::FanEdge, "moqt", 0).await
}

/// `moq` subscribes from the newest object on, and fetches the group from its start to there.
#[tokio::test]
#[ignore = "takes moq-cli, which `cargo xtask interop` builds"]
async fn who_comes_late_to_an_edge_misses_nothing_from_then_on() -> Result<()> {
    frames_come_through(Node::CreatorEdge, Node::FanEdge, "https", 170).await
}

#[tokio::test]
#[ignore = "takes moq-cli, which `cargo xtask interop` builds"]
async fn who_comes_late_to_the_origin_misses_nothing_from_then_on() -> Result<()> {
    frames_come_through(Node::Origin, Node::Origin, "https", 170).await
}

/// Checks that a player which starts after `pieces` pieces gets every piece after them.
async fn frames_come_through(creators: Node, fans: Node, scheme: &str, pieces: usize) -> Result<()> {
    let stack = Stack::empty().await?;
    let mut media = LoopedMedia::new()?;
    let mut publisher = Peer::moq(&stack, creators, scheme, &["import", "fmp4"])?;
    publisher.write(media.header()).await?;
    media.play(&mut publisher, pieces).await?;
    let mut player = Peer::moq(&stack, fans, scheme, &["export", "fmp4"])?;
    let received = tokio::select! {
        received = player.read(BYTES) => received?,
        ended = media.play_on(&mut publisher) => match ended? {},
    };
    for peer in [&publisher, &player] {
        peer.says(&["connected version=moq-transport-18"]).await?;
    }
    let mut sent = media.header().to_vec();
    sent.extend(LoopedMedia::new()?.laps(4));
    let (sent, received) = (demux(&sent)?.1, demux(&received)?.1);
    for track in 0..2 {
        let of = |samples: &[Sample]| -> Vec<Bytes> {
            samples.iter().filter(|sample| sample.track == track).map(|sample| sample.data.clone()).collect()
        };
        let (sent, received) = (of(&sent), of(&received));
        ensure!(received.len() >= LEAST_FRAMES, "{} frames of track {track}", received.len());
        let found = sent.windows(received.len()).position(|run| run == received);
        let first = found.with_context(|| runs(track, &sent, &received))?;
        println!("track {track}: {} frames from {first} on", received.len());
    }
    Ok(())
}

/// The positions of the received frames among the sent ones, for the error message.
fn runs(track: usize, sent: &[Bytes], received: &[Bytes]) -> String {
    let positions: Vec<_> =
        received.iter().map(|frame| sent.iter().position(|other| other == frame)).collect();
    format!("track {track} has gaps: {positions:?}")
}
