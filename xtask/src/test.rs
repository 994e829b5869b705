//! `cargo xtask test`: all tests, and the programs that they need.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::{Package, Target};

use crate::peers::{self, Weight};
use crate::phases::Phases;
use crate::process::{cargo, run, say, which};
use crate::spin::Spinner;
use crate::tools::CHROMIUM;
use crate::wasm;
use crate::workspace::Workspace;

/// The package whose tests run programs besides our own.
const OUTSIDE: &str = "fanfare-tests";

/// The test binaries of that package that need a browser.
const BROWSER: [&str; 2] = ["browser", "interop_browser"];

/// Arguments that `cargo nextest run` refuses beside `--no-run`.
const RUN_ONLY: [&str; 5] = ["--fail-fast", "--ff", "--no-fail-fast", "--nff", "--max-fail"];

/// Run the tests, after building or installing what they need
///
/// Uses cargo-nextest if it is installed. Documentation tests follow, unless there are extra
/// arguments or `--busy`. A tool that is missing and cannot be installed fails the tests that
/// need it. What takes long to build is left to `cargo xtask interop`. The seconds of each phase
/// are printed at the end.
#[derive(clap::Args)]
pub(crate) struct Test {
    /// Leave out the test binaries that need a browser
    #[arg(long)]
    no_browser: bool,

    /// Run the tests this many times while a child process keeps every core busy; the first run
    /// that fails is the last
    #[arg(long, value_name = "RUNS")]
    busy: Option<NonZeroU32>,

    /// Test only this package; may be repeated
    #[arg(short, long, value_name = "PACKAGE")]
    package: Vec<String>,

    /// Further arguments for `cargo nextest run` or `cargo test`, such as part of a test's name
    #[arg(last = true)]
    extra: Vec<String>,
}

/// The program that runs the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runner {
    Nextest,
    Cargo,
}

impl Test {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let runner = if which("cargo-nextest").is_some() { Runner::Nextest } else { Runner::Cargo };
        let selection = self.selection(workspace, runner)?;
        let spinner = Spinner::find()?;

        let phases = Phases::default();
        let tests = |more: &[&str], extra: &mut dyn Iterator<Item = &String>| {
            let mut tests = runner.command();
            tests.args(&selection).args(more).args(extra).current_dir(workspace.root());
            tests
        };
        // What ships as Wasm is optimised as a whole, on one core. The tests are built on the other meanwhile.
        let (prepared, built) = thread::scope(|scope| {
            let prepared = scope.spawn(|| self.prepare(workspace, &phases));
            let mut build = self.extra.iter().filter(|argument| !is_run_only(argument));
            let built = phases.time("build of the tests", || run(&mut tests(&["--no-run"], &mut build)));
            (prepared.join(), built)
        });
        let tools = prepared.map_err(|_| anyhow!("a panic while the Wasm was built"))??;
        built?;
        let once = || run(tests(&[], &mut self.extra.iter()).envs(tools.iter().cloned()));
        let Some(runs) = self.busy else {
            phases.time("tests", once)?;
            // `cargo test` has run them already, and further arguments may not apply to them.
            if self.extra.is_empty() && (runner == Runner::Nextest || self.leaves_out(workspace)) {
                phases.time("documentation tests", || self.run_doc_tests(workspace))?;
            }
            return Ok(());
        };
        for at in 1..=runs.get() {
            let name = format!("run {at} of {runs}, with every core busy");
            say(&name);
            phases.time(&name, || spinner.during(once)).with_context(|| format!("{name}, failed"))?;
        }
        Ok(())
    }

    /// Builds and installs what the tests run, while they are built. Variables that tell them where it is.
    fn prepare(&self, workspace: &Workspace, phases: &Phases) -> Result<Vec<(&'static str, PathBuf)>> {
        phases.time("Wasm artefacts", || {
            wasm::build_all(workspace)?;
            wasm::build_tested(workspace)
        })?;
        if !self.covers(OUTSIDE) {
            return Ok(Vec::new());
        }
        phases.time("programs of other people", || Ok(self.outside(workspace)))
    }

    fn covers(&self, package: &str) -> bool {
        self.package.is_empty() || self.package.iter().any(|chosen| chosen == package)
    }

    /// Returns the arguments that choose packages and, without a browser, test binaries.
    fn selection(&self, workspace: &Workspace, runner: Runner) -> Result<Vec<String>> {
        let mut selection = Vec::new();
        if self.package.is_empty() {
            selection.push("--workspace".to_owned());
        }
        for package in &self.package {
            selection.extend(["--package".to_owned(), package.clone()]);
        }
        if !self.leaves_out(workspace) {
            return Ok(selection);
        }
        let names = BROWSER.join(", ");
        say(format!("left out, for they need a browser: {} test binaries ({names})", BROWSER.len()));
        match runner {
            // With several filters, the runner takes tests that match any of them.
            Runner::Nextest if self.extra.iter().any(|argument| is_filter(argument)) => {
                bail!("--no-browser is a filter itself: add `{}` to yours instead", without_browser());
            }
            Runner::Nextest => selection.extend(["-E".to_owned(), without_browser()]),
            Runner::Cargo => selection.extend(targets_without_browser(self.targets(workspace))),
        }
        Ok(selection)
    }

    /// Returns whether `--no-browser` leaves out tests of the chosen packages.
    fn leaves_out(&self, workspace: &Workspace) -> bool {
        self.no_browser && self.targets(workspace).any(needs_browser)
    }

    /// Returns the targets that are tested.
    fn targets<'a>(&'a self, workspace: &'a Workspace) -> impl Iterator<Item = &'a Target> {
        let packages = workspace.packages().filter(move |package| self.covers(&package.name));
        packages.flat_map(|package| &package.targets).filter(|target| target.test)
    }

    /// Installs the programs that tests run besides our own. Returns the variables with their paths.
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

    /// Runs the examples in the libraries' documentation, which nextest leaves out. It takes the same
    /// packages as the tests: with others, features differ, and everything is built again.
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

impl Runner {
    fn command(self) -> Command {
        let mut command = cargo();
        command.args(match self {
            Self::Nextest => ["nextest", "run"],
            Self::Cargo => ["test", "--no-fail-fast"],
        });
        command
    }
}

fn needs_browser(target: &Target) -> bool {
    target.is_test() && BROWSER.contains(&target.name.as_str())
}

/// Returns nextest's filter for all tests but those in binaries that need a browser.
fn without_browser() -> String {
    let binaries = BROWSER.map(|name| format!("binary(={name})"));
    format!("not ({})", binaries.join(" | "))
}

/// Returns the same for `cargo test`, which can only name targets to run, in its arguments.
fn targets_without_browser<'a>(targets: impl Iterator<Item = &'a Target>) -> Vec<String> {
    // A set: two packages may have a test of the same name.
    let mut arguments = BTreeSet::from(["--bins".to_owned(), "--examples".to_owned()]);
    for target in targets.filter(|target| !needs_browser(target)) {
        if target.is_test() {
            arguments.insert(format!("--test={}", target.name));
        } else if !target.is_bin() && !target.is_example() && !target.is_bench() {
            arguments.insert("--lib".to_owned());
        }
    }
    arguments.into_iter().collect()
}

fn is_filter(argument: &str) -> bool {
    ["-E", "--filterset", "--filter-expr"].iter().any(|filter| argument.starts_with(filter))
}

fn is_run_only(argument: &str) -> bool {
    RUN_ONLY.contains(&argument.split('=').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn test(arguments: &[&str]) -> Test {
        use clap::Parser;

        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            test: Test,
        }
        Line::parse_from([&["test"][..], arguments].concat()).test
    }

    /// Returns the text of a test binary's source files.
    fn sources(main: &Path) -> String {
        let folder = main.parent().unwrap();
        let files: Vec<PathBuf> = if main.ends_with("main.rs") {
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
        } else {
            vec![main.to_owned()]
        };
        files
            .into_iter()
            .filter(|file| file.extension().is_some_and(|kind| kind == "rs"))
            .map(|file| fs::read_to_string(file).unwrap())
            .collect()
    }

    #[test]
    fn each_test_binary_that_starts_a_browser_is_known() {
        let workspace = Workspace::load().unwrap();
        let targets = workspace.packages().flat_map(|package| &package.targets);
        let browser = targets.filter(|target| target.is_test()).filter(|target| {
            let sources = sources(target.src_path.as_std_path());
            sources.contains("Browser::start(")
        });
        let browser: BTreeSet<&str> = browser.map(|target| target.name.as_str()).collect();
        assert_eq!(browser, BTreeSet::from(BROWSER));
    }

    #[test]
    fn without_a_browser_nextest_gets_one_filter() {
        let workspace = Workspace::load().unwrap();
        let selection = |arguments: &[&str]| test(arguments).selection(&workspace, Runner::Nextest);
        let all = selection(&["--no-browser"]).unwrap();
        assert_eq!(all, ["--workspace", "-E", "not (binary(=browser) | binary(=interop_browser))"]);
        let one = selection(&["--no-browser", "-p", "fanfare-moqt"]).unwrap();
        assert_eq!(one, ["--package", "fanfare-moqt"], "that package has no such binary");
        assert_eq!(selection(&[]).unwrap(), ["--workspace"]);
        let error = selection(&["--no-browser", "--", "-E", "test(x)"]).unwrap_err().to_string();
        assert!(error.contains("binary(=browser)"), "{error}");
    }

    #[test]
    fn without_a_browser_cargo_gets_the_other_targets() {
        let workspace = Workspace::load().unwrap();
        let selection = test(&["--no-browser"]).selection(&workspace, Runner::Cargo).unwrap();
        for wanted in ["--lib", "--bins", "--test=stack", "--test=interop", "--test=words"] {
            assert!(selection.iter().any(|argument| argument == wanted), "no {wanted} in {selection:?}");
        }
        for left_out in ["--test=browser", "--test=interop_browser", "--test=load"] {
            assert!(!selection.iter().any(|argument| argument == left_out), "{selection:?}");
        }
    }

    #[test]
    fn a_build_takes_no_argument_of_a_run() {
        for argument in ["--fail-fast", "--max-fail=3", "--nff"] {
            assert!(is_run_only(argument), "{argument}");
        }
        for argument in ["--test", "chaos", "--retries=2"] {
            assert!(!is_run_only(argument), "{argument}");
        }
    }
}
