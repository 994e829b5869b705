//! The options for which servers are trusted, as all commands have them.

use quic::{Fingerprint, Trust};

#[derive(Debug, clap::Args)]
pub(crate) struct TrustArgs {
    /// Trust whoever answers at the address, without looking at the certificate
    #[arg(long)]
    insecure: bool,

    /// Trust the server with this certificate, whoever signed it; may be given more than once
    #[arg(long, value_name = "SHA256HEX", conflicts_with = "insecure")]
    fingerprint: Vec<Fingerprint>,
}

impl TrustArgs {
    pub(crate) fn trust(&self) -> Trust {
        match (&self.fingerprint[..], self.insecure) {
            (_, true) => Trust::Anyone,
            ([], false) => Trust::System,
            (fingerprints, false) => Trust::Fingerprints(fingerprints.to_vec()),
        }
    }
}
