//! Newtypes for identities, indices and times.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Identity of a fan, the same on every device, tab and edge. The node takes it from a token that it has
/// checked; a function that derives it from a name must be keyed, so that nobody can search for two names
/// with one identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FanId(pub u64);

impl fmt::Display for FanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Error for a text that names no fan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a fan's number: give its 16 hexadecimal digits")]
pub struct NotAFan(String);

impl FromStr for FanId {
    type Err = NotAFan;

    fn from_str(text: &str) -> Result<Self, NotAFan> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        // The error repeats no more of the text than a number has.
        number.map(Self).ok_or_else(|| NotAFan(text.chars().take(20).collect()))
    }
}

/// Identity of one run of message numbers (1, 2, 3…) of one fan's client: a random number that each loaded
/// page draws anew, so that two tabs of a fan do not take each other's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId(pub u64);

/// A fan's connection at one edge: an index that the node gives out, the lowest that is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u32);

/// Identity of an edge node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EdgeId(pub u64);

/// Number of a chat line in the room's one order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChatId(pub u64);

/// Number of a poll in its room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PollId(pub u32);

/// Number of a fan's question in its room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QuestionId(pub u32);

/// Number of a gift in the creator's catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GiftId(pub u16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fan_is_read_as_it_is_printed() {
        for id in [0, 7, u64::MAX] {
            assert_eq!(FanId(id).to_string().parse(), Ok(FanId(id)));
        }
        for wrong in ["", "7", "+00000000000000f", "00c0ffee00c0ffeg", "00c0ffee00c0ffee0"] {
            assert!(wrong.parse::<FanId>().is_err(), "{wrong}");
        }
    }
}
