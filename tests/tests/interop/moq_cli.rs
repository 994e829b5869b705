//! `moq` of moq-dev, which publishes and plays with catalogs of its own, on whatever draft it agrees on.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use fanfare_tests::{Door, House, Peer, Tape, demux};
use media::Sample;

/// What a player is to have written before we look at it: more than two seconds.
const BYTES: usize = 45_000;
/// How many frames of each track that are.
const LEAST_FRAMES: usize = 20;

#[tokio::test]
#[ignore = "takes moq-cli, which `cargo xtask interop` builds"]
async fn frames_come_through_the_origin() -> Result<()> {
    frames_come_through(Door::Origin, Door::Origin, "https", 0).await
}

#[tokio::test]
#[ignore = "takes moq-cli, which `cargo xtask interop` builds"]
async fn frames_come_from_one_edge_to_another() -> Result<()> {
    frames_come_through(Door::Creators, Door::Fans, "https", 0).await
}

#[tokio::test]
#[ignore = "takes moq-cli, which `cargo xtask interop` builds"]
async fn frames_come_from_one_edge_to_another_over_raw_quic() -> Result<()> {
    frames_come_through(Door::Creators, Door::Fans, "moqt", 0).await
}

/// It subscribes from the newest object on, and fetches the group from its start to there.
#[tokio::test]
#[ignore = "takes moq-cli, which `cargo xtask interop` builds"]
async fn who_comes_late_to_an_edge_misses_nothing_from_then_on() -> Result<()> {
    frames_come_through(Door::Creators, Door::Fans, "https", 170).await
}

#[tokio::test]
#[ignore = "takes moq-cli, which `cargo xtask interop` builds"]
async fn who_comes_late_to_the_origin_misses_nothing_from_then_on() -> Result<()> {
    frames_come_through(Door::Origin, Door::Origin, "https", 170).await
}

/// A player that comes after so many pieces gets all that come afterwards.
async fn frames_come_through(creators: Door, fans: Door, scheme: &str, pieces: usize) -> Result<()> {
    let house = House::empty().await?;
    let mut tape = Tape::new()?;
    let mut publisher = Peer::moq(&house, creators, scheme, &["import", "fmp4"])?;
    publisher.write(tape.header()).await?;
    tape.play(&mut publisher, pieces).await?;
    let mut player = Peer::moq(&house, fans, scheme, &["export", "fmp4"])?;
    let received = tokio::select! {
        received = player.read(BYTES) => received?,
        ended = tape.play_on(&mut publisher) => match ended? {},
    };
    for peer in [&publisher, &player] {
        peer.says(&["connected version=moq-transport-18"]).await?;
    }
    let mut sent = tape.header().to_vec();
    sent.extend(Tape::new()?.laps(4));
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

/// Which frames of what was sent came, for people to look at.
fn runs(track: usize, sent: &[Bytes], received: &[Bytes]) -> String {
    let places: Vec<_> = received.iter().map(|frame| sent.iter().position(|other| other == frame)).collect();
    format!("track {track} has gaps: {places:?}")
}
