//! Every container and codec that a creator may send, from a file and through a pipe.

mod common;

use common::{FIXTURES, demux, demux_pipe, fixture};
use media::{Container, Demuxer, Error, Kind, Packaging};

/// Name, container, codecs, whether each has a description, and the number of samples.
type Expected = (&'static str, Container, [&'static str; 2], [bool; 2], [usize; 2]);

const EXPECTED: &[Expected] = &[
    ("h264-aac.frag.mp4", Container::FragmentedMp4, ["avc1.64000a", "mp4a.40.2"], [true, true], [30, 95]),
    ("h264-opus.frag.mp4", Container::FragmentedMp4, ["avc1.64000a", "opus"], [true, false], [30, 101]),
    (
        "h264-aac.moov-first.mp4",
        Container::ProgressiveMp4,
        ["avc1.64000a", "mp4a.40.2"],
        [true, true],
        [30, 95],
    ),
    (
        "h264-aac.moov-last.mp4",
        Container::ProgressiveMp4,
        ["avc1.64000a", "mp4a.40.2"],
        [true, true],
        [30, 95],
    ),
    ("h264-aac.ts", Container::MpegTs, ["avc1.64000a", "mp4a.40.2"], [true, true], [30, 95]),
    ("h265-opus.ts", Container::MpegTs, ["hvc1.1.6.L30.90", "opus"], [true, false], [30, 101]),
    ("vp9-opus.live.webm", Container::Matroska, ["vp09.00.10.08", "opus"], [false, false], [30, 101]),
    ("av1-opus.mkv", Container::Matroska, ["av01.0.00M.08", "opus"], [false, false], [30, 101]),
    ("h265-aac.mkv", Container::Matroska, ["hvc1.1.6.L30.90", "mp4a.40.2"], [true, true], [30, 95]),
    ("h264-opus.mkv", Container::Matroska, ["avc1.64000a", "opus"], [true, false], [30, 101]),
    ("live.chunks.mp4", Container::FragmentedMp4, ["avc1.64000a", "mp4a.40.2"], [true, true], [30, 95]),
];

#[test]
fn every_container_gives_its_tracks_and_samples() {
    assert_eq!(EXPECTED.len(), FIXTURES.len());
    for (name, container, codecs, described, counts) in EXPECTED {
        let opened = Demuxer::open_file(std::io::Cursor::new(fixture(name)), Packaging::Frames).unwrap();
        assert_eq!(opened.container(), *container, "{name}");
        let output = demux(fixture(name), Packaging::Frames);
        assert!(output.error.is_none(), "{name}: {:?}", output.error);
        for track in 0..2 {
            let info = &output.tracks[track];
            assert_eq!(info.codec_string, codecs[track], "{name}");
            assert_eq!(info.description.is_some(), described[track], "{name}");
            assert_eq!(output.of(track).len(), counts[track], "{name}");
        }
        let Kind::Video { width, height, .. } = output.tracks[0].kind else { panic!("{name}: no video") };
        assert_eq!((width, height), (160, 90), "{name}");
        let Kind::Audio { sample_rate, channels, .. } = output.tracks[1].kind else {
            panic!("{name}: no audio")
        };
        assert_eq!((sample_rate, channels), (48_000, 2), "{name}");
    }
}

#[test]
fn times_run_on() {
    for fixture in FIXTURES {
        let output = demux(fixture.bytes, Packaging::Frames);
        for track in 0..2 {
            let samples = output.of(track);
            let ordered = samples.windows(2).all(|pair| pair[0].dts <= pair[1].dts);
            assert!(ordered, "{}: decoding times of track {track} fall", fixture.name);
            assert!(samples[0].keyframe, "{}: track {track} starts with a key frame", fixture.name);
            let shown = |sample: &&media::Sample| sample.pts;
            let (first, last) =
                (samples.iter().map(shown).min().unwrap(), samples.iter().map(shown).max().unwrap());
            let span = (last - first).as_millis();
            assert!((1850..2150).contains(&span), "{}: track {track} spans {span} ms", fixture.name);
            let duration: u64 = samples.iter().skip(1).map(|sample| sample.duration.0).sum();
            assert!(
                (1_850_000..2_200_000).contains(&duration),
                "{}: track {track} lasts {duration} µs",
                fixture.name
            );
        }
        let keyframes = output.of(0).iter().filter(|sample| sample.keyframe).count();
        assert_eq!(keyframes, 2, "{}", fixture.name);
        let (video, audio) = (output.of(0)[0].pts, output.of(1)[0].pts);
        assert!(video.0.abs_diff(audio.0) < 140_000, "{}: {video:?} against {audio:?}", fixture.name);
    }
}

#[test]
fn a_pipe_gives_what_a_file_gives() {
    for fixture in FIXTURES {
        let piped = demux_pipe(fixture.bytes, Packaging::Frames);
        if fixture.name.contains("moov-last") {
            assert!(matches!(piped.error, Some(Error::Unsupported { .. })), "{:?}", piped.error);
            continue;
        }
        let file = demux(fixture.bytes, Packaging::Frames);
        assert_eq!((piped.tracks, piped.samples), (file.tracks, file.samples), "{}", fixture.name);
    }
}

#[test]
fn the_same_frames_come_out_of_every_container() {
    for (reference, others) in [
        ("h264-aac.frag.mp4", &["h264-aac.moov-first.mp4", "h264-aac.moov-last.mp4", "h264-aac.ts"][..]),
        ("h264-opus.frag.mp4", &["h264-opus.mkv"]),
    ] {
        let reference = demux(fixture(reference), Packaging::Frames);
        for name in others {
            let other = demux(fixture(name), Packaging::Frames);
            for track in 0..2 {
                let data = |output: &common::Output| {
                    output.of(track).iter().map(|s| s.data.clone()).collect::<Vec<_>>()
                };
                assert!(data(&reference) == data(&other), "{name}: track {track} differs");
            }
            assert_eq!(reference.tracks[0].description, other.tracks[0].description, "{name}: avcC differs");
        }
    }
}

#[test]
fn what_cannot_be_published_is_said_so() {
    let error = |bytes: &[u8], packaging| {
        demux(bytes, packaging).error.map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(error(b"#!/bin/sh\necho", Packaging::Frames).contains("not a container we know"));
    assert!(error(b"", Packaging::Frames).contains("not a container we know"));
    assert!(error(fixture("h264-aac.ts"), Packaging::Cmaf).contains("as CMAF"));
    assert!(error(fixture("h264-aac.moov-first.mp4"), Packaging::Cmaf).contains("not fragmented"));
    assert!(error(b"\0\0\0\x08moof\0\0\0\x08mdat", Packaging::Frames).contains("no moov comes before it"));
    assert!(error(b"\0\0\0\x08free", Packaging::Frames).contains("ends before moov"));
}
