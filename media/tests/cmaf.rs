//! Fragments of MP4 pass through, one track each.

mod common;

use common::{demux, fixture};
use media::{Micros, Packaging};

#[test]
fn a_track_of_fragments_is_a_file_of_its_own() {
    for name in ["h264-aac.frag.mp4", "h264-opus.frag.mp4", "live.chunks.mp4"] {
        let frames = demux(fixture(name), Packaging::Frames);
        let chunks = demux(fixture(name), Packaging::Cmaf);
        assert!(chunks.error.is_none(), "{:?}", chunks.error);
        for track in 0..2 {
            let mut file = chunks.tracks[track].init.clone().expect("an init segment").to_vec();
            for chunk in chunks.of(track) {
                file.extend_from_slice(&chunk.data);
            }
            let alone = demux(&file, Packaging::Frames);
            assert!(alone.error.is_none(), "{name}: {:?}", alone.error);
            assert_eq!(alone.tracks.len(), 1);
            assert_eq!(alone.tracks[0], frames.tracks[track]);
            let expected = frames.of(track);
            assert_eq!(alone.samples.len(), expected.len(), "{name}");
            for (one, other) in alone.samples.iter().zip(expected) {
                assert_eq!(
                    (&one.data, one.dts, one.keyframe),
                    (&other.data, other.dts, other.keyframe),
                    "{name}"
                );
            }
            let counted: u32 = chunks.of(track).iter().map(|chunk| chunk.frames).sum();
            assert_eq!(counted as usize, alone.samples.len());
        }
    }
}

#[test]
fn every_key_frame_starts_a_fragment() {
    for name in ["h264-aac.frag.mp4", "h264-opus.frag.mp4"] {
        let chunks = demux(fixture(name), Packaging::Cmaf);
        let keyframes: Vec<Micros> =
            chunks.of(0).iter().filter(|chunk| chunk.keyframe).map(|chunk| chunk.dts).collect();
        assert_eq!(keyframes.len(), 2, "{name}");
        assert_eq!(keyframes[1] - keyframes[0], Micros::SECOND, "{name}");
    }
}

#[test]
fn a_fragment_of_one_track_passes_verbatim() {
    let chunks = demux(fixture("h264-aac.frag.mp4"), Packaging::Cmaf);
    let mut file = chunks.tracks[1].init.clone().unwrap().to_vec();
    let init = file.len();
    chunks.of(1).iter().for_each(|chunk| file.extend_from_slice(&chunk.data));
    let again = demux(&file, Packaging::Cmaf);
    let through: Vec<u8> = again.samples.iter().flat_map(|chunk| chunk.data.to_vec()).collect();
    assert!(through == file[init..], "the fragments were changed");
}
