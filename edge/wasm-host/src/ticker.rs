//! The thread that makes wasmtime check deadlines.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Time between two checks of a call's deadline: the call may take that much longer.
pub const TICK: Duration = Duration::from_millis(5);

/// Advances the epoch until it is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    /// Dropping the sender wakes the thread.
    running: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(tick: Arc<dyn Fn() + Send + Sync>) -> std::io::Result<Self> {
        let (running, ended) = channel::<()>();
        let thread = std::thread::Builder::new().name("fanfare-epoch".to_owned()).spawn(move || {
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                tick();
            }
        })?;
        Ok(Self { running: Some(running), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(thread) = self.thread.take() {
            // The thread cannot have panicked; even if it had, it has ended.
            let _ = thread.join();
        }
    }
}
