//! MoQ programs of other projects, for tests against ours. They are built into the target folder:
//! nothing of them is shipped.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{cargo, output, run, say};
use crate::tools::Tool;
use crate::workspace::Workspace;

/// The cost of a program, which decides the commands that install it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// A program that every run of the tests installs.
    Light,
    /// A program that takes minutes to build: only `cargo xtask interop` installs it.
    Heavy,
}

/// A program from the crate registry.
struct Program {
    package: &'static str,
    version: &'static str,
    executable: &'static str,
    /// The cargo features; `None` for the default ones.
    features: Option<&'static str>,
    weight: Weight,
    why: &'static str,
}

const PROGRAMS: &[Program] = &[
    Program {
        package: "moq-test-client",
        version: "0.2.0",
        executable: "moq-test-client",
        features: None,
        weight: Weight::Light,
        why: "tries what a relay must do",
    },
    Program {
        package: "moq-pub",
        version: "0.10.0",
        executable: "moq-pub",
        features: None,
        weight: Weight::Light,
        why: "publishes a pipe",
    },
    Program {
        package: "moq-sub",
        version: "0.5.0",
        executable: "moq-sub",
        features: None,
        weight: Weight::Light,
        why: "plays into a pipe",
    },
    // Three minutes of a processor, on top of what it has in common with those above.
    Program {
        package: "moq-relay-ietf",
        version: "0.8.0",
        executable: "moq-relay-ietf",
        features: None,
        weight: Weight::Heavy,
        why: "relays what is restreamed",
    },
    // 0.17.10, for one, has a lock file that names what cannot be had any more. Without peer-to-peer transports and Unix
    // sockets, which it has by default.
    Program {
        package: "moq-relay",
        version: "0.14.12",
        executable: "moq-relay",
        features: Some("quinn,websocket"),
        weight: Weight::Heavy,
        why: "relays what is restreamed, in moq-dev's way",
    },
    // The newest whose lock file names only what can still be had. Without graphics cards and
    // peer-to-peer transports, which it has by default.
    Program {
        package: "moq-cli",
        version: "0.14.8",
        executable: "moq",
        features: Some("noq,websocket"),
        weight: Weight::Heavy,
        why: "publishes a pipe and plays into one, with catalogs of its own",
    },
];

const NPM: Tool =
    Tool { program: "npm", variable: "NPM", why: "fetches other people's players and platforms" };

/// The oldest major version of Node.js that wrangler runs on.
const OLDEST_NODE: u32 = 20;

/// Installs the programs up to that weight that are missing.
pub(crate) fn install(workspace: &Workspace, weight: Weight) -> Result<()> {
    for program in PROGRAMS.iter().filter(|program| program.weight <= weight) {
        let Program { package, version, why, .. } = program;
        program
            .install(&workspace.target().join("peers"))
            .with_context(|| format!("cannot install {package} {version}, which {why}"))?;
    }
    Ok(())
}

impl Program {
    fn install(&self, root: &Path) -> Result<()> {
        let Self { package, version, executable, features, why, .. } = self;
        if self.is_installed(root) {
            return Ok(());
        }
        say(format!("building {package} {version}, which {why}"));
        let mut install = cargo();
        install
            .args(["install", "--locked", "--debug", package, "--version", version, "--bin", executable])
            .arg("--root")
            .arg(root)
            // One target folder, so that shared dependencies are built once, and without debug information.
            .env("CARGO_TARGET_DIR", root.join("build"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_INCREMENTAL", "0");
        if let Some(features) = features {
            install.args(["--no-default-features", "--features", features]);
        }
        run(&mut install)
    }

    /// Returns whether this exact version is installed, by cargo's own record.
    fn is_installed(&self, root: &Path) -> bool {
        let Self { package, version, executable, .. } = self;
        let known = fs::read(root.join(".crates2.json")).unwrap_or_default();
        let known: Value = serde_json::from_slice(&known).unwrap_or_default();
        let name = format!("{package} {version} (");
        let installed = known["installs"].as_object();
        installed.is_some_and(|installed| installed.keys().any(|key| key.starts_with(&name)))
            && root.join("bin").join(executable).with_extension(std::env::consts::EXE_EXTENSION).is_file()
    }
}

/// Bundles `@moq/watch` into `target/peers/watch`, for a page to import.
pub(crate) fn bundle_watch(workspace: &Workspace) -> Result<()> {
    let packages = Packages {
        sources: "tests/peers",
        files: &["package.json", "package-lock.json", "watch.js", "bundle.mjs"],
        to: "npm",
        why: "bundling @moq/watch, which plays in a browser",
    };
    let out = workspace.target().join("peers/watch");
    packages.install(workspace, &out, |modules| {
        // npm comes with node.
        output(Command::new("node").current_dir(modules).arg("bundle.mjs").arg(&out)).map(drop)
    })
}

/// Installs workerd, the script that starts it, and wrangler into `target/peers/cloudflare`.
pub(crate) fn install_workerd(workspace: &Workspace) -> Result<()> {
    let packages = Packages {
        sources: "tests/cloudflare",
        files: &["package.json", "package-lock.json", "serve.mjs"],
        to: "cloudflare",
        why: "installing workerd, on which the rooms on Cloudflare run, and wrangler, which deploys them",
    };
    NPM.ensure()?;
    let version = output(Command::new("node").arg("--version"))?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < OLDEST_NODE) {
        bail!("node {version} is too old for wrangler: install {OLDEST_NODE} or newer");
    }
    packages.install(workspace, &workspace.target().join("peers/cloudflare"), |_| Ok(()))
}

/// A set of npm packages, and the files that are made from them.
struct Packages {
    /// A folder of the repository, and the files of it that are used.
    sources: &'static str,
    files: &'static [&'static str],
    /// The folder of the packages, under `target/peers`.
    to: &'static str,
    why: &'static str,
}

impl Packages {
    /// Installs the packages of the lock file and makes the files in `out` from them, unless both are up to date.
    fn install(
        &self,
        workspace: &Workspace,
        out: &Path,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        const MADE_FROM: &str = "made-from";
        let Self { sources: from, files, to, why } = self;
        let modules = workspace.target().join("peers").join(to);
        let sources = files.iter().map(|name| fs::read(workspace.root().join(from).join(name)));
        let sources =
            sources.collect::<Result<Vec<_>, _>>().with_context(|| format!("cannot read {from}"))?;
        let made_from = sources.concat();
        if fs::read(out.join(MADE_FROM)).is_ok_and(|known| known == made_from) {
            return Ok(());
        }
        say(*why);
        let npm = NPM.ensure()?;
        fs::create_dir_all(&modules)?;
        fs::create_dir_all(out)?;
        for (name, source) in files.iter().zip(&sources) {
            fs::write(modules.join(name), source)?;
        }
        output(Command::new(npm).current_dir(&modules).args([
            "ci",
            // Install scripts of packages do not run.
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ]))?;
        make(&modules)?;
        fs::write(out.join(MADE_FROM), made_from)?;
        Ok(())
    }
}
