//! `cargo xtask interop`: MoQ programs of other projects against ours.

use anyhow::Result;

use crate::peers::{self, Weight};
use crate::process::{cargo, run, say, which};
use crate::tools::CHROMIUM;
use crate::wasm;
use crate::workspace::Workspace;

/// Run the programs of other people that speak MoQ against ours
///
/// Builds them first, at fixed versions, into target/peers: `moq-test-client`, `moq-pub`, `moq-sub` and
/// `moq-relay-ietf` of moq-rs, and `moq`, `moq-relay` and `@moq/watch` of moq-dev. `cargo xtask test` runs the same
/// tests, less those that need `moq` or a relay.
#[derive(clap::Args)]
pub(crate) struct Interop {
    /// Build what is missing, and run nothing
    #[arg(long)]
    install: bool,

    /// Leave out the test binary that needs a browser
    #[arg(long)]
    no_browser: bool,

    /// Further arguments for `cargo nextest run` or the tests, such as part of a test's name
    #[arg(last = true)]
    extra: Vec<String>,
}

impl Interop {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        peers::install(workspace, Weight::Heavy)?;
        let mut tests = cargo();
        if !self.no_browser {
            peers::bundle_watch(workspace)?;
            tests.env(CHROMIUM.variable, CHROMIUM.ensure()?);
        }
        if self.install {
            return Ok(());
        }
        // Our browser player takes part too.
        wasm::build_all(workspace)?;
        let nextest = which("cargo-nextest").is_some();
        tests.args(if nextest { &["nextest", "run"][..] } else { &["test"] });
        // Of the whole workspace, as the tests are built: with other features, all is built once more.
        tests.args(["--workspace", "--test", "interop"]);
        if self.no_browser {
            say("left out, for it needs a browser: 1 test binary (interop_browser)");
        } else {
            tests.args(["--test", "interop_browser"]);
        }
        tests.args(if nextest {
            &["--run-ignored", "all"][..]
        } else {
            &["--", "--include-ignored", "--test-threads=1"]
        });
        run(tests.args(self.extra).current_dir(workspace.root()))
    }
}
