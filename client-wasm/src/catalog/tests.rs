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
