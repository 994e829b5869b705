//! The time of a worker's batches, on a node whose clock may jump.

use wire::Micros;

/// The time by which a batch may be later than the one before, so that a clock that is ahead for a moment moves a room's
/// deadlines by no more; and by which it may be earlier and count as late as the one before.
const STEP: Micros = Micros::from_secs(60 * 60);

/// Returns the time of the batch after `last`. It goes back only if the clock is earlier by more than [`STEP`]: then it
/// was ahead before.
pub(crate) fn step(last: Micros, wall: Micros) -> Micros {
    opened(last, wall).min(last + STEP)
}

/// Returns the time of the first batch of a room that was closed after `last`, for any time.
pub(crate) fn opened(last: Micros, wall: Micros) -> Micros {
    if wall + STEP < last { wall } else { wall.max(last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_moves_a_room_by_an_hour_at_most_and_it_comes_back() {
        let at = Micros::from_secs;
        let now = at(1_700_000_000);
        assert_eq!(step(now, now + at(1)), now + at(1));
        assert_eq!(step(now, now + at(86_400 * 365)), now + STEP);
        assert_eq!(step(now + STEP + STEP, now), now);
        assert_eq!(step(now + at(5), now), now + at(5), "a small correction stops the time");
        assert_eq!(opened(now, now + at(86_400)), now + at(86_400), "a room that was closed for a day");
    }
}
