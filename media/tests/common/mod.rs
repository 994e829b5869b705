//! The fixtures, and functions to read them.
#![allow(dead_code)]

use std::io::{Cursor, Read};

use media::{Demuxer, Error, Packaging, Sample, TrackInfo};

/// A committed media file.
pub(crate) struct Fixture {
    pub(crate) name: &'static str,
    pub(crate) bytes: &'static [u8],
}

macro_rules! fixtures {
    ($($name:literal),* $(,)?) => {
        /// All committed media files.
        pub(crate) const FIXTURES: &[Fixture] =
            &[$(Fixture { name: $name, bytes: include_bytes!(concat!("../fixtures/", $name)) }),*];
    };
}

fixtures! {
    "h264-aac.frag.mp4", "h264-opus.frag.mp4", "h264-aac.moov-first.mp4", "h264-aac.moov-last.mp4",
    "h264-aac.ts", "h265-opus.ts", "vp9-opus.live.webm", "av1-opus.mkv", "h265-aac.mkv", "h264-opus.mkv",
    "live.chunks.mp4",
}

pub(crate) fn fixture(name: &str) -> &'static [u8] {
    FIXTURES.iter().find(|fixture| fixture.name == name).expect("a fixture of that name").bytes
}

/// All samples of an input, and the error that ended it.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) tracks: Vec<TrackInfo>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) error: Option<Error>,
}

impl Output {
    pub(crate) fn of(&self, track: usize) -> Vec<&Sample> {
        self.samples.iter().filter(|sample| sample.track == track).collect()
    }
}

fn drain(demuxer: Result<Demuxer, Error>) -> Output {
    let mut output = Output::default();
    match demuxer {
        Err(error) => output.error = Some(error),
        Ok(demuxer) => {
            output.tracks = demuxer.tracks().to_vec();
            for sample in demuxer {
                match sample {
                    Ok(sample) => output.samples.push(sample),
                    Err(error) => output.error = Some(error),
                }
            }
        }
    }
    output
}

/// Demuxes a file.
pub(crate) fn demux(bytes: &[u8], packaging: Packaging) -> Output {
    drain(Demuxer::open_file(Cursor::new(bytes.to_vec()), packaging))
}

/// Demuxes bytes from a pipe, a few at a time.
pub(crate) fn demux_pipe(bytes: &[u8], packaging: Packaging) -> Output {
    struct Trickle(Cursor<Vec<u8>>);
    impl Read for Trickle {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let len = buf.len().min(7);
            self.0.read(&mut buf[..len])
        }
    }
    drain(Demuxer::open(Trickle(Cursor::new(bytes.to_vec())), packaging))
}
