//! The bytes of every kind of message, committed: the format does not change by accident.
//!
//! Each file has one row of hexadecimal digits per sample. When the format has grown as the crate's
//! documentation describes, `FANFARE_BLESS=1` writes the new rows; existing rows must stay.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::samples;

fn golden<T: Serialize>(name: &str, samples: &[T]) {
    let mut written = String::new();
    for sample in samples {
        for byte in wire::packet(sample) {
            let _ = write!(written, "{byte:02x}");
        }
        written.push('\n');
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.hex"));
    if std::env::var_os("FANFARE_BLESS").is_some() {
        std::fs::write(&path, &written).expect("the file can be written");
    }
    let kept = std::fs::read_to_string(&path).expect("a golden file; FANFARE_BLESS=1 makes it");
    for (index, (was, is)) in kept.lines().zip(written.lines()).enumerate() {
        assert_eq!(was, is, "{name}.hex, line {}: the format has changed", index + 1);
    }
    assert_eq!(kept.lines().count(), samples.len(), "{name}.hex has other samples");
}

#[test]
fn golden_fan() {
    golden("fan", &samples::fan());
}

#[test]
fn golden_edge() {
    golden("edge", &samples::edge());
}

#[test]
fn golden_up() {
    golden("up", &samples::up());
}

#[test]
fn golden_down() {
    golden("down", &samples::down());
}

#[test]
fn golden_track() {
    golden("track", &samples::track());
}

#[test]
fn golden_worker() {
    golden("input", &samples::input());
    golden("effect", &samples::effect());
}
