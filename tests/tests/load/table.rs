//! Prints the measurements side by side.

use std::time::Duration;

use anyhow::Result;

use crate::{
    SECONDS, WARM,
    crowd::{Crowd, Load, Measured},
    number,
};

/// The rounds of every load in every room.
pub(crate) struct Table {
    names: Vec<&'static str>,
    loads: Vec<Load>,
    all: Vec<Vec<Vec<Measured>>>,
}

impl Table {
    pub(crate) fn new(names: &[&'static str], loads: &[Load]) -> Self {
        let none = || loads.iter().map(|_| Vec::new()).collect();
        let all = names.iter().map(|_| none()).collect();
        Self { names: names.to_vec(), loads: loads.to_vec(), all }
    }

    /// Measures all loads with a crowd in room number `room`.
    pub(crate) async fn add(&mut self, room: usize, mut crowd: Crowd) -> Result<()> {
        let time = Duration::from_secs(number("FANFARE_SECONDS", SECONDS));
        for (load, rounds) in self.loads.iter().zip(&mut self.all[room]) {
            rounds.push(crowd.measure(*load, WARM, time).await?);
        }
        crowd.end().await
    }

    /// Prints medians, and the ratio of our room to each other one, with its least and its most.
    pub(crate) fn print(&self, title: &str) {
        println!("\n{title}; medians of {} rounds", self.all[0][0].len());
        for (at, load) in self.loads.iter().enumerate() {
            println!("  {load}:");
            for (name, loads) in self.names.iter().zip(&self.all) {
                println!("    {name:<18}{}", row(&loads[at]));
            }
            let sends = self.all[0][at].iter().all(|measured| measured.sent > 0);
            for (name, loads) in self.names.iter().zip(&self.all).skip(1).filter(|_| sends) {
                let rounds = self.all[0][at].iter().zip(&loads[at]);
                let [half, least, most] =
                    spread(rounds.map(|(ours, other)| per_message(ours) / per_message(other)));
                println!("    ours is {half:.2} times {name} ({least:.2} to {most:.2})");
            }
        }
    }
}

fn row(rounds: &[Measured]) -> String {
    let of = |figure: fn(&Measured) -> f64| spread(rounds.iter().map(figure))[0];
    let busy = of(|round| fraction(round.work, round));
    let own = of(|round| fraction(round.own, round));
    if rounds.iter().all(|round| round.sent == 0) {
        return format!("workerd {busy:.1} % busy");
    }
    let rate = of(|round| round.delivered as f64 / round.took.as_secs_f64());
    let late = of(|round| round.late.as_secs_f64() * 1e3);
    let [half, least, most] = spread(rounds.iter().map(per_message));
    let lost: u64 = rounds.iter().map(|round| round.sent).sum();
    let fans = rounds.iter().map(|round| round.delivered as f64).sum::<f64>() / lost as f64;
    format!(
        "{half:6.2} µs for a message to a fan ({least:.2} to {most:.2}), {rate:.0} messages a second, each to \
         {fans:.1} fans after {late:.0} ms; workerd {busy:.0} % busy, the fans {own:.0} %"
    )
}

fn fraction(work: Duration, round: &Measured) -> f64 {
    100.0 * work.as_secs_f64() / round.took.as_secs_f64()
}

/// Microseconds of workerd's CPU time for one message to one fan.
fn per_message(round: &Measured) -> f64 {
    round.work.as_secs_f64() * 1e6 / round.delivered as f64
}

/// The median, the least and the most.
fn spread(figures: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_unstable_by(f64::total_cmp);
    [figures.len() / 2, 0, figures.len() - 1].map(|at| figures[at])
}
