//! The certificate that an endpoint presents: from PEM files, or self-signed and kept on disk.
//!
//! A self-signed certificate is ECDSA P-256 and valid for 13 days, as the browsers'
//! `serverCertificateHashes` demand (at most 14 days, no RSA). It is kept in a
//! directory so that a restart presents the same one, and [`Certificate::refresh`]
//! replaces it when fewer than two days remain: new connections get the new one.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use rustls::{
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use tokio::sync::watch;

/// A certificate that cannot be loaded, made or kept, in one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {what} {}: {source}; check the path and its permissions", path.display())]
    Read {
        /// The purpose of the file.
        what: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file or its directory cannot be written.
    #[error("cannot write {what} {}: {source}; choose a writable data directory", path.display())]
    Write {
        /// The purpose of the file.
        what: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file was read and its content is not usable.
    #[error("{what} {} is not usable: {reason}", path.display())]
    Parse {
        /// The purpose of the file.
        what: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The fault in its content.
        reason: String,
    },
    /// The cryptographic provider failed while doing this.
    #[error("cryptography failed while {0}")]
    Crypto(&'static str),
}

use CertificateError as Error;

/// The validity of a self-signed certificate, 13 days; browsers allow at most 14.
pub const VALIDITY: Duration = Duration::from_hours(312);
/// The remaining validity below which a self-signed certificate is replaced.
pub const RENEW_BEFORE: Duration = Duration::from_hours(48);
/// The time by which a self-signed certificate is dated back, for clients whose clocks are behind.
pub const BACKDATE: Duration = Duration::from_hours(1);
/// The interval at which a running endpoint looks for a renewed certificate, or renews its own.
const REFRESH_EVERY: Duration = Duration::from_mins(1);

const CERT_FILE: &str = "cert.pem";
const KEY_FILE: &str = "key.pem";

/// The source of a certificate.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// PEM files: the chain, leaf first, and its private key. Read again at each
    /// refresh, so that a renewed file takes effect without a restart.
    Files {
        /// The path of the certificate chain.
        cert: PathBuf,
        /// The path of the private key.
        key: PathBuf,
    },
    /// Self-signed, kept in a directory.
    SelfSigned {
        /// The directory that keeps it; created if missing.
        dir: PathBuf,
        /// The DNS names and IP addresses it is for.
        names: Vec<String>,
    },
}

impl Default for CertificateSource {
    fn default() -> Self {
        Self::SelfSigned {
            dir: PathBuf::from("fanfare-data"),
            names: ["localhost", "127.0.0.1", "::1"].map(String::from).into(),
        }
    }
}

/// Returns the cryptographic provider of every TLS configuration here.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The certificate in use. Clones of the `Arc` and the server configurations made
/// from it all use a renewed one.
#[derive(Debug)]
pub struct Certificate {
    source: CertificateSource,
    current: RwLock<Arc<CertifiedKey>>,
    fingerprints: watch::Sender<Vec<String>>,
}

impl Certificate {
    /// Loads the certificate, making a self-signed one if there is none or if it is
    /// due for renewal at `now`.
    pub fn load(source: CertificateSource, now: SystemTime) -> Result<Arc<Self>, Error> {
        let current = match &source {
            CertificateSource::Files { cert, key } => read(cert, key)?,
            CertificateSource::SelfSigned { dir, names } => {
                fs::create_dir_all(dir).map_err(|source| Error::Write {
                    what: "data directory",
                    path: dir.clone(),
                    source,
                })?;
                match read_self_signed(dir, now)? {
                    Some(kept) => kept,
                    None => generate(dir, names, now)?,
                }
            }
        };
        let current = RwLock::new(Arc::new(current));
        let this = Self { source, current, fingerprints: watch::Sender::default() };
        this.publish_fingerprint();
        Ok(Arc::new(this))
    }

    /// Renews a self-signed certificate that is due, or reads the files again.
    /// Returns whether another certificate is presented from now on. After an error the
    /// old one stays in use.
    pub fn refresh(&self, now: SystemTime) -> Result<bool, Error> {
        let fresh = match &self.source {
            CertificateSource::Files { cert, key } => read(cert, key)?,
            CertificateSource::SelfSigned { dir, names } => {
                if !is_due(&self.leaf(), now) {
                    return Ok(false);
                }
                generate(dir, names, now)?
            }
        };
        let changed = fresh.cert != self.key().cert;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        self.publish_fingerprint();
        Ok(changed)
    }

    /// Returns the hex SHA-256 of the leaf if it is self-signed, for a browser's
    /// `serverCertificateHashes`.
    pub fn fingerprint(&self) -> Option<String> {
        matches!(self.source, CertificateSource::SelfSigned { .. }).then(|| {
            use std::fmt::Write as _;
            let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, &self.leaf());
            digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
        })
    }

    /// Returns a receiver of the current [`fingerprint`](Self::fingerprint), one or none. It is updated
    /// when the certificate is renewed.
    pub fn fingerprints(&self) -> watch::Receiver<Vec<String>> {
        self.fingerprints.subscribe()
    }

    fn publish_fingerprint(&self) {
        self.fingerprints.send_replace(self.fingerprint().into_iter().collect());
    }

    /// Renews the certificate in time, for as long as this runs.
    pub async fn keep_renewed(self: Arc<Self>) {
        loop {
            tokio::time::sleep(REFRESH_EVERY).await;
            match self.refresh(SystemTime::now()) {
                Ok(true) => tracing::info!("another certificate is shown from now on"),
                Ok(false) => {}
                Err(err) => tracing::error!(%err, "the certificate was not renewed"),
            }
        }
    }

    /// Returns a TLS 1.3 server configuration that presents this certificate.
    pub fn server_config(self: &Arc<Self>, alpn: &[&str]) -> Result<rustls::ServerConfig, Error> {
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| Error::Crypto("configuring TLS 1.3"))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = alpn.iter().map(|alpn| alpn.as_bytes().to_vec()).collect();
        Ok(config)
    }

    fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn leaf(&self) -> CertificateDer<'static> {
        self.key().cert.first().cloned().unwrap_or_else(|| Vec::new().into())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
}

fn read(cert: &Path, key: &Path) -> Result<CertifiedKey, Error> {
    let unreadable = |what, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Read { what, path, source }
    };
    let unusable = |what, path: &Path, reason: String| Error::Parse { what, path: path.to_owned(), reason };
    let pem = fs::read(cert).map_err(unreadable("certificate", cert))?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|err| unusable("certificate", cert, err.to_string()))?;
    if chain.is_empty() {
        let reason = "it holds no PEM block CERTIFICATE".into();
        return Err(unusable("certificate", cert, reason));
    }
    let pem = fs::read(key).map_err(unreadable("private key", key))?;
    let private =
        PrivateKeyDer::from_pem_slice(&pem).map_err(|err| unusable("private key", key, err.to_string()))?;
    certified(chain, private).map_err(|err| unusable("private key", key, err.to_string()))
}

/// Reads the certificate kept in `dir`. Returns `None` if there is none or it is due for renewal.
fn read_self_signed(dir: &Path, now: SystemTime) -> Result<Option<CertifiedKey>, Error> {
    let (cert, key) = (dir.join(CERT_FILE), dir.join(KEY_FILE));
    match cert.try_exists() {
        Ok(false) => return Ok(None),
        Ok(true) => {}
        Err(source) => {
            return Err(Error::Read { what: "certificate", path: cert, source });
        }
    }
    let kept = match read(&cert, &key) {
        Ok(kept) => kept,
        // A crash between the two files leaves a key beside another key's certificate. Both are ours to make anew.
        Err(error @ Error::Parse { .. }) => {
            tracing::warn!(%error, "another self-signed certificate is made");
            return Ok(None);
        }
        Err(Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let due = kept.cert.first().is_none_or(|leaf| is_due(leaf, now));
    Ok((!due).then_some(kept))
}

fn is_due(leaf: &CertificateDer<'_>, now: SystemTime) -> bool {
    let Ok((_, leaf)) = x509_parser::parse_x509_certificate(leaf) else {
        return true;
    };
    let validity = leaf.validity();
    let renew_at = validity.not_after.timestamp() - RENEW_BEFORE.as_secs().cast_signed();
    let now = unix(now);
    now >= renew_at || now < validity.not_before.timestamp()
}

fn unix(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed())
}

fn generate(dir: &Path, names: &[String], now: SystemTime) -> Result<CertifiedKey, Error> {
    let failed = |_| Error::Crypto("making a self-signed certificate");
    let mut params = rcgen::CertificateParams::new(names).map_err(failed)?;
    params.not_before = (now - BACKDATE).into();
    params.not_after = (now - BACKDATE + VALIDITY).into();
    params.distinguished_name.push(rcgen::DnType::CommonName, "fanfare");
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let cert = params.self_signed(&pair).map_err(failed)?;
    // The key first: a certificate without its key would not be read again.
    write_secret(&dir.join(KEY_FILE), "private key", pair.serialize_pem().as_bytes())?;
    write_secret(&dir.join(CERT_FILE), "certificate", cert.pem().as_bytes())?;
    let key = PrivatePkcs8KeyDer::from(pair.serialize_der()).into();
    certified(vec![cert.der().clone()], key).map_err(|_| Error::Crypto("reading back a new key"))
}

fn write_secret(path: &Path, what: &'static str, content: &[u8]) -> Result<(), Error> {
    token::write_secret(path, content).map_err(|source| Error::Write { what, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn source(dir: &Path) -> CertificateSource {
        let names = vec!["localhost".into()];
        CertificateSource::SelfSigned { dir: dir.into(), names }
    }

    #[test]
    fn a_self_signed_certificate_is_kept_and_renewed_in_time() -> Result<(), Error> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let now = SystemTime::now();
        let first = Certificate::load(source(dir.path()), now)?;
        let again = Certificate::load(source(dir.path()), now + 10 * DAY)?;
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert!(!again.refresh(now + 10 * DAY)?);

        let (_, leaf) = x509_parser::parse_x509_certificate(&first.leaf().into_owned())
            .map(|(rest, cert)| (rest.len(), cert.validity().clone()))
            .expect("X.509");
        assert_eq!(leaf.not_after.timestamp() - leaf.not_before.timestamp(), 13 * 86400);

        let config = again.server_config(&["h3"])?;
        let fingerprints = again.fingerprints();
        assert_eq!(*fingerprints.borrow(), [first.fingerprint().expect("self-signed")]);
        assert!(again.refresh(now + 11 * DAY)?);
        assert!(fingerprints.has_changed().is_ok_and(|changed| changed));
        assert_eq!(*fingerprints.borrow(), [again.fingerprint().expect("self-signed")]);
        assert_ne!(first.fingerprint(), again.fingerprint());
        assert_eq!(config.alpn_protocols, [b"h3"]);
        let restarted = Certificate::load(source(dir.path()), now + 11 * DAY)?;
        assert_eq!(restarted.fingerprint(), again.fingerprint());
        Ok(())
    }

    #[test]
    fn a_crash_between_the_two_files_costs_a_certificate_and_not_the_start() -> Result<(), Error> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (other, now) = (tempfile::tempdir().expect("a temporary directory"), SystemTime::now());
        let first = Certificate::load(source(dir.path()), now)?;
        Certificate::load(source(other.path()), now)?;
        // The key is written first: here it is the new one, and the certificate still the old one.
        fs::copy(other.path().join(KEY_FILE), dir.path().join(KEY_FILE)).expect("a copy");
        let second = Certificate::load(source(dir.path()), now)?;
        assert_ne!(first.fingerprint(), second.fingerprint());
        fs::remove_file(dir.path().join(KEY_FILE)).expect("it is there");
        let third = Certificate::load(source(dir.path()), now)?;
        assert_eq!(Certificate::load(source(dir.path()), now)?.fingerprint(), third.fingerprint());
        Ok(())
    }

    #[test]
    fn bad_files_are_named() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (cert, key) = (dir.path().join("c.pem"), dir.path().join("k.pem"));
        let load = || {
            let source = CertificateSource::Files { cert: cert.clone(), key: key.clone() };
            Certificate::load(source, SystemTime::now()).expect_err("unusable").to_string()
        };
        assert!(load().contains("cannot read certificate"), "{}", load());
        fs::write(&cert, "nonsense").expect("write");
        assert!(load().contains("holds no PEM block CERTIFICATE"), "{}", load());
        assert_eq!(load().lines().count(), 1);
    }
}
