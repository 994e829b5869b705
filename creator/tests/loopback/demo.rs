//! The test card: the received frames can be decoded, and their clock read.

use media::testcard::clock;
use moqt::msf;
use openh264::{decoder::Decoder, formats::YUVSource as _};

use crate::server::{Fan, Frame, Way, demo, room, show};

/// Returns a frame for a decoder: Annex B, with the parameter sets before a key frame.
fn annex_b(avcc: &[u8], frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    let mut unit = |unit: &[u8]| out.extend([&[0, 0, 0, 1], unit].concat());
    if frame.at.object == 0 {
        let sps = usize::from(u16::from_be_bytes([avcc[6], avcc[7]]));
        let pps = &avcc[8 + sps + 1..];
        unit(&avcc[8..8 + sps]);
        unit(&pps[2..2 + usize::from(u16::from_be_bytes([pps[0], pps[1]]))]);
    }
    let mut rest = &frame.payload[..];
    while let Some((len, tail)) = rest.split_first_chunk() {
        let (body, tail) = tail.split_at(u32::from_be_bytes(*len) as usize);
        unit(body);
        rest = tail;
    }
    out
}

/// Number of frames after which a test ends. A busy machine skips frames of the card, so the tests count and do not
/// time.
const ENOUGH: usize = 40;

fn reads_the_clock(fan: &Fan, track: &msf::Track) {
    let mut decoder = Decoder::new().unwrap();
    let mut read = 0;
    for (group, frames) in fan.groups(&track.name) {
        for (id, frame) in frames.iter().enumerate() {
            assert_eq!(frame.at.object, id as u64, "group {group} of {} has no holes", track.name);
            let marking = frame.header.marking.unwrap();
            assert_eq!(marking.independent, id == 0);
            assert_eq!(frame.header.video_config.is_some(), id == 0);
            let config = track.init_data.as_ref().unwrap();
            if let Some(own) = &frame.header.video_config {
                assert_eq!(own, config);
            }
            let picture =
                decoder.decode(&annex_b(config, frame)).unwrap().expect("a picture for every frame");
            let (width, height) = picture.dimensions();
            assert_eq!((Some(width as u64), Some(height as u64)), (track.width, track.height));
            let stride = picture.strides().0;
            let luma: Vec<u8> = picture.y().chunks(stride).flat_map(|row| &row[..width]).copied().collect();
            let shown = frame.header.timestamp.unwrap();
            assert_eq!(clock::read(&luma, width, height), Some(shown.as_millis()), "{}", track.name);
            read += 1;
        }
    }
    assert!(read >= ENOUGH, "{read} frames of {}", track.name);
}

async fn arrives(scheme: &str) {
    let mut fan = Fan::new(Way::Subscribe, |fan| {
        ["video/360p", "video/180p", "audio"].iter().all(|track| {
            let groups = fan.groups(track);
            groups.len() >= 4 && groups.values().map(Vec::len).sum::<usize>() >= ENOUGH
        })
    });
    show(scheme, demo(), &mut fan).await;

    assert_eq!(fan.namespace, Some(room()));
    let catalog = fan.catalog().clone();
    let names: Vec<_> = catalog.tracks.iter().map(|track| track.name.as_str()).collect();
    assert_eq!(names, ["video/360p", "video/180p", "audio"]);
    assert!(catalog.tracks.iter().all(|track| track.is_live && track.packaging == msf::Packaging::Loc));
    let [large, small, audio] = &catalog.tracks[..] else { unreachable!() };
    assert_eq!((large.alt_group, small.alt_group, audio.alt_group), (Some(1), Some(1), None));
    assert_eq!((large.bitrate, large.framerate), (Some(400_000), Some(30.0)));
    assert_eq!(
        (audio.codec.as_deref(), audio.samplerate, audio.channels()),
        (Some("opus"), Some(48_000), Some(2))
    );

    reads_the_clock(&fan, large);
    reads_the_clock(&fan, small);
    // Groups cover the same stretch of time in all tracks.
    let start = |track: &str, group: u64| {
        let frames = &fan.groups(track)[&group];
        frames.iter().find(|frame| frame.at.object == 0).and_then(|frame| frame.header.timestamp)
    };
    for group in fan.groups("video/360p").keys().filter(|group| fan.groups("audio").contains_key(group)) {
        let (large, small) = (start("video/360p", *group), start("video/180p", *group));
        assert_eq!(large, small, "group {group}");
        if let (Some(video), Some(audio)) = (large, start("audio", *group)) {
            assert!(video.0.abs_diff(audio.0) < 50_000, "group {group}: {video:?} and {audio:?}");
        }
    }
}

#[tokio::test]
async fn over_quic() {
    arrives("moqt").await;
}

#[tokio::test]
async fn over_webtransport() {
    arrives("https").await;
}
