//! A room's leaf seat: its worker, its fans, and what passes between them.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, VecDeque},
    pin::pin,
    rc::Rc,
    task::Waker,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::select;
use moqt::{Namespace, RequestCode, message::RequestError};
use tokio::sync::Notify;
use wire::{
    Frame, Frames, Micros, SessionId,
    worker::{Close, Effect, Identity, Input, Level},
};

use super::{IDLE, ROOM_LINGER, Rooms, TICK};
use crate::Worked;

/// Bytes for a fan that their session has not taken; beyond, the fan starts over.
pub(super) const MAIL_BYTES: usize = 64 << 10;
/// Bytes of packets that one fan may send in a tick.
const FAN_BYTES: usize = 32 << 10;
/// Bytes of deltas that wait for the link; beyond, it starts over.
pub(super) const LINK_BYTES: usize = 8 << 20;

/// For how long the worker is told the time as often as when there is something.
const FOLLOWS: moqt::Micros = moqt::Micros::from_millis(300);

/// Whether the room can be taken part in.
#[derive(Clone, Debug)]
pub(super) enum Status {
    /// The origin has not answered yet.
    Opening,
    /// It has: from now on fans need not notice if it is gone for a while.
    Open,
    /// There is no such room, or no worker for it.
    Refused(RequestError),
}

pub(super) struct Seat {
    rooms: Rooms,
    pub(super) room: Namespace,
    /// Of the worker: no other seat has the same.
    pub(super) incarnation: u64,
    status: RefCell<Status>,
    /// The status is another, or a fan is gone.
    changed: Notify,
    /// What the worker is to be handed next: a packet of inputs.
    batch: RefCell<Vec<u8>>,
    /// There is something in it.
    news: Notify,
    fans: RefCell<Fans>,
    /// Whether the origin takes deltas.
    connected: Cell<bool>,
    /// Those on their way up.
    deltas: RefCell<VecDeque<Bytes>>,
    now: Cell<Micros>,
}

/// By session.
#[derive(Default)]
struct Fans {
    boxes: Vec<Option<Rc<Mailbox>>>,
    free: BTreeSet<SessionId>,
    /// Free once the worker has been told.
    leaving: Vec<SessionId>,
    here: usize,
}

/// What the worker says to one fan.
#[derive(Default)]
pub(super) struct Mailbox {
    mail: RefCell<Vec<u8>>,
    /// Why no more is wanted of this connection.
    closed: RefCell<Option<RequestError>>,
    waker: RefCell<Option<Waker>>,
    /// Bytes that came in this tick.
    heard: Cell<usize>,
}

impl Mailbox {
    /// Has a task woken when there is something.
    pub(super) fn watch(&self, waker: &Waker) {
        self.waker.replace(Some(waker.clone()));
    }

    /// All that was said since.
    pub(super) fn take(&self) -> Option<Bytes> {
        let mail = self.mail.take();
        (!mail.is_empty()).then(|| mail.into())
    }

    /// Why the worker, or the node, wants no more of this connection, if so.
    pub(super) fn closed(&self) -> Option<RequestError> {
        self.closed.borrow().clone()
    }

    /// Adds a packet: its messages follow those that wait.
    pub(super) fn put(&self, packet: &[u8]) {
        let mut mail = self.mail.borrow_mut();
        let more = if mail.is_empty() { packet } else { packet.get(1..).unwrap_or_default() };
        if mail.len() + more.len() > MAIL_BYTES {
            drop(mail);
            return self.close(RequestCode::EXCESSIVE_LOAD, "the room's answers are not taken");
        }
        mail.extend_from_slice(more);
        drop(mail);
        self.wake();
    }

    /// What is said first is why.
    fn close(&self, code: RequestCode, why: &str) {
        self.closed.borrow_mut().get_or_insert_with(|| RequestError::new(code, why));
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Seat {
    pub(super) fn new(rooms: Rooms, room: Namespace, incarnation: u64) -> Self {
        Self {
            rooms,
            room,
            incarnation,
            status: RefCell::new(Status::Opening),
            changed: Notify::new(),
            batch: RefCell::default(),
            news: Notify::new(),
            fans: RefCell::default(),
            connected: Cell::new(false),
            deltas: RefCell::default(),
            now: Cell::new(Micros(0)),
        }
    }

    pub(super) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The origin has said whether there is such a room.
    pub(super) fn set(&self, status: Status) {
        self.status.replace(status);
        self.changed.notify_waiters();
        for mailbox in self.fans.borrow().boxes.iter().flatten() {
            mailbox.wake();
        }
    }

    /// Something for the worker.
    pub(super) fn input(&self, input: &Input<'_>) {
        self.put(input);
        self.news.notify_one();
    }

    fn put(&self, input: &Input<'_>) {
        let mut batch = self.batch.borrow_mut();
        if batch.is_empty() {
            wire::start(&mut batch);
        }
        wire::put(&mut batch, input);
    }

    /// A fan comes.
    pub(super) fn enter(&self, fan: Identity<'_>) -> (SessionId, Rc<Mailbox>) {
        let mailbox = Rc::new(Mailbox::default());
        let session = {
            let mut fans = self.fans.borrow_mut();
            let session = fans.free.pop_first().unwrap_or_else(|| {
                fans.boxes.push(None);
                SessionId(fans.boxes.len() as u32 - 1)
            });
            fans.boxes[session.0 as usize] = Some(Rc::clone(&mailbox));
            fans.here += 1;
            self.rooms.0.figures.fans.inc();
            session
        };
        self.input(&Input::FanJoined { session, fan });
        (session, mailbox)
    }

    /// A fan sent a packet.
    pub(super) fn packet(&self, session: SessionId, mailbox: &Mailbox, packet: &[u8]) {
        mailbox.heard.set(mailbox.heard.get() + packet.len());
        if mailbox.heard.get() > FAN_BYTES {
            mailbox.close(RequestCode::EXCESSIVE_LOAD, "more at once than a fan may send");
        } else {
            self.input(&Input::FanPacket { session, packet });
        }
    }

    /// A fan is gone.
    pub(super) fn exit(&self, session: SessionId) {
        {
            let mut fans = self.fans.borrow_mut();
            let Some(gone) = fans.boxes.get_mut(session.0 as usize) else { return };
            *gone = None;
            fans.here -= 1;
            self.rooms.0.figures.fans.dec();
            fans.leaving.push(session);
        }
        self.input(&Input::FanLeft { session });
        self.changed.notify_waiters();
    }

    /// The next delta.
    pub(super) fn delta(&self) -> Option<Bytes> {
        self.deltas.borrow_mut().pop_front()
    }

    /// The origin takes deltas from now on, or takes no more. Those that were under way come again.
    pub(super) fn connect(&self, connected: bool) {
        self.connected.set(connected);
        self.deltas.borrow_mut().clear();
        if connected {
            self.input(&Input::RootConnected);
            self.set(Status::Open);
        }
    }

    pub(super) fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// Bytes of deltas that wait.
    pub(super) fn backlog(&self) -> usize {
        self.deltas.borrow().iter().map(Bytes::len).sum()
    }

    /// Waits for what the origin says. Whether the room is open; nobody who asked for it may be left before.
    async fn opened(&self) -> bool {
        loop {
            let changed = self.changed.notified();
            match *self.status.borrow() {
                Status::Open => return true,
                Status::Refused(_) => return false,
                Status::Opening if self.fans.borrow().here == 0 => return false,
                Status::Opening => {}
            }
            changed.await;
        }
    }

    /// Hands the worker what there is, tick after tick, until nobody has been here for a while.
    pub(super) async fn run(&self) {
        // A worker is more than a name that somebody has made up is worth.
        if !self.opened().await {
            return;
        }
        let worker = match self.rooms.worker(&self.room, self.incarnation).await {
            Ok(worker) => worker,
            Err(error) => {
                tracing::error!(room = %self.room, %error, "no worker for a room");
                return self.refuse("this edge has no worker for rooms");
            }
        };
        let platform = &self.rooms.0.platform;
        let linger = moqt::Micros(ROOM_LINGER.as_micros() as u64);
        let mut busy = platform.now();
        let mut worked = Worked::default();
        let mut last = platform.now();
        loop {
            let begun = platform.now();
            if self.fans.borrow().here > 0 {
                busy = begun;
            } else if begun - busy > linger {
                return;
            }
            if matches!(*self.status.borrow(), Status::Refused(_)) {
                return;
            }
            let said = !self.batch.borrow().is_empty();
            self.put(&Input::Tick);
            let batch = self.batch.take();
            let leaving = self.begin_tick();
            self.now.set(self.now.get().max(platform.wall()));
            let handled = worker.handle(self.now.get(), batch).await;
            let figures = worker.worked();
            self.rooms.0.figures.worked(&worked, &figures);
            worked = figures;
            match handled {
                Ok(effects) => self.carry_out(&effects),
                Err(error) => {
                    // Whoever is here starts over, with a new seat: what was not acked is sent again.
                    tracing::error!(room = %self.room, %error, "a room's seat is given up");
                    return self.refuse("the room's worker failed; try again");
                }
            }
            self.fans.borrow_mut().free.extend(leaving);
            platform.sleep(TICK.saturating_sub(Duration::from_micros((platform.now() - begun).0))).await;
            if said {
                last = begun;
            }
            // What a worker does at its own pace follows within that.
            if self.batch.borrow().is_empty() && begun - last > FOLLOWS {
                // Nobody said anything: the time is told less often.
                select(platform.sleep(IDLE), pin!(self.news.notified())).await;
            }
        }
    }

    fn begin_tick(&self) -> Vec<SessionId> {
        let mut fans = self.fans.borrow_mut();
        for mailbox in fans.boxes.iter().flatten() {
            mailbox.heard.set(0);
        }
        std::mem::take(&mut fans.leaving)
    }

    fn refuse(&self, why: &str) {
        self.set(Status::Refused(RequestError::new(RequestCode::INTERNAL_ERROR, why)));
        for mailbox in self.fans.borrow().boxes.iter().flatten() {
            mailbox.close(RequestCode::INTERNAL_ERROR, why);
        }
    }

    fn carry_out(&self, effects: &[u8]) {
        let Ok(frames) = Frames::<Effect<'_>>::new(effects) else {
            tracing::warn!(room = %self.room, "a worker's effects cannot be read");
            return;
        };
        let mut rises = false;
        for frame in frames {
            let Ok(Frame::Known(effect)) = frame else { continue };
            match effect {
                Effect::ToFan { session, packet } => {
                    if let Some(mailbox) = self.mailbox(session) {
                        mailbox.put(packet);
                    }
                }
                Effect::CloseFan { session, why } => {
                    if let Some(mailbox) = self.mailbox(session) {
                        tracing::debug!(room = %self.room, ?session, ?why, "a fan is shown out");
                        let (code, why) = reason(why);
                        mailbox.close(code, why);
                    }
                }
                Effect::ToRoot { .. } if !self.connected.get() => {}
                Effect::ToRoot { packet } => {
                    self.deltas.borrow_mut().push_back(Bytes::copy_from_slice(packet));
                    rises = true;
                }
                Effect::Log { level: Level::Warn, text } => tracing::warn!(room = %self.room, text),
                Effect::Log { level: Level::Info, text } => tracing::info!(room = %self.room, text),
                Effect::ToEdge { .. }
                | Effect::CloseEdge { .. }
                | Effect::Publish { .. }
                | Effect::Archive(_) => {
                    tracing::warn!(room = %self.room, "a worker in a leaf seat does what a root does");
                }
            }
        }
        if rises {
            self.rooms.wake_link();
        }
    }

    fn mailbox(&self, session: SessionId) -> Option<Rc<Mailbox>> {
        self.fans.borrow().boxes.get(session.0 as usize)?.clone()
    }
}

/// What a fan is told whom the worker shows out.
fn reason(why: Close) -> (RequestCode, &'static str) {
    match why {
        Close::Malformed => (RequestCode::MALFORMED_TRACK, "a packet that cannot be read"),
        Close::OutOfOrder => (RequestCode::MALFORMED_TRACK, "a connection begins with its one hello"),
        Close::Flooding => (RequestCode::EXCESSIVE_LOAD, "more messages than may be unanswered"),
        Close::Full => (RequestCode::EXCESSIVE_LOAD, "the room is full"),
    }
}
