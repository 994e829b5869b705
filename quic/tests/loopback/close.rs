//! How a session of ours ends.

use std::net::Ipv4Addr;

use moq_transport::session::transport::quinn::{ReadError, SessionError, WebTransportError};
use moqt::{ResetCode, SessionCode};
use quic::Endpoint;
use tokio::task::LocalSet;

use crate::{Tls, ours::Ours, theirs, within};

#[tokio::test]
async fn streams_are_reset_before_a_webtransport_session_closes() {
    LocalSet::new()
        .run_until(Box::pin(async {
            let tls = Tls::new();
            let any = (Ipv4Addr::LOCALHOST, 0).into();
            let endpoint = Endpoint::server(any, tls.server).expect("a socket");
            let port = endpoint.local_addr().expect("bound").port();
            let url = format!("https://localhost:{port}/room").parse().expect("a URL");
            let (connection, (_socket, peer)) = tokio::join!(
                within("our connection", async { endpoint.incoming().await.expect("open").accept().await }),
                within("their connection", theirs::connect(any, &url, tls.client))
            );
            let ours = Ours::start(connection.expect("connected"));
            let mut stream = within("our control stream", peer.accept_uni()).await.expect("a session");
            let first = within("our SETUP", stream.read_chunk(usize::MAX, true)).await;
            assert!(first.expect("an open stream").is_some());

            ours.call(|session, _| session.close(SessionCode::NO_ERROR, "over")).await;
            let ended = loop {
                match within("the stream's end", stream.read_chunk(usize::MAX, true)).await {
                    Ok(Some(_)) => {}
                    ended => break ended,
                }
            };
            let Err(ReadError::Reset(code)) = ended else { panic!("{ended:?}") };
            assert_eq!(ResetCode(code.into()), ResetCode::SESSION_CLOSED);
            let closed = within("the session's end", peer.closed()).await;
            let SessionError::WebTransportError(WebTransportError::Closed(code, reason)) = closed else {
                panic!("{closed:?}")
            };
            assert_eq!((SessionCode(code.into()), &*reason), (SessionCode::NO_ERROR, "over"));
        }))
        .await;
}
