//! The command `fanfare token`.

use clap::{Args as ClapArgs, Subcommand};

mod keys;
mod list;
mod mint;
mod revoke;
#[cfg(test)]
mod tests;

use crate::Failure;

const EXAMPLES: &str = "\
Examples:
  Keys of the house, and a creator's token:
    fanfare token keys
    fanfare token mint --room my-show --name ada

  An operator's token, for the archive on the admin side of the origin:
    fanfare token mint --room '*' --role operator --name grace

  Keys of an edge, made on its machine; copy the public file into keys.d of the origin:
    fanfare token keys --kind edge --data edge-data

  A token has leaked, or an edge was captured:
    fanfare token revoke --token JWT
    fanfare token revoke --edge 00c0ffee00c0ffee";

/// Make keys, and tokens signed with them; revoke tokens.
///
/// A token is a JWT that gives its bearer a role in a room until a time. An origin verifies it with the public keys;
/// a private key can make every token that its scope allows.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Keys(keys::Args),
    Mint(mint::Args),
    Revoke(revoke::Args),
    List(list::Args),
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Keys(args) => keys::run(args),
        Command::Mint(args) => mint::run(args),
        Command::Revoke(args) => revoke::run(args),
        Command::List(args) => list::run(&args),
    }
}
