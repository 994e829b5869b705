//! One direction of one stream: a small future that lives as long as it does.

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
use web_transport_quinn::{ReadError, RecvStream, SendStream, WriteError};

/// Bytes taken from the transport at once.
const MAX_READ: usize = 64 * 1024;
/// Chunks given to the transport at once.
const MAX_CHUNKS: usize = 32;

/// What a connection's streams tell its session.
pub(crate) type Inbox = Rc<RefCell<VecDeque<Input>>>;

/// A word from a session to a stream, waited for by the stream.
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

/// Reads a stream to its end, whichever way it ends.
pub(crate) async fn receive(id: StreamId, mut stream: RecvStream, stop: Rc<Signal<ResetCode>>, inbox: Inbox) {
    loop {
        let read = {
            let read = pin!(stream.read_chunk(MAX_READ, true));
            let stop = pin!(stop.wait());
            match select(read, stop).await {
                Either::Left((read, _)) => Ok(read),
                Either::Right((code, _)) => Err(code),
            }
        };
        let input = match read {
            Ok(Ok(Some(chunk))) => {
                inbox.borrow_mut().push_back(Input::Data { stream: id, data: chunk.bytes });
                continue;
            }
            Ok(Ok(None)) => Input::Finished { stream: id },
            Ok(Err(ReadError::Reset(code))) => Input::Reset { stream: id, code: ResetCode(code.into()) },
            // A code from elsewhere than WebTransport's means no more than that.
            Ok(Err(ReadError::InvalidReset(_))) => {
                Input::Reset { stream: id, code: ResetCode::INTERNAL_ERROR }
            }
            // The connection is gone, which it says itself.
            Ok(Err(_)) => return,
            Err(code) => {
                let _ = stream.stop(code.0 as u32);
                return;
            }
        };
        inbox.borrow_mut().push_back(input);
        return;
    }
}

/// What is to be sent on a stream.
#[derive(Default)]
pub(crate) struct Pipe {
    chunks: RefCell<VecDeque<Bytes>>,
    bytes: Cell<usize>,
    finished: Cell<bool>,
    reset: Cell<Option<ResetCode>>,
    order: Cell<Option<i32>>,
    waker: Cell<Option<Waker>>,
}

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

    /// Bytes that the transport has not taken.
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

    /// A reset or a change of order, while a write is stuck.
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

/// Sends what comes through a pipe, and tells how it ended.
pub(crate) async fn send<E>(
    id: StreamId,
    opening: impl Future<Output = Result<SendStream, E>>,
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
            Ok(Step::Reset(code)) => {
                let _ = stream.reset(code.0 as u32);
                return;
            }
            Ok(Step::Order(order)) => {
                let _ = stream.set_priority(order);
            }
            Ok(Step::Write) => match write(&mut stream, &pipe).await {
                Ok(()) => {}
                Err(WriteError::Stopped(code)) => {
                    return tell_stopped(id, Some(code), &mut stream, &pipe, &inbox).await;
                }
                Err(WriteError::InvalidStopped(_)) => {
                    return tell_stopped(id, None, &mut stream, &pipe, &inbox).await;
                }
                Err(_) => return,
            },
            Ok(Step::Finish) => {
                let _ = stream.finish();
                return delivered(id, &mut stream, &pipe, &inbox).await;
            }
            Err(Ok(code)) => return tell_stopped(id, code, &mut stream, &pipe, &inbox).await,
            Err(Err(_)) => return,
        }
    }
}

/// Gives the transport what it takes.
async fn write(stream: &mut SendStream, pipe: &Pipe) -> Result<(), WriteError> {
    let mut batch: [Bytes; MAX_CHUNKS] = Default::default();
    let count = {
        let chunks = pipe.chunks.borrow();
        let count = chunks.len().min(MAX_CHUNKS);
        for (slot, chunk) in batch.iter_mut().zip(chunks.iter()) {
            *slot = chunk.clone();
        }
        count
    };
    // What is interrupted has written nothing, and is tried again.
    let written = {
        let write = pin!(stream.write_chunks(&mut batch[..count]));
        let interrupted = pin!(pipe.interrupted());
        match select(write, interrupted).await {
            Either::Left((written, _)) => written?,
            Either::Right(_) => return Ok(()),
        }
    };
    let mut chunks = pipe.chunks.borrow_mut();
    let whole = written.chunks.min(chunks.len());
    chunks.drain(..whole);
    if let (Some(first), Some(rest)) = (chunks.front_mut(), batch.get(written.chunks)) {
        // The transport took part of it: go on with the rest.
        *first = rest.clone();
    }
    pipe.bytes.set(chunks.iter().map(Bytes::len).sum());
    Ok(())
}

/// The peer wants no more: the session says how to end the stream.
async fn tell_stopped(id: StreamId, code: Option<u32>, stream: &mut SendStream, pipe: &Pipe, inbox: &Inbox) {
    let code = code.map_or(ResetCode::INTERNAL_ERROR, |code| ResetCode(code.into()));
    inbox.borrow_mut().push_back(Input::Stopped { stream: id, code });
    loop {
        match pipe.next().await {
            Step::Reset(code) => {
                let _ = stream.reset(code.0 as u32);
                return;
            }
            Step::Write => pipe.chunks.borrow_mut().clear(),
            Step::Finish => return,
            Step::Order(_) => {}
        }
    }
}

/// All is written: waits until all has arrived, or does not matter any more.
async fn delivered(id: StreamId, stream: &mut SendStream, pipe: &Pipe, inbox: &Inbox) {
    let ended = {
        let stopped = pin!(stream.stopped());
        let reset = pin!(async {
            loop {
                match pipe.next().await {
                    Step::Reset(code) => break code,
                    Step::Order(_) | Step::Write | Step::Finish => {}
                }
            }
        });
        match select(stopped, reset).await {
            Either::Left((stopped, _)) => Ok(stopped),
            Either::Right((code, _)) => Err(code),
        }
    };
    match ended {
        Ok(Ok(None)) => inbox.borrow_mut().push_back(Input::Delivered { stream: id }),
        Ok(Ok(Some(code))) => {
            let code = ResetCode(code.into());
            inbox.borrow_mut().push_back(Input::Stopped { stream: id, code });
        }
        Ok(Err(_)) => {}
        Err(code) => {
            let _ = stream.reset(code.0 as u32);
        }
    }
}
