//! The entry point: both ends together, until the restream is stopped.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use crate::{Address, End, Error, Report, destination, hub::Hub, source};

/// The interval of reports if nothing changes.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The room to carry and the two relays.
#[derive(Clone, Debug)]
pub struct Options {
    /// The relay that has the room.
    pub from: Address,
    /// The relay that gets it.
    pub to: Address,
    /// The TLS of a client, for both. The ALPN is set here.
    pub tls: rustls::ClientConfig,
    /// Tracks that are carried though no catalog names them. If there are any, the room is announced even without a
    /// catalog.
    pub tracks: Vec<String>,
}

/// Carries a room from one relay to another until `shutdown` resolves or a relay refuses for good.
///
/// A first connection that fails is an error. One that is lost is made again, as often as it takes.
pub async fn restream(
    options: Options,
    mut report: impl FnMut(&Report),
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let hub = Arc::new(Hub::new(options));
    let ends = async {
        tokio::try_join!(hub.keep(End::Source, source::serve), hub.keep(End::Destination, destination::serve),)
    };
    let (mut ends, mut shutdown) = (pin!(ends), pin!(shutdown));
    let mut stopping = false;
    let mut changes = hub.changes();
    let mut ticks = interval(REPORT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ended = &mut ends => return ended.map(|_| ()),
            () = &mut shutdown, if !stopping => {
                stopping = true;
                hub.stop();
            }
            _ = ticks.tick() => report(&hub.report()),
            () = changes.next() => report(&hub.report()),
        }
    }
}
