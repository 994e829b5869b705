//! The player, as the Worker's JavaScript calls it.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Poll, Waker},
};

use js_sys::{Array, Function, Reflect};
use moqt::{Event, Micros, Namespace};
use timing::Backoff;
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure, prelude::wasm_bindgen};
use wasm_bindgen_futures::spawn_local;
use web_sys::OffscreenCanvas;

use crate::{
    browser::{
        clock::{now, scope, sleep},
        playout::{Playout, PlayoutEvent, renditions},
        room_client::RoomClient,
        state::State,
        stats::Others,
        subscriptions::{Finding, Preferences, Subscriptions},
        transport::{self, Connection, Kind, Server},
    },
    catalog::Catalog,
    jitter::{DEFAULT_TARGET, MAX_TARGET},
};

/// Interval at which the parts that depend on time alone are checked.
const TICK: Micros = Micros::from_millis(250);
/// Length of a session after which its end counts as the first failure.
const GOOD: Micros = Micros::from_millis(5_000);

/// Plays a room onto a canvas.
#[wasm_bindgen]
pub struct Player {
    shared: Rc<Shared>,
}

struct Shared {
    playout: Rc<RefCell<Playout>>,
    room_client: Rc<RefCell<RoomClient>>,
    /// Set while the viewer lets it play.
    wanted: Cell<bool>,
    notify: Function,
    preferences: RefCell<Preferences>,
    commands: RefCell<VecDeque<Command>>,
    waker: Cell<Option<Waker>>,
    state: Cell<State>,
    closed: Cell<bool>,
    /// Start of the wait for the first frame.
    connecting: Cell<Micros>,
    transport: Cell<Option<Kind>>,
    catalog: RefCell<Catalog>,
    rendition: RefCell<Option<String>>,
    throughput: Cell<Option<f64>>,
    size: Cell<(u32, u32)>,
    animation: RefCell<Option<Closure<dyn FnMut()>>>,
    /// Upper bound of our clock's lead over the page's, in milliseconds.
    apart: Cell<f64>,
}

enum Command {
    /// The preferences have changed.
    Preferences,
    /// The room client has something to send.
    DriveRoom,
    /// The audio output has changed, and sound starts over.
    Audio,
    /// Connect now instead of after the pause.
    Reconnect,
    Close,
}

type Timer = Pin<Box<dyn Future<Output = ()>>>;

enum Next {
    Event(Event),
    Command(Command),
    /// The room client's timer is due.
    DriveRoom,
    Tick,
}

#[wasm_bindgen]
impl Player {
    /// Starts to play. `options` has `room`, `webtransport`, `websocket`, `fingerprints` (hexadecimal), `latency` (in
    /// milliseconds), `token` (the fan's) and `seed` (64 random bits, hexadecimal); `notify` is called with the name
    /// and the details of each event.
    #[wasm_bindgen(constructor)]
    pub fn new(canvas: OffscreenCanvas, options: &JsValue, notify: Function) -> Result<Player, JsValue> {
        let get = |name: &str| Reflect::get(options, &name.into()).unwrap_or(JsValue::UNDEFINED);
        let room = get("room").as_string().unwrap_or_default();
        let namespace = Namespace::from_path(&room).map_err(|error| error.to_string())?;
        let fingerprints = Array::from(&get("fingerprints"));
        let server = Server {
            webtransport: get("webtransport").as_string(),
            // A Durable Object serves one room, so it must know the room before the session begins.
            websocket: get("websocket").as_string().map(|url| transport::with(&url, "room", &room)),
            fingerprints: fingerprints.iter().filter_map(|hex| unhex(&hex.as_string()?)).collect(),
            token: None,
        };
        let target = get("latency").as_f64().map_or(DEFAULT_TARGET, target);
        let playout = Rc::new(RefCell::new(Playout::new(canvas, target)?));
        let seed = get("seed").as_string().and_then(|seed| u64::from_str_radix(&seed, 16).ok());
        let seed = seed.ok_or("the player needs a `seed` of 16 hexadecimal digits")?;
        let room_client = RoomClient::new(now(), &namespace, seed, get("token").as_string());
        let room_client = Rc::new(RefCell::new(room_client.map_err(|error| error.to_string())?));
        let preferences =
            Preferences { rendition: get("rendition").as_string(), video: true, audio: false, height: 0 };
        let shared = Rc::new(Shared {
            playout,
            room_client,
            wanted: Cell::new(true),
            notify,
            preferences: RefCell::new(preferences),
            commands: RefCell::default(),
            waker: Cell::default(),
            state: Cell::new(State::Connecting),
            closed: Cell::default(),
            connecting: Cell::new(now()),
            transport: Cell::default(),
            catalog: RefCell::default(),
            rendition: RefCell::default(),
            throughput: Cell::default(),
            size: Cell::default(),
            animation: RefCell::default(),
            apart: Cell::new(f64::INFINITY),
        });
        animate(&shared);
        spawn_local(run(Rc::clone(&shared), server, namespace));
        Ok(Self { shared })
    }

    /// Sets the target delay, in milliseconds.
    pub fn set_latency(&self, ms: f64) {
        self.shared.playout.borrow_mut().jitter.set_target(target(ms));
    }

    /// Plays this rendition; without a name, the best that the network carries.
    pub fn set_rendition(&self, name: Option<String>) {
        self.prefer(|preferences| preferences.rendition = name);
    }

    /// Sets whether the picture is visible.
    pub fn set_visible(&self, visible: bool) {
        self.prefer(|preferences| preferences.video = visible);
    }

    /// Sets the height at which the picture is shown, in pixels.
    pub fn set_height(&self, pixels: u32) {
        self.prefer(|preferences| preferences.height = pixels);
    }

    /// Plays sound into the output that the page made; without one, plays none.
    pub fn set_audio(&self, link: &JsValue) -> Result<(), JsValue> {
        let link = Some(link).filter(|link| link.is_truthy());
        self.shared.playout.borrow_mut().set_audio(link)?;
        self.shared.preferences.borrow_mut().audio = link.is_some();
        self.shared.command(Command::Audio);
        Ok(())
    }

    /// Sets the position that is audible at `at` (in milliseconds since the UNIX epoch), in seconds of the page's audio
    /// context, and the delay from rendering to audibility; the page called at `said`.
    pub fn set_clock(&self, heard: f64, at: f64, latency: f64, said: f64) {
        // The page's clock starts when the page is made, ours when the Worker is, and the system clock may be set, or
        // the machine be busy, in between. The smallest difference between a call and its arrival bounds the lead of
        // our clock, since no call arrives before it is made.
        let apart = self.shared.apart.get().min(now().0 as f64 / 1e3 - said);
        self.shared.apart.set(apart);
        let at = Micros(((at + apart) * 1e3) as u64);
        let latency = Micros((latency * 1e6) as u64);
        self.shared.playout.borrow_mut().set_clock(heard, at, latency);
    }

    /// Queues an act, given as JSON. The page gets its outcome in the event `settled`, with the ticket.
    pub fn act(&self, ticket: u32, act: &str) {
        self.shared.room_client.borrow_mut().act(now(), ticket, act);
        self.shared.command(Command::DriveRoom);
        // Without a connection, no other call reports these events.
        self.shared.report_page_events();
    }

    /// Records that the fan moved, typed or touched.
    pub fn moved(&self) {
        self.shared.room_client.borrow_mut().moved(now());
    }

    /// Sets whether the fan sees the page, and whether they let the player play.
    pub fn set_presence(&self, visible: bool, playing: bool) {
        self.shared.room_client.borrow_mut().visible(now(), visible);
        self.shared.wanted.set(playing);
    }

    /// Connects at once instead of after the pause.
    pub fn reconnect(&self) {
        self.shared.command(Command::Reconnect);
    }

    /// Returns numbers about playback.
    pub fn stats(&self) -> JsValue {
        self.shared.stats()
    }

    /// Ends the player.
    pub fn close(&self) {
        self.shared.closed.set(true);
        self.shared.animation.replace(None);
        self.shared.command(Command::Close);
    }

    fn prefer(&self, change: impl FnOnce(&mut Preferences)) {
        change(&mut self.shared.preferences.borrow_mut());
        self.shared.command(Command::Preferences);
    }
}

fn target(ms: f64) -> Micros {
    Micros((ms.max(0.0) * 1e3) as u64).min(MAX_TARGET)
}

/// Decodes hexadecimal digits, with or without colons between the bytes.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> =
        text.chars().filter(|digit| *digit != ':').map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    (rest.is_empty() && !pairs.is_empty())
        .then(|| pairs.iter().map(|[high, low]| (high << 4 | low) as u8).collect())
}

/// Draws a frame whenever the page is painted.
fn animate(shared: &Rc<Shared>) {
    let weak = Rc::downgrade(shared);
    let paint = Closure::<dyn FnMut()>::new(move || {
        let Some(shared) = weak.upgrade() else { return };
        if shared.closed.get() {
            return;
        }
        request_animation_frame(&shared);
        shared.playout.borrow_mut().paint(now());
        shared.report_playout_events();
    });
    shared.animation.replace(Some(paint));
    request_animation_frame(shared);
}

fn request_animation_frame(shared: &Shared) {
    if let Some(paint) = &*shared.animation.borrow() {
        let _ = scope().request_animation_frame(paint.as_ref().unchecked_ref());
    }
}

impl Shared {
    fn command(&self, command: Command) {
        self.commands.borrow_mut().push_back(command);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn notify_page(&self, what: &str, details: &JsValue) {
        let _ = self.notify.call2(&JsValue::NULL, &what.into(), details);
    }

    fn set_state(&self, state: State, reason: &str) {
        if self.state.replace(state) != state {
            self.notify_page("state", &Array::of2(&state.name().into(), &reason.into()));
        }
    }

    /// Sends the page the room client's events.
    fn report_page_events(&self) {
        let events = self.room_client.borrow_mut().take_page_events();
        for (what, json) in events {
            self.notify_page(what, &json.into());
        }
    }

    /// Sends the page the playout's events.
    fn report_playout_events(&self) {
        let events = self.playout.borrow_mut().take_events();
        for event in events {
            match event {
                PlayoutEvent::FirstFrame => {
                    self.set_state(State::Live, "");
                    let waited = now() - self.connecting.get();
                    self.playout.borrow_mut().stats.first_frame.get_or_insert(waited);
                    self.notify_page("firstframe", &JsValue::from_f64(now().0 as f64 / 1e3));
                }
                PlayoutEvent::Size(width, height) => {
                    self.size.set((width, height));
                    self.notify_page("size", &Array::of2(&width.into(), &height.into()));
                }
                PlayoutEvent::Error(error) => self.notify_page("decodeerror", &error.into()),
            }
        }
    }

    fn stats(&self) -> JsValue {
        let mut playout = self.playout.borrow_mut();
        playout.stats.tick(now());
        let rendition = self.rendition.borrow().clone();
        let catalog = self.catalog.borrow();
        let track = catalog.video.iter().find(|track| Some(&track.name) == rendition.as_ref());
        let (width, height) = self.size.get();
        playout.stats.to_js(&Others {
            state: self.state.get().name(),
            transport: self.transport.get().map(Kind::name),
            codec: track.map(|track| track.codec.clone()),
            rendition,
            width,
            height,
            target: playout.jitter.target(),
            delay: playout.jitter.delay(),
            buffer: playout.buffer(),
            sync: playout.sync(),
            throughput: self.throughput.get(),
        })
    }
}

/// Connects, plays, and connects again until the player is closed.
async fn run(shared: Rc<Shared>, server: Server, namespace: Namespace) {
    let mut backoff = Backoff::default();
    let mut prefer = None;
    let mut source = 1;
    shared.notify_page("state", &Array::of2(&State::Connecting.name().into(), &"".into()));
    while !shared.closed.get() {
        let server = server.with_token(shared.room_client.borrow().token());
        let reason = match Connection::connect(&server, prefer).await {
            Ok(connection) => {
                let begun = now();
                prefer = Some(connection.kind());
                shared.transport.set(prefer);
                shared.playout.borrow_mut().reset();
                let mut subscriptions = Subscriptions::new(
                    connection,
                    Rc::clone(&shared.playout),
                    Rc::clone(&shared.room_client),
                    namespace.clone(),
                    source,
                );
                let reason = play(&shared, &mut subscriptions).await;
                source = subscriptions.next_source();
                shared.room_client.borrow_mut().end();
                if now() - begun > GOOD {
                    backoff.reset();
                }
                reason
            }
            Err(reason) => {
                // Try both transports again.
                prefer = None;
                reason
            }
        };
        if shared.closed.get() {
            return;
        }
        shared.transport.set(None);
        shared.set_state(State::Reconnecting, &reason);
        shared.room_client.borrow_mut().tick_offline(now());
        shared.report_page_events();
        wait(&shared, backoff.pause((js_sys::Math::random() * 1024.0) as u64)).await;
    }
}

/// Waits, unless the viewer asks to connect now.
async fn wait(shared: &Shared, time: Micros) {
    let mut pause: Timer = Box::pin(sleep(time));
    poll_fn(|cx| {
        while let Some(command) = shared.commands.borrow_mut().pop_front() {
            if matches!(command, Command::Reconnect | Command::Close) {
                return Poll::Ready(());
            }
        }
        shared.waker.set(Some(cx.waker().clone()));
        pause.as_mut().poll(cx)
    })
    .await;
}

/// Plays a room until its session ends; returns the reason.
async fn play(shared: &Shared, subscriptions: &mut Subscriptions) -> String {
    let mut tick: Timer = Box::pin(sleep(TICK));
    let mut room_timer: Option<(Micros, Timer)> = None;
    let preferences = || shared.preferences.borrow().clone();
    if let Err(misuse) = subscriptions.ensure(&preferences()) {
        return misuse.to_string();
    }
    loop {
        // A timer that fires early does no harm: the room client is only checked.
        if let Some(due) = shared.room_client.borrow().timeout()
            && room_timer.as_ref().is_none_or(|(set, _)| due < *set)
        {
            room_timer = Some((due, Box::pin(sleep(due - now() + Micros::from_millis(1)))));
        }
        let next = poll_fn(|cx| {
            if let Some(command) = shared.commands.borrow_mut().pop_front() {
                return Poll::Ready(Next::Command(command));
            }
            shared.waker.set(Some(cx.waker().clone()));
            if let Poll::Ready(event) = subscriptions.connection().poll_event(cx) {
                return Poll::Ready(Next::Event(event));
            }
            if let Some((_, timer)) = &mut room_timer
                && timer.as_mut().poll(cx).is_ready()
            {
                room_timer = None;
                return Poll::Ready(Next::DriveRoom);
            }
            tick.as_mut().poll(cx).map(|()| Next::Tick)
        })
        .await;
        let done = match next {
            Next::Event(event) => subscriptions.event(event).await,
            Next::Command(Command::Close) => return String::new(),
            Next::Command(Command::Reconnect) => return "requested by the viewer".into(),
            Next::Command(Command::DriveRoom) | Next::DriveRoom => subscriptions.drive_room(),
            Next::Command(Command::Audio) => {
                subscriptions.drop_audio().and_then(|()| subscriptions.ensure(&preferences()))
            }
            Next::Command(Command::Preferences) => subscriptions.ensure(&preferences()),
            Next::Tick => {
                tick = Box::pin(sleep(TICK));
                let playing = shared.wanted.get() && shared.state.get() == State::Live;
                shared.room_client.borrow_mut().playing(playing);
                subscriptions.tick().and_then(|()| subscriptions.ensure(&preferences()))
            }
        };
        if let Err(misuse) = done {
            return misuse.to_string();
        }
        if let Some(reason) = after(shared, subscriptions) {
            return reason;
        }
    }
}

/// Passes on the findings and events; returns the reason if the session has ended.
fn after(shared: &Shared, subscriptions: &mut Subscriptions) -> Option<String> {
    let preferences = shared.preferences.borrow().clone();
    let reports = shared.playout.borrow_mut().take_reports();
    for report in reports {
        if let Err(misuse) = subscriptions.group(report, &preferences) {
            return Some(misuse.to_string());
        }
    }
    shared.report_playout_events();
    shared.report_page_events();
    for finding in subscriptions.take_findings() {
        match finding {
            Finding::State(state) => shared.set_state(state, ""),
            Finding::Catalog(catalog) => {
                shared.notify_page("renditions", &renditions(&catalog.video));
                if let Some(audio) = &catalog.audio {
                    shared.notify_page("audio", &Array::of2(&audio.rate.into(), &audio.channels.into()));
                }
                shared.catalog.replace(catalog);
                if let Err(misuse) = subscriptions.ensure(&preferences) {
                    return Some(misuse.to_string());
                }
            }
            Finding::Closed { reason } => return Some(reason),
        }
    }
    shared.throughput.set(subscriptions.throughput());
    if subscriptions.rendition() != shared.rendition.borrow().as_deref() {
        let rendition = subscriptions.rendition().map(str::to_owned);
        shared.notify_page("rendition", &rendition.clone().into());
        shared.rendition.replace(rendition);
    }
    None
}
