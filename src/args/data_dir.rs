//! The data directory and the certificate: flags that several commands share.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args as ClapArgs;
use quic::CertificateSource;

use crate::Failure;

/// The flag for the data directory.
#[derive(Debug, ClapArgs)]
pub(crate) struct DataDir {
    /// Directory for certificates, keys and rooms; created if missing
    #[arg(long, value_name = "DIR", default_value = "fanfare-data", env = "FANFARE_DATA")]
    pub(crate) data: PathBuf,
}

impl DataDir {
    /// Returns the directory, after creating it if it is missing.
    pub(crate) fn dir(&self) -> Result<PathBuf, Failure> {
        let failed = |error| {
            Failure::run(format!("--data {}: {error}; choose another directory", self.data.display()))
        };
        ::token::private_folder(&self.data).map_err(failed)?;
        fs::read_dir(&self.data).map_err(failed)?;
        Ok(self.data.clone())
    }
}

/// The flags for a TLS certificate.
#[derive(Debug, ClapArgs)]
pub(crate) struct Certificate {
    /// The certificate chain, PEM, leaf first [default: self-signed, kept in the data directory]
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// The private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

impl Certificate {
    pub(crate) fn source(&self, dir: &Path) -> CertificateSource {
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => CertificateSource::Files { cert: cert.clone(), key: key.clone() },
            _ => self_signed(dir),
        }
    }
}

/// Returns the source of a self-signed certificate for this machine, kept in the directory.
pub(crate) fn self_signed(dir: &Path) -> CertificateSource {
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
    CertificateSource::SelfSigned { dir: dir.join("tls"), names }
}

/// Creates a runtime on this thread, for a command that does one thing.
pub(crate) fn single_thread_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::run(format!("cannot start: {error}")))
}
