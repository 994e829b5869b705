//! The quality of a link.

use moqt::Micros;

use crate::Rng;

/// The impairment of a link, one way.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The time that each packet takes.
    pub latency: Micros,
    /// The most that is added to the latency, drawn for each packet.
    pub jitter: Micros,
    /// Percent of packets that are lost: streams send them again, datagrams are gone.
    pub loss: u64,
    /// The time between two packets.
    pub pace: Micros,
    /// The most bytes of one stream in a packet; the size is drawn.
    pub mtu: u64,
}

impl Weather {
    /// Makes a link that loses nothing.
    pub fn fair() -> Self {
        Self { latency: Micros(5_000), jitter: Micros(1), loss: 0, pace: Micros(10), mtu: 1200 }
    }

    /// Draws the quality of a link: from perfect to one that loses 30 % of its packets.
    pub fn at_random(rng: &mut Rng) -> Self {
        let mtu = rng.pick(&[3, 40, 300, 1200, 60_000]);
        Self {
            latency: Micros(rng.of(0..50_000)),
            jitter: Micros(rng.of(1..30_000)),
            loss: rng.pick(&[0, 1, 5, 30]),
            // Small packets come faster, so that every link carries megabytes a second.
            pace: Micros(1 + rng.of(1..200) * mtu / 1200),
            mtu,
        }
    }
}
