//! Runs a room's rehearsal in a browser or workerd, and natively for comparison, and fills a room to its bounds there. It
//! is a test tool: no build ships it.
#![forbid(unsafe_code)]

use room::crowd::Crowd;
use room::rehearsal::{Batch, Script, leaf_config, perform, root_config};
use room::{Config, Room};
use wasm_bindgen::prelude::wasm_bindgen;

/// Has a leaf and a root perform a script of `ticks` ticks. Returns, as text, the number of batches of each and a
/// digest of all their effects.
#[wasm_bindgen]
pub fn rehearse(seed: u32, ticks: u32) -> String {
    let script = Script::new(seed.into(), ticks);
    let leaf = digest(leaf_config(), &script.leaf);
    let root = digest(root_config(), &script.root);
    format!("{} batches {leaf:016x}, {} batches {root:016x}", script.leaf.len(), script.root.len())
}

fn digest(config: Config, log: &[Batch]) -> u64 {
    let handle = |room: &mut Room, now, inputs: &[u8]| {
        let mut effects = Vec::new();
        match room.handle(now, inputs, &mut effects) {
            Ok(()) => effects,
            // The digest takes the error in: another platform may not have it.
            Err(error) => error.to_string().into_bytes(),
        }
    };
    perform(log, &mut Room::new(config), handle, |room| room.snapshot())
}

/// A root that a crowd has filled to all its bounds.
#[wasm_bindgen]
pub struct FullRoom(Room);

#[wasm_bindgen]
impl FullRoom {
    /// Opens a room and fills it.
    pub fn fill() -> Self {
        let mut room = Room::new(root_config());
        let mut effects = Vec::new();
        Crowd::new(|batch: Batch| {
            effects.clear();
            room.handle(batch.now, &batch.inputs, &mut effects).expect("a batch of the crowd");
        })
        .fill();
        Self(room)
    }

    /// Returns the room's snapshot.
    pub fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }

    /// Restores a room from its snapshot.
    pub fn restore(snapshot: &[u8]) -> Self {
        Self(Room::restore(root_config(), snapshot).expect("our own snapshot"))
    }
}
