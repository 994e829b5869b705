//! Variable-length integers (Section 1.4.1), of any length that holds the value.

use moq_transport::coding::{Decode as _, Encode as _};
use moqtap_codec::varint::{Moqt18, VarInt};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn all_three_write_and_read_the_same(value in crate::generate::int()) {
        let (mut ours, mut moqtap, mut moq_transport) = (Vec::new(), Vec::new(), Vec::new());
        moqt::varint::put(&mut ours, value);
        VarInt::from_u64_moqt(value).encode_moqt::<Moqt18>(&mut moqtap);
        value.encode(&mut moq_transport).expect("all of u64 can be said");
        prop_assert_eq!(&ours, &moqtap);
        prop_assert_eq!(&ours, &moq_transport);
    }

    #[test]
    fn all_three_read_the_same_of_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        let ours = moqt::varint::get(&bytes);
        let mut rest = &bytes[..];
        let moqtap = VarInt::decode_moqt::<Moqt18>(&mut rest).ok();
        prop_assert_eq!(ours, moqtap.map(|value| (value.into_inner(), bytes.len() - rest.len())));
        let mut rest = &bytes[..];
        let moq_transport = u64::decode(&mut rest).ok();
        prop_assert_eq!(ours, moq_transport.map(|value| (value, bytes.len() - rest.len())));
    }
}
