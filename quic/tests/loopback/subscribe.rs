//! SUBSCRIBE by either end, with objects on streams and in datagrams.

use bytes::Bytes;
use moq_transport::{
    data::{ExtensionHeaders, ObjectStatus},
    serve::{self, TrackReaderMode, Tracks},
};
use moqt::{DoneCode, Event, Namespace, Params, RequestCode, TrackName, data::DatagramBody};

use crate::{
    Pair, every_way_round,
    theirs::{group, namespace, subgroups, track, write},
    within,
};

pub(crate) fn our_track() -> TrackName {
    TrackName::new(Namespace::from_path("fanfare/room").expect("a namespace"), "video").expect("a name")
}

fn groups(objects: &[&'static str]) -> Vec<Bytes> {
    objects.iter().map(|object| Bytes::from_static(object.as_bytes())).collect()
}

/// Has their end serve one track, and returns the writer of the track.
fn serve_theirs(pair: &Pair) -> serve::TrackWriter {
    let (mut writer, _, reader) = Tracks::new(namespace()).produce();
    let track = writer.create("video").expect("a new track");
    let mut publisher = pair.theirs.publisher.clone();
    tokio::task::spawn_local(async move {
        let _keep = writer;
        let _ = publisher.publish_namespace(reader).await;
    });
    track
}

#[test]
fn we_get_what_they_publish() {
    every_way_round(|mut pair| async move {
        let mut track = serve_theirs(&pair).subgroups().expect("a fresh track");
        let namespace = pair
            .ours
            .expect("PUBLISH_NAMESPACE", |event| match event {
                Event::PublishNamespace { request, namespace, .. } => Some((*request, namespace.clone())),
                _ => None,
            })
            .await;
        assert_eq!(namespace.1, *our_track().namespace());
        pair.ours
            .call(move |session, _| {
                session.accept(namespace.0, Params::default(), moqt::Properties::NONE).expect("accepted");
            })
            .await;
        let request = pair
            .ours
            .call(|session, _| session.subscribe(our_track(), Params::default()).expect("new"))
            .await;
        pair.ours
            .expect("SUBSCRIBE_OK", |event| {
                matches!(event, Event::SubscribeOk { request: of, .. } if *of == request).then_some(())
            })
            .await;
        write(&mut track, 4, &["a", "bb", "ccc"]);
        write(&mut track, 5, &["d"]);
        let mut got = vec![pair.ours.group().await, pair.ours.group().await];
        got.sort();
        assert_eq!(got, [(4, groups(&["a", "bb", "ccc"])), (5, groups(&["d"]))]);
        drop(track);
        let code = pair
            .ours
            .expect("PUBLISH_DONE", |event| match event {
                Event::Done { code, .. } => Some(*code),
                _ => None,
            })
            .await;
        assert_eq!(code, DoneCode::TRACK_ENDED);
        pair
    });
}

#[test]
fn they_get_what_we_publish() {
    every_way_round(|mut pair| async move {
        let (writer, reader) = track().produce();
        let mut subscriber = pair.theirs.subscriber.clone();
        let subscribing = tokio::task::spawn_local(async move { subscriber.subscribe_open(writer).await });
        let request = pair.ours.accept_subscription().await;
        let subscribe = within("their SUBSCRIBE", subscribing).await.expect("no panic").expect("accepted");
        pair.ours.publish(request, 9, &["one", "two", "three"]).await;
        let mut subgroups = subgroups(&reader).await;
        assert_eq!(group(&mut subgroups).await, (9, groups(&["one", "two", "three"])));
        pair.ours
            .call(move |session, _| session.done(request, DoneCode::TRACK_ENDED, "over").expect("open"))
            .await;
        let _ = within("their end of the subscription", subscribe.closed()).await;
        assert!(subscribe.publish_done().is_some());
        pair
    });
}

#[test]
fn what_we_do_not_have_is_refused_and_they_say_so_too() {
    every_way_round(|mut pair| async move {
        let (writer, _reader) = track().produce();
        let mut subscriber = pair.theirs.subscriber.clone();
        let subscribing = tokio::task::spawn_local(async move { subscriber.subscribe_open(writer).await });
        let request = pair
            .ours
            .expect("SUBSCRIBE", |event| match event {
                Event::Subscribe { request, .. } => Some(*request),
                _ => None,
            })
            .await;
        pair.ours
            .call(move |session, _| {
                let error = moqt::message::RequestError::new(RequestCode::DOES_NOT_EXIST, "no such track");
                session.reject(request, error).expect("open");
            })
            .await;
        assert!(within("their answer", subscribing).await.expect("no panic").is_err());

        let other =
            TrackName::new(Namespace::from_path("no/such").expect("a namespace"), "x").expect("a name");
        let request =
            pair.ours.call(move |session, _| session.subscribe(other, Params::default()).expect("new")).await;
        // Their end does not handle the request. We cancel it, and neither session ends for that.
        pair.ours.call(move |session, _| session.cancel(request).expect("open")).await;
        pair
    });
}

#[test]
fn their_unsubscribe_cancels_our_subscription() {
    every_way_round(|mut pair| async move {
        let (writer, reader) = track().produce();
        let mut subscriber = pair.theirs.subscriber.clone();
        let subscribing = tokio::task::spawn_local(async move { subscriber.subscribe_open(writer).await });
        let request = pair.ours.accept_subscription().await;
        let subscribe = within("their SUBSCRIBE", subscribing).await.expect("no panic").expect("accepted");
        pair.ours.publish(request, 1, &["x"]).await;
        let mut subgroups = subgroups(&reader).await;
        group(&mut subgroups).await;
        drop(subscribe);
        pair.ours
            .expect("the end of the subscription", |event| {
                matches!(event, Event::Cancelled { request: of, .. } if *of == request).then_some(())
            })
            .await;
        pair
    });
}

#[test]
fn datagrams_go_both_ways() {
    every_way_round(|mut pair| async move {
        let (writer, reader) = track().produce();
        let mut subscriber = pair.theirs.subscriber.clone();
        let subscribing = tokio::task::spawn_local(async move { subscriber.subscribe_open(writer).await });
        let request = pair.ours.accept_subscription().await;
        let _subscribe = within("their SUBSCRIBE", subscribing).await.expect("no panic").expect("accepted");
        pair.ours.datagram(request, 1, "to them").await;
        let Ok(TrackReaderMode::Datagrams(mut datagrams)) = within("a datagram", reader.mode()).await else {
            panic!("a track of datagrams")
        };
        let datagram = within("a datagram", datagrams.read()).await.expect("open").expect("one");
        assert_eq!((datagram.group_id, datagram.object_id, datagram.priority), (7, 1, 3));
        assert_eq!(datagram.payload, "to them");

        let mut theirs = serve_theirs(&pair).datagrams().expect("a fresh track");
        let announced = pair
            .ours
            .expect("PUBLISH_NAMESPACE", |event| match event {
                Event::PublishNamespace { request, .. } => Some(*request),
                _ => None,
            })
            .await;
        pair.ours
            .call(move |session, _| {
                session.accept(announced, Params::default(), moqt::Properties::NONE).expect("accepted");
                session.subscribe(our_track(), Params::default()).expect("new");
            })
            .await;
        pair.ours
            .expect("SUBSCRIBE_OK", |event| matches!(event, Event::SubscribeOk { .. }).then_some(()))
            .await;
        theirs
            .write(serve::Datagram {
                group_id: 3,
                object_id: 0,
                priority: 9,
                status: ObjectStatus::NormalObject,
                end_of_group: false,
                payload: Bytes::from_static(b"to us"),
                extension_headers: ExtensionHeaders::default(),
            })
            .expect("open");
        let datagram = pair
            .ours
            .expect("a datagram", |event| match event {
                Event::Datagram { datagram, .. } => Some(datagram.clone()),
                _ => None,
            })
            .await;
        assert_eq!((datagram.group, datagram.object), (3, 0));
        assert_eq!(datagram.body, DatagramBody::Payload(Bytes::from_static(b"to us")));
        pair
    });
}
