//! The test card, encoded and decoded again: picture, sound and timing can be measured from it.

use std::collections::BTreeMap;

use media::testcard::{Config, Rendition, TestCard, audio, clock};
use media::{Error, Groups, Kind, Micros, Sample};
use openh264::decoder::Decoder;
use openh264::formats::YUVSource as _;

/// A time in 2026, a third of a second after a full one.
const START: Micros = Micros(1_790_000_000_333_000);

/// Runs a card for a while, at the times that it asks for.
fn record(card: &mut TestCard, length: Micros) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut now = START;
    while now < START + length {
        card.handle(now).unwrap();
        samples.extend(std::iter::from_fn(|| card.poll()));
        now = card.next_due().unwrap();
    }
    samples
}

/// Returns a key frame for a decoder without state: parameter sets from avcC, then the length-prefixed units.
fn annex_b(avcc: &[u8], sample: &Sample) -> Vec<u8> {
    let mut out = Vec::new();
    let mut unit = |unit: &[u8]| out.extend([&[0, 0, 0, 1], unit].concat());
    if sample.keyframe {
        let sps = usize::from(u16::from_be_bytes([avcc[6], avcc[7]]));
        let pps = &avcc[8 + sps + 1..];
        unit(&avcc[8..8 + sps]);
        unit(&pps[2..2 + usize::from(u16::from_be_bytes([pps[0], pps[1]]))]);
    }
    let mut rest = &sample.data[..];
    while let Some((len, tail)) = rest.split_first_chunk() {
        let (body, tail) = tail.split_at(u32::from_be_bytes(*len) as usize);
        unit(body);
        rest = tail;
    }
    out
}

#[test]
fn the_clock_can_be_read_at_every_rendition() {
    let config = Config::default();
    let mut card = TestCard::new(config.clone()).unwrap();
    let samples = record(&mut card, Micros(2_100_000));
    for (track, rendition) in config.renditions.iter().enumerate() {
        let info = &card.tracks()[track];
        assert_eq!(&info.codec_string[..9], "avc1.42c0", "constrained baseline");
        let mut decoder = Decoder::new().unwrap();
        let mut read = 0;
        for sample in samples.iter().filter(|sample| sample.track == track) {
            let data = annex_b(info.description.as_ref().unwrap(), sample);
            let picture = decoder.decode(&data).unwrap().expect("a picture for every frame");
            let (width, height) = picture.dimensions();
            assert_eq!((width as u32, height as u32), (rendition.width, rendition.height));
            let stride = picture.strides().0;
            let luma: Vec<u8> = picture.y().chunks(stride).flat_map(|row| &row[..width]).copied().collect();
            assert_eq!(clock::read(&luma, width, height), Some(sample.pts.as_millis()), "{rendition:?}");
            read += 1;
        }
        assert!(read >= 62, "{rendition:?}: {read} frames");
    }
}

#[test]
fn groups_are_aligned_and_start_with_key_frames() {
    let mut card = TestCard::new(Config::default()).unwrap();
    let samples = record(&mut card, Micros(3_000_000));
    let mut groups = Groups::new(card.tracks(), 0);
    let mut starts: BTreeMap<u64, Vec<(usize, Micros)>> = BTreeMap::new();
    for sample in &samples {
        let Some(position) = groups.position(sample) else { continue };
        let video = sample.track < 3;
        assert!(!video || sample.keyframe == (position.object == 0), "only key frames open groups");
        if video && position.object == 0 {
            starts.entry(position.group).or_default().push((sample.track, sample.pts));
        }
    }
    assert_eq!(starts.len(), 4);
    for (group, renditions) in &starts {
        assert_eq!(renditions.len(), 3, "group {group}");
        let at = renditions[0].1;
        assert!(renditions.iter().all(|(_, pts)| *pts == at));
        assert!(*group == 0 || at.0 % 1_000_000 == 0, "groups start at full seconds: {at:?}");
    }
}

#[test]
fn beeps_sound_at_full_seconds() {
    let mut card = TestCard::new(Config::default()).unwrap();
    let samples = record(&mut card, Micros(3_200_000));
    let sound: Vec<&Sample> = samples.iter().filter(|sample| sample.track == 3).collect();
    let mut decoder = opus_rs::OpusDecoder::new(48_000, 2).unwrap();
    let mut pcm = vec![0.0; 960 * 2];
    let mut onsets = Vec::new();
    let mut quiet = 0;
    for sample in &sound {
        let len = decoder.decode(&sample.data, 960, &mut pcm).unwrap();
        assert_eq!(len, 960);
        for (index, frame) in pcm.chunks(2).enumerate() {
            if frame[0].abs() < 0.1 {
                quiet += 1;
                continue;
            }
            if quiet > 4800 {
                onsets.push(sample.pts + Micros::from_ticks(index as u64, audio::SAMPLE_RATE));
            }
            quiet = 0;
        }
    }
    let expected: Vec<Micros> = audio::beep_times(START, START + Micros(3_150_000)).collect();
    assert_eq!(onsets.len(), expected.len(), "{onsets:?}");
    for (onset, expected) in onsets.iter().zip(expected) {
        let off = onset.0.abs_diff(expected.0);
        assert!(off < 2_000, "a beep {off} µs from its second");
    }
    assert_eq!(card.tracks()[3].codec_string, "opus");
}

#[test]
fn late_calls_skip_frames_instead_of_piling_up() {
    let config = Config {
        renditions: vec![Rendition { width: 128, height: 72, bitrate: 50_000 }],
        ..Config::default()
    };
    let mut card = TestCard::new(config).unwrap();
    card.handle(START).unwrap();
    card.handle(START + Micros(60_000_000)).unwrap();
    let frames = std::iter::from_fn(|| card.poll()).filter(|sample| sample.track == 0).collect::<Vec<_>>();
    assert!(frames.len() <= 2, "{} frames after a minute away", frames.len());
    assert!(frames.iter().all(|frame| frame.keyframe), "each is in a group of its own");
}

#[test]
fn impossible_wishes_are_refused() {
    let refused = |config: Config| matches!(TestCard::new(config), Err(Error::Config { .. }));
    let sized = |width, height| vec![Rendition { width, height, bitrate: 100_000 }];
    assert!(refused(Config { framerate: 0, ..Config::default() }));
    assert!(refused(Config { gop: Micros::ZERO, ..Config::default() }));
    assert!(refused(Config { renditions: sized(641, 360), ..Config::default() }));
    assert!(refused(Config { renditions: sized(640, 8000), ..Config::default() }));
    assert!(refused(Config { audio_bitrate: 1, ..Config::default() }));
    let sound_only = TestCard::new(Config { renditions: Vec::new(), ..Config::default() }).unwrap();
    assert!(matches!(sound_only.tracks()[0].kind, Kind::Audio { .. }));
}

#[test]
fn a_thread_can_run_it() {
    fn sent<T: Send>() {}
    sent::<TestCard>();
    sent::<media::Demuxer>();
}
