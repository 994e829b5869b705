//! `fanfare token`.

use std::{path::PathBuf, time::Duration};

use ::token::{Algorithm, Claims, Keys, Role};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use crate::{Failure, data};

/// Make keys, and tokens signed with them.
///
/// A token is a JWT that says who may do what in which room, and until when. An origin verifies it
/// with the public keys; whoever has the private ones can make any.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a pair of keys: keys.json and, for origins that need not sign, keys.public.json
    Keys {
        #[command(flatten)]
        data: data::Data,

        /// The kind of keys
        #[arg(long, value_enum, default_value_t = Kind::Eddsa)]
        algorithm: Kind,
    },
    /// Print a token
    Mint {
        #[command(flatten)]
        data: data::Data,

        /// The private keys [default: keys.json in the data directory]
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,

        /// The room the token is for, and all below it; * for every room
        #[arg(long, value_name = "NAME")]
        room: String,

        /// What its bearer may do
        #[arg(long, value_enum, default_value_t = As::Creator)]
        role: As,

        /// What its bearer is called
        #[arg(long, value_name = "NAME", default_value = "creator")]
        name: String,

        /// Which fan its bearer is, whatever they are called: a text that stays theirs, as an account's
        /// number [default: one for each name]
        #[arg(long, value_name = "TEXT")]
        id: Option<String>,

        /// Its bearer follows the creator
        #[arg(long)]
        follower: bool,

        /// For how many hours it is good
        #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=87_600))]
        hours: u64,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Ed25519
    Eddsa,
    /// ECDSA on P-256
    Es256,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum As {
    Creator,
    Moderator,
    Fan,
    /// An edge of the house, that hands the origin what fans do
    Edge,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Keys { data, algorithm } => {
            let dir = data.dir()?;
            let path = dir.join(data::KEYS_FILE);
            if path.exists() {
                return Err(Failure::run(format!(
                    "{} is there already: move it away first, tokens made with it die with it",
                    path.display()
                )));
            }
            let keys = make(algorithm)?;
            keys.save_private(&path).map_err(Failure::run)?;
            let public = dir.join("keys.public.json");
            keys.save_public(&public).map_err(Failure::run)?;
            eprintln!("private keys: {}\npublic keys:  {}", path.display(), public.display());
            Ok(())
        }
        Command::Mint { data, keys, room, role, name, id, follower, hours } => {
            let keys = match keys {
                Some(path) => Keys::load(&path).map_err(Failure::run)?,
                None => data::keys(&data.data)?.ok_or_else(|| {
                    let dir = data.data.display();
                    Failure::run(format!(
                        "no keys in {dir}: make some with `fanfare token keys --data {dir}`"
                    ))
                })?,
            };
            let role = match role {
                As::Creator => Role::Creator,
                As::Moderator => Role::Moderator,
                As::Fan => Role::Fan,
                As::Edge => Role::Edge,
            };
            let claims = Claims::new(&room, role, &name, Duration::from_hours(hours));
            let claims = Claims { sub: id, follower, ..claims };
            println!("{}", keys.mint(&claims).map_err(Failure::run)?);
            Ok(())
        }
    }
}

fn make(kind: Kind) -> Result<Keys, Failure> {
    let algorithm = match kind {
        Kind::Eddsa => Algorithm::EdDSA,
        Kind::Es256 => Algorithm::ES256,
    };
    Keys::generate(algorithm).map_err(Failure::run)
}
