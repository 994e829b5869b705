//! Guards: what the clients of a node may watch whose upstream owns the rooms.

use std::task::Waker;

use moqt::{Namespace, message::RequestError};
use token::Verified;

/// Decides which clients may watch private rooms, on a node that has no [`Admission`](crate::Admission).
///
/// Requests that come before the guard is ready wait for it: a node that does not know yet which rooms are private
/// shows none. No method may call back into the relay: it is being used.
pub trait Guard {
    /// Returns a number that grows whenever other rooms are private than before. At 0 the guard is not ready: it does not
    /// know which are.
    fn generation(&self) -> u64;

    /// Registers a task to wake once the generation has grown.
    fn wake_later(&self, waker: &Waker);

    /// Lets a client watch the tracks of a namespace. `tokens` are the valid tokens of its SETUP.
    fn watch(&self, tokens: &[Verified], namespace: &Namespace) -> Result<(), RequestError>;
}
