//! One direction of one stream: a future that ends with it.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
};

use bytes::Bytes;
use futures_util::future::{Either, select};
use moqt::{Input, ResetCode, session::StreamId};

use crate::transport::{Gone, Read, RecvHalf, Refused, SendHalf};

/// The most bytes read from the transport at once.
const MAX_READ: usize = 64 * 1024;
/// The most chunks written to the transport at once.
const MAX_CHUNKS: usize = 32;

/// The inputs of a session from the streams of its connection.
pub(crate) type Inbox = Rc<RefCell<VecDeque<Input>>>;

/// A value that a session sets once and a stream waits for.
pub(crate) struct Signal<T> {
    value: Cell<Option<T>>,
    waker: Cell<Option<Waker>>,
}

impl<T> Default for Signal<T> {
    fn default() -> Self {
        Self { value: Cell::new(None), waker: Cell::new(None) }
    }
}

impl<T> Signal<T> {
    pub(crate) fn set(&self, value: T) {
        self.value.set(Some(value));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    async fn wait(&self) -> T {
        poll_fn(|cx| {
            if let Some(value) = self.value.take() {
                Poll::Ready(value)
            } else {
                self.waker.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }
}

/// The session's orders to the reader of a stream.
#[derive(Default)]
pub(crate) struct Reading {
    stop: Signal<ResetCode>,
    is_paused: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Reading {
    /// Reads no more, for good.
    pub(crate) fn stop(&self, code: ResetCode) {
        self.stop.set(code);
    }

    /// Reads no more for now, or again. Flow control holds the peer back meanwhile.
    pub(crate) fn pause(&self, is_paused: bool) {
        self.is_paused.set(is_paused);
        if let Some(waker) = self.waker.take().filter(|_| !is_paused) {
            waker.wake();
        }
    }

    async fn unpaused(&self) {
        poll_fn(|cx| {
            if self.is_paused.get() {
                self.waker.set(Some(cx.waker().clone()));
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }
}

/// Reads a stream until it is finished, reset, stopped or lost.
pub(crate) async fn receive(id: StreamId, mut stream: RecvHalf, reading: Rc<Reading>, inbox: Inbox) {
    loop {
        let read = {
            let read = pin!(async {
                reading.unpaused().await;
                stream.read(MAX_READ).await
            });
            let stop = pin!(reading.stop.wait());
            match select(read, stop).await {
                Either::Left((read, _)) => Ok(read),
                Either::Right((code, _)) => Err(code),
            }
        };
        let input = match read {
            Ok(Ok(Read::Data(data))) => {
                inbox.borrow_mut().push_back(Input::Data { stream: id, data });
                continue;
            }
            Ok(Ok(Read::Finished)) => Input::Finished { stream: id },
            Ok(Ok(Read::Reset(code))) => Input::Reset { stream: id, code },
            Ok(Err(Gone)) => return,
            Err(code) => return stream.stop(code),
        };
        inbox.borrow_mut().push_back(input);
        return;
    }
}

/// The bytes that wait to be sent on a stream, and how it is to end.
#[derive(Default)]
pub(crate) struct Pipe {
    chunks: RefCell<VecDeque<Bytes>>,
    bytes: Cell<usize>,
    finished: Cell<bool>,
    reset: Cell<Option<ResetCode>>,
    order: Cell<Option<i32>>,
    waker: Cell<Option<Waker>>,
}

/// The next thing to do for a stream.
enum Step {
    Reset(ResetCode),
    Order(i32),
    Write,
    Finish,
}

impl Pipe {
    pub(crate) fn new(order: i32) -> Self {
        Self { order: Cell::new(Some(order)), ..Self::default() }
    }

    pub(crate) fn write(&self, data: Bytes) {
        self.bytes.set(self.bytes.get() + data.len());
        self.chunks.borrow_mut().push_back(data);
        self.wake();
    }

    pub(crate) fn finish(&self) {
        self.finished.set(true);
        self.wake();
    }

    pub(crate) fn reset(&self, code: ResetCode) {
        self.reset.set(Some(code));
        self.chunks.borrow_mut().clear();
        self.bytes.set(0);
        self.wake();
    }

    pub(crate) fn set_order(&self, order: i32) {
        self.order.set(Some(order));
        self.wake();
    }

    /// Returns the bytes that the transport has not taken yet.
    pub(crate) fn backlog(&self) -> usize {
        self.bytes.get()
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn step(&self) -> Option<Step> {
        if let Some(code) = self.reset.take() {
            Some(Step::Reset(code))
        } else if let Some(order) = self.order.take() {
            Some(Step::Order(order))
        } else if !self.chunks.borrow().is_empty() {
            Some(Step::Write)
        } else {
            self.finished.take().then_some(Step::Finish)
        }
    }

    async fn next(&self) -> Step {
        poll_fn(|cx| {
            if let Some(step) = self.step() {
                Poll::Ready(step)
            } else {
                self.waker.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        })
        .await
    }

    /// Resolves at a reset or a change of order, while a write is blocked.
    async fn interrupted(&self) {
        poll_fn(|cx| {
            let reset = self.reset.take();
            self.reset.set(reset);
            let order = self.order.take();
            self.order.set(order);
            if reset.is_some() || order.is_some() {
                return Poll::Ready(());
            }
            self.waker.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// Sends the bytes of a pipe, and puts the end of the stream into the inbox.
pub(crate) async fn send(
    id: StreamId,
    opening: impl Future<Output = Result<SendHalf, Gone>>,
    pipe: Rc<Pipe>,
    inbox: Inbox,
) {
    let Ok(mut stream) = opening.await else { return };
    loop {
        let step = {
            let next = pin!(pipe.next());
            let stopped = pin!(stream.stopped());
            match select(next, stopped).await {
                Either::Left((step, _)) => Ok(step),
                Either::Right((stopped, _)) => Err(stopped),
            }
        };
        match step {
            Ok(Step::Reset(code)) => return stream.reset(code),
            Ok(Step::Order(order)) => stream.set_order(order),
            Ok(Step::Write) => match write(&mut stream, &pipe).await {
                Ok(()) => {}
                Err(Refused::Stopped(code)) => return stopped(id, code, &mut stream, &pipe, &inbox).await,
                Err(Refused::Gone) => return,
            },
            Ok(Step::Finish) => {
                stream.finish();
                return delivered(id, &mut stream, &pipe, &inbox).await;
            }
            Err(Ok(Some(code))) => return stopped(id, code, &mut stream, &pipe, &inbox).await,
            // `None` reports the arrival of a finished stream, and this one is not finished.
            Err(Ok(None) | Err(Gone)) => return,
        }
    }
}

/// Writes the first chunks of a pipe, as far as the transport takes them.
async fn write(stream: &mut SendHalf, pipe: &Pipe) -> Result<(), Refused> {
    let mut batch: [Bytes; MAX_CHUNKS] = Default::default();
    let count = {
        let chunks = pipe.chunks.borrow();
        let count = chunks.len().min(MAX_CHUNKS);
        for (slot, chunk) in batch.iter_mut().zip(chunks.iter()) {
            *slot = chunk.clone();
        }
        count
    };
    // An interrupted write has written nothing. The caller tries it again.
    let written = {
        let write = pin!(stream.write(&mut batch[..count]));
        let interrupted = pin!(pipe.interrupted());
        match select(write, interrupted).await {
            Either::Left((written, _)) => written?,
            Either::Right(_) => return Ok(()),
        }
    };
    let mut chunks = pipe.chunks.borrow_mut();
    let whole = written.chunks.min(chunks.len());
    chunks.drain(..whole);
    if whole < count {
        // The transport took part of it: go on with the rest.
        if let Some(first) = chunks.front_mut() {
            *first = batch[whole].clone();
        }
    }
    pipe.bytes.set(chunks.iter().map(Bytes::len).sum());
    Ok(())
}

/// Reports that the peer has stopped the stream, and waits until the session ends it.
async fn stopped(id: StreamId, code: ResetCode, stream: &mut SendHalf, pipe: &Pipe, inbox: &Inbox) {
    inbox.borrow_mut().push_back(Input::Stopped { stream: id, code });
    loop {
        match pipe.next().await {
            Step::Reset(code) => return stream.reset(code),
            Step::Write => pipe.chunks.borrow_mut().clear(),
            Step::Finish => return,
            Step::Order(_) => {}
        }
    }
}

/// Waits, after the last byte is written, until all bytes have arrived or the stream is stopped or reset.
async fn delivered(id: StreamId, stream: &mut SendHalf, pipe: &Pipe, inbox: &Inbox) {
    let ended = {
        let stopped = pin!(stream.stopped());
        let reset = pin!(async {
            loop {
                if let Step::Reset(code) = pipe.next().await {
                    break code;
                }
            }
        });
        match select(stopped, reset).await {
            Either::Left((stopped, _)) => Ok(stopped),
            Either::Right((code, _)) => Err(code),
        }
    };
    let input = match ended {
        Ok(Ok(None)) => Input::Delivered { stream: id },
        Ok(Ok(Some(code))) => Input::Stopped { stream: id, code },
        Ok(Err(Gone)) => return,
        Err(code) => return stream.reset(code),
    };
    inbox.borrow_mut().push_back(input);
}
