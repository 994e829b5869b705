//! The relay's platform in these tests: the executor's clock and net.

use std::time::Duration;

use moqt::{
    App, Config, Connected, Ended, Later, Micros, Misuse, Version,
    session::{Side, Transport},
};
use relay::{Credentials, Dial, DialError, Platform};
use testnet::Weather;

use crate::executor::{End, NodeId, Sim, drive, later};

/// The platform of one simulated node.
pub(crate) struct Machine {
    pub(crate) sim: Sim,
    pub(crate) node: NodeId,
}

impl Platform for Machine {
    fn spawn(&self, task: Later<'static, ()>) {
        self.sim.spawn(self.node, task);
    }

    fn sleep(&self, time: Duration) -> Later<'static, ()> {
        let sim = self.sim.clone();
        later(async move { sim.sleep(Micros(time.as_micros() as u64)).await })
    }

    fn now(&self) -> Micros {
        self.sim.now()
    }

    fn wall(&self) -> wire::Micros {
        wire::Micros(self.sim.now().0)
    }

    fn random(&self) -> Result<[u8; 16], token::Error> {
        let half = || self.sim.draw(|rng| rng.next().to_le_bytes());
        let (a, b) = (half(), half());
        Ok(std::array::from_fn(|i| if i < 8 { a[i] } else { b[i - 8] }))
    }
}

/// The way from one node to another.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) sim: Sim,
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) weather: Weather,
}

impl Way {
    /// Connects, if the other is there.
    pub(crate) async fn connect(&self) -> Option<Session> {
        let Weather { latency, .. } = self.weather;
        self.sim.sleep(latency + latency).await;
        let transport = self.sim.draw(|rng| rng.pick(&[Transport::Quic, Transport::WebTransport]));
        let config = Config::new(Side::Client, transport, Version::Draft18);
        let end = self.sim.connect(self.from, self.to, self.weather, &config)?;
        Some(Session { end, config })
    }
}

/// A session that is to be run.
pub(crate) struct Session {
    end: End,
    config: Config,
}

impl Session {
    pub(crate) async fn run(self, app: &mut dyn App) -> Ended {
        drive(self.end, self.config, app).await.expect("a session")
    }
}

impl Dial for Way {
    fn dial(&self, _: Option<&Credentials>) -> Later<'_, Result<Box<dyn Connected>, DialError>> {
        later(async {
            let session =
                self.connect().await.ok_or_else(|| DialError::Unreachable("nobody answers".to_owned()))?;
            Ok(Box::new(session) as Box<dyn Connected>)
        })
    }

    fn name(&self) -> &'static str {
        "upstream"
    }
}

impl Connected for Session {
    fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    fn run(self: Box<Self>, app: &mut dyn App) -> Later<'_, Result<Ended, Misuse>> {
        later(drive(self.end, self.config, app))
    }
}
