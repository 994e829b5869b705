//! A set of keys or of revocations is read or refused, and one that was read is written so that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use token::{EdgeNumber, Keys, MAX_KEYS, Revocations};

fuzz_target!(|text: &str| {
    if let Ok(keys) = Keys::parse(text) {
        assert!(keys.list().len() <= MAX_KEYS);
        let again = Keys::parse(&keys.private_json()).expect("what was read can be written");
        assert_eq!(again.list(), keys.list());
        let public = Keys::parse(&keys.public_json()).expect("the public halves");
        assert_eq!(public.list().len(), keys.list().len());
    }
    let revoked = Revocations::parse(text);
    if let Ok(revoked) = &revoked {
        assert_eq!(Revocations::parse(&revoked.json()).as_ref(), Ok(revoked));
    }
    let _ = Keys::none().adopt(text, revoked.unwrap_or_default());
    if let Ok(number) = text.parse::<EdgeNumber>() {
        assert_eq!(number.to_string().parse(), Ok(number));
    }
});
