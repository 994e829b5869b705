//! FETCH from the groups that the origin keeps, and the bounds on their memory.

use moq_transport::{
    coding::{KeyValuePairs, Location},
    data::FetchRecord,
    message::{FetchType, GroupOrder, StandaloneFetch},
    serve::ServeError,
    session::Fetch,
};
use origin::{Config, Limits, State};

use crate::test_origin::{Client, TRANSPORTS, TestOrigin, namespace, within, write};

/// Reads all of a FETCH: locations and payloads, `None` for an unknown range.
async fn all(mut fetch: Fetch) -> Vec<(Location, Option<String>)> {
    within("FETCH_OK", fetch.ok()).await.expect("accepted");
    let mut got = Vec::new();
    while let Some(record) = within("a record", fetch.next()).await.expect("whole") {
        let mut payload = None;
        if let FetchRecord::Object(_) = &record {
            let mut bytes = Vec::new();
            while let Some(chunk) = fetch.read_payload_chunk(1024).await.expect("whole") {
                bytes.extend_from_slice(&chunk);
            }
            payload = Some(String::from_utf8(bytes).expect("text"));
        }
        got.push((record.location(), payload));
    }
    got
}

fn objects(got: &[(Location, Option<String>)]) -> Vec<(u64, u64, &str)> {
    got.iter().filter_map(|(at, payload)| Some((at.group_id, at.object_id, payload.as_deref()?))).collect()
}

fn range(start: (u64, u64), end: (u64, u64)) -> StandaloneFetch {
    StandaloneFetch {
        track_namespace: namespace("demo"),
        track_name: "video".into(),
        start_location: Location::new(start.0, start.1),
        end_location: Location::new(end.0, end.1),
    }
}

async fn fetch(client: &mut Client, start: (u64, u64), end: (u64, u64), order: Option<GroupOrder>) -> Fetch {
    let mut params = KeyValuePairs::default();
    if let Some(order) = order {
        params.set_group_order(order);
    }
    within("FETCH", client.subscriber.fetch(range(start, end), params)).await.expect("sent")
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_groups_are_fetched_alone_and_joining() {
    let origin = TestOrigin::open();
    let mut creator = origin.client("moqt").await;
    let mut video = creator.publish("demo", "video").await.expect("accepted");
    for group in 0..4 {
        write(&mut video, group, &["a", "b"]);
    }
    origin.objects("demo", 8).await;
    for scheme in TRANSPORTS {
        let mut fan = origin.client(scheme).await;
        let got = all(fetch(&mut fan, (1, 1), (2, 0), None).await).await;
        assert_eq!(objects(&got), [(1, 1, "b"), (2, 0, "a"), (2, 1, "b")]);
        let got = all(fetch(&mut fan, (2, 0), (9, 0), Some(GroupOrder::Descending)).await).await;
        assert_eq!(objects(&got), [(3, 0, "a"), (3, 1, "b"), (2, 0, "a"), (2, 1, "b")]);
        let past = fetch(&mut fan, (9, 0), (10, 0), None).await;
        assert_eq!(past.ok().await.err(), Some(ServeError::Closed(0x11)), "INVALID_RANGE");

        let watching = fan.subscribe("demo", "video").await.expect("found");
        let joining = fan.subscriber.joining_fetch(
            FetchType::RelativeJoining,
            watching.subscribe.info.id,
            1,
            KeyValuePairs::default(),
        );
        let got = all(within("FETCH", joining).await.expect("sent")).await;
        assert_eq!(objects(&got), [(2, 0, "a"), (2, 1, "b"), (3, 0, "a"), (3, 1, "b")]);
    }
    let figures = origin.figures().await;
    assert!(figures.contains("fetches_total{source=\"kept\"} 6"), "{figures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_holds_and_what_was_dropped_is_said_to_be_unknown() {
    const BUDGET: u64 = 4096;
    let store = Limits { track: BUDGET, total: 2 * BUDGET };
    let origin = TestOrigin::start(Config { open_publish: true, store, ..Config::default() });
    let mut creator = origin.client("https").await;
    let mut video = creator.publish("demo", "video").await.expect("accepted");
    for group in 0..20 {
        write(&mut video, group, &["some", "thing"]);
        origin.objects("demo", 2 * (group + 1)).await;
    }
    let room = origin.room("demo", |_| true).await;
    assert!((1..=BUDGET).contains(&room.tracks[0].kept_bytes), "{room:?}");
    assert!(origin.handle.kept_bytes() <= BUDGET);
    let mut fan = origin.client("moqt").await;
    let got = all(fetch(&mut fan, (0, 0), (19, 0), None).await).await;
    let (unknown, kept) = got.split_first().expect("something");
    assert_eq!(unknown.1, None);
    let first = objects(kept)[0];
    assert_eq!(unknown.0.group_id + 1, first.0);
    assert_eq!(objects(kept).last(), Some(&(19, 1, "thing")));
    let gone = fetch(&mut fan, (0, 0), (2, 0), None).await;
    assert!(gone.ok().await.is_err());
    let reason = gone.rejection().expect("refused").reason.0;
    assert!(reason.contains(&format!("the oldest group is {}", first.0)), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creator_that_counts_from_the_start_again_replaces_what_was_kept() {
    let origin = TestOrigin::open();
    for (groups, payload) in [(3, "old"), (2, "new")] {
        let mut creator = origin.client("moqt").await;
        let mut video = creator.publish("demo", "video").await.expect("accepted");
        for group in 0..groups {
            write(&mut video, group, &[payload]);
        }
        let objects = if payload == "old" { 3 } else { 5 };
        origin.objects("demo", objects).await;
        creator.vanish();
        origin.room("demo", |room| room.state == State::Reconnecting).await;
    }
    let mut fan = origin.client("moqt").await;
    let got = all(fetch(&mut fan, (0, 0), (9, 0), None).await).await;
    assert_eq!(objects(&got), [(0, 0, "new"), (1, 0, "new")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_of_what_is_not_there_yet_takes_nothing_from_who_waits_for_it() {
    let origin = TestOrigin::open();
    let mut creator = origin.client("moqt").await;
    let mut fan = origin.client("moqt").await;
    // Chance decides which reader is first, so the test repeats, within what a fan may request at once: it has to be the
    // fan each time.
    for turn in 0..20 {
        let name = format!("catalog{turn}");
        let mut catalog = creator.publish("demo", &name).await.expect("accepted");
        let mut watching = fan.subscribe("demo", &name).await.expect("found");
        let range = StandaloneFetch { track_name: name.as_str().into(), ..range((0, 0), (0, 0)) };
        let early =
            within("FETCH", fan.subscriber.fetch(range, KeyValuePairs::default())).await.expect("sent");
        assert_eq!(
            within("an answer", early.ok()).await.err(),
            Some(ServeError::Closed(0x11)),
            "INVALID_RANGE"
        );
        write(&mut catalog, 0, &["once"]);
        assert_eq!(watching.group().await, Some((0, vec!["once".into()])), "{name}");
    }
}
