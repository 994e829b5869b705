//! The machine under a relay, and the way to its upstream.

use std::time::Duration;

use moqt::{Connected, Later, Micros};
use timing::Backoff;

use crate::Credentials;

/// The services of the machine that a relay runs on.
pub trait Platform {
    /// Starts a task on this thread.
    fn spawn(&self, task: Later<'static, ()>);

    /// Returns a future that resolves after `time`.
    fn sleep(&self, time: Duration) -> Later<'static, ()>;

    /// The time on a monotonic clock with an arbitrary start.
    fn now(&self) -> Micros;

    /// The time since the UNIX epoch.
    fn wall(&self) -> wire::Micros;

    /// Returns bytes from a cryptographic source of randomness.
    fn random(&self) -> Result<[u8; 16], token::Error>;
}

/// The upstream: the origin, or another node, that this relay requests missing tracks from.
pub trait Dial {
    /// Connects in the node's own name or, with a client's credentials, in the name of that client.
    fn dial(&self, client: Option<&Credentials>) -> Later<'_, Result<Box<dyn Connected>, DialError>>;

    /// Returns the address of the upstream, for logs.
    fn name(&self) -> &str;
}

/// An upstream that cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The connection could not be opened, for this reason.
    #[error("{0}")]
    Unreachable(String),
    /// No token can be signed, by which the upstream would know this node.
    #[error("no token for the upstream can be signed: {0}")]
    Token(String),
}

/// Waits until the next try, after a connection that was opened at `started` and is lost: shortly if it held for long.
pub async fn wait(platform: &dyn Platform, backoff: &mut Backoff, started: Micros) {
    if platform.now() - started > Backoff::LONGEST {
        backoff.reset();
    }
    // Without randomness the pauses are still right, if not spread.
    let random = platform.random().unwrap_or_default();
    let random = random.iter().fold(0u64, |sum, byte| sum << 8 ^ u64::from(*byte));
    platform.sleep(backoff.pause(random).into()).await;
}
