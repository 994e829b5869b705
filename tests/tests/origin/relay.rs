//! Subscriptions and discovery, from a creator through the origin to subscribers.

use bytes::{Bytes, BytesMut};
use moq_transport::{
    coding::{Encode as _, KeyValuePairs, TrackNamespacePrefix},
    data::{ExtensionHeaders, ObjectStatus},
    message::{Message, SubscribeTracks},
    serve::{Datagram, ServeError, TrackReaderMode, Tracks},
};
use origin::State;

use crate::test_origin::{TRANSPORTS, TestOrigin, namespace, track, within, write};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_reaches_subscribers_over_either_transport() {
    let origin = TestOrigin::open();
    for from in TRANSPORTS {
        for to in TRANSPORTS {
            let room = format!("{from}/{to}");
            let mut creator = origin.client(from).await;
            let mut video = creator.publish(&room, "video").await.expect("accepted");
            let mut fan = origin.client(to).await;
            let mut watching = fan.subscribe(&room, "video").await.expect("found");
            write(&mut video, 0, &["a", "b"]);
            write(&mut video, 1, &["c"]);
            let group = watching.group().await.expect("a group");
            assert_eq!(group, (0, vec![Bytes::from("a"), Bytes::from("b")]));
            assert_eq!(watching.group().await.expect("a group").0, 1);
            drop(video);
            assert_eq!(watching.group().await, None);
            origin.room(&room, |room| room.state == State::Ended).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_asked_for_its_tracks_and_only_while_somebody_watches() {
    let origin = TestOrigin::start(origin::Config {
        open_publish: true,
        linger: std::time::Duration::from_millis(1),
        ..Default::default()
    });
    let creator = origin.client("moqt").await;
    let (_tracks, mut asked, reader) = Tracks::new(namespace("demo")).produce();
    let mut publisher = creator.publisher.clone();
    let offering = tokio::spawn(async move { publisher.publish_namespace(reader).await });
    origin.room("demo", |room| room.state == State::Live).await;
    for _ in 0..2 {
        let mut fan = origin.client("https").await;
        let (watching, asked) =
            tokio::join!(fan.subscribe("demo", "video"), within("a request", asked.next()));
        let mut video = asked.expect("asked").subgroups().expect("wanted");
        let mut watching = watching.expect("found");
        write(&mut video, 0, &["a"]);
        assert_eq!(watching.group().await.expect("a group").0, 0);
        origin.room("demo", |room| room.viewers == 1).await;
        watching.subscribe.unsubscribe().await;
        origin.room("demo", |room| room.tracks.iter().all(|track| !track.live)).await;
        drop(video);
    }
    let missing = origin.client("moqt").await.subscribe("other", "video").await.err();
    assert!(matches!(missing, Some(ServeError::NotFoundWithId(..))), "{missing:?}");
    offering.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_between_two_groups_gets_the_newest() {
    let origin = TestOrigin::open();
    let mut creator = origin.client("moqt").await;
    let mut catalog = creator.publish("demo", "catalog").await.expect("accepted");
    write(&mut catalog, 0, &["old"]);
    write(&mut catalog, 1, &["new"]);
    origin.objects("demo", 2).await;
    for _ in 0..2 {
        let mut fan = origin.client("https").await;
        let mut watching = fan.subscribe("demo", "catalog").await.expect("found");
        assert_eq!(watching.group().await, Some((1, vec![Bytes::from("new")])));
        drop(watching);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_for_a_track_all_get_its_first_group() {
    let origin = TestOrigin::open();
    let mut creator = origin.client("moqt").await;
    let mut catalog = creator.publish("demo", "catalog").await.expect("accepted");
    let mut fans = Vec::new();
    for _ in 0..4 {
        let mut fan = origin.client("moqt").await;
        let watching = fan.subscribe("demo", "catalog").await.expect("found");
        fans.push((fan, watching));
    }
    write(&mut catalog, 7, &["once"]);
    for (_, watching) in &mut fans {
        assert_eq!(watching.group().await, Some((7, vec![Bytes::from("once")])));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_may_come_before_its_creator() {
    let origin = TestOrigin::open();
    let mut fan = origin.client("moqt").await;
    let mut params = KeyValuePairs::default();
    params.set_rendezvous_timeout(20_000);
    let mut early = fan.subscriber.clone();
    let (writer, _reader) = track("demo", "video").produce();
    let waiting = tokio::spawn(async move { early.subscribe_open_with_params(writer, params).await });
    let mut creator = origin.client("https").await;
    let _video = creator.publish("demo", "video").await.expect("accepted");
    let opened = within("the rendezvous", waiting).await.expect("no panic");
    assert!(opened.is_ok());

    let mut short = KeyValuePairs::default();
    short.set_rendezvous_timeout(1);
    let late = fan.subscribe_with("nowhere", "video", short).await.err();
    assert_eq!(late, Some(ServeError::Timeout));
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_and_tracks_are_discovered_as_they_come_and_go() {
    let origin = TestOrigin::open();
    let mut edge = origin.client("https").await;
    let prefix = TrackNamespacePrefix::from_utf8_path("demo");
    let namespaces =
        edge.subscriber.subscribe_namespace(prefix, KeyValuePairs::default()).await.expect("accepted");
    within("REQUEST_OK", namespaces.ok()).await.expect("accepted");
    let creator = origin.client("moqt").await;
    let (_tracks, _asked, reader) = Tracks::new(namespace("demo/cam")).produce();
    let mut publisher = creator.publisher.clone();
    let offering = tokio::spawn(async move { publisher.publish_namespace(reader).await });
    let come = within("NAMESPACE", namespaces.next()).await.expect("open").expect("a namespace");
    assert!(format!("{come:?}").starts_with("Added"), "{come:?}");
    offering.abort();
    creator.vanish();
    let gone = within("NAMESPACE_DONE", namespaces.next()).await.expect("open").expect("a namespace");
    assert!(format!("{gone:?}").starts_with("Removed"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_are_relayed() {
    let origin = TestOrigin::open();
    let creator = origin.client("moqt").await;
    let (writer, reader) = track("demo", "cursor").produce();
    let mut publisher = creator.publisher.clone();
    let mut published = publisher.publish(reader, KeyValuePairs::default()).await.expect("sent");
    within("the answer", published.ok()).await.expect("accepted");
    tokio::spawn(published.serve());
    let mut fan = origin.client("https").await;
    let watching = fan.subscribe("demo", "cursor").await.expect("found");
    let mut datagrams = writer.datagrams().expect("open");
    let datagram = Datagram {
        group_id: 3,
        object_id: 1,
        priority: 9,
        status: ObjectStatus::NormalObject,
        end_of_group: false,
        payload: Bytes::from("here"),
        extension_headers: ExtensionHeaders::default(),
    };
    datagrams.write(datagram).expect("open");
    let mode = within("the begin", watching.reader.mode()).await.expect("open");
    let TrackReaderMode::Datagrams(mut datagrams) = mode else { panic!("not datagrams") };
    let datagram = within("a datagram", datagrams.read()).await.expect("open").expect("one");
    assert_eq!((datagram.group_id, datagram.payload), (3, Bytes::from("here")));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribe_tracks_brings_every_track_now_and_later() {
    let origin = TestOrigin::open();
    let mut creator = origin.client("https").await;
    let mut video = creator.publish("demo", "video").await.expect("accepted");
    let mut edge = origin.client("moqt").await;
    // The client has no call for it, so the request is written by hand (§10.19).
    let request = SubscribeTracks {
        id: 0,
        track_namespace_prefix: TrackNamespacePrefix::from_utf8_path("demo"),
        params: KeyValuePairs::default(),
    };
    let mut frame = BytesMut::new();
    Message::from(request).encode(&mut frame).expect("small");
    let (mut send, _recv) = edge.connection.open_bi().await.expect("connected");
    send.write_all(&frame).await.expect("connected");

    let mut published = within("PUBLISH", edge.subscriber.publish_received()).await.expect("one");
    assert_eq!(published.name().to_string(), "video");
    let reader = published.ok(true).expect("once");
    write(&mut video, 0, &["a"]);
    let mode = within("the begin", reader.mode()).await.expect("open");
    let TrackReaderMode::Subgroups(mut subgroups) = mode else { panic!("not subgroups") };
    let mut group = within("a group", subgroups.next()).await.expect("open").expect("one");
    assert_eq!(group.read_next().await.expect("whole"), Some(Bytes::from("a")));

    let _audio = creator.publish("demo", "audio").await.expect("accepted");
    let published = within("PUBLISH", edge.subscriber.publish_received()).await.expect("one");
    assert_eq!(published.name().to_string(), "audio");
}
