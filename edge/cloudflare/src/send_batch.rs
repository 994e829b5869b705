//! Batched sends: all messages of one moment, to all WebSockets of an object, leave in one call to JavaScript.
//!
//! A call costs more than the bytes of a message. A batch costs one call and one copy of all bytes, and one view of that
//! copy per message.

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
// Each send is three numbers: the slot of its socket, and the start and length of its bytes.
export const send_all = (sockets, sends, bytes) => {
  // A copy: the module's memory changes before the platform has sent everything.
  const { buffer } = bytes.slice();
  for (let at = 0; at < sends.length; at += 3) {
    try {
      sockets[sends[at]].send(new Uint8Array(buffer, sends[at + 1], sends[at + 2]));
    } catch {
      // The socket is closed. The module gets an event for that.
    }
  }
};
"
)]
extern "C" {
    fn send_all(sockets: &Array, sends: &[u32], bytes: &[u8]);
}

/// Bytes of memory that an empty batch keeps for the next messages.
const SPARE_BYTES: usize = 1 << 20;

/// The messages that wait to be sent together.
#[derive(Default)]
pub(crate) struct SendBatch {
    pending: RefCell<Pending>,
    /// Notified when the first message of a batch is added.
    ready: Notify,
}

/// The sockets, and the messages that wait for them.
#[derive(Default)]
struct Pending {
    sockets: Array,
    /// Slots without a socket, for reuse.
    free: Vec<u32>,
    /// Slot, start and length of each message.
    sends: Vec<u32>,
    bytes: Vec<u8>,
}

/// The index of a socket in the array that JavaScript sends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot(u32);

impl SendBatch {
    /// Adds a socket and returns its slot.
    pub(crate) fn add(&self, socket: &WebSocket) -> Slot {
        let mut pending = self.pending.borrow_mut();
        let slot = pending.free.pop().unwrap_or_else(|| pending.sockets.length());
        let socket: &web_sys::WebSocket = socket.as_ref();
        pending.sockets.set(slot, socket.into());
        Slot(slot)
    }

    /// Sends what waits, and removes a socket.
    pub(crate) fn remove(&self, slot: Slot) {
        self.flush();
        let mut pending = self.pending.borrow_mut();
        pending.sockets.set(slot.0, wasm_bindgen::JsValue::NULL);
        pending.free.push(slot.0);
    }

    /// Adds a message to the batch.
    pub(crate) fn push(&self, slot: Slot, message: &Bytes) {
        let mut pending = self.pending.borrow_mut();
        if pending.sends.is_empty() {
            self.ready.notify_one();
        }
        let (start, len) = (pending.bytes.len() as u32, message.len() as u32);
        pending.sends.extend([slot.0, start, len]);
        pending.bytes.extend_from_slice(message);
    }

    /// Sends all messages that wait.
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

    /// Sends each batch once all sessions woken at that moment have added their messages and the writes before it are
    /// durable.
    pub(crate) async fn run(&self, storage: &RoomStorage) -> Result<()> {
        loop {
            self.ready.notified().await;
            storage.sync().await?;
            self.flush();
        }
    }
}
