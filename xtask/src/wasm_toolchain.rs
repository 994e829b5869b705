//! The toolchain for `wasm32-unknown-unknown`: found, or set up.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{cargo, output, run, say, which};
use crate::tools;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
const VARIABLE: &str = "FANFARE_WASM_TOOLCHAIN";

/// Debian's rustc for browsers, and the standard library's source to build for Wasm.
const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

/// The oldest Rust that compiles our code.
const RUST_VERSION: &str = env!("CARGO_PKG_RUST_VERSION");

/// The variables that a cargo sets for its children and that another cargo must not see.
const FOREIGN: &[&str] = &[
    "CARGO",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "LD_LIBRARY_PATH",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// A toolchain, by the source of its Wasm standard library.
pub(crate) enum WasmToolchain {
    /// The active toolchain has it.
    Active,
    /// A sysroot of our own around Debian's compiler, in this folder.
    Debian(PathBuf),
}

impl WasmToolchain {
    /// Finds the toolchain, or sets one up under `target`.
    ///
    /// The order is: what is installed, what rustup can add, what can be built from Debian's
    /// packages. `FANFARE_WASM_TOOLCHAIN` forces one of the three.
    pub(crate) fn resolve(target: &Path) -> Result<Self> {
        match std::env::var(VARIABLE).as_deref() {
            Err(std::env::VarError::NotPresent) => Self::first_that_works(target),
            Ok("installed") if installed() => Ok(Self::Active),
            Ok("installed") => {
                bail!("{VARIABLE}=installed, but the active Rust toolchain has no {TARGET}: unset it")
            }
            Ok("rustup") => rustup_add().map(|()| Self::Active),
            Ok("debian") => debian(target).map(Self::Debian),
            other => {
                bail!("{VARIABLE}={:?} is none of installed, rustup, debian", other.unwrap_or("(not UTF-8)"))
            }
        }
    }

    fn first_that_works(target: &Path) -> Result<Self> {
        if let Some(present) = Self::present(target) {
            return Ok(present);
        }
        let Err(no_rustup) = rustup_add() else {
            return Ok(Self::Active);
        };
        if !tools::can_install() {
            return Err(no_rustup.context(format!("no Rust toolchain for {TARGET}, and none could be added")));
        }
        say(format!("{no_rustup:#}; falling back to Debian's compiler"));
        debian(target).map(Self::Debian)
    }

    /// Returns the toolchain that a user or an earlier run has set up. It installs nothing.
    fn present(target: &Path) -> Option<Self> {
        let debian = || {
            let sysroot = debian_sysroot(target, &debian_version().ok()?);
            sysroot.is_dir().then_some(Self::Debian(sysroot))
        };
        if installed() { Some(Self::Active) } else { debian() }
    }

    /// Returns a cargo that supports `--target wasm32-unknown-unknown`.
    pub(crate) fn cargo(&self) -> Command {
        match self {
            Self::Active => cargo(),
            Self::Debian(sysroot) => {
                let mut command = debian_cargo();
                command.env("RUSTC", sysroot.join("bin/rustc"));
                command
            }
        }
    }
}

fn installed() -> bool {
    output(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))
        .is_ok_and(|folder| Path::new(&folder).is_dir())
}

fn rustup_add() -> Result<()> {
    say(format!("rustup target add {TARGET}: the active toolchain cannot build for browsers yet"));
    output(Command::new("rustup").args(["target", "add", TARGET])).map(drop)
}

fn debian_cargo() -> Command {
    let mut command = Command::new("/usr/bin/cargo");
    for variable in FOREIGN {
        command.env_remove(variable);
    }
    command
}

/// Returns the sysroot for Debian's current compiler, built if it is missing.
fn debian(target: &Path) -> Result<PathBuf> {
    let version = match debian_version() {
        Ok(version) => version,
        Err(why) if tools::can_install() => {
            say(format!("{why}; installing a compiler whose source can be built for {TARGET}"));
            // An outdated package list may offer a compiler that is too old.
            tools::refresh();
            tools::install(DEBIAN_PACKAGES)?;
            debian_version()?
        }
        Err(why) => bail!(
            "{why}: {VARIABLE}=debian needs {} for Rust {RUST_VERSION} or newer: install them as root",
            DEBIAN_PACKAGES.join(" ")
        ),
    };
    let sysroot = debian_sysroot(target, &version);
    if !sysroot.is_dir() {
        say(format!("building the standard library for {TARGET} from Debian's source: once, about a minute"));
        // Another process may be building the same: the first to finish wins.
        let draft = debian_sysroot(target, &format!("{version}.{}", std::process::id()));
        let built = build_sysroot(&draft, &sysroot);
        if built.is_err() || fs::rename(&draft, &sysroot).is_err() {
            fs::remove_dir_all(&draft)?;
        }
        built.context("cannot build a Wasm sysroot from Debian's packages")?;
    }
    Ok(sysroot)
}

fn debian_sysroot(target: &Path, version: &str) -> PathBuf {
    target.join("wasm-toolchain").join(version)
}

/// Returns the version of Debian's compiler, if every package we need is installed and new enough.
fn debian_version() -> Result<String> {
    // The command fails if a package is unknown.
    let shown = output(
        Command::new("dpkg-query")
            .args(["--show", "--showformat", "${db:Status-Status} ${Version}\n"])
            .args(DEBIAN_PACKAGES),
    )
    .unwrap_or_default();
    if shown.lines().filter(|line| line.starts_with("installed ")).count() < DEBIAN_PACKAGES.len() {
        bail!("not all of {} are installed", DEBIAN_PACKAGES.join(", "));
    }
    let version = shown.lines().next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    if !compiles(version) {
        bail!("{} {version} is older than Rust {RUST_VERSION}", DEBIAN_PACKAGES[0]);
    }
    Ok(version.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-"))
}

/// Returns whether a compiler of that version compiles our code. A Debian suffix of the version does not matter.
fn compiles(version: &str) -> bool {
    let parts = |version: &str| {
        let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    };
    let number: Option<(u32, u32)> = parts(version);
    number.is_some() && number >= parts(RUST_VERSION)
}

/// Fills `draft` so that it works once it is called `sysroot`.
fn build_sysroot(draft: &Path, sysroot: &Path) -> Result<()> {
    let host = host_of("/usr/bin/rustc")?;
    let rlibs = build_std(&draft.join("std"))?;

    let rustlib = draft.join("lib/rustlib");
    let wasm = rustlib.join(TARGET).join("lib");
    fs::create_dir_all(&wasm)?;
    for entry in fs::read_dir(rlibs)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        let is_stub = name.to_string_lossy().starts_with("libstub-");
        if path.extension() == Some(OsStr::new("rlib")) && !is_stub {
            fs::copy(&path, wasm.join(name))?;
        }
    }
    fs::remove_dir_all(draft.join("std"))?;

    let host_tools = rustlib.join(&host).join("bin");
    fs::create_dir_all(&host_tools)?;
    link(Path::new("/usr/lib/rustlib").join(&host).join("lib"), rustlib.join(&host).join("lib"))?;
    link("/usr/lib/rustlib/src", rustlib.join("src"))?;
    link("/usr/lib/rustlib/etc", rustlib.join("etc"))?;
    link(linker()?, host_tools.join("rust-lld"))?;

    let bin = draft.join("bin");
    fs::create_dir_all(&bin)?;
    let wrapper = format!("#!/bin/sh\nexec /usr/bin/rustc --sysroot '{}' \"$@\"\n", sysroot.display());
    fs::write(bin.join("rustc"), wrapper)?;
    run(Command::new("chmod").arg("+x").arg(bin.join("rustc")))
}

/// Builds the standard library as the dependency of an empty crate. Returns the folder of rlibs.
fn build_std(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("src/lib.rs"), "")?;
    fs::write(
        folder.join("Cargo.toml"),
        "[package]\nname = \"stub\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n",
    )?;
    output(
        debian_cargo()
            .current_dir(folder)
            // `-Z` on a released compiler; bitcode, without which fat LTO refuses std.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTFLAGS", "-Cembed-bitcode=yes")
            .args(["build", "--release", "--target", TARGET, "--target-dir", "target"])
            .arg("-Zbuild-std=std,panic_abort,panic_unwind"),
    )?;
    Ok(folder.join("target").join(TARGET).join("release/deps"))
}

/// Returns an LLVM linker: the active toolchain's, or else Debian's.
fn linker() -> Result<PathBuf> {
    let bundled = || -> Result<PathBuf> {
        let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let path = Path::new(&sysroot).join("lib/rustlib").join(host_of("rustc")?).join("bin/rust-lld");
        path.is_file().then_some(path).context("no rust-lld")
    };
    if let Ok(path) = bundled() {
        return Ok(path);
    }
    if which("lld").is_none() && tools::can_install() {
        say("installing lld: it links Wasm");
        tools::install(&["lld"])?;
    }
    which("lld").context("lld is missing, which links Wasm: install it")
}

fn host_of(rustc: &str) -> Result<String> {
    let version = output(Command::new(rustc).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.with_context(|| format!("`{rustc} -vV` names no host"))?.to_owned())
}

#[cfg(unix)]
fn link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> Result<()> {
    std::os::unix::fs::symlink(original, link).map_err(Into::into)
}

#[cfg(not(unix))]
fn link(_: impl AsRef<Path>, _: impl AsRef<Path>) -> Result<()> {
    bail!("{VARIABLE}=debian works on Debian only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_that_is_too_old_is_none() {
        assert!(!compiles("1.85.0+dfsg3-1~deb12u3"));
        assert!(!compiles("0.99.0"));
        assert!(!compiles(""));
        assert!(compiles(RUST_VERSION));
        assert!(compiles("1.100.0+dfsg1-1~deb12u2"));
        assert!(compiles("2.0.0"));
    }
}
