//! Keys: the files that nodes have them from, read again while they run.

use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use ::token::{KeyFiles, Keys, private_folder};

use crate::Failure;

/// Name of the file with the private keys, in the data directory.
pub(crate) const KEYS_FILE: &str = "keys.json";
/// Name of the folder with key sets and revocations, in the data directory.
pub(crate) const KEYS_FOLDER: &str = "keys.d";
/// The time between two looks at the files of a node that runs.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Opens the keys of a data directory: the file `given`, or else `keys.json`, and the folder `keys.d`. If `given` is a
/// folder, its files are the keys.
pub(crate) fn open(dir: &Path, given: Option<PathBuf>) -> Result<KeyFiles, Failure> {
    let (file, folder) = match given {
        Some(folder) if folder.is_dir() => (None, folder),
        Some(file) => (Some(file), dir.join(KEYS_FOLDER)),
        None => (Some(dir.join(KEYS_FILE)).filter(|file| file.exists()), dir.join(KEYS_FOLDER)),
    };
    let files = KeyFiles::open(file, folder).map_err(Failure::run)?;
    for warning in files.files().filter_map(|path| ::token::exposed(&path)) {
        eprintln!("warning: {warning}");
    }
    Ok(files)
}

/// Opens the keys of a node, and reads them again whenever a file changes. `None` if there are none.
pub(crate) fn watch(dir: &Path, given: Option<PathBuf>) -> Result<Option<Keys>, Failure> {
    let mut files = open(dir, given)?;
    let Some(keys) = files.keys() else { return Ok(None) };
    // A thread of its own, since files may be on a slow disk. It ends with the process.
    thread::spawn(move || {
        loop {
            thread::sleep(LOOK_EVERY);
            match files.refresh() {
                Ok(false) => {}
                Ok(true) => eprintln!("keys: read again"),
                Err(error) => eprintln!("keys: they stay as they were: {error}"),
            }
        }
    });
    Ok(Some(keys))
}

/// Returns the folder for key sets in a data directory, after creating it if it is missing.
pub(crate) fn folder(dir: &Path) -> Result<PathBuf, Failure> {
    let folder = dir.join(KEYS_FOLDER);
    let failed =
        |error| Failure::run(format!("{}: {error}; choose another directory with --data", folder.display()));
    private_folder(&folder).map_err(failed)?;
    Ok(folder)
}
