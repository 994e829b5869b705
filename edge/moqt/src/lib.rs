//! Media over QUIC Transport (draft-ietf-moq-transport-18), sans-I/O.
#![forbid(unsafe_code)]
