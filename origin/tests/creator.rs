use std::time::Duration;

use bytes::Bytes;
use origin::{
    Config, State,
    token::{Algorithm, Claims, Keys, Role},
};

use crate::stage::{Client, Stage, write};

const HOUR: Duration = Duration::from_hours(1);

struct Theatre {
    stage: Stage,
    keys: Keys,
}

impl Theatre {
    fn with_grace(grace: Duration) -> Self {
        let keys = Keys::generate(Algorithm::EdDSA).expect("a key");
        let config = Config { keys: Some(keys.clone()), grace, ..Config::default() };
        Self { stage: Stage::start(config), keys }
    }

    async fn creator(&self, scheme: &str, name: &str, query: &str) -> Client {
        let claims = Claims::new("demo", Role::Creator, name, HOUR);
        let jwt = self.keys.mint(&claims).expect("a signing key");
        let url = self.stage.url(scheme, &format!("/?jwt={jwt}{query}"));
        self.stage.connect(&url, &[]).await.expect("let in")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_creator_is_refused_with_the_reason() {
    let theatre = Theatre::with_grace(HOUR);
    let mut ada = theatre.creator("moqt", "ada", "").await;
    let _video = ada.publish("demo", "video").await.expect("accepted");
    let mut bob = theatre.creator("moqt", "bob", "").await;
    assert!(bob.publish("demo", "video").await.is_err());
    let told = bob.ended().await;
    let reason = "room \"demo\" is live with creator \"ada\"; publish with ?takeover=1";
    assert!(told.contains(reason), "{told}");
    let room = theatre.stage.room("demo", |_| true).await;
    assert_eq!((room.state, room.creator.as_deref()), (State::Live, Some("ada")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_creator_takes_over_when_it_says_so() {
    let theatre = Theatre::with_grace(HOUR);
    for (name, scheme) in [("bob", "moqt"), ("eve", "https")] {
        let mut ada = theatre.creator(scheme, "ada", "&takeover=1").await;
        let _video = ada.publish("demo", "video").await.expect("accepted");
        let mut next = theatre.creator(scheme, name, "&takeover=1").await;
        let mut video = next.publish("demo", "video").await.expect("accepted");
        let told = ada.ended().await;
        // Over WebTransport, the library may end the connection before it has read the reason.
        let expected = format!("room \"demo\" was taken over by {name}");
        assert!(scheme == "https" || told.contains(&expected), "{told}");
        let mut fan = theatre.stage.client(scheme).await;
        let mut watching = fan.subscribe("demo", "video").await.expect("found");
        write(&mut video, 5, &["new"]);
        assert_eq!(watching.group().await.expect("a group").1, [Bytes::from("new")]);
        let room = theatre.stage.room("demo", |_| true).await;
        assert_eq!((room.state, room.creator.as_deref()), (State::Live, Some(name)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vanished_creator_returns_to_its_room_and_its_waiting_fans() {
    let theatre = Theatre::with_grace(HOUR);
    let stage = &theatre.stage;
    let mut ada = theatre.creator("moqt", "ada", "").await;
    let mut video = ada.publish("demo", "video").await.expect("accepted");
    write(&mut video, 0, &["before"]);
    stage.objects("demo", 1).await;
    ada.vanish();
    let room = stage.room("demo", |room| room.state == State::Reconnecting).await;
    assert_eq!(room.creator.as_deref(), Some("ada"));
    assert!(stage.get("/api/rooms/demo").await.1.contains("\"state\":\"reconnecting\""));

    let mut fan = stage.client("https").await;
    let (returned, watching) = tokio::join!(
        async {
            let mut ada = theatre.creator("https", "ada", "").await;
            let video = ada.publish("demo", "video").await.expect("accepted");
            (ada, video)
        },
        fan.subscribe("demo", "video"),
    );
    let (_ada, mut video) = returned;
    write(&mut video, 1, &["after"]);
    // Until the creator is back, there is what it published before.
    let mut watching = watching.expect("found");
    let mut group = watching.group().await.expect("a group");
    if group.0 == 0 {
        assert_eq!(group.1, [Bytes::from("before")]);
        group = watching.group().await.expect("a group");
    }
    assert_eq!(group, (1, vec![Bytes::from("after")]));
    stage.room("demo", |room| room.state == State::Live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creator_that_does_not_return_ends_the_room_and_frees_its_memory() {
    let theatre = Theatre::with_grace(Duration::from_millis(50));
    let stage = &theatre.stage;
    let mut ada = theatre.creator("https", "ada", "").await;
    let mut video = ada.publish("demo", "video").await.expect("accepted");
    write(&mut video, 0, &["something"]);
    stage.objects("demo", 1).await;
    assert!(stage.handle.kept_bytes() > 0);
    ada.vanish();
    stage.room("demo", |room| room.state == State::Ended && room.tracks.is_empty()).await;
    assert_eq!(stage.handle.kept_bytes(), 0);
    let mut bob = theatre.creator("moqt", "bob", "").await;
    let _video = bob.publish("demo", "video").await.expect("the room is free");
}
