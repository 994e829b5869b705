//! Cache of compiled workers in a folder.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::Error;

/// Bytes of the checksum at a file's end: a SHA-256.
const CHECK: usize = 32;

/// A folder of compiled workers. `NAME-ENGINE.compiled` holds code and then its SHA-256.
#[derive(Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
    /// Hash of wasmtime's version, its settings and the processor: each engine has files of its own.
    engine: u64,
}

impl Cache {
    /// Creates the folder if need be, and checks that nobody else may write to it.
    pub(crate) fn open(folder: PathBuf, engine: &Engine) -> Result<Self, Error> {
        match make(&folder).and_then(|()| ours(&folder)) {
            Ok(None) => {}
            Ok(Some(why)) => return Err(Error::Cache { folder, why }),
            Err(error) => return Err(Error::Cache { folder, why: error.to_string() }),
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { folder, engine: hasher.finish() })
    }

    /// Returns the compiled component with that name; compiles and stores it if it is missing.
    pub(crate) fn get(
        &self,
        engine: &Engine,
        name: &str,
        compile: impl FnOnce() -> Result<Component, Error>,
    ) -> Result<Component, Error> {
        let path = self.folder.join(format!("{name}-{:016x}.compiled", self.engine));
        match read(engine, &path) {
            Ok(Some(component)) => return Ok(component),
            Ok(None) => {}
            Err(why) => tracing::warn!("compiling {} again: {why}", path.display()),
        }
        let component = compile()?;
        let kept = component.serialize().map_err(io::Error::other).and_then(|code| self.keep(&path, code));
        if let Err(error) = kept {
            // The worker runs without the file; only the next start is slower.
            tracing::warn!("cannot store compiled worker {}: {error}", path.display());
        }
        Ok(component)
    }

    /// Writes a file whole or not at all.
    fn keep(&self, path: &Path, mut code: Vec<u8>) -> io::Result<()> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let check = Sha256::digest(&code);
        code.extend_from_slice(&check);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let new = self.folder.join(format!("{}-{next}.new", std::process::id()));
        let mut file = fs::File::create(&new)?;
        let written =
            file.write_all(&code).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&new, path));
        if written.is_err() {
            // A partial file is of no use.
            let _ = fs::remove_file(&new);
        }
        written
    }
}

/// Reads a compiled component, if there is a file for it.
fn read(engine: &Engine, path: &Path) -> Result<Option<Component>, String> {
    let file = match fs::read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let whole = file.split_last_chunk::<CHECK>();
    let Some((code, _)) = whole.filter(|(code, check)| Sha256::digest(code)[..] == check[..]) else {
        return Err("it is damaged".to_owned());
    };
    component(engine, code).map(Some).map_err(|error| error.to_string())
}

#[expect(unsafe_code, reason = "wasmtime believes compiled code: it must be what wasmtime has made")]
fn component(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the checksum shows that the file is as this program wrote it; only this user, who can also
    // change this very program, may write to the folder; and wasmtime itself refuses files of another version
    // or configuration.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(unix)]
fn make(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Returns the reason for which a folder is not safe from other users.
#[cfg(unix)]
fn ours(folder: &Path) -> io::Result<Option<String>> {
    use std::os::unix::fs::MetadataExt;
    const OTHERS_WRITE: u32 = 0o022;
    let found = fs::metadata(folder)?;
    let (owner, us) = (found.uid(), rustix::process::geteuid().as_raw());
    Ok(if owner != us {
        Some(format!("it belongs to user {owner}, and this is user {us}: name another folder"))
    } else if found.mode() & OTHERS_WRITE != 0 {
        let mode = found.mode() & 0o777;
        Some(format!("others may write to it (mode {mode:o}), and it is for code: chmod go-w it"))
    } else {
        None
    })
}

/// A user's profile on Windows belongs to that user alone.
#[cfg(not(unix))]
fn ours(_folder: &Path) -> io::Result<Option<String>> {
    Ok(None)
}
