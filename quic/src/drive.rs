//! The driver of one session on one QUIC or WebTransport connection.

use std::{
    cell::Cell,
    collections::BTreeMap,
    future::{Future, pending, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use moqt::{
    App, Cx, Ended, Event, Input, Micros, Misuse, Output, ResetCode, Session, SessionCode, Transit,
    session::{Closer, Config, Dir, SendOrder, StreamId},
};
use tokio::time::{Instant, Sleep};

use crate::{
    Clock, Transport,
    stream::{Inbox, Pipe, Reading, receive, send},
    transport::{Gone, Link, RecvHalf, SendHalf},
};

/// The part of the connection that an app may use: the backlog of a stream and of all messages, the round-trip time,
/// and whether a stream is read.
struct Quic<'a> {
    link: &'a Link,
    messages: usize,
    pipes: &'a BTreeMap<StreamId, Rc<Pipe>>,
    readings: &'a BTreeMap<StreamId, Rc<Reading>>,
}

impl Transit for Quic<'_> {
    fn backlog(&self, stream: StreamId) -> usize {
        self.pipes.get(&stream).map_or(0, |pipe| pipe.backlog())
    }

    fn unread(&self) -> usize {
        self.messages
    }

    fn rtt(&self) -> Option<Duration> {
        Some(self.link.transport().quic().rtt())
    }

    fn allow_streams(&self, bidirectional: u32, unidirectional: u32) {
        let connection = self.link.transport().quic();
        connection.set_max_concurrent_bi_streams(bidirectional.into());
        connection.set_max_concurrent_uni_streams(unidirectional.into());
    }

    fn pause(&self, stream: StreamId) {
        if let Some(reading) = self.readings.get(&stream) {
            reading.pause(true);
        }
    }

    fn resume(&self, stream: StreamId) {
        if let Some(reading) = self.readings.get(&stream) {
            reading.pause(false);
        }
    }
}

/// The time that a WebTransport peer has to take the close of its session.
const CLOSE_FLUSH: Duration = Duration::from_millis(250);

type Task = Pin<Box<dyn Future<Output = ()>>>;
type Accept<T> = Pin<Box<dyn Future<Output = Result<T, Gone>>>>;

/// A running session: its connection, the tasks of its streams, and its app.
struct Driver<'a, A> {
    link: Link,
    session: Session,
    app: &'a mut A,
    clock: Clock,
    inbox: Rc<Inbox>,
    /// The bytes of messages that the transport has not taken.
    messages: Rc<Cell<usize>>,
    pipes: BTreeMap<StreamId, Rc<Pipe>>,
    readings: BTreeMap<StreamId, Rc<Reading>>,
    tasks: FuturesUnordered<Task>,
    uni: Accept<RecvHalf>,
    bi: Accept<(SendHalf, RecvHalf)>,
    datagram: Accept<Bytes>,
    closed: Pin<Box<dyn Future<Output = (SessionCode, String)>>>,
    sleep: Pin<Box<Sleep>>,
    /// The close that the session asked for, until the streams have been reset.
    closing: Option<(SessionCode, Bytes)>,
    ended: Option<Ended>,
}

/// Runs a session on a connection until it ends.
pub async fn drive(
    transport: Transport,
    config: Config,
    clock: Clock,
    app: &mut impl App,
) -> Result<Ended, Misuse> {
    let session = Session::new(clock.now(), config)?;
    let link = Link::new(transport);
    let mut driver = Driver {
        uni: Box::pin(link.clone().accept_uni()),
        bi: Box::pin(link.clone().accept_bi()),
        datagram: Box::pin(link.clone().read_datagram()),
        closed: Box::pin(link.clone().closed()),
        sleep: Box::pin(tokio::time::sleep_until(Instant::now())),
        link,
        session,
        app,
        clock,
        inbox: Rc::default(),
        messages: Rc::default(),
        pipes: BTreeMap::new(),
        readings: BTreeMap::new(),
        tasks: FuturesUnordered::new(),
        closing: None,
        ended: None,
    };
    let ended = poll_fn(|task| driver.poll(task)).await;
    // WebTransport carries the close on a stream of its own. Dropping the driver finishes the session's streams; a peer
    // may see that first and take it for the end of a message.
    if let (Closer::Us, Transport::WebTransport(session)) = (ended.by, driver.link.transport()) {
        let _ = tokio::time::timeout(CLOSE_FLUSH, quinn::Connection::closed(session)).await;
    }
    Ok(ended)
}

/// Returns what the peer has opened or sent, if anything. Returns nothing more once the connection is gone.
fn next<T: 'static>(accept: &mut Accept<T>, task: &mut Context<'_>) -> Option<T> {
    match accept.as_mut().poll(task) {
        Poll::Ready(Ok(accepted)) => Some(accepted),
        Poll::Ready(Err(_)) => {
            *accept = Box::pin(pending());
            None
        }
        Poll::Pending => None,
    }
}

impl<A: App> Driver<'_, A> {
    fn poll(&mut self, task: &mut Context<'_>) -> Poll<Ended> {
        loop {
            self.accept(task);
            // The streams read, write and put their results into the inbox.
            while let Poll::Ready(Some(())) = self.tasks.poll_next_unpin(task) {}
            let now = self.clock.now();
            let mut busy = self.feed(now);
            if self.ended.is_none() && self.app_poll(task, now).is_ready() {
                self.session.close(SessionCode::NO_ERROR, "");
            }
            if self.session.timeout().is_some_and(|at| at <= now) {
                self.session.handle(now, Input::Timeout);
            }
            busy |= self.drain(now);
            if let Some((code, reason)) = self.closing.take() {
                // The resets leave before the close. A browser that meets the close first ends the streams by itself,
                // and Chromium's process of the page may crash over one that somebody reads.
                while let Poll::Ready(Some(())) = self.tasks.poll_next_unpin(task) {}
                self.link.close(code, &reason);
            }
            if let Some(ended) = self.ended.take() {
                return Poll::Ready(ended);
            }
            if self.inbox.is_turn_over() {
                // The readers are woken with this task, which the runtime polls after the others.
                self.inbox.begin_turn();
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            // Loop again for what was just opened or written: its tasks have not been polled yet.
            if !busy {
                break;
            }
        }
        if let Some(at) = self.session.timeout() {
            let at = self.clock.instant(at);
            if self.sleep.deadline() != at {
                self.sleep.as_mut().reset(at);
            }
            if self.sleep.as_mut().poll(task).is_ready() {
                task.waker().wake_by_ref();
            }
        }
        if let Poll::Ready((code, reason)) = self.closed.as_mut().poll(task) {
            let now = self.clock.now();
            self.feed(now);
            self.session.handle(now, Input::Closed { code, reason: reason.into() });
            self.drain(now);
            if let Some(ended) = self.ended.take() {
                return Poll::Ready(ended);
            }
        }
        Poll::Pending
    }

    fn accept(&mut self, task: &mut Context<'_>) {
        while let Some(stream) = next(&mut self.uni, task) {
            self.uni = Box::pin(self.link.clone().accept_uni());
            let id = self.session.opened(Dir::Uni);
            self.receive(id, stream);
        }
        while let Some((sender, receiver)) = next(&mut self.bi, task) {
            self.bi = Box::pin(self.link.clone().accept_bi());
            let id = self.session.opened(Dir::Bi);
            self.receive(id, receiver);
            let pipe = Rc::new(Pipe::of_messages(SendOrder::REQUEST.to_i32(), &self.messages));
            self.pipes.insert(id, Rc::clone(&pipe));
            let opened = std::future::ready(Ok(sender));
            self.tasks.push(Box::pin(send(id, opened, pipe, Rc::clone(&self.inbox))));
        }
        while !self.inbox.is_turn_over()
            && let Some(datagram) = next(&mut self.datagram, task)
        {
            self.datagram = Box::pin(self.link.clone().read_datagram());
            self.inbox.push(Input::Datagram(datagram));
        }
    }

    fn receive(&mut self, id: StreamId, stream: RecvHalf) {
        let reading = Rc::new(Reading::default());
        self.readings.insert(id, Rc::clone(&reading));
        self.tasks.push(Box::pin(receive(id, stream, reading, Rc::clone(&self.inbox))));
    }

    /// Passes the inputs of the streams to the session, each with its outputs, so that those of many do not wait
    /// together. Returns whether the streams or the app have something to do now.
    fn feed(&mut self, now: Micros) -> bool {
        let mut busy = false;
        while let Some(input) = self.inbox.pop() {
            match &input {
                Input::Finished { stream } | Input::Reset { stream, .. } => {
                    self.readings.remove(stream);
                }
                Input::Delivered { stream } => {
                    self.pipes.remove(stream);
                }
                _ => {}
            }
            self.session.handle(now, input);
            busy |= self.drain(now);
        }
        busy
    }

    fn app_poll(&mut self, task: &mut Context<'_>, now: Micros) -> Poll<()> {
        let messages = self.messages.get();
        let quic = Quic { link: &self.link, messages, pipes: &self.pipes, readings: &self.readings };
        let mut cx = Cx::new(&mut self.session, now, &quic);
        self.app.poll(task, &mut cx)
    }

    /// Carries out the outputs of the session. Returns whether the streams or the app have
    /// something to do now.
    fn drain(&mut self, now: Micros) -> bool {
        let mut busy = false;
        while let Some(output) = self.session.poll() {
            match output {
                Output::Event(Event::Closed { code, reason, by }) => {
                    let reason = String::from_utf8_lossy(&reason).into_owned();
                    let event = Event::Closed { code, reason: reason.clone().into(), by };
                    self.event(now, event);
                    self.ended = Some(Ended { code, reason, by });
                }
                Output::Event(event) => {
                    if matches!(&event, Event::Ready(setup) if setup.implementation.is_some()) {
                        self.link.use_plain_codes();
                    }
                    self.event(now, event);
                    // The app may wait for something else now.
                    busy = true;
                }
                Output::Open { stream, dir, order } => {
                    self.open(stream, dir, order);
                    busy = true;
                }
                Output::Write { stream, data } => {
                    if let Some(pipe) = self.pipes.get(&stream) {
                        pipe.write(data);
                        busy = true;
                    }
                }
                Output::SetOrder { stream, order } => {
                    if let Some(pipe) = self.pipes.get(&stream) {
                        pipe.set_order(order.to_i32());
                    }
                }
                Output::Finish { stream } => {
                    if let Some(pipe) = self.pipes.get(&stream) {
                        pipe.finish();
                        busy = true;
                    }
                }
                Output::Reset { stream, code } => {
                    if let Some(pipe) = self.pipes.remove(&stream) {
                        pipe.reset(code);
                        busy = true;
                    }
                }
                Output::Stop { stream, code } => {
                    if let Some(reading) = self.readings.remove(&stream) {
                        reading.stop(code);
                        busy = true;
                    }
                }
                Output::Datagram(datagram) => self.link.send_datagram(datagram),
                Output::Close { code, reason } => {
                    for pipe in self.pipes.values() {
                        pipe.reset(ResetCode::SESSION_CLOSED);
                    }
                    self.closing = Some((code, reason));
                }
            }
        }
        busy
    }

    fn event(&mut self, now: Micros, event: Event) {
        let messages = self.messages.get();
        let quic = Quic { link: &self.link, messages, pipes: &self.pipes, readings: &self.readings };
        let mut cx = Cx::new(&mut self.session, now, &quic);
        self.app.event(&mut cx, event);
    }

    fn open(&mut self, id: StreamId, dir: Dir, order: SendOrder) {
        let carries_messages = dir == Dir::Bi || order == SendOrder::CONTROL;
        let order = order.to_i32();
        let pipe = Rc::new(if carries_messages {
            Pipe::of_messages(order, &self.messages)
        } else {
            Pipe::new(order)
        });
        self.pipes.insert(id, Rc::clone(&pipe));
        let inbox = Rc::clone(&self.inbox);
        let link = self.link.clone();
        match dir {
            Dir::Uni => {
                self.tasks.push(Box::pin(send(id, link.open_uni(), pipe, inbox)));
            }
            Dir::Bi => {
                let reading = Rc::new(Reading::default());
                self.readings.insert(id, Rc::clone(&reading));
                self.tasks.push(Box::pin(async move {
                    let Ok((sender, receiver)) = link.open_bi().await else { return };
                    let opened = std::future::ready(Ok(sender));
                    let sending = send(id, opened, pipe, Rc::clone(&inbox));
                    futures_util::future::join(sending, receive(id, receiver, reading, inbox)).await;
                }));
            }
        }
    }
}
