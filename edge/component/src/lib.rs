//! A room as a WebAssembly component: the worker that edges and origins run unless they are given
//! another. The contract is `wit/worker.wit`; the logic is `fanfare-room`.

// The exports that `wit_bindgen` generates need it; there is no other unsafe code here.
#![allow(unsafe_code)]

use std::cell::RefCell;

use room::{Config, Limits, Rate, Room};
use wire::Micros;
use wire::worker::{self, Seat};

// The generated code is documented in the WIT and does not follow our lints.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
mod bindings {
    wit_bindgen::generate!({ world: "worker", path: "../../wit" });
}

use bindings::fanfare::worker::log::{Level, log};
use bindings::fanfare::worker::types::{
    Config as TheirConfig, Demand, Hint, Limits as TheirLimits, Seat as TheirSeat,
};

/// Room and configuration of this instance. A component has one room and no threads.
struct State {
    config: Config,
    room: Room,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// Implementation of the world's exports.
struct Worker;

impl bindings::Guest for Worker {
    fn configure(config: TheirConfig) -> Result<(), String> {
        // A panic logs its message before it traps.
        std::panic::set_hook(Box::new(|panic| log(Level::Warn, &panic.to_string())));
        let seat = match config.seat {
            TheirSeat::Root => Seat::Root,
            TheirSeat::Leaf(leaf) => {
                Seat::Leaf { edge: wire::EdgeId(leaf.edge), incarnation: leaf.incarnation }
            }
        };
        let mut ours = Config::new(seat);
        if let Some(theirs) = config.limits {
            ours.limits = limits(ours.limits, &theirs);
        }
        STATE.with_borrow_mut(|state| *state = Some(State { config: ours, room: Room::new(ours) }));
        Ok(())
    }

    fn handle(now: u64, inputs: Vec<u8>) -> Result<Vec<u8>, String> {
        with(|state| {
            let mut effects = Vec::with_capacity(inputs.len());
            state.room.handle(Micros(now), &inputs, &mut effects).map_err(|error| error.to_string())?;
            Ok(effects)
        })
    }

    fn plan(demands: Vec<Demand>, renditions: Vec<u32>) -> Vec<u8> {
        let demands: Vec<worker::Demand> = demands.into_iter().map(demand).collect();
        room::plan(&demands, &renditions)
    }

    fn snapshot() -> Vec<u8> {
        // Without a room there is no state: return an empty snapshot, which no room restores from.
        with(|state| Ok(state.room.snapshot())).unwrap_or_default()
    }

    fn restore(snapshot: Vec<u8>) -> Result<(), String> {
        with(|state| {
            state.room = Room::restore(state.config, &snapshot).map_err(|error| error.to_string())?;
            Ok(())
        })
    }
}

bindings::export!(Worker with_types_in bindings);

fn with<T>(call: impl FnOnce(&mut State) -> Result<T, String>) -> Result<T, String> {
    STATE.with_borrow_mut(|state| match state {
        Some(state) => call(state),
        None => Err("the worker is not configured: call configure first".to_owned()),
    })
}

fn limits(mut ours: Limits, theirs: &TheirLimits) -> Limits {
    let rate = |rate: bindings::fanfare::worker::types::Rate| Rate {
        every: Micros(rate.every_us),
        burst: rate.burst,
    };
    ours.text_graphemes = theirs.text_graphemes;
    ours.history = theirs.history;
    ours.says = rate(theirs.says);
    ours.cheers = rate(theirs.cheers);
    ours.others = rate(theirs.others);
    ours.room_says = rate(theirs.room_says);
    ours.repeat = Micros(theirs.repeat_us);
    ours.lane = Micros(theirs.lane_us);
    ours
}

fn demand(theirs: Demand) -> worker::Demand {
    worker::Demand {
        throughput_kbps: theirs.throughput_kbps,
        backlog_ms: theirs.backlog_ms,
        hint: match theirs.hint {
            Hint::Auto => worker::Hint::Auto,
            Hint::AtMost(rendition) => worker::Hint::AtMost(rendition),
            Hint::Nothing => worker::Hint::Nothing,
        },
        current: theirs.current,
    }
}
