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

use crate::storage::RoomStorage;

#[wasm_bindgen(
    wasm_bindgen = wasm_bindgen,
    inline_js = "
// Each letter is the slot of its socket, where it begins and how long it is.
export const send_all = (sockets, sends, bytes) => {
  // The module's memory changes before all has left.
  const { buffer } = bytes.slice();
  for (let at = 0; at < sends.length; at += 3) {
    try {
      sockets[sends[at]].send(new Uint8Array(buffer, sends[at + 1], sends[at + 2]));
    } catch {
      // It is closed, which comes as an event of its own.
    }
  }
};
"
)]
extern "C" {
    fn send_all(sockets: &Array, sends: &[u32], bytes: &[u8]);
}

/// The memory that stays for what comes next.
const SPARE_BYTES: usize = 1 << 20;

/// What waits to go out together.
#[derive(Default)]
pub(crate) struct SendBatch {
    pending: RefCell<Pending>,
    ready: Notify,
}

#[derive(Default)]
struct Pending {
    sockets: Array,
    free: Vec<u32>,
    sends: Vec<u32>,
    bytes: Vec<u8>,
}

/// A socket's place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot(u32);

impl SendBatch {
    pub(crate) fn add(&self, socket: &WebSocket) -> Slot {
        let mut pending = self.pending.borrow_mut();
        let slot = pending.free.pop().unwrap_or_else(|| pending.sockets.length());
        let socket: &web_sys::WebSocket = socket.as_ref();
        pending.sockets.set(slot, socket.into());
        Slot(slot)
    }

    /// Nothing more is sent there.
    pub(crate) fn remove(&self, slot: Slot) {
        self.flush();
        let mut pending = self.pending.borrow_mut();
        pending.sockets.set(slot.0, wasm_bindgen::JsValue::NULL);
        pending.free.push(slot.0);
    }

    pub(crate) fn push(&self, slot: Slot, message: &Bytes) {
        let mut pending = self.pending.borrow_mut();
        if pending.sends.is_empty() {
            self.ready.notify_one();
        }
        let (start, len) = (pending.bytes.len() as u32, message.len() as u32);
        pending.sends.extend([slot.0, start, len]);
        pending.bytes.extend_from_slice(message);
    }

    /// Sends what there is.
    pub(crate) fn flush(&self) {
        let pending = &mut *self.pending.borrow_mut();
        if pending.sends.is_empty() {
            return;
        }
        send_all(&pending.sockets, &pending.sends, &pending.bytes);
        pending.sends.clear();
        pending.bytes.clear();
        pending.bytes.shrink_to(SPARE_BYTES);
    }

    /// Sends what there is whenever all who had something to say at the moment have said it, and what was to be kept
    /// is.
    pub(crate) async fn run(&self, storage: &RoomStorage) -> Result<()> {
        loop {
            self.ready.notified().await;
            storage.sync().await?;
            self.flush();
        }
    }
}
