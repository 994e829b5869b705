//! Comparison with `media`, which reads MP4 by another crate, on ffmpeg's output.

use std::io::Cursor;

use bytes::Bytes;
use media::{Demuxer, Packaging};
use proptest::prelude::*;

use super::*;
use crate::cmaf::reader::boxes;

/// Fragmented files; the first two have B-frames and fragments of half a second and more, the others one sample per
/// fragment.
const FILES: [(&str, &[u8]); 5] = [
    ("h264-aac", include_bytes!("../../../media/tests/fixtures/h264-aac.frag.mp4")),
    ("h264-opus", include_bytes!("../../../media/tests/fixtures/h264-opus.frag.mp4")),
    ("h265-aac", include_bytes!("../../../media/tests/fixtures/h265-aac.frag.mp4")),
    ("av1-opus", include_bytes!("../../../media/tests/fixtures/av1-opus.frag.mp4")),
    ("vp9-opus", include_bytes!("../../../media/tests/fixtures/vp9-opus.frag.mp4")),
];

/// Splits a file into its initialisation segment and the rest.
fn cut(file: &'static [u8]) -> (Bytes, Bytes) {
    let file = Bytes::from_static(file);
    let first = boxes(&file).map(Result::unwrap).find(|found| found.name == *b"moof").unwrap();
    (file.slice(..first.at), file.slice(first.at..))
}

#[test]
fn frames_are_those_that_another_reader_finds() {
    for (name, file) in FILES {
        let (segment, object) = cut(file);
        let tracks = tracks(&segment).unwrap();
        let demuxer = Demuxer::open(Cursor::new(file), Packaging::Frames).unwrap();
        let infos = demuxer.tracks().to_vec();
        let samples: Vec<_> = demuxer.map(Result::unwrap).collect();
        assert_eq!(tracks.len(), infos.len(), "{name}");
        let mut shifts = Vec::new();
        for (index, (track, info)) in tracks.iter().zip(&infos).enumerate() {
            assert_eq!(track.codec, info.codec_string, "{name}");
            assert_eq!(track.description, info.description, "{name}");
            match (track.kind, &info.kind) {
                (Kind::Video { width, height }, media::Kind::Video { width: w, height: h, .. }) => {
                    assert_eq!((width, height), (*w, *h), "{name}");
                }
                (Kind::Audio { rate, channels }, media::Kind::Audio { sample_rate, channels: count, .. }) => {
                    assert_eq!((rate, channels), (*sample_rate, *count), "{name}");
                }
                (ours, theirs) => panic!("{name}: {ours:?} and {theirs:?}"),
            }
            let frames = track.frames(&object).unwrap();
            let theirs: Vec<_> = samples.iter().filter(|sample| sample.track == index).collect();
            assert_eq!(frames.len(), theirs.len(), "{name}");
            for (ours, theirs) in frames.iter().zip(&theirs) {
                assert_eq!((&ours.data, ours.key), (&theirs.data, theirs.keyframe), "{name}");
            }
            // The other reader's times begin no earlier than 0; ours put everything before that at 0.
            shifts
                .extend(frames.iter().zip(&theirs).skip(3).map(|(ours, theirs)| theirs.pts.0 - ours.media.0));
        }
        shifts.sort_unstable();
        let (least, most) = (shifts[0], shifts[shifts.len() - 1]);
        assert!(most - least <= 2, "{name}: all are moved alike, not by {least} to {most}");
    }
}

#[test]
fn b_frames_come_in_the_order_of_decoding() {
    let (segment, object) = cut(FILES[0].1);
    let frames = tracks(&segment).unwrap()[0].frames(&object).unwrap();
    let times: Vec<u64> = frames.iter().take(4).map(|frame| frame.media.as_millis()).collect();
    assert!(times[1] > times[2], "a frame before the one that is shown before it: {times:?}");
    assert!(frames[0].key && !frames[1].key);
}

#[test]
fn an_object_may_be_one_fragment_or_several() {
    let (segment, object) = cut(FILES[2].1);
    let track = &tracks(&segment).unwrap()[0];
    let all = track.frames(&object).unwrap();
    let starts: Vec<usize> = boxes(&object)
        .map(Result::unwrap)
        .filter(|found| found.name == *b"moof")
        .map(|found| found.at)
        .chain([object.len()])
        .collect();
    let mut one_by_one = Vec::new();
    for (start, end) in starts.iter().zip(&starts[1..]) {
        one_by_one.extend(track.frames(&object.slice(*start..*end)).unwrap());
    }
    assert_eq!(one_by_one, all);
    // A segment with no other track.
    let alone = Track { id: 77, alone: true, ..track.clone() };
    assert_eq!(alone.frames(&object.slice(starts[0]..starts[1])).unwrap(), all[..1]);
}

#[test]
fn what_is_cut_short_is_refused() {
    for (name, file) in FILES {
        let (segment, object) = cut(file);
        let track = &tracks(&segment).unwrap()[0];
        for cut in (0..segment.len()).step_by(7) {
            let _ = tracks(&segment.slice(..cut));
        }
        let moov = boxes(&segment).map(Result::unwrap).find(|found| found.name == *b"moov").unwrap().at;
        assert_eq!(tracks(&segment.slice(..moov)), Err(Error::Missing("moov")), "{name}");
        let first = boxes(&object).map(Result::unwrap).find(|found| found.name == *b"mdat").unwrap();
        assert_eq!(track.frames(&object.slice(..first.at)), Err(Error::Missing("mdat")), "{name}");
        let end = first.body_at + first.body.len();
        for cut in [1, first.at - 1, first.body_at, end - 1] {
            assert!(track.frames(&object.slice(..cut)).is_err(), "{name} cut to {cut}");
        }
        assert_eq!(
            track.frames(&object.slice(first.at..)),
            Err(Error::Missing("moof before mdat")),
            "{name}"
        );
        assert_eq!(track.frames(&Bytes::new()), Ok(Vec::new()));
    }
}

#[test]
fn samples_that_only_are_claimed_are_not_made() {
    let (segment, object) = cut(FILES[1].1);
    let track = &tracks(&segment).unwrap()[0];
    let mut object = object.to_vec();
    let trun = object.windows(4).position(|name| name == b"trun").unwrap() + 4;
    object[trun + 4..trun + 8].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(track.frames(&object.into()), Err(Error::TooManySamples));
}

proptest! {
    #[test]
    fn nothing_that_comes_does_harm(
        file in 0..FILES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (segment, object) = cut(FILES[file].1);
        let whole = tracks(&segment).unwrap();
        let spoil = |bytes: &Bytes, from: usize| {
            let mut bytes = bytes.to_vec();
            for (index, byte) in &changes {
                let len = bytes.len();
                bytes[from + index.index(len - from)] = *byte;
            }
            Bytes::from(bytes)
        };
        // Spoil the headers of the boxes rather than their content.
        let spoilt = spoil(&object.slice(..600), 0);
        for track in whole.iter().chain(&tracks(&spoil(&segment, 0)).unwrap_or_default()) {
            if let Ok(frames) = track.frames(&spoilt) {
                prop_assert!(frames.len() <= MAX_SAMPLES);
                prop_assert!(frames.iter().map(|frame| frame.data.len()).max().unwrap_or(0) <= 2 * spoilt.len() + 1_000);
            }
            let _ = track.frames(&object);
            let _ = track.frames(&noise.clone().into());
        }
        let _ = tracks(&noise.into());
    }
}
