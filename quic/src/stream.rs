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
const MAX_READ: usize = 16 * 1024;
/// Bytes and inputs that a session may read in one turn. The other sessions of the thread have theirs before it reads
/// on, and what its objects become is sent on in between.
const TURN: Turn = Turn { bytes: 64 * 1024, inputs: 256 };
/// The most chunks written to the transport at once.
const MAX_CHUNKS: usize = 32;

/// Bytes and inputs that were read in one turn.
#[derive(Clone, Copy, Default)]
struct Turn {
    bytes: usize,
    inputs: usize,
}

/// The inputs of a session from the streams of its connection, and how much of its turn they have used.
#[derive(Default)]
pub(crate) struct Inbox {
    inputs: RefCell<VecDeque<Input>>,
    read: Cell<Turn>,
    /// Readers that wait for the next turn.
    waiting: RefCell<Vec<Waker>>,
}

impl Inbox {
    pub(crate) fn push(&self, input: Input) {
        let Turn { mut bytes, mut inputs } = self.read.get();
        if let Input::Data { data, .. } | Input::Datagram(data) = &input {
            bytes += data.len();
            inputs += 1;
        }
        self.read.set(Turn { bytes, inputs });
        self.inputs.borrow_mut().push_back(input);
    }

    pub(crate) fn pop(&self) -> Option<Input> {
        self.inputs.borrow_mut().pop_front()
    }

    /// Returns whether the session has read all that it may in this turn.
    pub(crate) fn is_turn_over(&self) -> bool {
        let read = self.read.get();
        read.bytes >= TURN.bytes || read.inputs >= TURN.inputs
    }

    /// Begins a turn: the readers go on.
    pub(crate) fn begin_turn(&self) {
        self.read.set(Turn::default());
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    /// Resolves while the session may read.
    async fn turn(&self) {
        poll_fn(|cx| {
            if self.is_turn_over() {
                self.waiting.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }
}

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
pub(crate) async fn receive(id: StreamId, mut stream: RecvHalf, reading: Rc<Reading>, inbox: Rc<Inbox>) {
    loop {
        let read = {
            let read = pin!(async {
                reading.unpaused().await;
                inbox.turn().await;
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
                inbox.push(Input::Data { stream: id, data });
                continue;
            }
            Ok(Ok(Read::Finished)) => Input::Finished { stream: id },
            Ok(Ok(Read::Reset(code))) => Input::Reset { stream: id, code },
            Ok(Err(Gone)) => return,
            Err(code) => return stream.stop(code),
        };
        inbox.push(input);
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
    /// The bytes that wait on all streams of the session that carry messages, if this is one of them.
    messages: Option<Rc<Cell<usize>>>,
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
        let pipe = Self::default();
        pipe.set_order(order);
        pipe
    }

    /// Creates the pipe of a stream that carries messages, with the count of those that wait.
    pub(crate) fn of_messages(order: i32, messages: &Rc<Cell<usize>>) -> Self {
        let mut pipe = Self::new(order);
        pipe.messages = Some(Rc::clone(messages));
        pipe
    }

    pub(crate) fn write(&self, data: Bytes) {
        self.set_bytes(self.bytes.get() + data.len());
        self.chunks.borrow_mut().push_back(data);
        self.wake();
    }

    pub(crate) fn finish(&self) {
        self.finished.set(true);
        self.wake();
    }

    pub(crate) fn reset(&self, code: ResetCode) {
        self.reset.set(Some(code));
        self.clear();
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

    fn clear(&self) {
        self.chunks.borrow_mut().clear();
        self.set_bytes(0);
    }

    fn set_bytes(&self, bytes: usize) {
        let before = self.bytes.replace(bytes);
        if let Some(messages) = &self.messages {
            messages.set(messages.get() - before + bytes);
        }
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

    /// Returns whether a reset or a change of order waits, which goes before what is written.
    fn is_interrupted(&self) -> bool {
        let (reset, order) = (self.reset.take(), self.order.take());
        self.reset.set(reset);
        self.order.set(order);
        reset.is_some() || order.is_some()
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.set_bytes(0);
    }
}

/// Sends the bytes of a pipe, and puts the end of the stream into the inbox.
pub(crate) async fn send(
    id: StreamId,
    opening: impl Future<Output = Result<SendHalf, Gone>>,
    pipe: Rc<Pipe>,
    inbox: Rc<Inbox>,
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

/// Writes the first chunks of a pipe, as far as the transport takes them, unless something goes before them.
///
/// The chunks are on the stack while they are offered, not in the future: there is one for every stream.
async fn write(stream: &mut SendHalf, pipe: &Pipe) -> Result<(), Refused> {
    poll_fn(|cx| {
        if pipe.is_interrupted() {
            return Poll::Ready(Ok(()));
        }
        let mut batch: [Bytes; MAX_CHUNKS] = Default::default();
        let mut chunks = pipe.chunks.borrow_mut();
        let count = chunks.len().min(MAX_CHUNKS);
        for (slot, chunk) in batch.iter_mut().zip(chunks.iter()) {
            *slot = chunk.clone();
        }
        // A write that the transport does not take has no state: it is tried anew.
        let Poll::Ready(written) = pin!(stream.write(&mut batch[..count])).poll(cx)? else {
            pipe.waker.set(Some(cx.waker().clone()));
            return Poll::Pending;
        };
        let whole = written.chunks.min(count);
        chunks.drain(..whole);
        if whole < count
            && let Some(first) = chunks.front_mut()
        {
            // The transport took part of it: go on with the rest.
            *first = batch[whole].clone();
        }
        pipe.set_bytes(chunks.iter().map(Bytes::len).sum());
        Poll::Ready(Ok(()))
    })
    .await
}

/// Reports that the peer has stopped the stream, and waits until the session ends it.
async fn stopped(id: StreamId, code: ResetCode, stream: &mut SendHalf, pipe: &Pipe, inbox: &Inbox) {
    inbox.push(Input::Stopped { stream: id, code });
    loop {
        match pipe.next().await {
            Step::Reset(code) => return stream.reset(code),
            Step::Write => pipe.clear(),
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
    inbox.push(input);
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use futures_util::{FutureExt as _, task::noop_waker};

    use super::*;

    fn data(len: usize) -> Input {
        Input::Data { stream: StreamId(0), data: vec![0; len].into() }
    }

    #[test]
    fn readers_wait_for_the_next_turn_once_so_many_bytes_or_inputs_have_come() {
        for (count, len) in [(TURN.bytes / MAX_READ, MAX_READ), (TURN.inputs, 0)] {
            let inbox = Inbox::default();
            for _ in 0..count {
                assert!(inbox.turn().now_or_never().is_some(), "the turn has begun");
                inbox.push(data(len));
            }
            let mut reader = pin!(inbox.turn());
            let waker = noop_waker();
            let mut task = Context::from_waker(&waker);
            assert!(reader.as_mut().poll(&mut task).is_pending());
            inbox.begin_turn();
            assert!(reader.as_mut().poll(&mut task).is_ready());
        }
    }

    #[test]
    fn ends_of_streams_use_nothing_of_a_turn() {
        let inbox = Inbox::default();
        for _ in 0..2 * TURN.inputs {
            inbox.push(Input::Finished { stream: StreamId(0) });
        }
        assert!(!inbox.is_turn_over());
    }

    #[test]
    fn messages_that_wait_are_counted_until_they_are_taken_reset_or_lost() {
        let messages = Rc::default();
        let [kept, reset, lost] = [(); 3].map(|()| Pipe::of_messages(0, &messages));
        for pipe in [&kept, &reset, &lost] {
            pipe.write(Bytes::from_static(b"answer"));
        }
        assert_eq!(messages.get(), 18);
        reset.reset(ResetCode::CANCELLED);
        drop(lost);
        assert_eq!(messages.get(), kept.backlog());
    }
}
