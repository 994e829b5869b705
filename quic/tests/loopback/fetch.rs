//! FETCH by either end, answered by the other.

use bytes::Bytes;
use moq_transport::{
    coding::{KeyValuePairs, Location as TheirLocation, TrackName as TheirName},
    data::{ExtensionHeaders, FetchRecord, FetchRecordObject},
    message::{StandaloneFetch, TrackExtensions},
    session::FetchOkInfo,
};
use moqt::{
    Event, FetchOk, Location, Params, Properties,
    data::{FetchObject, RangeEnd},
    message::FetchKind,
};

use crate::{every_way_round, subscribe::our_track, theirs::namespace, within};

#[test]
fn they_fetch_from_us() {
    every_way_round(|mut pair| async move {
        let range = StandaloneFetch {
            track_namespace: namespace(),
            track_name: TheirName::from("video"),
            start_location: TheirLocation::new(1, 0),
            end_location: TheirLocation::new(3, 0),
        };
        let fetching = pair.theirs.subscriber.fetch(range, KeyValuePairs::default());
        let mut fetch = within("their FETCH", fetching).await.expect("sent");
        let (request, start, end) = pair
            .ours
            .expect("FETCH", |event| match event {
                Event::Fetch { request, start, end, .. } => Some((*request, *start, *end)),
                _ => None,
            })
            .await;
        assert_eq!((start, end), (Location::new(1, 0), Location::new(3, 0)));
        pair.ours
            .call(move |session, now| {
                let ok = FetchOk { end, ..FetchOk::default() };
                session.accept_fetch(request, ok).expect("open");
                let stream = session.open_fetch(request).expect("the first");
                for (location, payload) in [((1, 0), "a"), ((1, 1), "b"), ((3, 4), "c")] {
                    let object = FetchObject {
                        location: Location::new(location.0, location.1),
                        subgroup: Some(0),
                        priority: 7,
                        properties: Properties::builder().int(0x38, 5).build(),
                        payload_len: payload.len() as u64,
                    };
                    session.fetch_object(stream, &object).expect("in order");
                    session.payload(stream, Bytes::from_static(payload.as_bytes())).expect("as declared");
                    if location == (1, 1) {
                        let end = RangeEnd::Unknown(Location::new(2, 9));
                        session.range_end(stream, end).expect("between objects");
                    }
                }
                session.finish(now, stream).expect("whole");
            })
            .await;
        within("our FETCH_OK", fetch.ok()).await.expect("accepted");
        let mut got = Vec::new();
        while let Some(record) = within("a record", fetch.next()).await.expect("well-formed") {
            let mut payload = Vec::new();
            if matches!(record, FetchRecord::Object(_)) {
                while let Some(chunk) = fetch.read_payload_chunk(1024).await.expect("whole") {
                    payload.extend_from_slice(&chunk);
                }
            }
            let at = record.location();
            got.push((at.group_id, at.object_id, payload));
        }
        let wanted = [(1, 0, "a"), (1, 1, "b"), (2, 9, ""), (3, 4, "c")];
        assert_eq!(got, wanted.map(|(group, object, payload)| (group, object, payload.as_bytes().to_vec())));
        pair
    });
}

#[test]
fn we_fetch_from_them() {
    every_way_round(|mut pair| async move {
        pair.theirs.publisher.accept_fetch();
        let mut publisher = pair.theirs.publisher.clone();
        let serving = tokio::task::spawn_local(async move {
            let request = publisher.fetch_requested().await.expect("a session");
            let range = request.resolve().await.expect("a range").expect("a range");
            let info = FetchOkInfo {
                end_of_track: false,
                end_location: range.end_location,
                params: KeyValuePairs::default(),
                track_extensions: TrackExtensions::default(),
            };
            let mut writer = request.respond(info).await.expect("open");
            for (object_id, payload) in ["first", "second"].into_iter().enumerate() {
                let record = FetchRecord::Object(FetchRecordObject {
                    group_id: range.start_location.group_id,
                    subgroup_id: Some(0),
                    object_id: object_id as u64,
                    publisher_priority: 4,
                    extension_headers: ExtensionHeaders::default(),
                    payload_length: payload.len() as u64,
                });
                writer.write_record(&record).await.expect("open");
                writer.write_payload(payload.as_bytes()).await.expect("open");
            }
            writer.finish().await.expect("whole");
        });
        let request = pair
            .ours
            .call(|session, _| {
                let kind = FetchKind::Standalone {
                    track: our_track(),
                    start: Location::new(6, 0),
                    end: Location::new(6, 2),
                };
                session.fetch(kind, Params::default()).expect("new")
            })
            .await;
        pair.ours
            .expect("FETCH_OK", |event| {
                matches!(event, Event::FetchOk { request: of, .. } if *of == request).then_some(())
            })
            .await;
        let whole = vec![Bytes::from_static(b"first"), Bytes::from_static(b"second")];
        assert_eq!(pair.ours.group().await, (6, whole));
        within("their end", serving).await.expect("no panic");
        let open = pair.ours.call(|session, _| session.open_requests()).await;
        assert_eq!(open, 0, "the fetch is over");
        pair
    });
}
