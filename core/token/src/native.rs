//! Access to a node's files, clock and random numbers.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use wire::Micros;

use crate::{Algorithm, Claims, Error, Keys, Role, Scope, claims::seconds};

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

/// Writes a file that only its owner may read, in one step. A folder that is missing is created, for its owner only.
///
/// The content is first written under a random name that did not exist: an older file would keep its mode, and a link
/// would lead elsewhere.
pub fn write_secret(path: &Path, content: &[u8]) -> io::Result<()> {
    write(path, content, 0o600)
}

/// Writes a file in one step.
pub(crate) fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Err(io::ErrorKind::InvalidInput.into()),
    };
    private_folder(folder)?;
    let partial = partial(path)?;
    let written = write_new(&partial, content, mode).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
        return written;
    }
    // Without this, a power cut may take the new name back.
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}

fn partial(path: &Path) -> io::Result<PathBuf> {
    let random: [u8; 8] = random().map_err(|error| io::Error::other(error.to_string()))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{:016x}.partial", u64::from_be_bytes(random)));
    Ok(path.with_file_name(name))
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Creates a folder, for its owner only, if it is missing.
pub fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Returns a warning about a file with private keys that others than its owner can read.
pub fn exposed(path: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).ok()?.permissions()) & 0o777;
        let is_private = Keys::load(path).ok()?.list().iter().any(|key| key.signs);
        (is_private && mode & 0o077 != 0).then(|| {
            let path = path.display();
            format!("{path} has private keys, and others can read it (mode {mode:o}): chmod 600 {path}")
        })
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

impl Claims {
    /// Returns claims that end `lifetime` from now, by this machine's clock.
    pub fn new(room: &str, role: Role, name: &str, lifetime: Duration) -> Self {
        let now = now();
        let claims = Self::until(room, role, name, now + Micros::from_secs(lifetime.as_secs()));
        Self { iat: Some(seconds(now)), ..claims }
    }
}

impl Keys {
    /// Returns a set with one new private key.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        Ok(Self::from_seed(algorithm, random()?))
    }

    /// Returns a set with one new private key of that scope.
    pub fn generate_scoped(algorithm: Algorithm, scope: Scope) -> Result<Self, Error> {
        Ok(Self::scoped(algorithm, random()?, scope))
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
        write(path, self.public_json().as_bytes(), 0o644)
            .map_err(|source| Error::Write { path: path.into(), source: source.into() })
    }
}
