//! The `fanfare` command: one file or folder here for each of its commands.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand, error::ErrorKind};

mod args;
mod chat;
mod edge;
mod export;
mod failure;
mod forget;
mod line;
mod log;
mod origin;
mod publish;
mod restream;
mod signal;
mod token;
mod trust;
mod up;

use failure::Failure;

/// A live stage at the edge: Media over QUIC in, a browser tab out.
///
/// A creator publishes over Media over QUIC Transport (draft 18); fans watch in a browser.
#[derive(Debug, Parser)]
#[command(name = "fanfare", version, propagate_version = true)]
struct Cli {
    /// Log levels for the standard error: error, warn, info, debug, trace or off, also per module, as in
    /// info,node=debug; by default, the log of moq_transport is off, because it reports a peer that leaves as an error
    #[arg(
        long,
        value_name = "LEVEL",
        env = "FANFARE_LOG",
        global = true,
        default_value = "warn,moq_transport=off"
    )]
    log: log::Levels,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Args),
    Publish(publish::Args),
    Restream(restream::Args),
    Chat(chat::Args),
    Origin(origin::Args),
    Edge(edge::Args),
    Token(token::Args),
    Export(export::Args),
    Forget(forget::Args),
}

/// Without a command, clap prints the help.
const NO_COMMAND: ErrorKind = ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;

fn main() -> ExitCode {
    let Cli { log, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are not errors.
        Err(error) if !error.use_stderr() || error.kind() == NO_COMMAND => error.exit(),
        Err(error) => return Failure::from(error).report(),
    };
    log::start(log);
    let outcome = match command {
        Command::Up(args) => up::run(args),
        Command::Publish(args) => publish::run(args),
        Command::Restream(args) => restream::run(args),
        Command::Chat(args) => chat::run(args),
        Command::Origin(args) => origin::run(args),
        Command::Edge(args) => edge::run(args),
        Command::Token(args) => token::run(args),
        Command::Export(args) => export::run(args),
        Command::Forget(args) => forget::run(args),
    };
    outcome.map_or_else(Failure::report, |()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_makes_sense() {
        super::Cli::command().debug_assert();
    }
}
