//! A track's name is read from text or refused, and has one written form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moqt::{Namespace, TrackName};

fuzz_target!(|text: &str| {
    if let Ok(track) = text.parse::<TrackName>() {
        assert_eq!(track.to_string(), text);
    }
    if let Ok(namespace) = Namespace::from_path(text) {
        assert_eq!(namespace.path().as_deref(), Some(text));
    }
});
