//! The leaf of a room: its worker, its fans, and the packets between them.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeSet, VecDeque},
    net::IpAddr,
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
    FanId, Frame, Frames, Micros, SessionId,
    worker::{Close, Effect, Identity, Input, Level},
};

use crate::{Worked, clock, proof::Proofs, shared::Shared};

/// The interval between a leaf's batches while there is input.
pub const TICK: Duration = Duration::from_millis(25);
/// The interval between a leaf's batches while there is none.
const IDLE: Duration = Duration::from_millis(200);
/// The time that a leaf stays after its last fan left.
pub const ROOM_LINGER: Duration = Duration::from_secs(10);
/// Bytes that may wait for a fan's session; beyond that the membership is closed and the fan rejoins.
pub(crate) const MAILBOX_BYTES: usize = 64 << 10;
/// Bytes of packets that one fan may send in one tick.
const FAN_BYTES: usize = 32 << 10;
/// Bytes of deltas that may wait for the uplink; beyond that the room's uplink is reopened.
pub(crate) const UPLINK_BYTES: usize = 8 << 20;

/// After the last input, the leaf keeps ticking at the fast rate for this long, so that output the worker paces itself still goes out on time.
const FAST_TICKS: moqt::Micros = moqt::Micros::from_millis(300);

/// The state of a room, as the origin has confirmed or refused it.
#[derive(Clone, Debug)]
pub(crate) enum Status {
    /// The origin has not answered yet.
    Opening,
    /// The origin confirmed the room. Fans are not disturbed by a later loss of the uplink.
    Open,
    /// The room does not exist, or has no worker here.
    Refused(RequestError),
}

pub(crate) struct Leaf {
    shared: Rc<Shared>,
    pub(crate) room: Namespace,
    /// The incarnation of the worker: unique among all leaves of this edge, over restarts.
    pub(crate) incarnation: u64,
    status: RefCell<Status>,
    /// Notified when the status changes and when a fan leaves.
    changed: Notify,
    /// The next batch for the worker: a packet of inputs.
    batch: RefCell<Vec<u8>>,
    /// Notified when an input is added to the batch.
    inputs_ready: Notify,
    fans: RefCell<Fans>,
    /// Set while the uplink is open.
    connected: Cell<bool>,
    /// Deltas that wait for the uplink.
    deltas: RefCell<VecDeque<Bytes>>,
    /// The fans' tokens, which go up before their deltas.
    proofs: RefCell<Proofs>,
    now: Cell<Micros>,
}

/// The fans of a leaf, indexed by session.
#[derive(Default)]
struct Fans {
    mailboxes: Vec<Option<Rc<Mailbox>>>,
    free: BTreeSet<SessionId>,
    /// Sessions that become free once the worker has handled `FanLeft`.
    left_sessions: Vec<SessionId>,
    here: usize,
}

/// Packets from the worker that wait for one fan's session.
#[derive(Default)]
pub(crate) struct Mailbox {
    packets: RefCell<Vec<u8>>,
    /// The reason for closing this membership, once there is one.
    closed: RefCell<Option<RequestError>>,
    waker: RefCell<Option<Waker>>,
    /// Bytes that the fan sent in this tick.
    received_bytes: Cell<usize>,
}

impl Mailbox {
    /// Registers the task to wake when a packet waits or the membership is closed.
    pub(crate) fn watch(&self, waker: &Waker) {
        self.waker.replace(Some(waker.clone()));
    }

    /// Takes the packets that wait, as one.
    pub(crate) fn take(&self) -> Option<Bytes> {
        let packets = self.packets.take();
        (!packets.is_empty()).then(|| packets.into())
    }

    /// The reason for closing this membership, if it is to be closed.
    pub(crate) fn closed(&self) -> Option<RequestError> {
        self.closed.borrow().clone()
    }

    /// Appends a packet's messages to those that wait.
    pub(crate) fn put(&self, packet: &[u8]) {
        let mut packets = self.packets.borrow_mut();
        let more = if packets.is_empty() { packet } else { packet.get(1..).unwrap_or_default() };
        if packets.len() + more.len() > MAILBOX_BYTES {
            drop(packets);
            return self.close(RequestCode::EXCESSIVE_LOAD, "the room's answers are not taken");
        }
        packets.extend_from_slice(more);
        drop(packets);
        self.wake();
    }

    /// Closes the membership. The first reason counts.
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

impl Leaf {
    pub(crate) fn new(shared: Rc<Shared>, room: Namespace, incarnation: u64) -> Self {
        Self {
            shared,
            room,
            incarnation,
            status: RefCell::new(Status::Opening),
            changed: Notify::new(),
            batch: RefCell::default(),
            inputs_ready: Notify::new(),
            fans: RefCell::default(),
            connected: Cell::new(false),
            deltas: RefCell::default(),
            proofs: RefCell::default(),
            now: Cell::new(Micros(0)),
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Changes the status and wakes all fans.
    pub(crate) fn set(&self, status: Status) {
        self.status.replace(status);
        self.changed.notify_waiters();
        for mailbox in self.fans.borrow().mailboxes.iter().flatten() {
            mailbox.wake();
        }
    }

    /// Adds an input to the next batch.
    pub(crate) fn input(&self, input: &Input<'_>) {
        self.put(input);
        self.inputs_ready.notify_one();
    }

    fn put(&self, input: &Input<'_>) {
        let mut batch = self.batch.borrow_mut();
        if batch.is_empty() {
            wire::start(&mut batch);
        }
        wire::put(&mut batch, input);
    }

    /// Adds a fan, with the token that proves who they are. A fan without a name of their own has an address, if it is
    /// known.
    pub(crate) fn enter(
        &self,
        fan: Identity<'_>,
        token: &str,
        address: Option<IpAddr>,
    ) -> (SessionId, Rc<Mailbox>) {
        if self.shared.proves() {
            self.proofs.borrow_mut().joined(fan.id, token.into());
        }
        let mailbox = Rc::new(Mailbox::default());
        let session = {
            let mut fans = self.fans.borrow_mut();
            let session = fans.free.pop_first().unwrap_or_else(|| {
                fans.mailboxes.push(None);
                SessionId(fans.mailboxes.len() as u32 - 1)
            });
            fans.mailboxes[session.0 as usize] = Some(Rc::clone(&mailbox));
            fans.here += 1;
            self.shared.figures.fans.inc();
            session
        };
        self.input(&Input::FanJoined { session, fan });
        if let Some(address) = address.and_then(|address| self.shared.addresses.number(address)) {
            self.input(&Input::FanAddress { session, address });
        }
        (session, mailbox)
    }

    /// Adds a packet of a fan to the next batch, within the fan's limit.
    pub(crate) fn packet(&self, session: SessionId, mailbox: &Mailbox, packet: &[u8]) {
        mailbox.received_bytes.set(mailbox.received_bytes.get() + packet.len());
        if mailbox.received_bytes.get() > FAN_BYTES {
            mailbox.close(RequestCode::EXCESSIVE_LOAD, "more at once than a fan may send");
        } else {
            self.input(&Input::FanPacket { session, packet });
        }
    }

    /// Removes a fan.
    pub(crate) fn exit(&self, session: SessionId, fan: FanId) {
        self.proofs.borrow_mut().left(fan, self.shared.platform.wall());
        {
            let mut fans = self.fans.borrow_mut();
            let Some(gone) = fans.mailboxes.get_mut(session.0 as usize) else { return };
            *gone = None;
            fans.here -= 1;
            self.shared.figures.fans.dec();
            fans.left_sessions.push(session);
        }
        self.input(&Input::FanLeft { session });
        self.changed.notify_waiters();
    }

    /// Takes the next packet for the uplink: a delta, or the proofs before it.
    pub(crate) fn delta(&self) -> Option<Bytes> {
        self.proofs.borrow_mut().packet(|| self.deltas.borrow_mut().pop_front())
    }

    /// The uplink opened or closed. Deltas that wait are dropped: the worker sends them again.
    pub(crate) fn connect(&self, connected: bool) {
        self.connected.set(connected);
        self.deltas.borrow_mut().clear();
        self.proofs.borrow_mut().clear();
        if connected {
            self.input(&Input::RootConnected);
            self.set(Status::Open);
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Bytes of deltas that wait for the uplink.
    pub(crate) fn backlog(&self) -> usize {
        self.deltas.borrow().iter().map(Bytes::len).sum()
    }

    /// Waits for the origin's answer. Returns whether the room is open; gives up when no fan is left.
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

    /// Runs the worker, tick after tick, until no fan has been here for [`ROOM_LINGER`].
    pub(crate) async fn run(&self) {
        // Do not start a worker until the origin confirms the room: anyone can ask for any room name.
        if !self.opened().await {
            return;
        }
        let worker = match self.shared.worker(&self.room, self.incarnation).await {
            Ok(worker) => worker,
            Err(error) => {
                tracing::error!(room = %self.room, %error, "no worker for a room");
                return self.refuse("this edge has no worker for rooms");
            }
        };
        let platform = &self.shared.platform;
        let linger = moqt::Micros(ROOM_LINGER.as_micros() as u64);
        let mut busy = platform.now();
        let mut worked = Worked::default();
        let mut last = platform.now();
        loop {
            let started = platform.now();
            if self.fans.borrow().here > 0 {
                busy = started;
            } else if started - busy > linger {
                return;
            }
            if matches!(*self.status.borrow(), Status::Refused(_)) {
                return;
            }
            let had_inputs = !self.batch.borrow().is_empty();
            self.put(&Input::Tick);
            let batch = self.batch.take();
            let left_sessions = self.begin_tick();
            self.now.set(clock::opened(self.now.get(), platform.wall()));
            let handled = worker.handle(self.now.get(), batch.into()).await;
            let figures = worker.worked();
            self.shared.figures.worked(&worked, &figures);
            worked = figures;
            match handled {
                Ok(effects) => self.carry_out(&effects),
                Err(error) => {
                    // The fans rejoin, with a new leaf, and send again what was not acknowledged.
                    tracing::error!(room = %self.room, %error, "a room's leaf is closed: its worker failed");
                    return self.refuse("the room's worker failed; try again");
                }
            }
            self.fans.borrow_mut().free.extend(left_sessions);
            platform.sleep(TICK.saturating_sub(Duration::from_micros((platform.now() - started).0))).await;
            if had_inputs {
                last = started;
            }
            if self.batch.borrow().is_empty() && started - last > FAST_TICKS {
                // No input lately: tick less often.
                select(platform.sleep(IDLE), pin!(self.inputs_ready.notified())).await;
            }
        }
    }

    fn begin_tick(&self) -> Vec<SessionId> {
        let mut fans = self.fans.borrow_mut();
        for mailbox in fans.mailboxes.iter().flatten() {
            mailbox.received_bytes.set(0);
        }
        self.proofs.borrow_mut().sweep(self.shared.platform.wall());
        std::mem::take(&mut fans.left_sessions)
    }

    fn refuse(&self, why: &str) {
        self.set(Status::Refused(RequestError::new(RequestCode::INTERNAL_ERROR, why)));
        for mailbox in self.fans.borrow().mailboxes.iter().flatten() {
            mailbox.close(RequestCode::INTERNAL_ERROR, why);
        }
    }

    fn carry_out(&self, effects: &[u8]) {
        let Ok(frames) = Frames::<Effect<'_>>::new(effects) else {
            tracing::warn!(room = %self.room, "a worker's effects cannot be read");
            return;
        };
        let mut has_deltas = false;
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
                        tracing::debug!(room = %self.room, ?session, ?why, "the worker closes a fan's membership");
                        let (code, why) = reason(why);
                        mailbox.close(code, why);
                    }
                }
                Effect::ToRoot { .. } if !self.connected.get() => {}
                Effect::ToRoot { packet } => {
                    self.deltas.borrow_mut().push_back(Bytes::copy_from_slice(packet));
                    has_deltas = true;
                }
                Effect::Log { level: Level::Warn, text } => tracing::warn!(room = %self.room, text),
                Effect::Log { level: Level::Info, text } => tracing::info!(room = %self.room, text),
                Effect::ToEdge { .. }
                | Effect::CloseEdge { .. }
                | Effect::Publish { .. }
                | Effect::Archive(_) => {
                    tracing::warn!(room = %self.room, "a leaf's worker returned an effect of a root");
                }
            }
        }
        if has_deltas {
            self.shared.wake_uplink();
        }
    }

    fn mailbox(&self, session: SessionId) -> Option<Rc<Mailbox>> {
        self.fans.borrow().mailboxes.get(session.0 as usize)?.clone()
    }
}

/// The code and reason for a fan whose membership the worker closes.
fn reason(why: Close) -> (RequestCode, &'static str) {
    match why {
        Close::Malformed => (RequestCode::MALFORMED_TRACK, "a packet that cannot be read"),
        Close::OutOfOrder => (RequestCode::MALFORMED_TRACK, "a connection begins with its one hello"),
        Close::Flooding => (RequestCode::EXCESSIVE_LOAD, "more messages than may be unanswered"),
        Close::Full => (RequestCode::EXCESSIVE_LOAD, "the room is full"),
    }
}
