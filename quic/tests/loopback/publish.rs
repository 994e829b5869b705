//! PUBLISH by either end, accepted by the other.

use bytes::Bytes;
use moq_transport::coding::KeyValuePairs;
use moqt::{Event, Params, Properties};

use crate::{
    every_way_round,
    subscribe::our_track,
    theirs::{group, subgroups, track, write},
    within,
};

#[test]
fn a_track_we_offer_is_taken() {
    every_way_round(|mut pair| async move {
        let request = pair
            .ours
            .call(|session, _| {
                session.publish(our_track(), Params::default(), Properties::NONE).expect("new")
            })
            .await;
        let offered = within("our PUBLISH", pair.theirs.subscriber.publish_received()).await;
        let mut offered = offered.expect("a session");
        let reader = offered.ok(true).expect("open");
        pair.ours
            .expect("PUBLISH_OK", |event| {
                matches!(event, Event::RequestOk { request: of, .. } if *of == request).then_some(())
            })
            .await;
        pair.ours.publish(request, 2, &["x", "y"]).await;
        let mut subgroups = subgroups(&reader).await;
        let whole = vec![Bytes::from_static(b"x"), Bytes::from_static(b"y")];
        assert_eq!(group(&mut subgroups).await, (2, whole));
        pair
    });
}

#[test]
fn a_track_they_offer_is_received() {
    every_way_round(|mut pair| async move {
        let (writer, reader) = track().produce();
        let publishing = pair.theirs.publisher.publish(reader, KeyValuePairs::default());
        let mut published = within("their PUBLISH", publishing).await.expect("sent");
        let (request, name) = pair
            .ours
            .expect("PUBLISH", |event| match event {
                Event::Publish { request, track, .. } => Some((*request, track.clone())),
                _ => None,
            })
            .await;
        assert_eq!(name, our_track());
        pair.ours
            .call(move |session, _| {
                session.accept(request, Params::default(), Properties::NONE).expect("open");
            })
            .await;
        within("our PUBLISH_OK", published.ok()).await.expect("accepted");
        tokio::spawn(published.serve());
        let mut track = writer.subgroups().expect("a fresh track");
        write(&mut track, 11, &["p", "q"]);
        let whole = vec![Bytes::from_static(b"p"), Bytes::from_static(b"q")];
        assert_eq!(pair.ours.group().await, (11, whole));
        pair
    });
}
