//! Files and pipes, through everything between them and the server.

use std::{fs::File, path::PathBuf};

use creator::{Input, Repeat, Source};
use media::Packaging;
use moqt::{DoneCode, msf};

use crate::server::{Fan, Server, Way, publish, show, within};

pub(crate) fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "media", "tests", "fixtures", name].iter().collect()
}

async fn open(name: &str, packaging: Packaging, repeat: Repeat) -> Source {
    Source::open(vec![Input::File(fixture(name))], packaging, repeat).await.unwrap()
}

#[tokio::test]
async fn a_file_goes_out_in_real_time_and_ends() {
    let server = Server::start();
    let source = open("h264-aac.ts", Packaging::Frames, Repeat::Once).await;
    let mut fan = Fan::new(Way::Subscribe, |fan| fan.done.len() == 3);
    let publishing = publish(server.options("moqt"), source);
    let (outcome, _) = within(async { tokio::join!(publishing, server.serve(&mut fan)) }).await;
    outcome.unwrap();

    assert!(fan.done.iter().all(|(_, code)| *code == DoneCode::TRACK_ENDED), "{:?}", fan.done);
    assert!(fan.catalog().is_complete, "{:?}", fan.catalog());
    assert!(fan.catalogs.len() >= 2 && !fan.catalogs[0].1.is_complete);
    assert!(fan.catalogs.is_sorted_by_key(|(at, _)| at.group), "each version is a group");
    let video = fan.catalog().tracks.iter().find(|track| track.is_video()).unwrap().name.clone();
    let frames = fan.frames(&video);
    assert!(frames.iter().all(super::server::Frame::is_whole), "all has arrived");
    let times: Vec<u64> = frames.iter().map(|frame| frame.header.timestamp.unwrap().0).collect();
    assert!(times.iter().all(|time| *time > 1_700_000_000_000_000), "by the wall clock");
}

#[tokio::test]
async fn cmaf_passes_through() {
    let mut fan = Fan::new(Way::Subscribe, |fan| fan.frames.values().map(Vec::len).sum::<usize>() > 8);
    show("moqt", open("h264-opus.frag.mp4", Packaging::Cmaf, Repeat::Forever).await, &mut fan).await;
    for track in &fan.catalog().tracks {
        assert_eq!(track.packaging, msf::Packaging::Cmaf);
        assert_eq!(&track.init_data.as_ref().unwrap()[4..8], b"ftyp");
        for frame in fan.frames(&track.name).iter().filter(|frame| frame.is_whole()) {
            assert_eq!(&frame.payload[4..8], b"moof");
        }
    }
}

#[tokio::test]
async fn a_loop_goes_on_and_what_it_takes_is_measured() {
    // The input gives no bitrates: each measured track makes a new version of the catalog.
    let mut fan = Fan::new(Way::Subscribe, |fan| fan.catalogs.len() == 3);
    show("moqt", open("vp9-opus.live.webm", Packaging::Frames, Repeat::Forever).await, &mut fan).await;
    let versions: Vec<u64> = fan.catalogs.iter().map(|(at, _)| at.group).collect();
    assert!(versions.windows(2).all(|pair| pair[1] == pair[0] + 1), "{versions:?}");
    assert!(fan.catalogs[0].1.tracks.iter().all(|track| track.bitrate.is_none()));
    for track in &fan.catalog().tracks {
        assert!(track.bitrate.is_some_and(|bitrate| bitrate % 10_000 == 0), "{track:?}");
        let groups: Vec<u64> = fan.groups(&track.name).into_keys().collect();
        assert!(groups.windows(2).all(|pair| pair[1] == pair[0] + 1), "{}: {groups:?}", track.name);
        let times = fan.frames(&track.name).iter().filter_map(|frame| frame.header.timestamp);
        let (first, last) = (times.clone().min().unwrap(), times.max().unwrap());
        assert!(last.0 - first.0 > 2_500_000, "longer than the file: {first:?} to {last:?}");
    }
}

#[tokio::test]
async fn inputs_become_renditions() {
    let inputs = vec![
        Input::File(fixture("h264-opus.mkv")),
        Input::Pipe {
            name: "pipe".to_owned(),
            reader: Box::new(File::open(fixture("av1-opus.mkv")).unwrap()),
        },
    ];
    let source = Source::open(inputs, Packaging::Frames, Repeat::Once).await.unwrap();
    let mut fan = Fan::new(Way::Subscribe, |fan| {
        fan.catalogs
            .last()
            .is_some_and(|(_, catalog)| catalog.tracks.iter().all(|track| fan.frames(&track.name).len() > 2))
    });
    show("https", source, &mut fan).await;
    let tracks = &fan.catalog().tracks;
    let of = |role: msf::Role| {
        let of_role = tracks.iter().filter(move |track| track.role.as_ref() == Some(&role));
        of_role.map(|track| track.alt_group)
    };
    assert_eq!(of(msf::Role::Video).collect::<Vec<_>>(), [Some(1), Some(1)]);
    assert_eq!(of(msf::Role::Audio).collect::<Vec<_>>(), [Some(2), Some(2)]);
    let mut names: Vec<_> = tracks.iter().map(|track| &track.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 4, "each has a name of its own: {names:?}");
}
