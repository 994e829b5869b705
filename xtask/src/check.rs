//! `cargo xtask check`: all checks of the code besides tests.

use std::process::Command;

use anyhow::{Result, bail};

use crate::licences;
use crate::process::{cargo, run, say, which};
use crate::words;
use crate::workspace::Workspace;

/// Check format, lints, documentation, words, licences and advisories
///
/// Words: each Rust file begins with its purpose, comments name their subject, and links in documents lead to files.
/// Licences and sources of dependencies are held against deny.toml. Advisories need a database
/// that cargo-deny or cargo-audit keeps: they are checked if one of the two is installed.
#[derive(clap::Args)]
pub(crate) struct Check {
    /// Apply what rustfmt and clippy can repair by themselves, then check
    #[arg(long)]
    fix: bool,
}

const CLIPPY: &[&str] = &["clippy", "--workspace", "--all-targets"];

impl Check {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let step = |arguments: &[&str]| cargo_at(workspace, arguments);
        if self.fix {
            let fix = [CLIPPY, &["--fix", "--allow-dirty", "--allow-staged"]].concat();
            run(&mut step(&fix))?;
            run(&mut step(&["fmt", "--all"]))?;
        }
        // Code for browsers is left out of other builds. It is checked for the host, in a target folder of its own.
        let mut browser = step(&["clippy", "--package", "fanfare-client", "--target-dir"]);
        browser.arg(workspace.target().join("browser-check")).args(["--", "-Dwarnings"]);
        browser.env("RUSTFLAGS", "--cfg=web_sys_unstable_apis");
        let mut docs = step(&["doc", "--workspace", "--no-deps"]);
        docs.env("RUSTDOCFLAGS", "-Dwarnings");

        let results = [
            ("format", run(&mut step(&["fmt", "--all", "--check"]))),
            ("lints", run(&mut step(&[CLIPPY, &["--", "-Dwarnings"]].concat()))),
            ("lints of browser code", run(&mut browser)),
            ("documentation", run(&mut docs)),
            ("words", words::check(workspace)),
            ("dependencies", dependencies(workspace)),
        ];
        let mut failed = Vec::new();
        for (name, result) in results {
            if let Err(error) = result {
                say(format!("{name}: {error:#}"));
                failed.push(name);
            }
        }
        if !failed.is_empty() {
            bail!("check failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

fn cargo_at(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = cargo();
    command.args(arguments).current_dir(workspace.root());
    command
}

/// Checks licences, sources, duplicates and advisories of all dependencies.
fn dependencies(workspace: &Workspace) -> Result<()> {
    if which("cargo-deny").is_some() {
        return run(&mut cargo_at(workspace, &["deny", "--workspace", "check"]));
    }
    licences::check(workspace)?;
    if which("cargo-audit").is_some() {
        return run(&mut cargo_at(workspace, &["audit"]));
    }
    say("advisories and yanked versions: NOT checked, for want of cargo-deny or cargo-audit");
    Ok(())
}
