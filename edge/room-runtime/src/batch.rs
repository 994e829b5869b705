//! Batches of a root: what has come is cut into parts that the worker handles within its time.
//!
//! After an outage all edges send at once what they have collected. Handed over as one batch it would take longer than
//! a call may, the root would be closed, and the edges would send the same again.

use wire::worker::Input;

use crate::Error;

/// Bytes of packets in a batch, beyond which another begins.
const BATCH_BYTES: usize = 64 << 10;
/// Messages in the packets of a batch, beyond which another begins.
const BATCH_ENTRIES: usize = 2_000;

/// Hands inputs to `handle` in order, in parts. A part that the worker does not survive is cut in half; an input that it
/// does not survive alone goes to `refuse`, and the others go on.
pub(crate) async fn hand<'i>(
    inputs: &'i [Input<'i>],
    mut handle: impl AsyncFnMut(&'i [Input<'i>]) -> Result<(), Error>,
    mut refuse: impl FnMut(&'i Input<'i>, Error) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut parts = cut(inputs);
    parts.reverse();
    while let Some(part) = parts.pop() {
        match handle(part).await {
            Err(Error::Skipped(_)) if part.len() > 1 => {
                let (first, rest) = part.split_at(part.len() / 2);
                parts.extend([rest, first]);
            }
            Err(error @ Error::Skipped(_)) if !part.is_empty() => refuse(&part[0], error)?,
            handled => handled?,
        }
    }
    Ok(())
}

/// Cuts inputs into parts within the bounds of a batch. An input beyond them is a part of its own.
fn cut<'i>(inputs: &'i [Input<'i>]) -> Vec<&'i [Input<'i>]> {
    let (mut parts, mut from) = (Vec::new(), 0);
    let (mut bytes, mut entries) = (0, 0);
    for (at, input) in inputs.iter().enumerate() {
        let (more_bytes, more_entries) = match input {
            Input::Delta { packet, .. } => (packet.len(), wire::count(packet)),
            _ => (0, 1),
        };
        (bytes, entries) = (bytes + more_bytes, entries + more_entries);
        if at > from && (bytes > BATCH_BYTES || entries > BATCH_ENTRIES) {
            parts.push(&inputs[from..at]);
            (from, bytes, entries) = (at, more_bytes, more_entries);
        }
    }
    if from < inputs.len() {
        parts.push(&inputs[from..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, future::Future, pin::pin, task};

    use wire::{EdgeId, Micros, SessionId, Up};

    use super::*;

    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut task::Context::from_waker(task::Waker::noop())) {
            task::Poll::Ready(done) => done,
            task::Poll::Pending => panic!("nothing here waits"),
        }
    }

    fn delta(entries: u64) -> Vec<u8> {
        let edge = EdgeId(1);
        let mut packet =
            wire::packet(&Up::Head { edge, incarnation: 1, sequence: 1, oldest: 1, at: Micros(0) });
        for number in 1..entries {
            wire::put(
                &mut packet,
                &Up::Settle { session: SessionId(1), number, reason: wire::Reason::TooFast { retry_ms: 1 } },
            );
        }
        packet
    }

    #[test]
    fn a_flood_is_cut_by_bytes_and_by_messages() {
        let name = "n".repeat(40 << 10);
        let large = wire::packet(&Up::Known { session: SessionId(1), name: &name, anonymous: false });
        let (small, dense) = (delta(10), delta(1500));
        let of = |packet| Input::Delta { edge: EdgeId(1), packet };
        let mut inputs = vec![of(&large), of(&large), of(&small), of(&dense), of(&dense), of(&small)];
        inputs.extend((0..100).map(|_| of(&small)));
        inputs.push(Input::Tick);
        let parts: Vec<usize> = cut(&inputs).iter().map(|part| part.len()).collect();
        assert_eq!(parts[..3], [1, 3, 2 + 49]);
        assert_eq!(parts.iter().sum::<usize>(), inputs.len());
    }

    #[test]
    fn a_batch_that_the_worker_does_not_survive_is_halved_until_one_input_is_left() {
        let small = delta(2);
        let bad = EdgeId(77);
        let mut inputs: Vec<_> =
            (0..100).map(|edge| Input::Delta { edge: EdgeId(edge), packet: &small }).collect();
        inputs.push(Input::Tick);
        let (handled, refused) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let has_bad = |part: &[Input<'_>]| {
            part.iter().any(|input| matches!(input, Input::Delta { edge, .. } if *edge == bad))
        };
        let done = now(hand(
            &inputs,
            async |part| {
                if part.len() > 30 || has_bad(part) {
                    return Err(Error::Skipped("it takes too long".into()));
                }
                handled.borrow_mut().extend(part.iter().map(|input| match input {
                    Input::Delta { edge, .. } => edge.0,
                    _ => 100,
                }));
                Ok(())
            },
            |input, _| {
                refused.borrow_mut().push(matches!(input, Input::Delta { edge, .. } if *edge == bad));
                Ok(())
            },
        ));
        assert!(done.is_ok());
        assert!(handled.borrow().iter().copied().eq((0..=100).filter(|edge| *edge != bad.0)));
        assert_eq!(*refused.borrow(), [true]);
    }
}
