//! One of a room's objects, as the platform calls it.
#![allow(missing_docs, reason = "what the platform calls is made by a macro, without a word")]

use std::{cell::OnceCell, rc::Rc, time::Duration};

use moqt::{Version, mux};
use wire::FanId;
use worker::{
    DurableObject, Env, Request, Response, Result, State, WebSocketPair, durable_object, wasm_bindgen,
    wasm_bindgen::prelude::wasm_bindgen,
};

use crate::{
    address::Address,
    house::{House, Who},
    keep::Keep,
    line::Came,
    platform,
    share::{ROOT, SHARE},
};

/// Closes a WebSocket: the room starts over, come again.
const RESTART: u16 = 1012;
/// Closes a WebSocket: there is no such room.
const NO_ROOM: u16 = 4404;
/// Closes a WebSocket: nobody can say now whether there is such a room.
const UNSURE: u16 = 1013;
/// How often an object that is awake is woken, in case that its memory is gone and its sockets are not.
const WATCH: Duration = Duration::from_secs(15);

/// One of a room's objects.
#[durable_object(alarm)]
pub struct Stage {
    state: State,
    env: Env,
    house: OnceCell<Rc<House>>,
}

impl DurableObject for Stage {
    fn new(state: State, env: Env) -> Self {
        // Their sessions were in the memory that is gone.
        for socket in state.get_websockets() {
            let _ = socket.close(Some(RESTART), Some("the room starts over: come again"));
        }
        Self { state, env, house: OnceCell::new() }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let address = Address::new(request.inner().url());
        let (Ok(room), Some(path)) = (address.room(), address.path().strip_prefix('/')) else {
            return Response::error("there is no such room\n", 400);
        };
        let (what, of) = path.split_once('/').unwrap_or((path, ""));
        let of_person = || of.parse::<FanId>().map_err(|error| error.to_string());
        match what {
            "fan" => self.enter(&request, &address, room, of.parse().unwrap_or(ROOT), Who::Fan).await,
            "share" => self.enter(&request, &address, room, ROOT, Who::Share).await,
            "archive" => self.past(room, Keep::export),
            "export" => {
                let fan = of_person()?;
                self.past(room, |keep| keep.export_person(fan))
            }
            "forget" => self.forget(room, of_person()?).await,
            _ => Response::error("an object does not do that\n", 404),
        }
    }

    async fn alarm(&self) -> Result<Response> {
        if let Some(house) = self.house.get().filter(|house| house.is_awake()) {
            self.state.storage().set_alarm(WATCH).await?;
            house.report().await;
        }
        Response::empty()
    }
}

#[wasm_bindgen(wasm_bindgen = wasm_bindgen)]
impl Stage {
    /// A binary message has come on the WebSocket with that number. Whether it is known here.
    pub fn message(&self, id: f64, message: Vec<u8>) -> bool {
        self.came(id, Came::Binary(message.into()))
    }

    /// Text has come.
    pub fn text(&self, id: f64, text: &str) -> bool {
        #[cfg(feature = "panics")]
        assert_ne!(text, "panic", "asked for on a WebSocket");
        let _ = text;
        self.came(id, Came::Text)
    }

    /// The WebSocket is closed.
    pub fn closed(&self, id: f64) -> bool {
        self.came(id, Came::Closed(String::new()))
    }
}

impl Stage {
    fn came(&self, id: f64, what: Came) -> bool {
        let line = self.house.get().and_then(|house| house.line(id as u64)).filter(|line| !line.is_over());
        line.is_some_and(|line| {
            line.came(what);
            true
        })
    }

    fn keep(&self, room: String) -> Result<Keep> {
        Keep::new(&self.state, room)
    }

    /// What runs here, from when the first one comes.
    async fn house(&self, share: u32, room: String) -> Result<Rc<House>> {
        if let Some(house) = self.house.get() {
            return Ok(Rc::clone(house));
        }
        let house = House::new(self.env.clone(), share, room.clone(), self.keep(room)?).await?;
        // Somebody may have come meanwhile.
        Ok(Rc::clone(self.house.get_or_init(|| Rc::new(house))))
    }

    async fn enter(
        &self,
        request: &Request,
        address: &Address,
        room: String,
        share: u32,
        who: Who,
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
        let house = self.house(share, room).await?;
        if who == Who::Fan {
            let full = request.headers().get(SHARE)?.and_then(|full| full.parse().ok());
            if let Some(share) = house.elsewhere(full) {
                let response = Response::empty()?;
                response.headers().set(SHARE, &share.to_string())?;
                return Ok(response);
            }
        }
        let WebSocketPair { client, server } = WebSocketPair::new()?;
        let response = Response::from_websocket(client)?;
        response.headers().set("sec-websocket-protocol", mux::subprotocol(version))?;
        let refused = match house.is_there(address).await? {
            Some(true) => None,
            Some(false) => Some((NO_ROOM, "there is no such room: its creator has not opened it")),
            None => Some((UNSURE, "the origin does not answer: come again in a moment")),
        };
        if let Some((code, why)) = refused {
            server.accept()?;
            server.close(Some(code), Some(why))?;
            return Ok(response);
        }
        if !house.is_awake() {
            self.state.storage().set_alarm(WATCH).await?;
        }
        self.state.accept_web_socket(&server);
        let id = house.enter(who, server.clone(), version, address.query().to_owned());
        server.serialize_attachment(id as f64)?;
        Ok(response)
    }

    /// What is kept, if the room was ever opened.
    fn past(&self, room: String, read: impl FnOnce(&Keep) -> Result<String>) -> Result<Response> {
        let keep = self.keep(room)?;
        Response::ok(if keep.is_open()? { read(&keep)? } else { String::new() })
    }

    /// Erases a person from what is archived, and from the room.
    async fn forget(&self, room: String, fan: FanId) -> Result<Response> {
        let keep = self.keep(room)?;
        if keep.is_open()? {
            match self.house.get() {
                Some(house) => house.forget(fan).await?,
                None => platform::forget(&keep, fan)?,
            }
        }
        Response::ok("{}")
    }
}
