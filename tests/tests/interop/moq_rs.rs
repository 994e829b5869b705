//! `moq-pub` and `moq-sub` of moq-rs: fragments of MP4 through a pipe, over ours, and out of a pipe.

use anyhow::{Result, ensure};
use fanfare_tests::{Door, House, Peer, ROOM, Tape, demux};
use media::Sample;

/// Frames of a track that may be cut off where reading ended, since tracks do not come in step.
const AT_THE_END: usize = 4;

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
    let mut publisher = publish(&house, creators, scheme).await?;
    publisher.write(tape.header()).await?;
    let mut player = play(&house, fans, scheme)?;
    // From now on it misses nothing.
    for track in ["track_name=1.m4s", "track_name=2.m4s"] {
        publisher.says(&["msg_type=\"SUBSCRIBE\"", track]).await?;
    }
    let mut sent = tape.header().to_vec();
    sent.extend(tape.play(&mut publisher, tape.lap() * 2).await?);
    // What it got last it keeps until there is more to write.
    let received = tokio::select! {
        received = player.read(sent.len()) => received?,
        ended = tape.play_on(&mut publisher) => match ended? {},
    };
    let ((sent_tracks, sent), (tracks, received)) = (demux(&sent)?, demux(&received)?);
    assert_eq!(tracks, sent_tracks);
    for track in 0..tracks.len() {
        let of = |samples: &[Sample]| -> Vec<Sample> {
            samples.iter().filter(|sample| sample.track == track).cloned().collect()
        };
        let (sent, received) = (of(&sent), of(&received));
        let both = sent.len().min(received.len());
        ensure!(sent[..both] == received[..both], "track {track} is not what was published");
        ensure!(both + AT_THE_END > sent.len(), "{both} frames of {} of track {track}", sent.len());
    }
    println!("{} frames from {creators:?} to {fans:?} over {scheme}", received.len());
    Ok(())
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

/// Somebody who publishes a pipe, and has been let in.
pub(crate) async fn publish(house: &House, door: Door, scheme: &str) -> Result<Peer> {
    let url = format!("{scheme}://localhost:{}/?jwt={}", house.door(door).port(), house.token()?);
    let peer = Peer::start("moq-pub", ["--tls-disable-verify", "--name", ROOM, &url])?;
    peer.says(&["direction=\"recv\" msg_type=\"REQUEST_OK\""]).await?;
    Ok(peer)
}

/// Somebody who plays into a pipe.
fn play(house: &House, door: Door, scheme: &str) -> Result<Peer> {
    let url = format!("{scheme}://localhost:{}/", house.door(door).port());
    Peer::start("moq-sub", ["--tls-disable-verify", "--name", ROOM, &url])
}
