//! The `fanfare` command: one file or folder here for each of its commands.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod failure;
mod publish;

use failure::Failure;

/// A live stage at the edge: Media over QUIC in, a browser tab out.
///
/// A creator publishes over Media over QUIC Transport (draft 18); fans watch in a browser.
#[derive(Debug, Parser)]
#[command(name = "fanfare", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Publish(publish::Args),
}

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let outcome = match command {
        Command::Publish(args) => publish::run(args),
    };
    outcome.map_or_else(Failure::report, |()| ExitCode::SUCCESS)
}
