//! Loops two seconds of a live encoder's output.

use std::{convert::Infallible, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use media::{Demuxer, Packaging, Sample, TrackInfo};
use tokio::time::Instant;

use crate::{Peer, site::root};

/// The length of one lap of the loop.
const LAP: Duration = Duration::from_secs(2);

/// Fragmented MP4 in the pieces in which an encoder writes it: H.264 and AAC, one frame of one track in each.
#[derive(Debug)]
pub struct LoopedMedia {
    header: Bytes,
    pieces: Vec<Piece>,
    next: usize,
    start: Option<Instant>,
}

/// One frame: a `moof` box and its `mdat` box.
#[derive(Debug)]
struct Piece {
    /// The track's ID in the header.
    track: u32,
    /// The decoding time, from the start of a lap.
    at: Duration,
    timescale: u32,
    /// The offset of the decoding time in `bytes`: the field of the `tfdt` box.
    tfdt: usize,
    bytes: Bytes,
}

impl LoopedMedia {
    /// Reads the fixture `live.chunks.mp4` and cuts it into pieces.
    pub fn new() -> Result<Self> {
        let file = std::fs::read(root()?.join("media/tests/fixtures/live.chunks.mp4"))?;
        let (tracks, _) = demux(&file)?;
        let file = Bytes::from(file);
        let (mut header, mut pieces) = (0, Vec::new());
        let mut at = 0;
        let mut moof = 0;
        while let Some((kind, len)) = head(&file[at..]) {
            match kind {
                b"ftyp" | b"moov" => header = at + len,
                b"moof" => moof = at,
                b"mdat" => pieces.push(Piece::cut(file.slice(moof..at + len), &tracks)?),
                _ => {}
            }
            at += len;
        }
        // Drop the audio that sounds beyond the lap: the next lap begins there.
        pieces.retain(|piece| piece.at < LAP);
        pieces.sort_by_key(|piece| piece.at);
        ensure!(!pieces.is_empty(), "the fixture has no fragments");
        Ok(Self { header: file.slice(..header), pieces, next: 0, start: None })
    }

    /// The bytes before the first piece: `ftyp` and `moov`.
    pub fn header(&self) -> &Bytes {
        &self.header
    }

    /// The number of pieces in one lap.
    pub fn lap(&self) -> usize {
        self.pieces.len()
    }

    /// The pieces of one lap that belong to a track, given by its ID in the header.
    pub fn of(&self, track: u32) -> Vec<Bytes> {
        self.pieces.iter().filter(|piece| piece.track == track).map(|piece| piece.bytes.clone()).collect()
    }

    /// The bytes of all pieces of `laps` laps.
    pub fn laps(&mut self, laps: usize) -> Vec<u8> {
        (0..laps * self.lap()).flat_map(|_| self.piece().1).collect()
    }

    /// Writes `pieces` pieces to a peer, each when it is due, counted from the first. Returns the bytes written.
    pub async fn play(&mut self, peer: &mut Peer, pieces: usize) -> Result<Vec<u8>> {
        let mut written = Vec::new();
        for _ in 0..pieces {
            let (at, piece) = self.piece();
            let start = *self.start.get_or_insert_with(Instant::now);
            tokio::time::sleep_until(start + at).await;
            peer.write(&piece).await?;
            written.extend_from_slice(&piece);
        }
        Ok(written)
    }

    /// Writes to a peer, in real time, until the peer stops reading.
    pub async fn play_on(&mut self, peer: &mut Peer) -> Result<Infallible> {
        loop {
            self.play(peer, 1).await?;
        }
    }

    /// Takes the next piece, with the time at which it is due.
    fn piece(&mut self) -> (Duration, Bytes) {
        let piece = &self.pieces[self.next % self.pieces.len()];
        let at = piece.at + LAP * (self.next / self.pieces.len()) as u32;
        self.next += 1;
        (at, piece.moved(at))
    }
}

impl Piece {
    fn cut(bytes: Bytes, tracks: &[TrackInfo]) -> Result<Self> {
        let field = |name: &[u8], skip: usize| {
            bytes
                .windows(4)
                .position(|word| word == name)
                .map(|at| at + 4 + skip)
                .context("the fixture has a fragment without tfhd or tfdt")
        };
        // ISO/IEC 14496-12, 8.8.7 and 8.8.12: version and flags come before the number.
        let (track, tfdt) = (field(b"tfhd", 4)?, field(b"tfdt", 4)?);
        ensure!(bytes[tfdt - 4] == 1, "the fixture has decoding times of 32 bits, not 64");
        let track = u32::from_be_bytes(bytes[track..track + 4].try_into()?);
        let timescale = tracks
            .get(track as usize - 1)
            .context("a fragment of a track that the header does not have")?
            .timescale;
        let ticks = u64::from_be_bytes(bytes[tfdt..tfdt + 8].try_into()?);
        let at = Duration::from_secs_f64(ticks as f64 / f64::from(timescale));
        Ok(Self { track, at, timescale, tfdt, bytes })
    }

    /// The piece with another decoding time.
    fn moved(&self, at: Duration) -> Bytes {
        let ticks = (at.as_secs_f64() * f64::from(self.timescale)).round() as u64;
        let mut bytes = self.bytes.to_vec();
        bytes[self.tfdt..self.tfdt + 8].copy_from_slice(&ticks.to_be_bytes());
        bytes.into()
    }
}

/// The kind and length of the box at the start of `bytes`.
fn head(bytes: &[u8]) -> Option<(&[u8; 4], usize)> {
    let len = u32::from_be_bytes(*bytes.first_chunk()?);
    let kind = bytes.get(4..)?.first_chunk()?;
    (len as usize >= 8 && len as usize <= bytes.len()).then_some((kind, len as usize))
}

/// Demuxes the tracks and frames of MP4, up to the first error or the end.
pub fn demux(mp4: &[u8]) -> Result<(Vec<TrackInfo>, Vec<Sample>)> {
    let demuxer = Demuxer::open(std::io::Cursor::new(mp4.to_vec()), Packaging::Frames)?;
    let tracks = demuxer.tracks().to_vec();
    Ok((tracks, demuxer.map_while(Result::ok).collect()))
}
