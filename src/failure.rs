use std::{fmt, process::ExitCode};

/// Why a command ends before its time, in one line for people.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// What was asked for makes no sense.
    Usage,
    /// It did not work out.
    Run,
}

impl Failure {
    /// What was asked for makes no sense.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { kind: Kind::Usage, message: message.to_string() }
    }

    /// It did not work out.
    pub(crate) fn run(message: impl fmt::Display) -> Self {
        Self { kind: Kind::Run, message: message.to_string() }
    }

    /// Says so, and how the process is to end.
    pub(crate) fn report(self) -> ExitCode {
        // What a peer or a file said stays on the line.
        eprintln!("error: {}", self.message.replace(['\n', '\r'], " "));
        match self.kind {
            Kind::Run => ExitCode::from(1),
            Kind::Usage => ExitCode::from(2),
        }
    }
}
