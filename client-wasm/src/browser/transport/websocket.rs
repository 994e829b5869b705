//! A session on a WebSocket: see [`moqt::mux`].

use std::{
    cell::RefCell,
    rc::{Rc, Weak},
};

use bytes::Bytes;
use js_sys::{Function, Promise, Uint8Array};
use moqt::{
    Input, Output, Session, SessionCode, Version,
    mux::{Mux, subprotocol},
    session::Side,
};
use wasm_bindgen::{JsCast as _, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};

use super::Shared;
use crate::browser::clock::now;

/// The close code of an orderly end.
const NORMAL: u16 = 1000;

pub(super) struct Link {
    socket: WebSocket,
    mux: RefCell<Mux>,
    /// Callbacks of the socket, kept alive as long as the link.
    callbacks: RefCell<Vec<JsValue>>,
}

impl Link {
    pub(super) async fn connect(url: &str) -> Result<Self, JsValue> {
        let socket = WebSocket::new_with_str(url, subprotocol(Version::Draft18))?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        // Dropping the link closes the socket, also before it is open.
        let link = Self { socket, mux: RefCell::new(Mux::new(Side::Client)), callbacks: RefCell::default() };
        let open = Promise::new(&mut |resolve: Function, reject: Function| {
            link.socket.set_onopen(Some(&resolve));
            link.socket.set_onclose(Some(&reject));
        });
        JsFuture::from(open)
            .await
            .map_err(|_| JsValue::from_str("the server did not accept the WebSocket"))?;
        link.socket.set_onopen(None);
        Ok(link)
    }

    /// Begins to receive.
    pub(super) fn start(&self, shared: &Rc<Shared>) {
        let weak = Rc::downgrade(shared);
        let message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let message = Bytes::from(Uint8Array::new(&event.data()).to_vec());
            receive(&weak, message);
        });
        let weak = Rc::downgrade(shared);
        let close = Closure::<dyn FnMut(CloseEvent)>::new(move |event: CloseEvent| {
            if let Some(shared) = weak.upgrade() {
                let reason = event.reason();
                let reason =
                    if reason.is_empty() { "the WebSocket was closed".into() } else { Bytes::from(reason) };
                shared.input(Input::Closed { code: SessionCode::INTERNAL_ERROR, reason });
            }
        });
        let (message, close) = (message.into_js_value(), close.into_js_value());
        self.socket.set_onmessage(Some(message.unchecked_ref()));
        self.socket.set_onclose(Some(close.unchecked_ref()));
        self.callbacks.borrow_mut().extend([message, close]);
    }

    pub(super) fn output(&self, session: &mut Session, output: Output) {
        let last = matches!(output, Output::Close { .. });
        self.mux.borrow_mut().send(session, now(), output, |frame| {
            // Sending fails only while the socket closes, and its close event reports that.
            let _ = self.socket.send_with_u8_array(&frame.encode());
        });
        if last {
            let _ = self.socket.close_with_code(NORMAL);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close_with_code(NORMAL);
    }
}

fn receive(shared: &Weak<Shared>, message: Bytes) {
    let Some(shared) = shared.upgrade() else { return };
    let super::Link::WebSocket(link) = &shared.link else { return };
    let received = {
        let mut session = shared.session.borrow_mut();
        let mut mux = link.mux.borrow_mut();
        let received = mux.received(&mut session, now(), message);
        if let Err(violation) = &received {
            session.close(violation.code, violation.reason);
        }
        if let Some(frame) = mux.owed() {
            let _ = link.socket.send_with_u8_array(&frame.encode());
        }
        received
    };
    if received.is_err() {
        let _ = link.socket.close_with_code(NORMAL);
    }
    shared.pump();
}
