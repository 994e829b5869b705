//! The error of a command: one line on the standard error, and an exit code.

use std::{fmt, process::ExitCode};

/// The reason why a command failed, in one line for people.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The command line is invalid.
    Usage,
    /// The command line is valid, but running it failed.
    Run,
}

impl Failure {
    /// Creates a failure of the command line, with exit code 2.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { kind: Kind::Usage, message: message.to_string() }
    }

    /// Creates a failure of the run, with exit code 1.
    pub(crate) fn run(message: impl fmt::Display) -> Self {
        Self { kind: Kind::Run, message: message.to_string() }
    }

    /// Prints the failure and returns the exit code.
    pub(crate) fn report(self) -> ExitCode {
        // Text from a peer or a file must stay on one line and must not move the cursor.
        let line: String = self.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        eprintln!("error: {line}");
        match self.kind {
            Kind::Run => ExitCode::from(1),
            Kind::Usage => ExitCode::from(2),
        }
    }
}

impl From<clap::Error> for Failure {
    /// Takes clap's error without the usage, which --help prints.
    fn from(error: clap::Error) -> Self {
        let text = error.to_string();
        let what = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
        let what = what.collect::<Vec<_>>().join(" ");
        let what = what.strip_prefix("error: ").unwrap_or(&what);
        Self::usage(format!("{what}; see --help"))
    }
}
