//! Tests of what is carried: objects, tracks, catalogs and FETCH.

use moq_transport::{
    coding::{KeyValuePairs, Location, TrackNamespace},
    data::{ExtensionHeaders, FetchRecord, FetchRecordObject, ObjectStatus},
    message::{StandaloneFetch, TrackExtensions},
    serve::{ServeError, Subgroup},
    session::FetchOkInfo,
};
use tokio::sync::watch;

use crate::{
    relay::{Relay, Stage, within},
    running::{CATALOG, FROM, Running, Seen, Stream, TO, Wired, read, watch, write},
};

async fn every_object_arrives(scheme: &str) {
    let (mut wired, _room) = Wired::start(scheme).await;
    let mut video = wired.stage.track(FROM, "video");
    // Streams of one group with gaps between ids, properties, an empty object and a status.
    let mut properties = ExtensionHeaders::default();
    properties.set_intvalue(0x10, 41);
    properties.set_bytesvalue(0x11, b"odd".to_vec());
    let mut sent = Vec::new();
    let mut writers = Vec::new();
    for (group, subgroup, priority) in [(7, 0, 3), (7, 2, 200), (8, 0, 3), (12, 1, 0)] {
        let objects = [
            (subgroup, ObjectStatus::NormalObject, "key frame", Some(&properties)),
            (subgroup + 3, ObjectStatus::NormalObject, "", None),
            (subgroup + 4, ObjectStatus::NormalObject, "frame", None),
            (subgroup + 9, ObjectStatus::EndOfGroup, "", None),
        ];
        let mut writer =
            video.create(Subgroup { group_id: group, subgroup_id: subgroup, priority }).expect("open");
        let mut seen = Vec::new();
        for (id, status, payload, properties) in objects {
            let properties = properties.cloned();
            let mut object = writer
                .create_with_id_and_status(id, payload.len(), status, properties.clone())
                .expect("open");
            if !payload.is_empty() {
                object.write(payload.into()).expect("open");
            }
            seen.push(Seen {
                id,
                status,
                properties: properties.unwrap_or_default(),
                payload: payload.into(),
            });
        }
        sent.push(Stream { group, subgroup, priority, objects: seen });
        writers.push(writer);
    }
    let mut watching = watch(&mut wired.destination.subscriber, "video").await.expect("a track");
    drop(writers);
    let mut received = Vec::new();
    for _ in &sent {
        received.push(watching.stream().await);
    }
    received.sort_by_key(|stream| (stream.group, stream.subgroup));
    assert_eq!(received, sent);
    let counts = wired.running.until("a count", |report| report.counts.frames >= 16).await.counts;
    // The catalog is not subscribed to at the destination.
    assert_eq!((counts.frames, counts.tracks, counts.skipped), (16, 1, 0));
}

#[tokio::test]
async fn every_object_arrives_as_it_was_over_webtransport() {
    every_object_arrives("https").await;
}

#[tokio::test]
async fn every_object_arrives_as_it_was_over_raw_quic() {
    every_object_arrives("moqt").await;
}

#[tokio::test]
async fn an_object_arrives_before_its_group_has_ended() {
    let (mut wired, _room) = Wired::start("moqt").await;
    let mut video = wired.stage.track(FROM, "video");
    let mut group = video.create(Subgroup { group_id: 0, subgroup_id: 0, priority: 0 }).expect("open");
    group.write("first".into()).expect("open");
    let mut watching = watch(&mut wired.destination.subscriber, "video").await.expect("a track");
    let mut stream = watching.next().await;
    for payload in ["first", "second", "third"] {
        let object = within("an object", stream.read_next()).await.expect("open").expect("an object");
        assert_eq!(object, payload);
        let next = if payload == "first" { "second" } else { "third" };
        group.write(next.into()).expect("open");
    }
}

#[tokio::test]
async fn a_track_is_subscribed_to_only_while_the_destination_is() {
    let (mut wired, _room) = Wired::start("moqt").await;
    let mut video = wired.stage.track(FROM, "video");
    write(&mut video, 0, 0, &[(0, "frame")]);
    assert!(!wired.stage.is_wanted("video"), "nobody has asked for it");
    let watching = watch(&mut wired.destination.subscriber, "video").await.expect("a track");
    wired.stage.until_wanted("video", true).await;
    watching.subscribe.unsubscribe().await;
    wired.stage.until_wanted("video", false).await;
    wired.running.until("no track", |report| report.counts.tracks == 0).await;
    // It can be had again.
    let mut again = Box::pin(watch(&mut wired.destination.subscriber, "video"));
    tokio::select! {
        _ = &mut again => panic!("there is no new group yet"),
        () = wired.stage.until_wanted("video", true) => {}
    }
    write(&mut video, 1, 0, &[(0, "next")]);
    assert_eq!(again.await.expect("a track").stream().await.group, 1);
}

#[tokio::test]
async fn a_track_that_ends_at_the_source_ends_at_the_destination() {
    let (mut wired, _room) = Wired::start("moqt").await;
    let mut video = wired.stage.track(FROM, "video");
    write(&mut video, 0, 0, &[(0, "last")]);
    let mut watching = watch(&mut wired.destination.subscriber, "video").await.expect("a track");
    assert_eq!(watching.stream().await.objects.len(), 1);
    drop(video);
    let _ = within("the end", watching.subscribe.closed()).await;
    let done = watching.subscribe.publish_done().expect("PUBLISH_DONE");
    assert_eq!(done.stream_count, 1);
}

#[tokio::test]
async fn a_catalog_is_carried_from_its_first_object_whenever_it_is_asked_for() {
    let (mut wired, _room) = Wired::start("moqt").await;
    for _ in 0..2 {
        // Its only group is long over.
        let mut watching = watch(&mut wired.destination.subscriber, "catalog").await.expect("a catalog");
        let mut stream = watching.next().await;
        let object = within("an object", stream.read_next()).await.expect("open").expect("an object");
        assert_eq!(object, CATALOG);
        assert_eq!((stream.group_id, stream.priority), (0, 9));
        watching.subscribe.unsubscribe().await;
    }
}

#[tokio::test]
async fn a_track_that_a_later_catalog_names_is_carried_and_others_are_not() {
    let (mut wired, _room) = Wired::start("moqt").await;
    let mut late = wired.stage.track(FROM, "late");
    write(&mut late, 3, 0, &[(0, "frame")]);
    let mut secret = wired.stage.track(FROM, "secret");
    write(&mut secret, 0, 0, &[(0, "frame")]);
    let mut other = wired.destination.subscriber.clone();
    let refused = watch(&mut other, "secret");
    let carried = async {
        // The request waits for the catalog.
        let watching = watch(&mut wired.destination.subscriber, "late");
        let naming = async {
            wired.running.until("live", |report| report.live_since().is_some()).await;
            let catalog = CATALOG.replace("audio", "late");
            write(&mut wired.catalog, 1, 0, &[(0, &catalog)]);
        };
        tokio::join!(watching, naming).0
    };
    let (refused, carried) = tokio::join!(refused, carried);
    assert_eq!(carried.expect("a track").stream().await.group, 3);
    assert!(matches!(refused, Err(ServeError::NotFoundWithId(..))), "{:?}", refused.err());
    assert!(!wired.stage.is_wanted("secret"));
}

#[tokio::test]
async fn a_track_that_is_asked_for_by_name_is_carried_without_a_catalog() {
    let (from, to) = (Relay::start(), Relay::start());
    let stage = Stage::default();
    let mut clock = stage.track(FROM, "clock");
    write(&mut clock, 0, 0, &[(0, "noon")]);
    let running = Running::start(&from, &to, "https", &["clock"]);
    let (source, mut destination) = tokio::join!(from.accept(), to.accept());
    stage.serve(source.publisher.clone());
    let _room = destination.announced().await;
    let mut watching = watch(&mut destination.subscriber, "clock").await.expect("a track");
    assert_eq!(watching.stream().await.objects[0].payload, "noon");
    drop(running);
}

#[tokio::test]
async fn a_slow_destination_skips_to_the_newest_group() {
    /// More than QUIC takes for one stream.
    const LEN: usize = 1 << 20;
    const GROUPS: u64 = 6;
    let (gate, gated) = watch::channel(true);
    let (mut wired, _room) = Wired::gated("moqt", gated).await;
    let mut video = wired.stage.track(FROM, "video");
    write(&mut video, 0, 0, &[(0, "small")]);
    let mut watching = watch(&mut wired.destination.subscriber, "video").await.expect("a track");
    assert_eq!(watching.stream().await.group, 0);
    gate.send_replace(false);
    let payload = |group: u64| char::from(b'a' + group as u8).to_string().repeat(LEN);
    for group in 1..=GROUPS {
        write(&mut video, group, 0, &[(0, &payload(group)), (1, &payload(group))]);
    }
    let skipped = wired.running.until("a skip", |report| report.counts.skipped >= GROUPS - 1).await;
    assert_eq!(skipped.counts.skipped, GROUPS - 1, "all but the newest");
    gate.send_replace(true);
    // The newest is whole, and no other is.
    let mut whole = Vec::new();
    while whole.is_empty() {
        let stream = watching.next().await;
        if let Ok(stream) = read(stream).await {
            whole.push(stream);
        }
    }
    assert_eq!(whole[0].group, GROUPS);
    assert!(whole[0].objects.iter().all(|object| object.payload == payload(GROUPS)));
    // The track goes on after the skip.
    write(&mut video, GROUPS + 1, 0, &[(0, "small")]);
    loop {
        let stream = watching.next().await;
        if stream.group_id > GROUPS {
            assert_eq!(read(stream).await.expect("a whole stream").objects[0].payload, "small");
            return;
        }
    }
}

#[tokio::test]
async fn a_fetch_of_the_destination_is_answered_by_the_source() {
    let (wired, _room) = Wired::start("https").await;
    wired.source.publisher.accept_fetch();
    let mut publisher = wired.source.publisher.clone();
    let answering = async {
        let request = within("FETCH", publisher.fetch_requested()).await.expect("a session");
        let range = request.resolve().await.expect("a range").expect("a range");
        assert_eq!(range.track_namespace, TrackNamespace::from_utf8_path(FROM));
        let info = FetchOkInfo {
            end_of_track: false,
            end_location: Location::new(4, 1),
            params: KeyValuePairs::default(),
            track_extensions: TrackExtensions::default(),
        };
        let mut writer = request.respond(info).await.expect("a session");
        let record = FetchRecordObject {
            group_id: 4,
            subgroup_id: Some(0),
            object_id: 0,
            publisher_priority: 1,
            extension_headers: ExtensionHeaders::default(),
            payload_length: 4,
        };
        writer.write_record(&FetchRecord::Object(record)).await.expect("a stream");
        writer.write_payload(b"past").await.expect("a stream");
        writer.finish().await.expect("a stream");
    };
    let range = StandaloneFetch {
        track_namespace: TrackNamespace::from_utf8_path(TO),
        track_name: "video".into(),
        start_location: Location::new(4, 0),
        end_location: Location::new(4, 1),
    };
    let mut subscriber = wired.destination.subscriber.clone();
    let asking = async {
        let mut fetch = subscriber.fetch(range, KeyValuePairs::default()).await.expect("a request");
        within("FETCH_OK", fetch.ok()).await.expect("accepted");
        let record = within("a record", fetch.next()).await.expect("a stream").expect("a record");
        assert_eq!(record.location(), Location::new(4, 0));
        fetch.read_payload_chunk(100).await.expect("a stream").expect("a payload")
    };
    assert_eq!(tokio::join!(asking, answering).0, "past");
}
