//! What goes out on an object's WebSockets: all that there is at one moment, for all of them, in one call.
//!
//! A message costs the platform more than what is in it. What is made here costs it one copy for all, and one view each.

use std::cell::RefCell;

use bytes::Bytes;
use tokio::sync::Notify;
use worker::{
    Result, WebSocket,
    js_sys::Array,
    wasm_bindgen::{self, prelude::wasm_bindgen},
    web_sys,
};

use crate::keep::Keep;

#[wasm_bindgen(
    wasm_bindgen = wasm_bindgen,
    inline_js = "
// Each letter is the place of its socket, where it begins and how long it is.
export const post = (sockets, letters, bytes) => {
  // The module's memory changes before all has left.
  const { buffer } = bytes.slice();
  for (let at = 0; at < letters.length; at += 3) {
    try {
      sockets[letters[at]].send(new Uint8Array(buffer, letters[at + 1], letters[at + 2]));
    } catch {
      // It is closed, which comes as an event of its own.
    }
  }
};
"
)]
extern "C" {
    fn post(sockets: &Array, letters: &[u32], bytes: &[u8]);
}

/// The memory that stays for what comes next.
const SPARE: usize = 1 << 20;

/// What waits to go out together.
#[derive(Default)]
pub(crate) struct Mail {
    bag: RefCell<Bag>,
    news: Notify,
}

#[derive(Default)]
struct Bag {
    sockets: Array,
    free: Vec<u32>,
    letters: Vec<u32>,
    bytes: Vec<u8>,
}

/// A socket's place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(u32);

impl Mail {
    pub(crate) fn enter(&self, socket: &WebSocket) -> Place {
        let mut bag = self.bag.borrow_mut();
        let place = bag.free.pop().unwrap_or_else(|| bag.sockets.length());
        let socket: &web_sys::WebSocket = socket.as_ref();
        bag.sockets.set(place, socket.into());
        Place(place)
    }

    /// Nothing more is sent there.
    pub(crate) fn leave(&self, place: Place) {
        self.post();
        let mut bag = self.bag.borrow_mut();
        bag.sockets.set(place.0, wasm_bindgen::JsValue::NULL);
        bag.free.push(place.0);
    }

    pub(crate) fn put(&self, place: Place, message: &Bytes) {
        let mut bag = self.bag.borrow_mut();
        if bag.letters.is_empty() {
            self.news.notify_one();
        }
        let (start, len) = (bag.bytes.len() as u32, message.len() as u32);
        bag.letters.extend([place.0, start, len]);
        bag.bytes.extend_from_slice(message);
    }

    /// Sends what there is.
    pub(crate) fn post(&self) {
        let bag = &mut *self.bag.borrow_mut();
        if bag.letters.is_empty() {
            return;
        }
        post(&bag.sockets, &bag.letters, &bag.bytes);
        bag.letters.clear();
        bag.bytes.clear();
        bag.bytes.shrink_to(SPARE);
    }

    /// Sends what there is whenever all who had something to say at the moment have said it, and what was to be kept
    /// is.
    pub(crate) async fn run(&self, keep: &Keep) -> Result<()> {
        loop {
            self.news.notified().await;
            keep.kept().await?;
            self.post();
        }
    }
}
