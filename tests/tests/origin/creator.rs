//! Creators own their rooms: refusal, takeover, return and the end of the grace time.

use std::time::Duration;

use bytes::Bytes;
use origin::{
    Config, State,
    token::{Algorithm, Claims, Keys, Role},
};

use crate::test_origin::{Client, TestOrigin, write};

const HOUR: Duration = Duration::from_hours(1);

struct KeyedOrigin {
    origin: TestOrigin,
    keys: Keys,
}

impl KeyedOrigin {
    fn with_grace(grace: Duration) -> Self {
        let keys = Keys::generate(Algorithm::EdDSA).expect("a key");
        let config = Config { keys: Some(keys.clone()), grace, ..Config::default() };
        Self { origin: TestOrigin::start(config), keys }
    }

    async fn creator(&self, scheme: &str, name: &str, query: &str) -> Client {
        let claims = Claims::new("demo", Role::Creator, name, HOUR);
        let jwt = self.keys.mint(&claims).expect("a signing key");
        let url = self.origin.url(scheme, &format!("/?jwt={jwt}{query}"));
        self.origin.connect(&url, &[]).await.expect("let in")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_creator_is_refused_with_the_reason() {
    let keyed = KeyedOrigin::with_grace(HOUR);
    let mut ada = keyed.creator("moqt", "ada", "").await;
    let _video = ada.publish("demo", "video").await.expect("accepted");
    let mut bob = keyed.creator("moqt", "bob", "").await;
    assert!(bob.publish("demo", "video").await.is_err());
    let ended = bob.ended().await;
    let reason = "room \"demo\" is live with creator \"ada\"; publish with ?takeover=1";
    assert!(ended.contains(reason), "{ended}");
    let room = keyed.origin.room("demo", |_| true).await;
    assert_eq!((room.state, room.creator.as_deref()), (State::Live, Some("ada")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_creator_takes_over_when_it_says_so() {
    let keyed = KeyedOrigin::with_grace(HOUR);
    for (name, scheme) in [("bob", "moqt"), ("eve", "https")] {
        let mut ada = keyed.creator(scheme, "ada", "&takeover=1").await;
        let _video = ada.publish("demo", "video").await.expect("accepted");
        let mut next = keyed.creator(scheme, name, "&takeover=1").await;
        let mut video = next.publish("demo", "video").await.expect("accepted");
        let ended = ada.ended().await;
        // Over WebTransport, the library may end the connection before it has read the reason.
        let expected = format!("room \"demo\" was taken over by {name}");
        assert!(scheme == "https" || ended.contains(&expected), "{ended}");
        let mut fan = keyed.origin.client(scheme).await;
        let mut watching = fan.subscribe("demo", "video").await.expect("found");
        write(&mut video, 5, &["new"]);
        assert_eq!(watching.group().await.expect("a group").1, [Bytes::from("new")]);
        let room = keyed.origin.room("demo", |_| true).await;
        assert_eq!((room.state, room.creator.as_deref()), (State::Live, Some(name)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vanished_creator_returns_to_its_room_and_its_waiting_fans() {
    let keyed = KeyedOrigin::with_grace(HOUR);
    let origin = &keyed.origin;
    let mut ada = keyed.creator("moqt", "ada", "").await;
    let mut video = ada.publish("demo", "video").await.expect("accepted");
    write(&mut video, 0, &["before"]);
    origin.objects("demo", 1).await;
    ada.vanish();
    let room = origin.room("demo", |room| room.state == State::Reconnecting).await;
    assert_eq!(room.creator.as_deref(), Some("ada"));
    assert!(origin.get("/api/rooms/demo").await.1.contains("\"state\":\"reconnecting\""));

    let mut fan = origin.client("https").await;
    let (returned, watching) = tokio::join!(
        async {
            let mut ada = keyed.creator("https", "ada", "").await;
            let video = ada.publish("demo", "video").await.expect("accepted");
            (ada, video)
        },
        fan.subscribe("demo", "video"),
    );
    let (_ada, mut video) = returned;
    write(&mut video, 1, &["after"]);
    // Until the creator is back, subscribers get what it published before.
    let mut watching = watching.expect("found");
    let mut group = watching.group().await.expect("a group");
    if group.0 == 0 {
        assert_eq!(group.1, [Bytes::from("before")]);
        group = watching.group().await.expect("a group");
    }
    assert_eq!(group, (1, vec![Bytes::from("after")]));
    origin.room("demo", |room| room.state == State::Live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creator_that_does_not_return_ends_the_room_and_frees_its_memory() {
    let keyed = KeyedOrigin::with_grace(Duration::from_millis(50));
    let origin = &keyed.origin;
    let mut ada = keyed.creator("https", "ada", "").await;
    let mut video = ada.publish("demo", "video").await.expect("accepted");
    write(&mut video, 0, &["something"]);
    origin.objects("demo", 1).await;
    assert!(origin.handle.kept_bytes() > 0);
    ada.vanish();
    origin.room("demo", |room| room.state == State::Ended && room.tracks.is_empty()).await;
    assert_eq!(origin.handle.kept_bytes(), 0);
    let mut bob = keyed.creator("moqt", "bob", "").await;
    let _video = bob.publish("demo", "video").await.expect("the room is free");
}
