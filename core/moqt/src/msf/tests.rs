//! Tests of catalogs: the wire form, and the other formats that are read.

use super::*;

fn catalog() -> Catalog {
    let video = |name: &str, width, height, bitrate| Track {
        name: name.into(),
        is_live: true,
        role: Some(Role::Video),
        render_group: Some(1),
        alt_group: Some(1),
        codec: Some("avc1.42c01f".into()),
        width: Some(width),
        height: Some(height),
        framerate: Some(30.0),
        bitrate: Some(bitrate),
        init_data: Some(Bytes::from_static(&[1, 0x42, 0xC0, 0x1F])),
        target_latency: Some(120),
        ..Track::default()
    };
    let audio = Track {
        name: "audio".into(),
        is_live: true,
        role: Some(Role::Audio),
        render_group: Some(1),
        codec: Some("opus".into()),
        bitrate: Some(48_000),
        samplerate: Some(48_000),
        channel_config: Some("2".into()),
        lang: Some("en".into()),
        target_latency: Some(120),
        ..Track::default()
    };
    let tracks = vec![
        video("video/720p", 1280, 720, 1_500_000),
        Track { framerate: Some(29.97), ..video("video/360p", 640, 360, 600_000) },
        audio,
    ];
    Catalog { generated_at: Some(1_790_000_000_333), is_complete: false, tracks }
}

/// The bytes of [`catalog`], which readers elsewhere rely on.
const GOLDEN: &str = concat!(
    r#"{"version":"draft-01","generatedAt":1790000000333,"tracks":["#,
    r#"{"name":"video/720p","packaging":"loc","isLive":true,"targetLatency":120,"role":"video","#,
    r#""renderGroup":1,"altGroup":1,"initRef":"init0","codec":"avc1.42c01f","width":1280,"height":720,"#,
    r#""framerate":30,"bitrate":1500000},"#,
    r#"{"name":"video/360p","packaging":"loc","isLive":true,"targetLatency":120,"role":"video","#,
    r#""renderGroup":1,"altGroup":1,"initRef":"init0","codec":"avc1.42c01f","width":640,"height":360,"#,
    r#""framerate":29.97,"bitrate":600000},"#,
    r#"{"name":"audio","packaging":"loc","isLive":true,"targetLatency":120,"role":"audio","#,
    r#""renderGroup":1,"codec":"opus","bitrate":48000,"samplerate":48000,"channelConfig":"2","lang":"en"}],"#,
    r#""initDataList":[{"id":"init0","type":"inline","data":"AULAHw=="}]}"#,
);

#[test]
fn the_json_is_as_agreed() {
    assert_eq!(std::str::from_utf8(&catalog().encode()), Ok(GOLDEN));
}

#[test]
fn what_is_written_is_read() {
    for catalog in [
        catalog(),
        Catalog::default(),
        Catalog { is_complete: true, ..catalog() },
        Catalog {
            tracks: vec![Track {
                name: "captions".into(),
                namespace: Some("elsewhere".into()),
                packaging: Packaging::Other("eventtimeline".into()),
                role: Some(Role::Other("caption".into())),
                label: Some("Deutsch".into()),
                mime_type: Some("text/vtt".into()),
                ..Track::default()
            }],
            ..Catalog::default()
        },
    ] {
        let json = catalog.encode();
        assert_eq!(Catalog::parse(&json), Ok(catalog.clone()));
        assert_eq!(Catalog::parse_any(&json), Ok(catalog));
    }
}

#[test]
fn draft_00_and_fields_from_the_future_are_read() {
    let json = br#"{
        "version": 1, "generatedAt": 1746104606044, "x-studio": {"deep": [1, 2]}, "publishTracks": [],
        "tracks": [
            {"name": "v", "namespace": "conference.example.com/alice", "packaging": "loc", "isLive": true,
             "role": "video", "codec": "av01.0.08M.10.0.110.09", "width": 1920.0, "height": 1080,
             "framerate": 30, "bitrate": 1500000, "initData": "AQI=", "buffers": {"target": 2000},
             "com.example-tier": "premium", "maxGrpSapStartingType": 1},
            {"name": "events", "packaging": "eventtimeline", "eventType": "org.example"}
        ]
    }"#;
    let catalog = Catalog::parse(json).unwrap();
    let video = catalog.track("v").unwrap();
    assert!(video.is_video() && !video.is_audio());
    assert_eq!(video.namespace.as_deref(), Some("conference.example.com/alice"));
    assert_eq!((video.width, video.height, video.framerate), (Some(1920), Some(1080), Some(30.0)));
    assert_eq!(video.init_data, Some(Bytes::from_static(&[1, 2])));
    assert_eq!(catalog.tracks[1].packaging, Packaging::Other("eventtimeline".into()));
}

#[test]
fn the_common_catalog_format_is_read() {
    let json = br#"{
        "version": 1, "streamingFormat": 1, "streamingFormatVersion": "0.2", "supportsDeltaUpdates": false,
        "commonTrackFields": {"namespace": "show", "packaging": "cmaf", "renderGroup": 1},
        "tracks": [
            {"name": "1.m4s", "initTrack": "0.mp4",
             "selectionParams": {"codec": "avc1.64001F", "mimeType": "video/mp4", "width": 1280, "height": 720}},
            {"name": "2.m4s", "initTrack": "0.mp4",
             "selectionParams": {"codec": "mp4a.40.2", "samplerate": 44100, "channelConfig": "2", "bitrate": 1}}
        ]
    }"#;
    let catalog = Catalog::parse_any(json).unwrap();
    let [video, audio] = &catalog.tracks[..] else { panic!("{catalog:?}") };
    assert!(video.is_video() && audio.is_audio());
    assert_eq!((&video.packaging, video.width), (&Packaging::Cmaf, Some(1280)));
    assert_eq!(audio.init_track.as_deref(), Some("0.mp4"));
    assert_eq!((audio.samplerate, audio.channels(), audio.render_group), (Some(44_100), Some(2), Some(1)));
}

#[test]
fn moq_devs_catalog_is_read() {
    let json = br#"{
        "video": {"renditions": {
            "small": {"codec": "avc1.64001f", "codedWidth": 640, "codedHeight": 360, "bitrate": 600000,
                      "description": "0142c01f", "framerate": 30.0, "container": {"kind": "legacy"}},
            "large": {"codec": "avc3.64001f", "codedWidth": 1280, "codedHeight": 720, "container": {"kind": "loc"}}
        }, "display": {"width": 1280, "height": 720}},
        "audio": {"renditions": {"audio": {"codec": "opus", "sampleRate": 48000, "numberOfChannels": 2,
                  "bitrate": 128000, "container": {"kind": "cmaf", "init": "AAEC"}}}},
        "chat": {"name": "chat"}
    }"#;
    assert!(matches!(Catalog::parse(json), Err(Error::Json(_))), "no MSF");
    let catalog = Catalog::parse_any(json).unwrap();
    let names: Vec<_> = catalog.tracks.iter().map(|track| track.name.as_str()).collect();
    assert_eq!(names, ["large", "small", "audio"], "the best first");
    let [large, small, audio] = &catalog.tracks[..] else { panic!("{catalog:?}") };
    assert_eq!((&large.packaging, &large.init_data), (&Packaging::HangLoc, &None));
    assert_eq!(small.packaging, Packaging::HangLegacy);
    assert_eq!(small.init_data, Some(Bytes::from_static(&[1, 0x42, 0xC0, 0x1F])));
    assert_eq!((large.alt_group, small.alt_group, audio.alt_group), (Some(1), Some(1), None));
    assert_eq!((audio.channels(), &audio.init_data), (Some(2), &Some(Bytes::from_static(&[0, 1, 2]))));
}

#[test]
fn what_is_no_catalog_is_refused_in_one_clear_line() {
    let refused = |json: &str| {
        let error = Catalog::parse_any(json.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    for (json, says) in [
        ("", "not a catalog: EOF while parsing a value at line 1 column 0"),
        ("[]", "not a catalog"),
        ("null", "not a catalog"),
        ("{}", "missing field `version`"),
        (r#"{"version":"draft-01"}"#, "missing field `tracks`"),
        (r#"{"version":2,"tracks":[]}"#, r#"a catalog of version 2: 1 and "draft-…" are understood"#),
        (r#"{"version":"9","tracks":[]}"#, r#"a catalog of version "9""#),
        (r#"{"version":1,"deltaUpdate":true,"addTracks":[]}"#, "only says what changed"),
        (r#"{"version":1,"tracks":[{"packaging":"loc"}]}"#, "a track without a name"),
        (r#"{"version":1,"tracks":[{"name":"v"}]}"#, r#"track "v" does not say what packaging it has"#),
        (r#"{"version":1,"tracks":[{"name":"v","packaging":"loc","width":-1}]}"#, "-1 where no negative"),
        (r#"{"version":1,"tracks":[{"name":"v","packaging":"loc","initData":"%"}]}"#, "is not base64"),
        (r#"{"version":1,"tracks":[{"name":"v","packaging":"loc","initRef":"x"}]}"#, "not in initDataList"),
        (r#"{"video":{"renditions":{"v":{"codec":"vp09","description":"f"}}}}"#, "is not hexadecimal"),
        (r#"{"video":{"renditions":{"v":{}}}}"#, "missing field `codec`"),
    ] {
        let error = refused(json);
        assert!(error.contains(says), "{json} gives {error:?}");
    }
    let track = r#"{"name":"v","packaging":"loc"}"#;
    let many = vec![track; MAX_TRACKS + 1].join(",");
    assert!(refused(&format!(r#"{{"version":1,"tracks":[{many}]}}"#)).contains("257 tracks"));
    assert!(refused(&" ".repeat(MAX_LEN + 1)).contains("at most 1048576 are read"));
}
