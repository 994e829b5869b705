//! The data directory and the certificate: flags that several commands share.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use clap::Args as ClapArgs;
use quic::CertificateSource;

use crate::Failure;

/// The file in the data directory that an edge has locked for as long as it runs.
const LOCK_FILE: &str = "edge.lock";

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

    /// Returns the directory, and its lock: no other edge runs with its number and keys while that file is open.
    pub(crate) fn of_edge(&self) -> Result<(PathBuf, File), Failure> {
        let dir = self.dir()?;
        let path = dir.join(LOCK_FILE);
        let failed = |error| Failure::run(format!("{}: {error}; choose another directory", path.display()));
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok((dir, file)),
            Err(TryLockError::WouldBlock) => Err(Failure::run(format!(
                "--data {}: another node runs with this directory; give each node its own, because it has the number \
                 and the keys of one edge",
                dir.display()
            ))),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_for_one_edge_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = DataDir { data: folder.path().join("edge") };
        let (_, lock) = data.of_edge().expect("free");
        let refused = format!("{:?}", data.of_edge().expect_err("in use"));
        assert!(refused.contains(&data.data.display().to_string()), "{refused}");
        assert!(refused.contains("another node"), "{refused}");
        drop(lock);
        data.of_edge().expect("free again");
    }
}
