//! A catalog of any kind is read or refused, and one that was read is written as MSF that reads the same.
//!
//! The input is the catalog and, after a byte of 0, an initialisation segment for all tracks that want one.
#![no_main]

use bytes::Bytes;
use fanfare_client::catalog::{Catalog, Inits, MAX_INIT_TRACKS};
use libfuzzer_sys::fuzz_target;
use moqt::msf;

fuzz_target!(|input: &[u8]| {
    let split = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    let (json, segment) = input.split_at(split);
    let Ok(catalog) = Catalog::parse(json, &Inits::new()) else { return };
    assert!(catalog.missing.len() <= MAX_INIT_TRACKS);
    let segment = Bytes::copy_from_slice(segment.get(1..).unwrap_or_default());
    let inits: Inits = catalog.missing.into_iter().map(|name| (name, Some(segment.clone()))).collect();
    Catalog::parse(json, &inits).expect("the same catalog");

    let Ok(catalog) = msf::Catalog::parse(json) else { return };
    let written = catalog.encode();
    // Text that JSON has to escape grows.
    if written.len() <= msf::MAX_LEN {
        let again = msf::Catalog::parse(&written).expect("what was read can be written");
        assert_eq!(again.encode(), written);
    }
});
