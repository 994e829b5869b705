//! Access to a node's files, clock and random numbers.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    time::{Duration, SystemTime},
};

use wire::Micros;

use crate::{Algorithm, Claims, Error, Keys, Role};

/// Returns this machine's time.
pub fn now() -> Micros {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// Returns random bytes that nobody can guess.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(bytes)
}

/// Writes a file that only its owner may read, in one step.
pub fn write_secret(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let partial = path.with_extension("partial");
    let mut file = options.open(&partial)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

impl Claims {
    /// Returns claims that end `lifetime` from now, by this machine's clock.
    pub fn new(room: &str, role: Role, name: &str, lifetime: Duration) -> Self {
        Self::until(room, role, name, now() + Micros::from_secs(lifetime.as_secs()))
    }
}

impl Keys {
    /// Returns a set with one new private key.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        Ok(Self::from_seed(algorithm, random()?))
    }

    /// Reads a JWK Set's file, private or public. Skips keys of other kinds.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.into(), source: source.into() })?;
        Self::read(&text).map_err(|reason| Error::File { path: path.into(), reason })
    }

    /// Writes the set with its private parts, readable by its owner only.
    pub fn save_private(&self, path: &Path) -> Result<(), Error> {
        write_secret(path, self.private_json().as_bytes())
            .map_err(|source| Error::Write { path: path.into(), source: source.into() })
    }

    /// Writes the set without its private parts: an origin needs no more to verify.
    pub fn save_public(&self, path: &Path) -> Result<(), Error> {
        fs::write(path, self.public_json())
            .map_err(|source| Error::Write { path: path.into(), source: source.into() })
    }
}
