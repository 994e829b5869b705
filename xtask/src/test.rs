//! `cargo xtask test`: every test.

use std::path::PathBuf;

use anyhow::Result;
use cargo_metadata::Package;

use crate::peers::{self, Weight};
use crate::process::{cargo, run, say, which};
use crate::tools::CHROMIUM;
use crate::wasm;
use crate::workspace::Workspace;

/// The package whose tests run programs besides our own.
const OUTSIDE: &str = "fanfare-tests";

/// Set for tests that may not start a browser.
pub(crate) const NO_BROWSER: &str = "FANFARE_NO_BROWSER";

/// Run the tests, after building or installing what they need
///
/// Uses cargo-nextest if it is installed. Documentation tests follow, unless there are extra
/// arguments. A tool that is missing and cannot be installed fails the tests that need it.
/// What takes long to build is left to `cargo xtask interop`.
#[derive(clap::Args)]
pub(crate) struct Test {
    /// Leave out the tests that need a browser (sets `FANFARE_NO_BROWSER=1` for them)
    #[arg(long)]
    no_browser: bool,

    /// Test only this package; may be repeated
    #[arg(short, long, value_name = "PACKAGE")]
    package: Vec<String>,

    /// Further arguments for `cargo nextest run` or `cargo test`, such as part of a test's name
    #[arg(last = true)]
    extra: Vec<String>,
}

impl Test {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        wasm::build_all(workspace)?;
        wasm::build_tested(workspace)?;
        let tools = if self.covers(OUTSIDE) { self.outside(workspace) } else { Vec::new() };

        let nextest = which("cargo-nextest").is_some();
        let mut tests = cargo();
        tests.args(if nextest { ["nextest", "run"] } else { ["test", "--no-fail-fast"] });
        if self.package.is_empty() {
            tests.arg("--workspace");
        }
        for package in &self.package {
            tests.args(["--package", package]);
        }
        if self.no_browser {
            tests.env(NO_BROWSER, "1");
        }
        run(tests.args(&self.extra).current_dir(workspace.root()).envs(tools))?;

        // `cargo test` has run them, and what narrows the tests need not mean anything to them.
        if !nextest || !self.extra.is_empty() {
            return Ok(());
        }
        self.run_doc_tests(workspace)
    }

    fn covers(&self, package: &str) -> bool {
        self.package.is_empty() || self.package.iter().any(|chosen| chosen == package)
    }

    /// Installs what tests run besides our own code. Variables that tell them where it is.
    fn outside(&self, workspace: &Workspace) -> Vec<(&'static str, PathBuf)> {
        let missing = |error| say(format!("{error:#}; the tests that need it will fail"));
        peers::install(workspace, Weight::Light).unwrap_or_else(missing);
        peers::install_workerd(workspace).unwrap_or_else(missing);
        if self.no_browser {
            return Vec::new();
        }
        peers::bundle_watch(workspace).unwrap_or_else(missing);
        let chromium = CHROMIUM.ensure().map_err(missing).ok();
        chromium.map(|path| (CHROMIUM.variable, path)).into_iter().collect()
    }

    /// The examples in the libraries' documentation, which nextest leaves out. Of the same
    /// packages as the tests: with others, features differ, and all is built once more.
    fn run_doc_tests(&self, workspace: &Workspace) -> Result<()> {
        let documented = |package: &&Package| {
            self.covers(&package.name)
                && package.targets.iter().any(|target| target.doctest && target.is_lib())
        };
        if !workspace.packages().any(|package| documented(&package)) {
            return Ok(());
        }
        let mut tests = cargo();
        tests.args(["test", "--doc"]);
        if self.package.is_empty() {
            tests.arg("--workspace");
        }
        for package in workspace.packages().filter(documented).filter(|_| !self.package.is_empty()) {
            tests.args(["--package", &package.name]);
        }
        run(tests.current_dir(workspace.root()))
    }
}
