//! External programs that a step needs: found on PATH, or installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{output, say, which};

pub(crate) const CHROMIUM: Tool =
    Tool { program: "chromium", variable: "CHROMIUM", why: "plays a stage in the browser tests" };

/// A program that some step runs.
pub(crate) struct Tool {
    /// Its name on PATH, and that of its Debian package.
    pub(crate) program: &'static str,
    /// The variable that names another copy of it, and passes its path to child processes.
    pub(crate) variable: &'static str,
    pub(crate) why: &'static str,
}

impl Tool {
    /// Finds the program, or installs it if that needs no confirmation.
    pub(crate) fn ensure(&self) -> Result<PathBuf> {
        let Self { program, variable, why } = self;
        if let Some(path) = std::env::var_os(variable).map(PathBuf::from) {
            if path.is_file() {
                return Ok(path);
            }
            bail!("{variable}={} is no file: name the {program} to use, or unset it", path.display());
        }
        if let Some(path) = which(program) {
            return Ok(path);
        }
        if !can_install() {
            bail!("{program} is missing, which {why}: install it, or set {variable} to its path");
        }
        say(format!("installing {program}, which {why}"));
        install(&[program])?;
        which(program).with_context(|| format!("{program} is not on PATH after its installation"))
    }
}

/// Returns whether Debian packages can be installed without a password: as root, with apt.
pub(crate) fn can_install() -> bool {
    Path::new("/etc/debian_version").exists()
        && which("apt-get").is_some()
        && output(Command::new("id").arg("-u")).is_ok_and(|uid| uid == "0")
}

/// Installs Debian packages, refreshing apt's lists only if they turn out too old.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let install = || apt(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat());
    if install().is_err() {
        refresh();
        install()?;
    }
    Ok(())
}

/// Refreshes apt's package lists; a failure is only reported.
pub(crate) fn refresh() {
    // A source that cannot be reached need not be the one that has the package.
    if let Err(error) = apt(&["update", "-qq"]) {
        say(format!("apt-get update: {error:#}"));
    }
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive")
        // Another process may be installing packages: wait for its lock.
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(arguments);
    output(&mut apt).map(drop)
}
