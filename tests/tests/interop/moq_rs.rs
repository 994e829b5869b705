//! `moq-pub` and `moq-sub` of moq-rs: fragments of MP4 through a pipe, over ours, and out of a pipe.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fanfare_tests::{Door, House, Peer, ROOM, Tape, demux};
use media::{Sample, TrackInfo};
use tokio::time::timeout;

/// Everything is there within that.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn every_frame_comes_through_the_origin() -> Result<()> {
    every_frame_comes_through(Door::Origin, Door::Origin, "https").await
}

#[tokio::test]
async fn every_frame_comes_from_one_edge_to_another() -> Result<()> {
    every_frame_comes_through(Door::Creators, Door::Fans, "https").await
}

#[tokio::test]
async fn every_frame_comes_from_one_edge_to_another_over_raw_quic() -> Result<()> {
    every_frame_comes_through(Door::Creators, Door::Fans, "moqt").await
}

async fn every_frame_comes_through(creators: Door, fans: Door, scheme: &str) -> Result<()> {
    let house = House::empty().await?;
    let mut tape = Tape::new()?;
    let mut publisher = Peer::moq_pub(&house, creators, scheme).await?;
    publisher.write(tape.header()).await?;
    let mut player = play(&house, fans, scheme)?;
    // From now on it misses nothing.
    for track in ["track_name=1.m4s", "track_name=2.m4s"] {
        publisher.says(&["msg_type=\"SUBSCRIBE\"", track]).await?;
    }
    let mut sent = tape.header().to_vec();
    sent.extend(tape.play(&mut publisher, tape.lap() * 2).await?);
    let (sent_tracks, sent) = demux(&sent)?;
    // What it got last it keeps until there is more to write.
    let (tracks, received) = tokio::select! {
        received = timeout(PATIENCE, read_all(&mut player, &sent)) => received.context("not all comes")??,
        ended = tape.play_on(&mut publisher) => match ended? {},
    };
    assert_eq!(tracks, sent_tracks);
    for track in 0..tracks.len() {
        let all = of(&sent, track).eq(of(&received, track).take(of(&sent, track).count()));
        ensure!(all, "track {track} is not what was published");
    }
    println!("{} frames from {creators:?} to {fans:?} over {scheme}", received.len());
    Ok(())
}

/// Reads until there are as many frames of each track: tracks do not come in step.
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
    let house = House::empty().await?;
    for door in [Door::Origin, Door::Creators] {
        let url = format!("https://localhost:{}/", house.door(door).port());
        let publisher = Peer::start("moq-pub", ["--tls-disable-verify", "--name", ROOM, &url])?;
        publisher.says(&["msg_type=\"REQUEST_ERROR\"", "error_code=1 ", "publishing needs a token"]).await?;
    }
    Ok(())
}

/// Somebody who plays into a pipe.
fn play(house: &House, door: Door, scheme: &str) -> Result<Peer> {
    let url = format!("{scheme}://localhost:{}/", house.door(door).port());
    Peer::start("moq-sub", ["--tls-disable-verify", "--name", ROOM, &url])
}
