//! The Durable Object class of a room's objects: the entry points that the platform calls.
#![allow(missing_docs, reason = "the platform's entry points are made by a macro, without documentation")]

use std::{cell::OnceCell, rc::Rc, time::Duration};

use moqt::{Version, mux};
use wire::FanId;
use worker::{
    DurableObject, Env, Request, Response, Result, State, WebSocketPair, durable_object, wasm_bindgen,
    wasm_bindgen::prelude::wasm_bindgen,
};

use crate::{
    address::Address,
    object::{ClientKind, RoomObject},
    platform,
    shard::{ROOT, SHARD_HEADER},
    storage::RoomStorage,
    websocket::SocketEvent,
};

/// Close code: the room has restarted, reconnect.
const RESTART: u16 = 1012;
/// Close code: there is no such room.
const NO_ROOM: u16 = 4404;
/// Close code: the origin does not answer, so that the room may or may not exist. Try again later.
const UNSURE: u16 = 1013;
/// The interval at which a running object is woken: its memory may be lost while its WebSockets stay open.
const WATCH: Duration = Duration::from_secs(15);

/// One object of a room: a shard. The class name is that of deployed state.
#[durable_object(alarm)]
pub struct Stage {
    state: State,
    env: Env,
    object: OnceCell<Rc<RoomObject>>,
}

impl DurableObject for Stage {
    fn new(state: State, env: Env) -> Self {
        // The sessions of these WebSockets were lost with the memory.
        for socket in state.get_websockets() {
            let _ = socket.close(Some(RESTART), Some("the room starts over: come again"));
        }
        Self { state, env, object: OnceCell::new() }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let address = Address::new(request.inner().url());
        let (Ok(room), Some(path)) = (address.room(), address.path().strip_prefix('/')) else {
            return Response::error("there is no such room\n", 400);
        };
        let (what, of) = path.split_once('/').unwrap_or((path, ""));
        let of_person = || of.parse::<FanId>().map_err(|error| error.to_string());
        match what {
            "fan" => self.enter(&request, &address, room, of.parse().unwrap_or(ROOT), ClientKind::Fan).await,
            "share" => self.enter(&request, &address, room, ROOT, ClientKind::Shard).await,
            "archive" => self.read_archive(room, RoomStorage::export),
            "export" => {
                let fan = of_person()?;
                self.read_archive(room, |storage| storage.export_person(fan))
            }
            "forget" => self.forget(room, of_person()?).await,
            _ => Response::error("a room's object has no such address\n", 404),
        }
    }

    async fn alarm(&self) -> Result<Response> {
        if let Some(object) = self.object.get().filter(|object| object.is_awake()) {
            self.state.storage().set_alarm(WATCH).await?;
            object.report().await;
        }
        Response::empty()
    }
}

#[wasm_bindgen(wasm_bindgen = wasm_bindgen)]
impl Stage {
    /// Handles a binary message on the WebSocket with that number. Returns whether the WebSocket has a session.
    pub fn message(&self, id: f64, message: Vec<u8>) -> bool {
        self.push(id, SocketEvent::Binary(message.into()))
    }

    /// Handles a text message, which no session sends. Returns whether the WebSocket has a session.
    pub fn text(&self, id: f64, text: &str) -> bool {
        #[cfg(feature = "panics")]
        assert_ne!(text, "panic", "asked for on a WebSocket");
        let _ = text;
        self.push(id, SocketEvent::Text)
    }

    /// Handles the end of a WebSocket. Returns whether the WebSocket had a session.
    pub fn closed(&self, id: f64) -> bool {
        self.push(id, SocketEvent::Closed(String::new()))
    }
}

impl Stage {
    fn push(&self, id: f64, event: SocketEvent) -> bool {
        let inbox =
            self.object.get().and_then(|object| object.inbox(id as u64)).filter(|inbox| !inbox.is_over());
        inbox.is_some_and(|inbox| {
            inbox.push(event);
            true
        })
    }

    fn storage(&self, room: String) -> Result<RoomStorage> {
        RoomStorage::new(&self.state, room)
    }

    /// Returns the running state of this object, created at the first request.
    async fn object(&self, shard: u32, room: String) -> Result<Rc<RoomObject>> {
        if let Some(object) = self.object.get() {
            return Ok(Rc::clone(object));
        }
        let object = RoomObject::new(self.env.clone(), shard, room.clone(), self.storage(room)?).await?;
        // Another request may have created it meanwhile.
        Ok(Rc::clone(self.object.get_or_init(|| Rc::new(object))))
    }

    async fn enter(
        &self,
        request: &Request,
        address: &Address,
        room: String,
        shard: u32,
        kind: ClientKind,
    ) -> Result<Response> {
        let offered = request.headers().get("sec-websocket-protocol")?.unwrap_or_default();
        let version = offered.split(',').find_map(|name| mux::version(name.trim()));
        let is_upgrade =
            request.headers().get("upgrade")?.is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
        let Some(version) = version.filter(|_| is_upgrade) else {
            let names: Vec<_> = Version::SUPPORTED.iter().map(|version| mux::subprotocol(*version)).collect();
            let why = format!("this is for WebSockets: offer the subprotocol {}\n", names.join(" or "));
            return Response::error(why, if is_upgrade { 406 } else { 426 });
        };
        let object = self.object(shard, room).await?;
        if kind == ClientKind::Fan {
            let full = request.headers().get(SHARD_HEADER)?.and_then(|full| full.parse().ok());
            if let Some(shard) = object.redirect(full) {
                let response = Response::empty()?;
                response.headers().set(SHARD_HEADER, &shard.to_string())?;
                return Ok(response);
            }
        }
        let WebSocketPair { client, server } = WebSocketPair::new()?;
        let response = Response::from_websocket(client)?;
        response.headers().set("sec-websocket-protocol", mux::subprotocol(version))?;
        let refused = match object.exists(address).await? {
            Some(true) => None,
            Some(false) => Some((NO_ROOM, "there is no such room: its creator has not opened it")),
            None => Some((UNSURE, "the origin does not answer: come again in a moment")),
        };
        if let Some((code, why)) = refused {
            server.accept()?;
            server.close(Some(code), Some(why))?;
            return Ok(response);
        }
        if !object.is_awake() {
            self.state.storage().set_alarm(WATCH).await?;
        }
        self.state.accept_web_socket(&server);
        // Other objects of ours have no such header, and present an edge's token.
        let peer = request.headers().get("cf-connecting-ip")?.and_then(|peer| peer.parse().ok());
        let id = object.enter(kind, server.clone(), version, address.query().to_owned(), peer);
        server.serialize_attachment(id as f64)?;
        Ok(response)
    }

    /// Answers with archived rows, or with nothing if the room was never opened.
    fn read_archive(
        &self,
        room: String,
        read: impl FnOnce(&RoomStorage) -> Result<String>,
    ) -> Result<Response> {
        let storage = self.storage(room)?;
        Response::ok(if storage.is_open()? { read(&storage)? } else { String::new() })
    }

    /// Erases a person from the room and its archive.
    async fn forget(&self, room: String, fan: FanId) -> Result<Response> {
        let storage = self.storage(room)?;
        if storage.is_open()? {
            match self.object.get() {
                Some(object) => object.forget(fan).await?,
                None => platform::forget(&storage, fan)?,
            }
        }
        Response::ok("{}")
    }
}
