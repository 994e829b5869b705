//! Bindings generated from `wit/`, and conversions to their types.

use wire::worker;

// The generated code is documented in the WIT and does not follow our lints.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
mod generated {
    wasmtime::component::bindgen!({ world: "worker", path: "../../wit" });
}

pub(crate) use generated::fanfare::worker::log::{Host as LogHost, Level};
pub(crate) use generated::fanfare::worker::types::Host as TypesHost;
pub(crate) use generated::{Worker, WorkerPre};

use generated::fanfare::worker::types::{Config, Demand, Hint, Leaf, Limits, Rate, Seat};

/// Converts a room's configuration to the worker's type.
pub(crate) fn config(ours: &room::Config) -> Config {
    let rate = |rate: room::Rate| Rate { every_us: rate.every.0, burst: rate.burst };
    let limits = &ours.limits;
    Config {
        seat: match ours.seat {
            worker::Seat::Root => Seat::Root,
            worker::Seat::Leaf { edge, incarnation } => Seat::Leaf(Leaf { edge: edge.0, incarnation }),
        },
        limits: Some(Limits {
            text_graphemes: limits.text_graphemes,
            history: limits.history,
            says: rate(limits.says),
            cheers: rate(limits.cheers),
            others: rate(limits.others),
            room_says: rate(limits.room_says),
            repeat_us: limits.repeat.0,
            lane_us: limits.lane.0,
        }),
    }
}

/// Converts a fan's demand to the worker's type.
pub(crate) fn demand(ours: &worker::Demand) -> Demand {
    Demand {
        throughput_kbps: ours.throughput_kbps,
        backlog_ms: ours.backlog_ms,
        hint: match ours.hint {
            worker::Hint::Auto => Hint::Auto,
            worker::Hint::AtMost(rendition) => Hint::AtMost(rendition),
            worker::Hint::Nothing => Hint::Nothing,
        },
        current: ours.current,
    }
}
