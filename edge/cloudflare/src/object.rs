//! The state of one Durable Object of a room: its sessions, its relay and, in shard 0, the room's root.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::IpAddr,
    num::NonZeroUsize,
    rc::Rc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use moqt::{Later, Namespace, Version};
use relay::{CacheLimits, Credentials, Dial, Figures, Loopback, Platform, Relay, Service};
use room_runtime::{Hub, HubService, Rooms, RoomsConfig, RootFigures, RootHandle, RootNode, run_root};
use token::{EVERY_ROOM, Keys, Role};
use wire::{EdgeId, FanId};
use worker::{Env, Fetch, Result, WebSocket, console_error, wasm_bindgen_futures::spawn_local};

use crate::{
    ORIGIN, SOCKETS,
    address::{Address, encoded},
    dial::{Origin, RootObject},
    directory::{self, RoomReport},
    keys::keys,
    platform::{Isolate, LocalWorkers, forget, wall},
    send_batch::SendBatch,
    shard::{ROOT, Shards},
    storage::RoomStorage,
    websocket::{self, SocketInbox},
};

/// The default limit of WebSockets in one object; `FANFARE_SOCKETS` changes it.
const DEFAULT_SOCKETS: usize = 500;
/// Bytes of tracks that an object keeps: it has 128 MiB for all that it does.
const BYTES_KEPT: usize = 32 << 20;
/// The time that a shard keeps running after its last session has ended.
const LINGER: Duration = Duration::from_secs(15);

/// One object of a room: a shard with its relay, room leaf and sessions. Shard 0 also runs the room's root.
pub(crate) struct RoomObject {
    env: Env,
    shard: u32,
    room: String,
    storage: RoomStorage,
    keys: Keys,
    platform: Rc<dyn Platform>,
    relay: Relay,
    rooms: Rooms,
    /// Links from the room's other shards; only in the object with the root.
    hub: Option<Hub>,
    /// Inboxes of the open sessions, by the number of their WebSocket.
    inboxes: RefCell<BTreeMap<u64, Rc<SocketInbox>>>,
    batch: SendBatch,
    /// The number of the next WebSocket.
    next: Cell<u64>,
    /// Sessions of fans that are open here.
    fans: Cell<usize>,
    max_fans: usize,
    /// The room's further shards, which take the fans that this object has no room for.
    shards: RefCell<Shards>,
    /// Set while [`run`](Self::run) runs for the sessions here.
    is_awake: Cell<bool>,
    /// Set if the directory may list the room: the origin, if there is one, lists it too.
    is_public: Cell<bool>,
    /// The handle of the room's root, while it runs.
    root: RefCell<Option<RootHandle>>,
}

/// The client at the other end of a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientKind {
    Fan,
    /// Another object of the same room, for its fans.
    Shard,
}

impl RoomObject {
    pub(crate) async fn new(env: Env, shard: u32, room: String, storage: RoomStorage) -> Result<Self> {
        let keys = keys(&env).await?;
        let max_fans = match env.var(SOCKETS) {
            Ok(max_fans) => {
                max_fans.to_string().parse::<NonZeroUsize>().map(NonZeroUsize::get).map_err(|_| {
                    format!("{SOCKETS}: {:?} is no number of WebSockets, as 500 is", max_fans.to_string())
                })?
            }
            Err(_) => DEFAULT_SOCKETS,
        };
        let namespace = Namespace::from_path(&room).map_err(|error| error.to_string())?;
        let platform: Rc<dyn Platform> = Rc::new(Isolate);
        let figures = Figures::new("fanfare_edge");
        let config = RoomsConfig { edge: EdgeId(shard.into()), incarnation: wall().0, keys: keys.clone() };
        let rooms = Rooms::new(Rc::clone(&platform), Rc::new(LocalWorkers), config, &figures);
        let mut services: Vec<Rc<dyn Service>> = vec![Rc::new(rooms.clone())];
        let hub = (shard == ROOT).then(|| Hub::new(namespace));
        if let Some(hub) = hub.clone() {
            let (hub, keys, platform) = (Rc::new(hub), Some(keys.clone()), Rc::clone(&platform));
            services.push(Rc::new(HubService::new(hub, keys, platform)));
        }
        let relay_config = relay::Config {
            services,
            cache: CacheLimits { total_bytes: BYTES_KEPT, ..CacheLimits::default() },
            keys: Some(keys.clone()),
            ..relay::Config::default()
        };
        let relay = Relay::new(Rc::clone(&platform), figures, relay_config);
        if shard != ROOT || env.var(ORIGIN).is_ok() {
            relay.expect_upstream();
        }
        Ok(Self {
            env,
            shard,
            room,
            storage,
            keys,
            platform,
            relay,
            rooms,
            hub,
            inboxes: RefCell::default(),
            batch: SendBatch::default(),
            // Numbers are not reused after a restart: a WebSocket outlives the memory of its object.
            next: Cell::new(wall().as_millis()),
            fans: Cell::new(0),
            max_fans,
            shards: RefCell::default(),
            is_awake: Cell::new(false),
            is_public: Cell::new(false),
            root: RefCell::default(),
        })
    }

    /// Returns the inbox of a WebSocket's session, by the WebSocket's number.
    pub(crate) fn inbox(&self, id: u64) -> Option<Rc<SocketInbox>> {
        self.inboxes.borrow().get(&id).cloned()
    }

    /// Returns the shard that a fan has to try instead of this one, if this one is full. `full` is the shard that
    /// turned the fan away before.
    pub(crate) fn redirect(&self, full: Option<u32>) -> Option<u32> {
        if full.is_none() && self.fans.get() < self.max_fans {
            return None;
        }
        if self.shard != ROOT {
            return Some(ROOT);
        }
        Some(self.shards.borrow_mut().next(self.max_fans, full, wall()))
    }

    /// Returns whether the room exists: it was opened before, the client may open it, or the origin lists it. `None` if
    /// the origin does not answer.
    pub(crate) async fn exists(&self, address: &Address) -> Result<Option<bool>> {
        if self.shard != ROOT || self.storage.is_open()? {
            return Ok(Some(true));
        }
        let presented = form_urlencoded::parse(address.query().as_bytes()).filter(|(key, _)| key == "jwt");
        let opens = |jwt: &str| {
            self.keys.verify(jwt, wall()).is_ok_and(|claims| {
                claims.check(&self.room, wall()).is_ok()
                    && (claims.role != Role::Fan || claims.room != EVERY_ROOM)
            })
        };
        let opened = presented.map(|(_, jwt)| jwt).any(|jwt| opens(&jwt));
        let exists = if opened { Some(true) } else { self.exists_at_origin().await };
        if exists == Some(true) && !self.storage.is_open()? {
            self.storage.open()?;
        }
        Ok(exists)
    }

    fn origin(&self) -> Option<String> {
        let url = self.env.var(ORIGIN).ok()?.to_string();
        Some(url.trim_end_matches('/').to_owned())
    }

    /// Returns whether the origin lists the room publicly; `None` if the origin does not answer.
    async fn exists_at_origin(&self) -> Option<bool> {
        let Some(origin) = self.origin() else { return Some(false) };
        // In a path, unlike a query, a plus is not a space.
        let url =
            format!("{origin}/api/rooms/{}", encoded(&self.room).replace('+', "%20").replace("%2F", "/"));
        let status = match worker::Request::new(&url, worker::Method::Get) {
            Ok(request) => Fetch::Request(request).send().await.map(|response| response.status_code()),
            Err(error) => Err(error),
        };
        match status {
            Ok(200) => Some(true),
            Ok(404) => Some(false),
            Ok(status) => {
                console_error!("{url} answers {status}");
                None
            }
            Err(error) => {
                console_error!("{url}: {error}");
                None
            }
        }
    }

    /// Starts a session on a WebSocket and returns the number that the WebSocket has from now on.
    pub(crate) fn enter(
        self: &Rc<Self>,
        kind: ClientKind,
        socket: WebSocket,
        version: Version,
        query: String,
        address: Option<IpAddr>,
    ) -> u64 {
        let id = self.next.replace(self.next.get() + 1);
        let inbox = Rc::new(SocketInbox::default());
        self.inboxes.borrow_mut().insert(id, Rc::clone(&inbox));
        let count = usize::from(kind == ClientKind::Fan);
        self.fans.set(self.fans.get() + count);
        if !self.is_awake.replace(true) {
            let object = Rc::clone(self);
            spawn_local(async move { object.run().await });
        }
        let object = Rc::clone(self);
        spawn_local(async move {
            let (relay, platform) = (&object.relay, Rc::clone(&object.platform));
            let session = relay.enter(Credentials::new(Some(query), Vec::new()), address);
            websocket::run(inbox, socket, &object.batch, version, session, platform).await;
            object.inboxes.borrow_mut().remove(&id);
            object.fans.set(object.fans.get() - count);
        });
        id
    }

    /// Returns whether the object runs: it has a session, or had one a moment ago.
    pub(crate) fn is_awake(&self) -> bool {
        self.is_awake.get()
    }

    /// Erases a person from the room and its archive.
    pub(crate) async fn forget(&self, fan: FanId) -> Result<()> {
        let root = self.root.borrow().clone();
        if let Some(root) = root
            && root.forget(fan).await
        {
            return Ok(());
        }
        forget(&self.storage, fan)
    }

    /// Reports to the directory that the room is open, with its viewers.
    pub(crate) async fn report(&self) {
        let viewers = self.root.borrow().as_ref().map_or(0, RootHandle::viewers);
        self.send_report(Some(viewers)).await;
    }

    async fn send_report(&self, viewers: Option<u64>) {
        if self.shard != ROOT {
            return;
        }
        let report = RoomReport { viewers, is_listed: self.is_public.get() };
        if let Err(error) = directory::report(&self.env, &self.room, report).await {
            console_error!("{}: the directory does not answer: {error}", self.room);
        }
    }

    /// Runs the relay, the room and the links, until no session is left.
    async fn run(&self) {
        loop {
            let ran = if self.shard == ROOT { self.run_root().await } else { self.run_shard().await };
            if let Err(error) = ran {
                console_error!("{}: the room is closed: {error}", self.room);
                for inbox in self.inboxes.borrow().values() {
                    inbox.push(websocket::SocketEvent::Closed(String::new()));
                }
                break;
            }
            if self.inboxes.borrow().is_empty() {
                break;
            }
        }
        self.is_awake.set(false);
        self.send_report(None).await;
    }

    async fn run_root(&self) -> Result<()> {
        let Some(hub) = self.hub.clone() else { return Ok(()) };
        self.storage.prune(wall())?;
        let root = RootHandle::default();
        self.root.replace(Some(root.clone()));
        let platform = Rc::clone(&self.platform);
        let figures = RootFigures::default();
        let node = RootNode { platform, relay: &self.relay, workers: &LocalWorkers, figures: &figures };
        let reported = async {
            self.is_public.set(self.origin().is_none() || self.exists_at_origin().await == Some(true));
            self.report().await;
            std::future::pending::<()>().await;
        };
        let loopback: Rc<dyn Dial> = Rc::new(Loopback::new(self.relay.clone(), Rc::clone(&self.platform)));
        let mut all: Vec<Later<'_, Result<()>>> = vec![
            forever(reported),
            Box::pin(async {
                let is_used = || !self.inboxes.borrow().is_empty();
                let ran = run_root(node, &self.storage, &hub, &root, is_used).await;
                ran.map_err(|error| error.to_string().into())
            }),
            forever(self.rooms.follow(loopback)),
            forever(self.relay.housekeep()),
            Box::pin(self.batch.run(&self.storage)),
        ];
        // The object connects to the origin for media only while it has a session.
        if let Some(url) = self.origin() {
            all.push(forever(self.relay.follow(Rc::new(Origin::new(url, self.keys.clone())))));
        }
        let ended = first_ended(all).await;
        self.root.replace(None);
        ended
    }

    async fn run_shard(&self) -> Result<()> {
        let root_object: Rc<dyn Dial> =
            Rc::new(RootObject::new(self.env.clone(), self.room.clone(), self.keys.clone()));
        let all = vec![
            self.wait_until_idle(),
            forever(self.rooms.follow(Rc::clone(&root_object))),
            forever(self.relay.follow(root_object)),
            forever(self.relay.housekeep()),
            Box::pin(self.batch.run(&self.storage)),
        ];
        first_ended(all).await
    }

    /// Resolves once there has been no session for [`LINGER`].
    fn wait_until_idle(&self) -> Later<'_, Result<()>> {
        Box::pin(async move {
            let mut since = None;
            loop {
                self.platform.sleep(Duration::from_secs(1)).await;
                let now = self.platform.now();
                since = self.inboxes.borrow().is_empty().then(|| since.unwrap_or(now));
                if since.is_some_and(|since| (now - since).0 > LINGER.as_micros() as u64) {
                    return Ok(());
                }
            }
        })
    }
}

/// Runs all tasks until the first of them ends.
async fn first_ended(all: Vec<Later<'_, Result<()>>>) -> Result<()> {
    // `FuturesUnordered` polls only the task that was woken.
    let mut all: FuturesUnordered<_> = all.into_iter().collect();
    all.next().await.unwrap_or(Ok(()))
}

fn forever<'a>(task: impl Future<Output = ()> + 'a) -> Later<'a, Result<()>> {
    Box::pin(async move {
        task.await;
        Ok(())
    })
}
