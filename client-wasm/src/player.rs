//! The player, as the Worker's JavaScript sees it.

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
    catalog::Catalog,
    clock::{now, scope, sleep},
    jitter::{DEFAULT_TARGET, MAX_TARGET},
    room::{Found, Room, Wishes},
    stage::{Happened, Stage, renditions},
    stats::Others,
    talk::Talk,
    transport::{self, Connection, Kind, Server},
};

/// How often what depends on time alone is looked at.
const TICK: Micros = Micros::from_millis(250);
/// A session that lasted this long was a good one: the next failure is the first.
const GOOD: Micros = Micros::from_millis(5_000);

/// How a player is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Connecting,
    Live,
    Offline,
    Reconnecting,
    Ended,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Offline => "offline",
            Self::Reconnecting => "reconnecting",
            Self::Ended => "ended",
        }
    }
}

/// Plays a room onto a canvas.
#[wasm_bindgen]
pub struct Player {
    shared: Rc<Shared>,
}

struct Shared {
    stage: Rc<RefCell<Stage>>,
    talk: Rc<RefCell<Talk>>,
    /// Whether the viewer lets it play.
    wanted: Cell<bool>,
    notify: Function,
    wishes: RefCell<Wishes>,
    commands: RefCell<VecDeque<Command>>,
    waker: Cell<Option<Waker>>,
    state: Cell<State>,
    closed: Cell<bool>,
    /// When the first frame began to be waited for.
    connecting: Cell<Micros>,
    transport: Cell<Option<Kind>>,
    catalog: RefCell<Catalog>,
    rendition: RefCell<Option<String>>,
    throughput: Cell<Option<f64>>,
    size: Cell<(u32, u32)>,
    animation: RefCell<Option<Closure<dyn FnMut()>>>,
    /// How far our clock is ahead of the page's, in milliseconds, at most.
    apart: Cell<f64>,
}

enum Command {
    /// The wishes have changed.
    Wish,
    /// There is something to say.
    Talk,
    /// Sound goes elsewhere, and starts over.
    Audio,
    /// Try now what would be tried later.
    Reconnect,
    Close,
}

type Timer = Pin<Box<dyn Future<Output = ()>>>;

enum Next {
    Event(Event),
    Command(Command),
    /// Something of what the fan says is due.
    Talk,
    Tick,
}

#[wasm_bindgen]
impl Player {
    /// Starts to play. `options` has `room`, `webtransport`, `websocket`, `fingerprints` (hexadecimal), `latency` (in
    /// milliseconds), `token` (who the fan is) and `seed` (64 random bits, hexadecimal); `notify` is called with the name of what happened and its details.
    #[wasm_bindgen(constructor)]
    pub fn new(canvas: OffscreenCanvas, options: &JsValue, notify: Function) -> Result<Player, JsValue> {
        let get = |name: &str| Reflect::get(options, &name.into()).unwrap_or(JsValue::UNDEFINED);
        let room = get("room").as_string().unwrap_or_default();
        let namespace = Namespace::from_path(&room).map_err(|error| error.to_string())?;
        let fingerprints = Array::from(&get("fingerprints"));
        let server = Server {
            webtransport: get("webtransport").as_string(),
            // Whoever has an object for each room has to know which before the session begins.
            websocket: get("websocket").as_string().map(|url| transport::with(&url, "room", &room)),
            fingerprints: fingerprints.iter().filter_map(|hex| unhex(&hex.as_string()?)).collect(),
        };
        let target = get("latency").as_f64().map_or(DEFAULT_TARGET, target);
        let stage = Rc::new(RefCell::new(Stage::new(canvas, target)?));
        let seed = get("seed").as_string().and_then(|seed| u64::from_str_radix(&seed, 16).ok());
        let seed = seed.ok_or("the player needs a `seed` of 16 hexadecimal digits")?;
        let talk = Rc::new(RefCell::new(Talk::new(now(), seed, get("token").as_string())));
        let wishes = Wishes { rendition: get("rendition").as_string(), video: true, audio: false, height: 0 };
        let shared = Rc::new(Shared {
            stage,
            talk,
            wanted: Cell::new(true),
            notify,
            wishes: RefCell::new(wishes),
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

    /// Aims at another delay, in milliseconds.
    pub fn set_latency(&self, ms: f64) {
        self.shared.stage.borrow_mut().jitter.set_target(target(ms));
    }

    /// Plays this rendition; none for whichever is best.
    pub fn set_rendition(&self, name: Option<String>) {
        self.wish(|wishes| wishes.rendition = name);
    }

    /// Whether anybody sees the picture.
    pub fn set_visible(&self, visible: bool) {
        self.wish(|wishes| wishes.video = visible);
    }

    /// How many pixels high it is shown.
    pub fn set_height(&self, pixels: u32) {
        self.wish(|wishes| wishes.height = pixels);
    }

    /// Plays sound into what the page made for it, or, with nothing, no more.
    pub fn set_audio(&self, link: &JsValue) -> Result<(), JsValue> {
        let link = Some(link).filter(|link| link.is_truthy());
        self.shared.stage.borrow_mut().set_audio(link)?;
        self.shared.wishes.borrow_mut().audio = link.is_some();
        self.shared.command(Command::Audio);
        Ok(())
    }

    /// What is heard at `at` (in milliseconds since the UNIX epoch), in seconds of the page's audio context, and how much
    /// later than rendered that is; the page says so at `said`.
    pub fn set_clock(&self, heard: f64, at: f64, latency: f64, said: f64) {
        // The page's clock is set when the page is made, ours when the Worker is, and whoever sets clocks may have been at
        // work, or the machine busy, between the two or within: nothing is heard before it is said.
        let apart = self.shared.apart.get().min(now().0 as f64 / 1e3 - said);
        self.shared.apart.set(apart);
        let at = Micros(((at + apart) * 1e3) as u64);
        let latency = Micros((latency * 1e6) as u64);
        self.shared.stage.borrow_mut().set_clock(heard, at, latency);
    }

    /// The fan does something: `wish` is it, in JSON. What becomes of it is told as `settled`, with the ticket.
    pub fn act(&self, ticket: u32, wish: &str) {
        self.shared.talk.borrow_mut().act(now(), ticket, wish);
        self.shared.command(Command::Talk);
        // Nobody else tells while there is no connection.
        self.shared.tell_news();
    }

    /// The fan moved, typed or touched.
    pub fn moved(&self) {
        self.shared.talk.borrow_mut().moved(now());
    }

    /// Whether the fan sees the page, and lets the stage play.
    pub fn set_presence(&self, visible: bool, playing: bool) {
        self.shared.talk.borrow_mut().visible(now(), visible);
        self.shared.wanted.set(playing);
    }

    /// Tries at once what would be tried later.
    pub fn reconnect(&self) {
        self.shared.command(Command::Reconnect);
    }

    /// How it is going.
    pub fn stats(&self) -> JsValue {
        self.shared.stats()
    }

    /// Ends it.
    pub fn close(&self) {
        self.shared.closed.set(true);
        self.shared.animation.replace(None);
        self.shared.command(Command::Close);
    }

    fn wish(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.shared.wishes.borrow_mut());
        self.shared.command(Command::Wish);
    }
}

fn target(ms: f64) -> Micros {
    Micros((ms.max(0.0) * 1e3) as u64).min(MAX_TARGET)
}

/// Bytes from hexadecimal digits, with or without colons between them.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> =
        text.chars().filter(|digit| *digit != ':').map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    (rest.is_empty() && !pairs.is_empty())
        .then(|| pairs.iter().map(|[high, low]| (high << 4 | low) as u8).collect())
}

/// Has the stage painted whenever the page is.
fn animate(shared: &Rc<Shared>) {
    let weak = Rc::downgrade(shared);
    let paint = Closure::<dyn FnMut()>::new(move || {
        let Some(shared) = weak.upgrade() else { return };
        if shared.closed.get() {
            return;
        }
        request_animation_frame(&shared);
        shared.stage.borrow_mut().paint(now());
        shared.tell_what_happened();
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

    fn tell(&self, what: &str, details: &JsValue) {
        let _ = self.notify.call2(&JsValue::NULL, &what.into(), details);
    }

    fn set_state(&self, state: State, reason: &str) {
        if self.state.replace(state) != state {
            self.tell("state", &Array::of2(&state.name().into(), &reason.into()));
        }
    }

    /// Tells the page what was said.
    fn tell_news(&self) {
        let news = self.talk.borrow_mut().take_news();
        for (what, json) in news {
            self.tell(what, &json.into());
        }
    }

    /// Tells the page what happened on stage.
    fn tell_what_happened(&self) {
        let happened = self.stage.borrow_mut().take_happened();
        for happened in happened {
            match happened {
                Happened::FirstFrame => {
                    self.set_state(State::Live, "");
                    let waited = now() - self.connecting.get();
                    self.stage.borrow_mut().stats.first_frame.get_or_insert(waited);
                    self.tell("firstframe", &JsValue::from_f64(now().0 as f64 / 1e3));
                }
                Happened::Size(width, height) => {
                    self.size.set((width, height));
                    self.tell("size", &Array::of2(&width.into(), &height.into()));
                }
                Happened::Error(error) => self.tell("decodeerror", &error.into()),
            }
        }
    }

    fn stats(&self) -> JsValue {
        let mut stage = self.stage.borrow_mut();
        stage.stats.tick(now());
        let rendition = self.rendition.borrow().clone();
        let catalog = self.catalog.borrow();
        let track = catalog.video.iter().find(|track| Some(&track.name) == rendition.as_ref());
        let (width, height) = self.size.get();
        stage.stats.to_js(&Others {
            state: self.state.get().name(),
            transport: self.transport.get().map(Kind::name),
            codec: track.map(|track| track.codec.clone()),
            rendition,
            width,
            height,
            target: stage.jitter.target(),
            delay: stage.jitter.delay(),
            buffer: stage.buffer(),
            sync: stage.sync(),
            throughput: self.throughput.get(),
        })
    }
}

/// Connects, plays, and connects again until the player is closed.
async fn run(shared: Rc<Shared>, server: Server, namespace: Namespace) {
    let mut backoff = Backoff::default();
    let mut prefer = None;
    let mut source = 1;
    shared.tell("state", &Array::of2(&State::Connecting.name().into(), &"".into()));
    while !shared.closed.get() {
        let server = server.with_token(shared.talk.borrow().token());
        let reason = match Connection::connect(&server, prefer).await {
            Ok(connection) => {
                let begun = now();
                prefer = Some(connection.kind());
                shared.transport.set(prefer);
                shared.stage.borrow_mut().reset();
                let mut room = Room::new(
                    connection,
                    Rc::clone(&shared.stage),
                    Rc::clone(&shared.talk),
                    namespace.clone(),
                    source,
                );
                let reason = play(&shared, &mut room).await;
                source = room.next_source();
                shared.talk.borrow_mut().left();
                if now() - begun > GOOD {
                    backoff.reset();
                }
                reason
            }
            Err(reason) => {
                // The other way is worth a try again.
                prefer = None;
                reason
            }
        };
        if shared.closed.get() {
            return;
        }
        shared.transport.set(None);
        shared.set_state(State::Reconnecting, &reason);
        shared.talk.borrow_mut().away(now());
        shared.tell_news();
        wait(&shared, backoff.pause((js_sys::Math::random() * 1024.0) as u64)).await;
    }
}

/// Waits, unless the viewer does not want to.
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

/// Plays a room until its session ends; why it did.
async fn play(shared: &Shared, room: &mut Room) -> String {
    let mut tick: Timer = Box::pin(sleep(TICK));
    let mut talk: Option<(Micros, Timer)> = None;
    let wishes = || shared.wishes.borrow().clone();
    if let Err(misuse) = room.ensure(&wishes()) {
        return misuse.to_string();
    }
    loop {
        // A timer that is early only looks again.
        if let Some(due) = shared.talk.borrow().timeout()
            && talk.as_ref().is_none_or(|(set, _)| due < *set)
        {
            talk = Some((due, Box::pin(sleep(due - now() + Micros::from_millis(1)))));
        }
        let next = poll_fn(|cx| {
            if let Some(command) = shared.commands.borrow_mut().pop_front() {
                return Poll::Ready(Next::Command(command));
            }
            shared.waker.set(Some(cx.waker().clone()));
            if let Poll::Ready(event) = room.connection().poll_event(cx) {
                return Poll::Ready(Next::Event(event));
            }
            if let Some((_, timer)) = &mut talk
                && timer.as_mut().poll(cx).is_ready()
            {
                talk = None;
                return Poll::Ready(Next::Talk);
            }
            tick.as_mut().poll(cx).map(|()| Next::Tick)
        })
        .await;
        let done = match next {
            Next::Event(event) => room.event(event).await,
            Next::Command(Command::Close) => return String::new(),
            Next::Command(Command::Reconnect) => return "asked for".into(),
            Next::Command(Command::Talk) | Next::Talk => room.talk_out(),
            Next::Command(Command::Audio) => room.drop_audio().and_then(|()| room.ensure(&wishes())),
            Next::Command(Command::Wish) => room.ensure(&wishes()),
            Next::Tick => {
                tick = Box::pin(sleep(TICK));
                let playing = shared.wanted.get() && shared.state.get() == State::Live;
                shared.talk.borrow_mut().playing(playing);
                room.tick().and_then(|()| room.ensure(&wishes()))
            }
        };
        if let Err(misuse) = done {
            return misuse.to_string();
        }
        if let Some(reason) = after(shared, room) {
            return reason;
        }
    }
}

/// Passes on what the room and the stage found out; why the session is over, if it is.
fn after(shared: &Shared, room: &mut Room) -> Option<String> {
    let wishes = shared.wishes.borrow().clone();
    let reports = shared.stage.borrow_mut().take_reports();
    for report in reports {
        if let Err(misuse) = room.group(report, &wishes) {
            return Some(misuse.to_string());
        }
    }
    shared.tell_what_happened();
    shared.tell_news();
    for found in room.take_found() {
        match found {
            Found::State(state) => shared.set_state(state, ""),
            Found::Catalog(catalog) => {
                shared.tell("renditions", &renditions(&catalog.video));
                if let Some(audio) = &catalog.audio {
                    shared.tell("audio", &Array::of2(&audio.rate.into(), &audio.channels.into()));
                }
                shared.catalog.replace(catalog);
                if let Err(misuse) = room.ensure(&wishes) {
                    return Some(misuse.to_string());
                }
            }
            Found::Closed { reason } => return Some(reason),
        }
    }
    shared.throughput.set(room.throughput());
    if room.rendition() != shared.rendition.borrow().as_deref() {
        let rendition = room.rendition().map(str::to_owned);
        shared.tell("rendition", &rendition.clone().into());
        shared.rendition.replace(rendition);
    }
    None
}
