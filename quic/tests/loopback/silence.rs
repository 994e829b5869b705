//! Peers that leave without a word, as a phone does that loses its network.

use std::time::Duration;

use futures_util::StreamExt as _;
use moqt::{
    Ended, Micros, Version,
    session::{Config, Side, Transport},
};
use quic::{Clock, websocket};
use testnet::Probe;
use tokio::{
    io::{AsyncReadExt as _, DuplexStream, duplex},
    time::{Instant, timeout},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

/// Runs our end of a WebSocket whose peer has its time to begin.
async fn serve(carrier: DuplexStream) -> Ended {
    let socket = WebSocketStream::from_raw_socket(carrier, Role::Server, None).await;
    let (mut probe, _calls, _events) = Probe::new();
    let mut config = Config::new(Side::Server, Transport::WebTransport, Version::Draft18);
    config.limits.setup = Micros::from_secs(3600);
    websocket::drive(socket, config, Clock::default(), &mut probe).await.expect("a fair configuration")
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_answers_no_ping_ends() {
    let (ours, mut theirs) = duplex(1 << 20);
    let begin = Instant::now();
    let reading = async {
        // It reads, so that nothing backs up, and never answers.
        let mut bytes = vec![0; 4096];
        while theirs.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = serve(ours) => ended,
        () = reading => unreachable!("it waits for ever"),
    };
    assert!((40..=41).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    assert!(ended.reason.contains("ping"), "{}", ended.reason);
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_reads_nothing_ends_too() {
    let (ours, _theirs) = duplex(1);
    let begin = Instant::now();
    serve(ours).await;
    assert!((40..=41).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_only_answers_pings_goes_on() {
    let (ours, theirs) = duplex(1 << 20);
    let answering = async {
        // The library answers pings while it is read.
        let mut socket = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        while socket.next().await.is_some() {}
    };
    let both = async { tokio::join!(serve(ours), answering) };
    assert!(timeout(Duration::from_mins(10), both).await.is_err(), "it ended");
}
