//! Namespaces and tracks are announced and found by either end.

use moq_transport::coding::{KeyValuePairs, TrackNamespacePrefix};
use moqt::{Event, Namespace, Params, Properties};

use crate::{every_way_round, theirs::namespace, within};

#[test]
fn they_find_our_namespaces() {
    every_way_round(|mut pair| async move {
        let mut subscriber = pair.theirs.subscriber.clone();
        let asking = tokio::task::spawn_local(async move {
            let prefix = TrackNamespacePrefix::from_utf8_path("fanfare");
            subscriber.subscribe_namespace(prefix, KeyValuePairs::default()).await
        });
        let (request, prefix) = pair
            .ours
            .expect("SUBSCRIBE_NAMESPACE", |event| match event {
                Event::SubscribeNamespace { request, prefix, .. } => Some((*request, prefix.clone())),
                _ => None,
            })
            .await;
        assert_eq!(prefix, Namespace::from_path("fanfare").expect("a namespace"));
        pair.ours
            .call(move |session, _| {
                session.accept(request, Params::default(), Properties::NONE).expect("open");
                let room = Namespace::from_path("room").expect("a namespace");
                session.namespace(request, room.clone()).expect("open");
                session.namespace_done(request, room).expect("announced");
            })
            .await;
        let asked = within("their request", asking).await.expect("no panic").expect("sent");
        within("our REQUEST_OK", asked.ok()).await.expect("accepted");
        let mut seen = Vec::new();
        for _ in 0..2 {
            let event = within("a namespace", asked.next()).await.expect("open").expect("one");
            seen.push(format!("{event:?}"));
        }
        assert!(seen.iter().all(|event| event.contains("room")), "{seen:?}");
        pair
    });
}

#[test]
fn our_namespace_is_taken_and_withdrawn() {
    every_way_round(|mut pair| async move {
        let request = pair
            .ours
            .call(|session, _| {
                let namespace = Namespace::from_path("fanfare/room").expect("a namespace");
                session.publish_namespace(namespace, Params::default()).expect("new")
            })
            .await;
        let mut announced = within("our PUBLISH_NAMESPACE", pair.theirs.subscriber.published_namespace())
            .await
            .expect("a session");
        assert_eq!(announced.namespace, namespace());
        announced.ok().expect("open");
        pair.ours
            .expect("PUBLISH_NAMESPACE_OK", |event| {
                matches!(event, Event::RequestOk { request: of, .. } if *of == request).then_some(())
            })
            .await;
        pair.ours.call(move |session, _| session.cancel(request).expect("open")).await;
        let _ = within("the withdrawal", announced.closed()).await;
        pair
    });
}
