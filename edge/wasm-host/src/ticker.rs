//! The thread that lets wasmtime look at deadlines.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it is looked whether a call has used up its time: it may take that much longer.
pub const TICK: Duration = Duration::from_millis(5);

/// Moves the epoch on; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    /// Dropped, it wakes the thread.
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
            // It cannot have panicked; and if it had, it has ended.
            let _ = thread.join();
        }
    }
}
