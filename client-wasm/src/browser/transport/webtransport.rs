//! A session on WebTransport.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    rc::{Rc, Weak},
    task::{Poll, Waker},
};

use bytes::Bytes;
use js_sys::{Array, Promise, Reflect, Uint8Array};
use moqt::{
    Input, Output, ResetCode, SessionCode, Version,
    session::{Dir, StreamId},
};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    ReadableStream, ReadableStreamDefaultReader, WebTransport, WebTransportBidirectionalStream,
    WebTransportCloseInfo, WebTransportError, WebTransportErrorOptions, WebTransportHash,
    WebTransportOptions, WritableStream, WritableStreamDefaultWriter,
};

use crate::browser::small_map::SmallMap;

use super::{Shared, describe};

/// Largest reset code of a stream that browsers pass on.
const MAX_CODE: u64 = 255;

pub(super) struct Link {
    transport: WebTransport,
    pipes: RefCell<SmallMap<StreamId, Rc<Pipe>>>,
    readers: RefCell<SmallMap<StreamId, ReadableStreamDefaultReader>>,
    datagrams: RefCell<Option<WritableStreamDefaultWriter>>,
}

/// Data to be sent on a stream.
#[derive(Default)]
struct Pipe {
    steps: RefCell<VecDeque<Step>>,
    waker: Cell<Option<Waker>>,
}

enum Step {
    Write(Bytes),
    Finish,
    Reset(ResetCode),
}

impl Link {
    pub(super) async fn connect(url: &str, fingerprints: &[Vec<u8>]) -> Result<Self, JsValue> {
        let options = WebTransportOptions::new();
        let hashes: Vec<WebTransportHash> = fingerprints
            .iter()
            .map(|fingerprint| {
                let hash = WebTransportHash::new();
                hash.set_algorithm("sha-256");
                hash.set_value_u8_array(&Uint8Array::from(fingerprint.as_slice()));
                hash
            })
            .collect();
        if !hashes.is_empty() {
            options.set_server_certificate_hashes(&hashes);
        }
        let protocols: Array =
            Version::SUPPORTED.iter().map(|version| JsValue::from_str(version.protocol())).collect();
        Reflect::set(&options, &"protocols".into(), &protocols)?;
        let transport = WebTransport::new_with_options(url, &options)?;
        // The promise `ready` reports the same failures.
        quietly(transport.closed().unchecked_into());
        let ready = transport.ready();
        let mut guard = Guard(Some(transport.clone()));
        JsFuture::from(ready).await?;
        guard.0 = None;
        Ok(Self {
            transport,
            pipes: RefCell::default(),
            readers: RefCell::default(),
            datagrams: RefCell::default(),
        })
    }

    /// Begins to receive.
    pub(super) fn start(&self, shared: &Rc<Shared>) {
        let weak = Rc::downgrade(shared);
        spawn_local(each(self.transport.incoming_unidirectional_streams(), move |stream| {
            let Some(shared) = weak.upgrade() else { return };
            let id = shared.opened(Dir::Uni);
            receive(&shared, id, stream.unchecked_into());
        }));
        let weak = Rc::downgrade(shared);
        spawn_local(each(self.transport.incoming_bidirectional_streams(), move |stream| {
            let Some(shared) = weak.upgrade() else { return };
            let id = shared.opened(Dir::Bi);
            let stream: WebTransportBidirectionalStream = stream.unchecked_into();
            receive(&shared, id, stream.readable().unchecked_into());
            if let Some(link) = link(&shared) {
                let pipe = link.pipe(id);
                spawn_local(send(Rc::downgrade(&shared), id, stream.writable().unchecked_into(), pipe));
            }
        }));
        let weak = Rc::downgrade(shared);
        spawn_local(each(self.transport.datagrams().readable(), move |datagram| {
            let Some(shared) = weak.upgrade() else { return };
            let datagram = datagram.unchecked_into::<Uint8Array>().to_vec();
            shared.input(Input::Datagram(datagram.into()));
        }));
        let weak = Rc::downgrade(shared);
        let closed: Promise = self.transport.closed().unchecked_into();
        spawn_local(async move {
            let ended = JsFuture::from(closed).await;
            let Some(shared) = weak.upgrade() else { return };
            let (code, reason) = match ended {
                Ok(info) => {
                    let info: WebTransportCloseInfo = info.unchecked_into();
                    let code = info.get_close_code().unwrap_or_default();
                    (SessionCode(code.into()), info.get_reason().unwrap_or_default())
                }
                Err(error) => (SessionCode::INTERNAL_ERROR, describe(&error)),
            };
            shared.input(Input::Closed { code, reason: reason.into() });
        });
    }

    pub(super) fn output(&self, shared: &Rc<Shared>, output: Output) {
        match output {
            Output::Open { stream, dir, order: _ } => self.open(shared, stream, dir),
            Output::Write { stream, data } => self.step(stream, Step::Write(data)),
            Output::Finish { stream } => self.step(stream, Step::Finish),
            Output::Reset { stream, code } => self.step(stream, Step::Reset(code)),
            Output::Stop { stream, code } => {
                if let Some(reader) = self.readers.borrow_mut().remove(&stream) {
                    quietly(reader.cancel_with_reason(&error(code)).unchecked_into());
                }
            }
            Output::Datagram(datagram) => self.datagram(&datagram),
            Output::Close { code, reason } => {
                let info = WebTransportCloseInfo::new();
                info.set_close_code(code.0 as u32);
                info.set_reason(&String::from_utf8_lossy(&reason));
                self.transport.close_with_close_info(&info);
            }
            Output::SetOrder { .. } | Output::Event(_) => {}
        }
    }

    fn pipe(&self, id: StreamId) -> Rc<Pipe> {
        Rc::clone(self.pipes.borrow_mut().or_default(id))
    }

    fn step(&self, id: StreamId, step: Step) {
        let last = matches!(step, Step::Finish | Step::Reset(_));
        let pipe =
            if last { self.pipes.borrow_mut().remove(&id) } else { self.pipes.borrow().get(&id).cloned() };
        if let Some(pipe) = pipe {
            pipe.steps.borrow_mut().push_back(step);
            if let Some(waker) = pipe.waker.take() {
                waker.wake();
            }
        }
    }

    fn open(&self, shared: &Rc<Shared>, id: StreamId, dir: Dir) {
        let pipe = self.pipe(id);
        let weak = Rc::downgrade(shared);
        let opening: Promise = match dir {
            Dir::Uni => self.transport.create_unidirectional_stream().unchecked_into(),
            Dir::Bi => self.transport.create_bidirectional_stream().unchecked_into(),
        };
        spawn_local(async move {
            let Ok(stream) = JsFuture::from(opening).await else { return };
            let Some(shared) = weak.upgrade() else { return };
            let writable = match dir {
                Dir::Uni => stream.unchecked_into(),
                Dir::Bi => {
                    let stream: WebTransportBidirectionalStream = stream.unchecked_into();
                    receive(&shared, id, stream.readable().unchecked_into());
                    stream.writable().unchecked_into()
                }
            };
            drop(shared);
            send(weak, id, writable, pipe).await;
        });
    }

    /// Sends a datagram. One that is too long for the path is lost, as any datagram may be.
    fn datagram(&self, datagram: &Bytes) {
        let mut writer = self.datagrams.borrow_mut();
        if writer.is_none() {
            *writer = self.transport.datagrams().writable().get_writer().ok();
        }
        if let Some(writer) = &*writer {
            quietly(writer.write_with_chunk(&Uint8Array::from(&datagram[..])).unchecked_into());
        }
    }
}

/// Closes a transport on drop, unless the transport was taken out: a connection attempt may be abandoned.
struct Guard(Option<WebTransport>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(transport) = &self.0 {
            transport.close();
        }
    }
}

fn link(shared: &Shared) -> Option<&Link> {
    match &shared.link {
        super::Link::WebTransport(link) => Some(link),
        super::Link::WebSocket(_) => None,
    }
}

/// Passes every item of a stream to `take`.
async fn each(stream: ReadableStream, mut take: impl FnMut(JsValue)) {
    let Ok(reader) = ReadableStreamDefaultReader::new(&stream) else { return };
    while let Ok(Some(value)) = next(&reader).await {
        take(value);
    }
}

async fn next(reader: &ReadableStreamDefaultReader) -> Result<Option<JsValue>, JsValue> {
    let result = JsFuture::from(reader.read().unchecked_into::<Promise>()).await?;
    if Reflect::get(&result, &"done".into())?.is_truthy() {
        return Ok(None);
    }
    Reflect::get(&result, &"value".into()).map(Some)
}

/// Reads a stream to its end or reset.
fn receive(shared: &Rc<Shared>, id: StreamId, stream: ReadableStream) {
    let Ok(reader) = ReadableStreamDefaultReader::new(&stream) else { return };
    let Some(link) = link(shared) else { return };
    link.readers.borrow_mut().insert(id, reader.clone());
    let weak = Rc::downgrade(shared);
    spawn_local(async move {
        loop {
            let read = next(&reader).await;
            let Some(shared) = weak.upgrade() else { return };
            let wanted = self::link(&shared).is_some_and(|link| link.readers.borrow().contains_key(&id));
            if !wanted {
                return;
            }
            let input = match read {
                Ok(Some(chunk)) => {
                    let data = chunk.unchecked_into::<Uint8Array>().to_vec().into();
                    shared.input(Input::Data { stream: id, data });
                    continue;
                }
                Ok(None) => Input::Finished { stream: id },
                Err(error) => match stream_code(&error) {
                    Some(code) => Input::Reset { stream: id, code },
                    // The session has ended, and reports that itself.
                    None => return,
                },
            };
            if let Some(link) = self::link(&shared) {
                link.readers.borrow_mut().remove(&id);
            }
            shared.input(input);
            return;
        }
    });
}

/// Sends the data of a pipe, and reports how the stream ended.
async fn send(shared: Weak<Shared>, id: StreamId, stream: WritableStream, pipe: Rc<Pipe>) {
    let Ok(writer) = stream.get_writer() else { return };
    let report = |input| {
        if let Some(shared) = shared.upgrade() {
            shared.input(input);
        }
    };
    let closed: Promise = writer.closed().unchecked_into();
    let stopped = {
        let shared = shared.clone();
        async move {
            let Err(error) = JsFuture::from(closed).await else { return };
            if let (Some(shared), Some(code)) = (shared.upgrade(), stream_code(&error)) {
                shared.input(Input::Stopped { stream: id, code });
            }
        }
    };
    spawn_local(stopped);
    loop {
        match pipe.next().await {
            Step::Write(data) => {
                quietly(writer.write_with_chunk(&Uint8Array::from(&data[..])).unchecked_into());
            }
            Step::Finish => {
                if JsFuture::from(writer.close().unchecked_into::<Promise>()).await.is_ok() {
                    report(Input::Delivered { stream: id });
                }
                return;
            }
            Step::Reset(code) => {
                quietly(writer.abort_with_reason(&error(code)).unchecked_into());
                return;
            }
        }
    }
}

impl Pipe {
    async fn next(&self) -> Step {
        poll_fn(|cx| {
            if let Some(step) = self.steps.borrow_mut().pop_front() {
                return Poll::Ready(step);
            }
            self.waker.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }
}

/// Handles a promise whose failure has no consequence.
fn quietly(promise: Promise) {
    spawn_local(async move {
        let _ = JsFuture::from(promise).await;
    });
}

/// Returns the code with which the peer ended one direction of a stream, or `None` if the session ended.
fn stream_code(error: &JsValue) -> Option<ResetCode> {
    let source = Reflect::get(error, &"source".into()).ok()?;
    if source.as_string().as_deref() != Some("stream") {
        return None;
    }
    let error: &WebTransportError = error.unchecked_ref();
    Some(ResetCode(error.stream_error_code().unwrap_or_default().into()))
}

fn error(code: ResetCode) -> JsValue {
    let options = WebTransportErrorOptions::new();
    options.set_stream_error_code(Some(code.0.min(MAX_CODE) as u8));
    match WebTransportError::new_with_message_and_options("", &options) {
        Ok(error) => error.into(),
        Err(error) => error,
    }
}
