//! The two ends: who they are, what they refuse, and how they are lost and found.

use moq_transport::{coding::TrackNamespace, session::SessionError};
use restream::{End, Error, Link, Options, Room};

use crate::{
    relay::{Relay, Stage, trusting, unauthorized, within},
    running::{CATALOG, FROM, Running, TO, Wired, watch, write},
};

#[tokio::test]
async fn tokens_are_presented_in_the_url_and_in_setup() {
    for scheme in ["https", "moqt"] {
        let (from, to) = (Relay::start(), Relay::start());
        let url = format!("{}?jwt=of.the.url", from.url(scheme, FROM));
        let address = |url: &str| url.parse::<restream::Address>().expect("an address");
        let _running = Running::with(Options {
            from: address(&url),
            to: address(&to.url(scheme, TO)).with_token("of.the.option".into()),
            tls: trusting(&[&from, &to]),
            tracks: Vec::new(),
        });
        let (source, destination) = tokio::join!(from.accept(), to.accept());
        assert_eq!(
            (source.path.as_str(), &source.tokens[..]),
            ("/?jwt=of.the.url", &["of.the.url".into()][..])
        );
        assert_eq!(destination.path, "/?jwt=of.the.option");
        assert_eq!(destination.tokens, ["of.the.option"]);
    }
}

#[tokio::test]
async fn a_room_is_announced_once_the_source_has_it_and_withdrawn_when_it_has_it_no_more() {
    let (from, to) = (Relay::start(), Relay::start());
    let stage = Stage::default();
    let running = Running::start(&from, &to, "moqt", &[]);
    let (source, mut destination) = tokio::join!(from.accept(), to.accept());
    stage.serve(source.publisher.clone());
    running.until("an absent room", |report| report.room == Room::Absent).await;

    // A catalog of another kind than ours will do.
    let mut catalog = stage.track(FROM, "catalog.json");
    write(&mut catalog, 0, 0, &[(0, r#"{"video":{"renditions":{}}}"#)]);
    let room = destination.announced().await;
    assert_eq!(room.namespace, TrackNamespace::from_utf8_path(TO));
    running.until("an announced room", |report| report.room == Room::Announced).await;

    drop(catalog);
    within("the withdrawal", room.closed()).await.expect("a session");
    running.until("an absent room", |report| report.room == Room::Absent).await;
}

#[tokio::test]
async fn a_lost_source_is_connected_to_again_and_the_room_stays() {
    let (mut wired, room) = Wired::start("moqt").await;
    wired.source.break_off();
    let down = wired.running.until("a lost source", |report| report.down().is_some()).await;
    assert_eq!(down.down().map(|(end, ..)| end), Some(End::Source));
    assert!(matches!(down.destination, Link::Up { .. }));

    let source = wired.from.accept().await;
    wired.stage.serve(source.publisher.clone());
    let mut video = wired.stage.track(FROM, "video");
    write(&mut video, 5, 0, &[(0, "frame")]);
    let mut watching = watch(&mut wired.destination.subscriber, "video").await.expect("a track");
    assert_eq!(watching.stream().await.group, 5);
    tokio::select! {
        biased;
        _ = room.closed() => panic!("the room was withdrawn"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn a_lost_destination_is_connected_to_again_and_gets_the_room_anew() {
    let (wired, _room) = Wired::start("https").await;
    wired.destination.break_off();
    wired
        .running
        .until("a lost destination", |report| report.down().is_some_and(|(end, ..)| end == End::Destination))
        .await;
    let mut destination = wired.to.accept().await;
    let _room = destination.announced().await;
    let mut watching = watch(&mut destination.subscriber, "catalog").await.expect("a catalog");
    let mut stream = watching.next().await;
    let object = within("an object", stream.read_next()).await.expect("open").expect("an object");
    assert_eq!(object, CATALOG);
}

#[tokio::test]
async fn a_refusal_names_the_end_and_the_option_for_its_token() {
    for (refusing, option) in [(End::Source, "--from-token"), (End::Destination, "--to-token")] {
        let (from, to) = (Relay::start(), Relay::start());
        let mut running = Running::start(&from, &to, "https", &[]);
        let (source, destination) = tokio::join!(from.accept(), to.accept());
        let refused = if refusing == End::Source { &source } else { &destination };
        refused.transport.close(0x2, "this takes a token");
        let error = running.ended().await.expect_err("a refusal");
        assert!(matches!(&error, Error::Unauthorized { end, .. } if *end == refusing), "{error}");
        let line = error.to_string();
        assert!(line.contains("this takes a token") && line.contains(option), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
}

#[tokio::test]
async fn a_room_that_the_destination_refuses_for_good_is_an_error() {
    let (from, to) = (Relay::start(), Relay::start());
    let stage = Stage::default();
    let mut catalog = stage.track(FROM, "catalog");
    write(&mut catalog, 0, 0, &[(0, CATALOG)]);
    let mut running = Running::start(&from, &to, "moqt", &[]);
    let (source, mut destination) = tokio::join!(from.accept(), to.accept());
    stage.serve(source.publisher.clone());
    let offered = within("PUBLISH_NAMESPACE", destination.subscriber.published_namespace()).await;
    offered.expect("a session").reject(unauthorized(), "not in this room").expect("a session");
    let error = running.ended().await.expect_err("a refusal");
    assert!(matches!(error, Error::Unauthorized { end: End::Destination, .. }), "{error}");
}

#[tokio::test]
async fn a_relay_that_cannot_be_reached_at_first_is_an_error() {
    let (from, to) = (Relay::start(), Relay::start());
    let trusted = trusting(&[&to]);
    let mut running = Running::with(Options {
        from: from.url("https", FROM).parse().expect("an address"),
        to: to.url("https", TO).parse().expect("an address"),
        tls: trusted,
        tracks: Vec::new(),
    });
    let (ended, ()) = tokio::join!(running.ended(), from.refused());
    let error = ended.expect_err("no connection");
    assert!(matches!(error, Error::Connect { end: End::Source, .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn the_end_withdraws_the_room_and_closes_both_sessions() {
    let (mut wired, room) = Wired::start("moqt").await;
    let withdrawn = async {
        within("the withdrawal", room.closed()).await.expect("a session");
        wired.destination.quic.close_reason()
    };
    let (stopped, reason) = tokio::join!(wired.running.stop(), withdrawn);
    stopped.expect("a good end");
    assert_eq!(reason, None, "the room is withdrawn before the session ends");
    for client in [&mut wired.source, &mut wired.destination] {
        let ended = within("the end of a session", &mut client.run).await.expect("no panic");
        assert!(ended.as_ref().is_err_and(SessionError::is_graceful_close), "{ended:?}");
    }
}
