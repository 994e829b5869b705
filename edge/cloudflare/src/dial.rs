//! The upstreams of an object, over a WebSocket: the origin, or the object with the room's root.

use std::{pin::Pin, rc::Rc, task::Poll};

use futures_util::Stream as _;
use moqt::{
    App, Connected, Ended, Later, Misuse, Token, Version, mux,
    session::{Config, Side, Transport},
};
use relay::{Credentials, Dial, DialError, Platform};
use token::{Claims, EVERY_ROOM, Keys, Role};
use worker::{
    Env, Fetch, Headers, Request, RequestInit, Response, Result, WebSocket, WebsocketEvent,
    web_sys::BinaryType,
};

use crate::{
    platform::Isolate,
    shard::{ROOT, object_url, room_object},
    websocket::{SocketEvent, drive},
};

/// The life of the token that this node presents upstream.
const TOKEN_LIFE: wire::Micros = wire::Micros::from_secs(24 * 3600);
/// The name of this node in the token's claims.
const NAME: &str = "cloudflare";

/// The origin as the upstream of the room's root object.
pub(crate) struct Origin {
    url: String,
    keys: Keys,
}

impl Origin {
    pub(crate) fn new(url: String, keys: Keys) -> Self {
        Self { url: format!("{url}/moq"), keys }
    }
}

impl Dial for Origin {
    fn dial(&self, _: Option<&Credentials>) -> Later<'_, std::result::Result<Box<dyn Connected>, DialError>> {
        Box::pin(async move {
            let token = edge_token(&self.keys)?;
            let request = upgrade(&self.url, Some(&token)).map_err(unreachable)?;
            connected(Fetch::Request(request).send().await, token)
        })
    }

    fn name(&self) -> &str {
        &self.url
    }
}

/// The object with the room's root, as the upstream of another shard of the room.
pub(crate) struct RootObject {
    env: Env,
    room: String,
    keys: Keys,
}

impl RootObject {
    pub(crate) fn new(env: Env, room: String, keys: Keys) -> Self {
        Self { env, room, keys }
    }
}

impl Dial for RootObject {
    fn dial(&self, _: Option<&Credentials>) -> Later<'_, std::result::Result<Box<dyn Connected>, DialError>> {
        Box::pin(async move {
            let token = edge_token(&self.keys)?;
            let answer = async {
                let request = upgrade(&object_url("share", &self.room), None)?;
                room_object(&self.env, ROOT, &self.room)?.fetch_with_request(request).await
            };
            connected(answer.await, token)
        })
    }

    fn name(&self) -> &str {
        &self.room
    }
}

fn edge_token(keys: &Keys) -> std::result::Result<String, DialError> {
    let claims = Claims::until(EVERY_ROOM, Role::Edge, NAME, Isolate.wall() + TOKEN_LIFE);
    keys.mint(&claims).map_err(|error| DialError::Token(error.to_string()))
}

fn upgrade(url: &str, token: Option<&str>) -> Result<Request> {
    let headers = Headers::new();
    headers.set("upgrade", "websocket")?;
    headers.set("sec-websocket-protocol", mux::subprotocol(Version::Draft18))?;
    if let Some(token) = token {
        headers.set("authorization", &format!("Bearer {token}"))?;
    }
    Request::new_with_init(url, RequestInit::new().with_headers(headers))
}

fn connected(answer: Result<Response>, token: String) -> std::result::Result<Box<dyn Connected>, DialError> {
    let answer = answer.map_err(unreachable)?;
    let status = answer.status_code();
    let socket = answer.websocket().ok_or_else(|| {
        DialError::Unreachable(format!("it answered {status} instead of opening a WebSocket"))
    })?;
    // Otherwise messages are blobs, which can be read only asynchronously.
    socket.as_ref().set_binary_type(BinaryType::Arraybuffer);
    let mut config = Config::new(Side::Client, Transport::WebTransport, Version::Draft18);
    config.setup.tokens = vec![Token::value(token)];
    Ok(Box::new(OpenSocket { socket: OwnedSocket(socket), config }))
}

struct OpenSocket {
    socket: OwnedSocket,
    config: Config,
}

/// A WebSocket that is closed when this is dropped.
struct OwnedSocket(WebSocket);

impl Drop for OwnedSocket {
    fn drop(&mut self) {
        let _ = self.0.close(Some(1000), Some("no session is left on this WebSocket"));
    }
}

impl Connected for OpenSocket {
    fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    fn run(self: Box<Self>, app: &mut dyn App) -> Later<'_, std::result::Result<Ended, Misuse>> {
        Box::pin(async move {
            let Self { socket, config } = *self;
            let broken = |_| Misuse::BadField("the WebSocket cannot be used");
            let mut events = socket.0.events().map_err(broken)?;
            socket.0.accept().map_err(broken)?;
            let mut is_over = false;
            let ended = drive(Rc::new(Isolate), &socket.0, config, app, |task| {
                if is_over {
                    return None;
                }
                let Poll::Ready(event) = Pin::new(&mut events).poll_next(task) else { return None };
                Some(match event {
                    Some(Ok(WebsocketEvent::Message(message))) => match message.bytes() {
                        Some(bytes) => SocketEvent::Binary(bytes.into()),
                        None => SocketEvent::Text,
                    },
                    Some(Ok(WebsocketEvent::Close(close))) => {
                        is_over = true;
                        SocketEvent::Closed(close.reason())
                    }
                    Some(Err(_)) | None => {
                        is_over = true;
                        SocketEvent::Closed(String::new())
                    }
                })
            });
            ended.await
        })
    }
}

fn unreachable(error: worker::Error) -> DialError {
    DialError::Unreachable(error.to_string())
}
