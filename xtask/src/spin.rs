//! A child process that keeps every core busy: `cargo xtask test --busy` runs the tests beside it.

use std::io::{copy, sink, stdin};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// The longest that one child spins: much longer than any run of the tests.
const LONGEST: Duration = Duration::from_hours(2);

/// Keep every core busy until the standard input closes
#[derive(clap::Args)]
pub(crate) struct Spin {
    /// End after this long, even if the input is still open
    #[arg(long)]
    seconds: u64,
}

impl Spin {
    pub(crate) fn run(self) -> Result<()> {
        for _ in 0..thread::available_parallelism()?.get() {
            thread::spawn(|| {
                loop {
                    std::hint::spin_loop();
                }
            });
        }
        let (open, closed) = mpsc::channel::<()>();
        thread::spawn(move || {
            // An input that cannot be read counts as closed.
            let _ = copy(&mut stdin(), &mut sink());
            drop(open);
        });
        // The process ends with this thread, and the spinning threads with the process.
        let _ = closed.recv_timeout(Duration::from_secs(self.seconds));
        Ok(())
    }
}

/// The program that spins: this one.
pub(crate) struct Spinner(PathBuf);

impl Spinner {
    /// Notes the path of this program. A later build may replace the file, and its path stays valid.
    pub(crate) fn find() -> Result<Self> {
        std::env::current_exe().map(Self).context("cannot find the path of this program")
    }

    /// Runs `load` while a child keeps every core busy.
    pub(crate) fn during(&self, load: impl FnOnce() -> Result<()>) -> Result<()> {
        // The kernel closes the child's input when this process ends, however that happens: the child ends then.
        let mut child = Command::new(&self.0)
            .args(["spin", "--seconds", &LONGEST.as_secs().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", self.0.display()))?;
        let result = load();
        let ended = end(&mut child);
        result.and(ended)
    }
}

/// Ends the child. It is an error if the child ended by itself: the cores were not busy all the time.
fn end(child: &mut Child) -> Result<()> {
    let early = child.try_wait()?;
    drop(child.stdin.take());
    child.wait()?;
    if let Some(status) = early {
        bail!("the child that keeps the cores busy ended before the tests did: {status}");
    }
    Ok(())
}
