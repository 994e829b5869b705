//! A move to another connection after GOAWAY, while the old one goes on.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use moqt::{App, Connected, Ended, GoingAway, Misuse};
use timing::Backoff;

use crate::{Credentials, Dial, Platform, wait};

/// The end of a session that [`run_until_moved`] ran.
pub enum Moved {
    /// It has ended. There is no other connection yet.
    Ended(Result<Ended, Misuse>),
    /// It has ended because another connection is open.
    To(Box<dyn Connected>),
}

/// Runs a session until it ends or has been moved: once `going_away` is set, the upstream is dialled, again after
/// pauses, while the session goes on. A server that is restarted at the same address thus serves until it must close.
pub async fn run_until_moved(
    platform: &dyn Platform,
    connection: Box<dyn Connected>,
    app: &mut dyn App,
    going_away: &GoingAway,
    (upstream, client): (&dyn Dial, Option<&Credentials>),
) -> Moved {
    let mut session = connection.run(app);
    let mut moving = pin!(async {
        poll_fn(|task| going_away.poll_received(task)).await;
        let mut backoff = Backoff::default();
        loop {
            match upstream.dial(client).await {
                Ok(connection) => return connection,
                Err(error) => tracing::debug!(%error, "nothing to move to yet"),
            }
            wait(platform, &mut backoff, platform.now()).await;
        }
    });
    let mut next = None;
    let ended = poll_fn(|task| {
        if next.is_none()
            && let Poll::Ready(connection) = moving.as_mut().poll(task)
        {
            next = Some(connection);
            going_away.leave();
        }
        session.as_mut().poll(task)
    })
    .await;
    next.map_or(Moved::Ended(ended), Moved::To)
}
