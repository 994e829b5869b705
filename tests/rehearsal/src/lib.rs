//! A room's rehearsal, for a browser and for whom it is compared with: it ships with nothing.
#![forbid(unsafe_code)]

use room::rehearsal::{Batch, Script, leaf_config, perform, root_config};
use room::{Config, Room};
use wasm_bindgen::prelude::wasm_bindgen;

/// Plays a script of so many ticks and has a leaf and a root perform it: how many batches each had, and the digests of
/// all that came of them, as text.
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
            // It would not be the same anywhere else.
            Err(error) => error.to_string().into_bytes(),
        }
    };
    perform(log, &mut Room::new(config), handle, |room| room.snapshot())
}
