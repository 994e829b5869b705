//! Truncated and corrupted inputs: an error with its reason and offset, all samples that were whole before
//! it, and no panic.

mod common;

use common::{FIXTURES, Fixture, demux, demux_pipe};
use media::{Error, Packaging};
use proptest::prelude::*;

/// Bytes between cuts: no multiple of any size in a container.
const STEP: usize = 37;

fn check_truncated(fixture: &Fixture, packaging: Packaging) {
    let whole = demux(fixture.bytes, packaging);
    let mut most = 0;
    for len in (0..fixture.bytes.len()).step_by(STEP) {
        let cut = demux(&fixture.bytes[..len], packaging);
        most = most.max(cut.samples.len());
        for track in 0..cut.tracks.len() {
            for (one, other) in cut.of(track).iter().zip(whole.of(track)) {
                // The last frame of a transport stream's PES packet may be cut short without any sign of it.
                let ts = fixture.name.contains(".ts");
                assert!(one.data == other.data || ts, "{} cut at {len}: a sample changed", fixture.name);
            }
        }
        if let Some(Error::Truncated { at, .. }) = cut.error {
            assert!(at <= len as u64, "{} cut at {len}: the end is said to be at {at}", fixture.name);
        }
    }
    let moov_last = fixture.name.contains("moov-last");
    assert!(
        most * 10 >= whole.samples.len() * 9 || moov_last,
        "{}: {most} of {}",
        fixture.name,
        whole.samples.len()
    );
}

#[test]
fn truncated_anywhere() {
    for fixture in FIXTURES {
        check_truncated(fixture, Packaging::Frames);
    }
    check_truncated(&FIXTURES[0], Packaging::Cmaf);
}

#[test]
fn an_error_says_what_and_where() {
    for fixture in FIXTURES.iter().filter(|fixture| !fixture.name.contains("moov-last")) {
        let len = fixture.bytes.len() - 5;
        let cut = demux(&fixture.bytes[..len], Packaging::Frames);
        let Some(error @ Error::Truncated { .. }) = cut.error else {
            panic!("{}: {:?}", fixture.name, cut.error)
        };
        assert!(error.to_string().contains(&format!("byte {len}")), "{}: {error}", fixture.name);
        assert!(cut.samples.len() > 100, "{}: what came before was lost", fixture.name);
    }
}

#[test]
fn sizes_are_claims() {
    let huge: &[&[u8]] = &[
        b"\0\0\0\x01moov\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xffmoov",
        b"\xff\xff\xff\xffftyp",
        b"\0\0\0\x01free\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0\x07free",
        b"\0\0\0\x00moov",
        b"\x1a\x45\xdf\xa3\x01\0\0\0\xff\xff\xff\xff",
        b"\x1a\x45\xdf\xa3\x84\x42\x82\x08\xff\xff\xff\xff",
    ];
    for bytes in huge {
        for output in [demux(bytes, Packaging::Frames), demux_pipe(bytes, Packaging::Frames)] {
            assert!(output.error.is_some(), "{bytes:02x?}");
        }
    }
}

/// Damage to a file.
#[derive(Debug, Clone)]
enum Damage {
    Overwrite(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..5),
        prop_oneof![Just(0), Just(0x7f), Just(0x80), Just(0xff)]
            .prop_flat_map(|byte| prop::collection::vec(Just(byte), 1..9)),
    ];
    prop_oneof![
        4 => (index(), bytes).prop_map(|(at, bytes)| Damage::Overwrite(at, bytes)),
        1 => (index(), 1..300_usize).prop_map(|(at, len)| Damage::Remove(at, len)),
        1 => (index(), 1..300_usize).prop_map(|(at, len)| Damage::Repeat(at, len)),
    ]
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>, reach: usize) {
        let (Self::Overwrite(at, _) | Self::Remove(at, _) | Self::Repeat(at, _)) = self;
        let at = at.index(bytes.len().min(reach).max(1));
        let end = |len: usize| (at + len).min(bytes.len());
        match self {
            Self::Overwrite(_, with) => {
                let end = end(with.len());
                bytes[at..end].copy_from_slice(&with[..end - at]);
            }
            Self::Remove(_, len) => drop(bytes.drain(at..end(*len))),
            Self::Repeat(_, len) => {
                let piece = bytes[at..end(*len)].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn corrupted_anywhere(
        which in 0..FIXTURES.len(),
        damages in prop::collection::vec(damage(), 1..6),
        reach in prop_oneof![Just(1500), Just(usize::MAX)],
        packaging in prop_oneof![Just(Packaging::Frames), Just(Packaging::Cmaf)],
    ) {
        let mut bytes = FIXTURES[which].bytes.to_vec();
        for damage in damages {
            damage.apply(&mut bytes, reach);
        }
        let file = demux(&bytes, packaging);
        demux_pipe(&bytes, packaging);
        // Samples may overlap in a broken file, but none is larger than the file.
        for sample in &file.samples {
            prop_assert!(sample.data.len() <= bytes.len() * 2 && sample.track < file.tracks.len());
        }
    }

    #[test]
    fn noise(start in 0..4_usize, noise in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut bytes = [&b"\0\0\0\x08ftyp"[..], b"\x1a\x45\xdf\xa3", b"\x47", b""][start].to_vec();
        bytes.extend(noise);
        if start == 2 {
            bytes.iter_mut().step_by(188).for_each(|sync| *sync = 0x47);
        }
        demux(&bytes, Packaging::Frames);
    }
}
