//! `cargo xtask up`: the whole thing, running.

use std::process::Command;

use anyhow::Result;

use crate::process::cargo;
use crate::wasm;
use crate::workspace::Workspace;

/// Build everything and run `fanfare up`
#[derive(clap::Args)]
pub(crate) struct Up {
    /// Arguments for `fanfare up`; `cargo xtask up -- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

impl Up {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        wasm::build_all(workspace)?;
        let mut fanfare = cargo();
        fanfare
            .args(["run", "--package", "fanfare", "--manifest-path"])
            .arg(workspace.manifest())
            .args(["--", "up"])
            .args(self.arguments)
            .env("FANFARE_PAGES", workspace.root().join("www"))
            .env("FANFARE_CLIENT", workspace.target().join("wasm-out/fanfare-client"))
            .env("FANFARE_WORKER", workspace.target().join("wasm-out/room/room.wasm"));
        become_it(&mut fanfare)
    }
}

/// Signals and the exit code are the child's own: this process turns into cargo, and cargo into
/// the program.
#[cfg(unix)]
fn become_it(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn become_it(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    std::process::exit(status.code().unwrap_or(1))
}
