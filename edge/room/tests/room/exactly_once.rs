//! Acked means counted, once: through loss, doubling, crashes and moves.

use std::collections::BTreeMap;

use crate::net::{Deed, Fate, Faults, Net};
use crate::roll::seeds;

fn check(net: &Net) {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, text) in net.said.values() {
        *lines.entry(text).or_default() += 1;
    }
    let (mut cheers, mut gifts, mut votes) = (0, 0, 0);
    for fan in &net.fans {
        let mut own_votes = 0;
        for (deed, fate) in &fan.results {
            let taken = *fate == Fate::Taken;
            match deed {
                Deed::Say(text) => {
                    let count = lines.get(text.as_str()).copied().unwrap_or(0);
                    assert_eq!(count, usize::from(taken), "{text:?} was {fate:?}");
                }
                Deed::Cheer(count) if taken => cheers += u64::from(*count),
                Deed::Gift { count, .. } if taken => gifts += u64::from(*count),
                Deed::Vote(_) if taken => own_votes += 1,
                _ => {}
            }
        }
        assert!(own_votes <= 1, "{own_votes} votes of one fan");
        votes += own_votes;
        // A fan's lines are in the order in which they were said.
        let said: Vec<&str> =
            net.said.values().filter(|(id, _)| *id == fan.id).map(|(_, text)| text.as_str()).collect();
        let meant: Vec<&str> = fan
            .results
            .iter()
            .filter_map(|(deed, fate)| match deed {
                Deed::Say(text) if *fate == Fate::Taken => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(said, meant);
    }
    assert_eq!((votes, gifts), (net.voted, net.gifted), "what is archived");
    net.with_pulse(|pulse| {
        assert_eq!(pulse.cheers.iter().sum::<u64>(), cheers);
        assert_eq!(pulse.gifts.iter().map(|(_, count)| count).sum::<u64>(), gifts);
        let counted =
            pulse.poll.as_ref().expect("the poll").votes.iter().map(|votes| u64::from(*votes)).sum::<u64>();
        assert_eq!(counted, votes);
        assert_eq!(pulse.says, net.said.len() as u64);
        assert_eq!(pulse.uniques, net.fans.len() as u64);
        assert_eq!(
            pulse.top_cheerers.iter().map(|top| top.amount).sum::<u64>(),
            cheers,
            "fewer fans than places"
        );
    });
    for view in net.views() {
        for (id, text) in &view.lines {
            assert_eq!(text, &net.said[id].1, "a reader sees another line");
        }
    }
    let seen: BTreeMap<u64, &str> =
        net.views().flat_map(|view| &view.lines).map(|(id, text)| (*id, text.as_str())).collect();
    assert!(seen.len() * 10 >= net.said.len() * 9, "readers saw {} of {}", seen.len(), net.said.len());
}

fn run(range: std::ops::Range<u64>, faults: Faults) {
    seeds(range, |seed| check(&Net::run(seed, faults)));
}

#[test]
fn exactly_once_in_peace() {
    seeds(0..200, |seed| {
        let net = Net::run(seed, Faults::default());
        check(&net);
        for view in net.views() {
            let whole = net.said.iter().map(|(id, (_, text))| (id, text));
            assert!(view.lines.iter().eq(whole), "a reader has not seen all");
        }
    });
}

#[test]
fn exactly_once_through_loss_and_doubling() {
    run(0..500, Faults { lost: 15, doubled: 15, ..Faults::default() });
}

#[test]
fn exactly_once_while_fans_move() {
    run(0..500, Faults { fan_moves: 40, ..Faults::default() });
}

#[test]
fn exactly_once_while_edges_crash() {
    run(0..500, Faults { edge_crashes: 8, link_breaks: 8, fan_moves: 10, ..Faults::default() });
}

#[test]
fn exactly_once_while_the_root_crashes() {
    run(0..500, Faults { root_crashes: 4, fan_moves: 5, ..Faults::default() });
}

#[test]
fn exactly_once_through_all_of_it() {
    let faults = Faults {
        lost: 8,
        doubled: 8,
        fan_moves: 25,
        link_breaks: 6,
        edge_crashes: 6,
        root_crashes: 3,
        swaps: 8,
    };
    run(0..1000, faults);
}
