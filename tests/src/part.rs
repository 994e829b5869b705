//! A part of a house, on a thread of its own.

use std::{future::pending, thread};

use anyhow::{Context as _, Result};
use tokio::{
    sync::{oneshot, watch},
    task::LocalSet,
};

/// How a part ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// In good order, as when its operator stops it.
    Stopped,
    /// In the middle of what it is doing, without a word to anybody.
    Killed,
}

/// Something that runs until it is ended. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Part {
    exit: watch::Sender<Option<Exit>>,
    over: oneshot::Receiver<()>,
}

/// The end of a part, for itself to wait for.
pub(crate) struct Stopped(watch::Receiver<Option<Exit>>);

impl Stopped {
    /// Resolves when the part is to end in good order.
    pub(crate) async fn wait(mut self) {
        if self.0.wait_for(|exit| *exit == Some(Exit::Stopped)).await.is_err() {
            pending::<()>().await;
        }
    }
}

impl Part {
    /// Runs what `open` makes, which happens on the part's own thread; what it says of itself
    /// once it is open.
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
            // Whatever is in it is gone when it returns: sockets too.
            run(open, exiting, ready);
            drop(running);
        })?;
        let opened = opened.await.with_context(|| format!("{name} is gone"))??;
        Ok((Self { exit, over }, opened))
    }

    /// Ends it, and waits until nothing of it is left.
    pub(crate) async fn end(&mut self, exit: Exit) {
        self.order(exit);
        let _ = (&mut self.over).await;
    }

    /// Has it end.
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
            // That nobody can stop it any more is as good as being killed.
            _ = killed.wait_for(|exit| *exit == Some(Exit::Killed)) => {}
        }
    });
}
