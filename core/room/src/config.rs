//! Configuration of a room: its seat and its limits.

use wire::{Micros, worker::Seat};

use crate::Rate;

/// Seat and limits of a room. The limits may differ after a restore; the seat may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The room's seat: root or leaf.
    pub seat: Seat,
    /// The room's limits.
    pub limits: Limits,
}

impl Config {
    /// Returns the configuration of a room in that seat, with the usual limits.
    pub fn new(seat: Seat) -> Self {
        Self { seat, limits: Limits::default() }
    }
}

/// Limits of a room for texts, history and rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Characters of a chat line or question, as users perceive them, at most.
    pub text_graphemes: u16,
    /// Chat lines that a new group of the chat track opens with.
    pub history: u16,
    /// Rate of one fan's chat lines.
    pub says: Rate,
    /// Rate of one fan's cheers, counted one by one.
    pub cheers: Rate,
    /// Rate of one fan's other acts.
    pub others: Rate,
    /// Rate of everybody's chat lines together.
    pub room_says: Rate,
    /// Time during which a fan may not repeat a chat line.
    pub repeat: Micros,
    /// Time for which a danmaku has its lane to itself; while all lanes are taken, a danmaku becomes a chat
    /// line only.
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
