//! Catalogs as other implementations write them, and as ours does.

use moqt::msf::Role;

use super::*;

fn track(name: &str, role: Role) -> Track {
    Track { name: name.into(), role: Some(role), codec: Some("avc1.42c01f".into()), ..Track::default() }
}

fn parse(json: &[u8]) -> Catalog {
    Catalog::parse(json, &Inits::new()).unwrap()
}

#[test]
fn the_best_rendition_is_first_and_what_cannot_be_played_is_left_out() {
    let sized = |name, height| Track { height: Some(height), ..track(name, Role::Video) };
    let cmaf = Track { packaging: Packaging::Cmaf, ..sized("without a segment", 2160) };
    let audio = Track { codec: Some("opus".into()), ..track("audio", Role::Audio) };
    let catalog = msf::Catalog {
        tracks: vec![sized("low", 180), cmaf, audio, sized("high", 720)],
        ..msf::Catalog::default()
    };
    let catalog = parse(&catalog.encode());
    let names: Vec<&str> = catalog.video.iter().map(|video| video.name.as_str()).collect();
    assert_eq!(names, ["high", "low"]);
    assert_eq!(catalog.video[0].label(), "720p");
    let audio = catalog.audio.unwrap();
    assert_eq!((audio.rate, audio.channels), (48_000, 2));
}

const MOQ_PUB: &[u8] = include_bytes!("../../tests/catalogs/moq-pub.json");
const MOQ_CLI_FMP4: [&[u8]; 2] = [
    include_bytes!("../../tests/catalogs/moq-cli-fmp4.msf.json"),
    include_bytes!("../../tests/catalogs/moq-cli-fmp4.hang.json"),
];
const MOQ_CLI_TS: [&[u8]; 2] = [
    include_bytes!("../../tests/catalogs/moq-cli-ts.msf.json"),
    include_bytes!("../../tests/catalogs/moq-cli-ts.hang.json"),
];
/// A segment of picture and sound with fragments, which are not used here.
const SEGMENT: &[u8] = include_bytes!("../../../media/tests/fixtures/h264-aac.frag.mp4");

#[test]
fn the_catalog_of_moq_pub_is_played_once_its_segment_is_there() {
    let before = parse(MOQ_PUB);
    assert_eq!(before.missing, ["0.mp4"]);
    assert!(before.video.is_empty() && before.audio.is_none());

    let inits = |segment| Inits::from([("0.mp4".to_owned(), segment)]);
    let catalog = Catalog::parse(MOQ_PUB, &inits(Some(Bytes::from_static(SEGMENT)))).unwrap();
    assert_eq!(catalog.missing, [] as [String; 0]);
    let (video, audio) = (&catalog.video[0], catalog.audio.unwrap());
    assert_eq!((video.name.as_str(), video.width, video.height), ("1.m4s", 160, 90));
    assert!(video.codec.starts_with("avc1.") && video.description.is_some(), "{video:?}");
    assert_eq!((audio.name.as_str(), audio.codec.as_str()), ("2.m4s", "mp4a.40.2"));
    assert_eq!((audio.rate, audio.channels), (48_000, 2));

    for segment in [None, Some(Bytes::from_static(b"no MP4"))] {
        let catalog = Catalog::parse(MOQ_PUB, &inits(segment)).unwrap();
        assert_eq!((catalog.video.len(), catalog.audio, catalog.missing.len()), (0, None, 0), "in vain");
    }
}

#[test]
fn both_catalogs_of_moq_cli_say_the_same_of_fragments() {
    let [msf, hang] = MOQ_CLI_FMP4.map(parse);
    for catalog in [&msf, &hang] {
        let (video, audio) = (&catalog.video[0], catalog.audio.as_ref().unwrap());
        assert!(matches!(video.format, Format::Cmaf(_)) && matches!(audio.format, Format::Cmaf(_)));
        assert_eq!((video.name.as_str(), video.codec.as_str()), ("0.m4s", "avc1.64000b"));
        assert_eq!((audio.name.as_str(), audio.codec.as_str()), ("1.m4s", "mp4a.40.2"));
        assert_eq!(catalog.missing, [] as [String; 0]);
    }
    assert_eq!(msf.video[0].description, hang.video[0].description);
}

#[test]
fn both_catalogs_of_moq_cli_say_the_same_of_frames() {
    let [msf, hang] = MOQ_CLI_TS.map(parse);
    for catalog in [&msf, &hang] {
        let (video, audio) = (&catalog.video[0], catalog.audio.as_ref().unwrap());
        assert_eq!((&video.format, &audio.format), (&Format::HangLegacy, &Format::HangLegacy));
        assert_eq!((video.codec.as_str(), &video.description), ("avc3.64000b", &None), "in Annex B form");
        assert_eq!(audio.description, Some(Bytes::from_static(&[0x11, 0x90])), "an AudioSpecificConfig");
    }
}

#[test]
fn segments_that_are_asked_for_are_few() {
    let tracks = (0..40).map(|number| Track {
        packaging: Packaging::Cmaf,
        init_track: Some(format!("{}.mp4", number % 20)),
        ..track(&number.to_string(), Role::Video)
    });
    let catalog = msf::Catalog { tracks: tracks.collect(), ..msf::Catalog::default() }.encode();
    let missing = parse(&catalog).missing;
    assert_eq!(missing.len(), MAX_INIT_TRACKS);
    let inits = missing.into_iter().map(|name| (name, None)).collect();
    assert_eq!(
        Catalog::parse(&catalog, &inits).unwrap().missing,
        [] as [String; 0],
        "no others in their place"
    );
}
