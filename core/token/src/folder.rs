//! A node's keys in files, read again when the files change.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{Error, Keys, Revocations};

/// Name of the list of revocations, in a folder of keys.
pub const REVOKED_FILE: &str = "revoked.json";
/// Key files read from one folder, at most: two for each of a thousand edges.
const MAX_FILES: usize = 2048;

/// The files that a node has its keys from: a key set, a folder of key sets, or both.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    file: Option<PathBuf>,
    folder: PathBuf,
    keys: Option<Keys>,
    stamps: Vec<Stamp>,
}

/// The sign by which a change of a file is seen.
type Stamp = (PathBuf, u64, Option<SystemTime>);

impl KeyFiles {
    /// Reads the keys of `file`, if it is given, and of all `*.json` in `folder`, if it exists.
    pub fn open(file: Option<PathBuf>, folder: PathBuf) -> Result<Self, Error> {
        let mut files = Self { file, folder, keys: None, stamps: Vec::new() };
        files.refresh()?;
        Ok(files)
    }

    /// Returns the keys, which later calls of [`refresh`](Self::refresh) replace; `None` if there are none.
    pub fn keys(&self) -> Option<Keys> {
        self.keys.clone()
    }

    /// Returns the paths of the files.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.stamps.iter().map(|(path, ..)| path.clone())
    }

    /// Reads the keys again if a file has changed. Returns whether one had. After an error, the keys stay as they were.
    pub fn refresh(&mut self) -> Result<bool, Error> {
        let paths = self.paths()?;
        let stamps: Vec<_> = paths.iter().map(|path| stamp(path)).collect();
        if stamps == self.stamps {
            return Ok(false);
        }
        let read = Self::read(&paths);
        // The same fault is reported once, not at each look.
        self.stamps = stamps;
        if let Some(now) = read? {
            match &self.keys {
                Some(keys) => keys.replace(&now),
                None => self.keys = Some(now),
            }
        } else if let Some(keys) = &self.keys {
            // All files are gone: no token is valid any more.
            keys.replace(&Keys::none());
        }
        Ok(true)
    }

    /// Lists the files, in the order of their keys: the single file first, then the folder's by name.
    fn paths(&self) -> Result<Vec<PathBuf>, Error> {
        let mut found = Vec::new();
        let failed =
            |source: std::io::Error| Error::Read { path: self.folder.clone(), source: source.into() };
        match fs::read_dir(&self.folder) {
            Ok(entries) => {
                for entry in entries {
                    let path = entry.map_err(failed)?.path();
                    if path.extension().is_some_and(|extension| extension == "json") {
                        found.push(path);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        found.sort();
        if found.len() > MAX_FILES {
            let reason = format!("it has {} key files, of which {MAX_FILES} may be", found.len());
            return Err(Error::File { path: self.folder.clone(), reason });
        }
        Ok(self.file.iter().cloned().chain(found).collect())
    }

    fn read(paths: &[PathBuf]) -> Result<Option<Keys>, Error> {
        let mut all: Option<Keys> = None;
        let mut revoked = Revocations::default();
        for path in paths {
            if path.file_name().is_some_and(|name| name == REVOKED_FILE) {
                revoked = load_revocations(path)?;
                continue;
            }
            let keys = Keys::load(path)?;
            all = Some(match all {
                Some(before) => before.and(&keys),
                None => keys,
            });
        }
        Ok(all.map(|keys| keys.without(revoked)))
    }
}

/// Reads a list of revocations.
pub fn load_revocations(path: &Path) -> Result<Revocations, Error> {
    let text = fs::read_to_string(path)
        .map_err(|source| Error::Read { path: path.into(), source: source.into() })?;
    Revocations::parse(&text).map_err(|reason| Error::List { path: path.into(), reason })
}

fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok();
    let modified = meta.as_ref().and_then(|meta| meta.modified().ok());
    (path.into(), meta.map_or(0, |meta| meta.len()), modified)
}
