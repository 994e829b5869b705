//! Runs a component of the test stack on a thread of its own.

use std::{future::pending, thread};

use anyhow::{Context as _, Result};
use tokio::{
    sync::{oneshot, watch},
    task::LocalSet,
};

/// The manner in which a component ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Shuts down in good order, as when its operator stops it.
    Stopped,
    /// Ends in the middle of its work, without notice to its peers.
    Killed,
}

/// A running component of the stack. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Component {
    exit: watch::Sender<Option<Exit>>,
    over: oneshot::Receiver<()>,
}

/// The signal with which a component is stopped; the component waits for it.
pub(crate) struct Stopped(watch::Receiver<Option<Exit>>);

impl Stopped {
    /// Resolves when the component is to end in good order.
    pub(crate) async fn wait(mut self) {
        if self.0.wait_for(|exit| *exit == Some(Exit::Stopped)).await.is_err() {
            pending::<()>().await;
        }
    }
}

impl Component {
    /// Runs the future that `open` makes, on the component's own thread. Returns what `open` reports once the component
    /// is open.
    pub(crate) async fn start<T, F>(
        name: &str,
        open: impl AsyncFnOnce(Stopped) -> Result<(T, F)> + Send + 'static,
    ) -> Result<(Self, T)>
    where
        T: Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let (exit, exiting) = watch::channel(None);
        let (ready, opened) = oneshot::channel();
        let (running, over) = oneshot::channel();
        thread::Builder::new().name(name.into()).spawn(move || {
            // `run` drops all that the component owns, its sockets too, before `over` resolves.
            run(open, exiting, ready);
            drop(running);
        })?;
        let opened = opened.await.with_context(|| format!("{name} is gone"))??;
        Ok((Self { exit, over }, opened))
    }

    /// Ends the component, and waits until all that it owns is dropped.
    pub(crate) async fn end(&mut self, exit: Exit) {
        self.order(exit);
        let _ = (&mut self.over).await;
    }

    /// Requests the end, without waiting for it.
    pub(crate) fn order(&self, exit: Exit) {
        self.exit.send_replace(Some(exit));
    }
}

fn run<T, F: Future<Output = ()> + 'static>(
    open: impl AsyncFnOnce(Stopped) -> Result<(T, F)>,
    exiting: watch::Receiver<Option<Exit>>,
    ready: oneshot::Sender<Result<T>>,
) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    LocalSet::new().block_on(&runtime, async move {
        let mut killed = exiting.clone();
        let work = match open(Stopped(exiting)).await {
            Ok((opened, work)) => {
                let _ = ready.send(Ok(opened));
                work
            }
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        tokio::select! {
            () = work => {}
            // A dropped `Component` ends the run too: `wait_for` fails, which counts as killed.
            _ = killed.wait_for(|exit| *exit == Some(Exit::Killed)) => {}
        }
    });
}
