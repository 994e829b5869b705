//! `cargo xtask up`: everything built, and `fanfare up` running.

use std::process::Command;

use anyhow::Result;

use crate::cloudflare::Platform;
use crate::process::cargo;
use crate::wasm;
use crate::workspace::Workspace;

/// Build everything and run `fanfare up`
#[derive(clap::Args)]
pub(crate) struct Up {
    /// Have the rooms in workerd, which is Cloudflare's platform, on this port of this machine
    #[arg(
        long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "8787",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    cloudflare: Option<u16>,

    /// Arguments for `fanfare up`; `cargo xtask up -- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

impl Up {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let platform = self.cloudflare.map(|port| Platform::prepare(workspace, port)).transpose()?;
        wasm::build_all(workspace)?;
        let mut fanfare = cargo();
        fanfare.args(["run", "--package", "fanfare", "--manifest-path"]).arg(workspace.manifest()).arg("--");
        let mut fanfare = up(fanfare, workspace);
        fanfare.args(self.arguments);
        match platform {
            Some(platform) => platform.up(fanfare),
            None => become_it(&mut fanfare),
        }
    }
}

/// Returns the command `fanfare up`, with the paths of everything that was built.
pub(crate) fn up(mut fanfare: Command, workspace: &Workspace) -> Command {
    fanfare
        .arg("up")
        .env("FANFARE_PAGES", workspace.root().join("www"))
        .env("FANFARE_CLIENT", workspace.target().join("wasm-out/fanfare-client"))
        .env("FANFARE_WORKER", workspace.target().join("wasm-out/room/room.wasm"));
    fanfare
}

/// Replaces this process by cargo, and cargo by the program, so that signals and the exit code are
/// the program's own.
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
