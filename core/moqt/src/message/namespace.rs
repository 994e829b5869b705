//! PUBLISH_NAMESPACE, SUBSCRIBE_NAMESPACE and SUBSCRIBE_TRACKS.

use bytes::BytesMut;

use crate::{Namespace, Params, Violation, parameter::Scope, varint, wire::Reader};

macro_rules! namespace_request {
    ($(#[$meta:meta])* $name:ident { $(#[$doc:meta])* $field:ident } in $scope:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            /// ID that the sender gives the request.
            pub request_id: u64,
            $(#[$doc])*
            pub $field: Namespace,
            /// Tokens, and what else applies.
            pub params: Params,
        }

        impl $name {
            pub(crate) fn decode(reader: &mut Reader) -> Result<Self, Violation> {
                Ok(Self {
                    request_id: reader.varint()?,
                    $field: Namespace::decode(reader)?,
                    params: Params::decode(reader, Scope::$scope)?,
                })
            }

            pub(crate) fn encode(&self, out: &mut BytesMut) {
                varint::put(out, self.request_id);
                self.$field.encode(out);
                self.params.encode(out);
            }
        }
    };
}

namespace_request! {
    /// PUBLISH_NAMESPACE (Section 10.15): offers the tracks of a namespace.
    PublishNamespace {
        /// Namespace whose tracks the sender can supply.
        namespace
    } in PUBLISH_NAMESPACE
}

namespace_request! {
    /// SUBSCRIBE_NAMESPACE (Section 10.18): asks for namespaces with a prefix.
    SubscribeNamespace {
        /// Prefix of the namespaces asked for.
        prefix
    } in SUBSCRIBE_NAMESPACE
}

namespace_request! {
    /// SUBSCRIBE_TRACKS (Section 10.19): asks for offers of tracks.
    SubscribeTracks {
        /// Prefix of the tracks' namespaces.
        prefix
    } in SUBSCRIBE_TRACKS
}
