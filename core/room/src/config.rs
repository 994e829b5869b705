//! What a host decides about a room.

use wire::{Micros, worker::Seat};

use crate::Rate;

/// A room's seat and its limits. The limits may differ after a restore; the seat may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Where the room sits.
    pub seat: Seat,
    /// How much is allowed.
    pub limits: Limits,
}

impl Config {
    /// A room in that seat, with the usual limits.
    pub fn new(seat: Seat) -> Self {
        Self { seat, limits: Limits::default() }
    }
}

/// How much a room allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Characters of a line or question, as users perceive them.
    pub text_graphemes: u16,
    /// Lines that a new group of the chat track opens with.
    pub history: u16,
    /// Lines of one fan.
    pub says: Rate,
    /// Cheers of one fan, counted one by one.
    pub cheers: Rate,
    /// Anything else of one fan.
    pub others: Rate,
    /// Lines of everybody together.
    pub room_says: Rate,
    /// For how long a fan may not repeat a line.
    pub repeat: Micros,
    /// For how long a danmaku has its lane to itself; in a full room it is a chat line only.
    pub lane: Micros,
}

impl Default for Limits {
    fn default() -> Self {
        let once_in_ms = |ms, burst| Rate { every: Micros::from_millis(ms), burst };
        Self {
            text_graphemes: 300,
            history: 50,
            says: once_in_ms(1000, 5),
            cheers: once_in_ms(20, 300),
            others: once_in_ms(500, 10),
            room_says: once_in_ms(5, 400),
            repeat: Micros::from_secs(30),
            lane: Micros::from_millis(600),
        }
    }
}
