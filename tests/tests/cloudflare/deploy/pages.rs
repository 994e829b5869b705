//! The platform serves the same pages as an edge.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use fanfare_tests::{Deployed, Isolate, Node, Stack};
use serde_json::Value;

/// The headers in which platform and edge may differ.
const OWN: [&str; 9] = [
    "accept-ranges",
    "cf-cache-status",
    "connection",
    "content-length",
    "date",
    "etag",
    "last-modified",
    "transfer-encoding",
    "vary",
];

/// A response: status, headers and body.
#[derive(Debug, PartialEq)]
struct Page {
    status: String,
    headers: BTreeMap<String, String>,
    body: String,
}

fn page(answer: &str) -> Result<Page> {
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?;
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let mut headers: BTreeMap<_, _> = headers.filter(|(name, _)| !OWN.contains(&name.as_str())).collect();
    // One of the two names UTF-8 in the content type of texts, the other leaves it out.
    if let Some(kind) = headers.get_mut("content-type") {
        *kind = kind.trim_end_matches("; charset=utf-8").to_owned();
    }
    Ok(Page { status: status.to_owned(), headers, body: body.to_owned() })
}

#[tokio::test]
async fn pages_are_those_of_an_edge() -> Result<()> {
    let stack = Stack::empty().await?;
    let isolate = Isolate::start(Deployed::with(stack.keys().clone())).await?;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/some-room"),
        ("GET", "/friday/night/"),
        ("GET", "/embed/some-room"),
        ("GET", "/embed/friday/night"),
        ("GET", "/watch.html"),
        ("GET", "/watch.js"),
        ("GET", "/room.css"),
        ("GET", "/messages/en.json"),
        ("GET", "/client/index.js"),
        ("GET", "/client/worker.js"),
        // A binary file.
        ("HEAD", "/client/fanfare-client_bg.wasm"),
    ] {
        let edge = page(&stack.ask(Node::FanEdge, method, path).await?)?;
        let cloudflare = page(&isolate.ask(method, path, None).await?)?;
        assert_eq!(cloudflare, edge, "{path}");
        assert_eq!(edge.status, "200", "{path}");
        for name in [
            "content-security-policy",
            "cross-origin-opener-policy",
            "cross-origin-embedder-policy",
            "cross-origin-resource-policy",
            "x-content-type-options",
            "referrer-policy",
            "cache-control",
        ] {
            assert!(edge.headers.contains_key(name), "{path} without {name}: {:?}", edge.headers);
        }
    }
    let room = page(&isolate.ask("GET", "/some-room", None).await?)?;
    assert!(
        room.body.contains("<script type=\"module\" src=\"/watch.js\">"),
        "the watch page: {}",
        room.body
    );
    // `_headers` describes the pages and is not served itself.
    assert_eq!(page(&isolate.ask("GET", "/_headers", None).await?)?, room);
    Ok(())
}

#[tokio::test]
async fn its_own_routes_come_before_the_pages() -> Result<()> {
    let stack = Stack::empty().await?;
    let isolate = Isolate::start(Deployed::with(stack.keys().clone())).await?;
    let health = page(&isolate.ask("GET", "/healthz", None).await?)?;
    assert_eq!((health.status.as_str(), health.body.as_str()), ("200", "ok\n"));
    let facts: Value = serde_json::from_str(&page(&isolate.ask("GET", "/api/edge", None).await?)?.body)?;
    assert!(facts["websocket"].as_str().is_some_and(|url| url.ends_with("/moq")), "{facts}");
    let nowhere = page(&isolate.ask("GET", "/moq", None).await?)?;
    assert_eq!(nowhere.status, "400", "{nowhere:?}");
    assert!(nowhere.body.contains("/moq?room=NAME"), "{nowhere:?}");
    Ok(())
}
