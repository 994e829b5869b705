//! The TCP side of nodes: HTTPS, WSS, and what is for operators alone.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use fanfare_tests::{Node, ROOM, Stack, Talker};
use outbox::Outcome;
use quic::Trust;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use token::{Claims, EVERY_ROOM, Role};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::LocalSet,
};
use url::Url;

use crate::hostile::show;

/// Asks a node over HTTPS. Returns the response, head and body.
async fn ask_over_tls(stack: &Stack, node: Node, path: &str) -> Result<String> {
    let trust = Trust::Fingerprints(vec![stack.fingerprint().parse().map_err(anyhow::Error::msg)?]);
    let tls = tokio_rustls::TlsConnector::from(Arc::new(trust.client_config()?));
    let socket = TcpStream::connect(stack.addr_of(node)).await?;
    let mut stream = tls.connect(ServerName::try_from("localhost")?, socket).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: edge.example\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    // A server may close TCP at once behind its last byte of TLS.
    let _ = stream.read_to_end(&mut answer).await;
    Ok(String::from_utf8(answer)?)
}

#[tokio::test]
async fn a_page_over_https_is_told_of_a_websocket_over_tls_and_a_fan_talks_on_it() -> Result<()> {
    let talking = async {
        let stack = Stack::open(show()?).await?;
        let answer = ask_over_tls(&stack, Node::FanEdge, "/api/edge").await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an HTTP response")?;
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        let facts: Value = serde_json::from_str(body)?;
        assert_eq!(facts["websocket"], "wss://edge.example/moq");
        let plain = stack.ask(Node::FanEdge, "GET", "/api/edge").await?;
        assert!(plain.contains("\"ws://localhost/moq\""), "{plain}");

        let port = stack.addr_of(Node::FanEdge).port();
        let mut talker = Talker::enter_at(Url::parse(&format!("wss://localhost:{port}/"))?, ROOM, None)?;
        let said = talker.order(json!({ "say": { "text": "over TLS" } })).await?;
        assert!(matches!(said, Outcome::Taken { .. }), "{said:?}");
        Ok(())
    };
    LocalSet::new().run_until(Box::pin(talking)).await
}

#[tokio::test]
async fn what_is_for_operators_is_on_no_public_port() -> Result<()> {
    let stack = Stack::empty().await?;
    for node in [Node::Origin, Node::FanEdge] {
        let metrics = stack.ask_admin(node, "GET", "/metrics").await?;
        assert!(metrics.starts_with("HTTP/1.0 200"), "{metrics}");
        let public = stack.ask(node, "GET", "/metrics").await?;
        assert!(!public.contains("fanfare_"), "{public}");
    }
    let path = "/api/fans/00c0ffee00c0ffee";
    assert!(stack.ask_admin(Node::Origin, "GET", path).await?.starts_with("HTTP/1.0 200"));
    for method in ["GET", "DELETE"] {
        let public = stack.ask(Node::Origin, method, path).await?;
        assert!(public.starts_with("HTTP/1.0 404"), "{public}");
    }
    Ok(())
}

#[tokio::test]
async fn an_operators_token_opens_the_archive_and_a_creators_does_not() -> Result<()> {
    const LIFE: std::time::Duration = std::time::Duration::from_hours(1);
    let stack = Stack::empty().await?;
    let path = "/api/fans/00c0ffee00c0ffee";
    for (role, room, status) in [
        (Role::Operator, EVERY_ROOM, "200"),
        (Role::Operator, ROOM, "403"),
        (Role::Creator, EVERY_ROOM, "403"),
        (Role::Moderator, EVERY_ROOM, "403"),
        (Role::Edge, EVERY_ROOM, "403"),
    ] {
        let token = stack.keys().mint(&Claims::new(room, role, "somebody", LIFE))?;
        for method in ["GET", "DELETE"] {
            let answer = stack.ask_admin_with(Node::Origin, method, path, &token).await?;
            let wanted = if (method, status) == ("DELETE", "200") { "204" } else { status };
            assert!(
                answer.starts_with(&format!("HTTP/1.0 {wanted}")),
                "{method}, {role} of {room}: {answer}"
            );
            // The refusal says what to do.
            let says = "fanfare token mint --role operator --room '*'";
            assert_eq!(answer.contains(says), status == "403" && role != Role::Operator, "{answer}");
        }
    }
    Ok(())
}
