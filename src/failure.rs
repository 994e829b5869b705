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
        // What a peer or a file said stays on the line, and moves no cursor.
        let line: String = self.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        eprintln!("error: {line}");
        match self.kind {
            Kind::Run => ExitCode::from(1),
            Kind::Usage => ExitCode::from(2),
        }
    }
}

impl From<clap::Error> for Failure {
    /// What was wrong with the command line, without the usage that --help prints.
    fn from(error: clap::Error) -> Self {
        let text = error.to_string();
        let what = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
        let what = what.collect::<Vec<_>>().join(" ");
        let what = what.strip_prefix("error: ").unwrap_or(&what);
        Self::usage(format!("{what}; see --help"))
    }
}
