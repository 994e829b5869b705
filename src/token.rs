//! The command `fanfare token`.

use std::{path::PathBuf, time::Duration};

use ::token::{Algorithm, Claims, Keys, Role};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use crate::{Failure, args::data_dir};

/// Make keys, and tokens signed with them.
///
/// A token is a JWT that gives its bearer a role in a room until a time. An origin verifies it with the public keys;
/// the private keys can make any token.
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
        data: data_dir::DataDir,

        /// Algorithm of the keys
        #[arg(long, value_enum, default_value_t = Kind::Eddsa)]
        algorithm: Kind,
    },
    /// Print a token
    Mint {
        #[command(flatten)]
        data: data_dir::DataDir,

        /// Private keys, a JWKS file [default: keys.json in the data directory]
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,

        /// Room that the token is for, with all rooms below it; * for every room
        #[arg(long, value_name = "NAME")]
        room: String,

        /// Role of the bearer
        #[arg(long, value_enum, default_value_t = As::Creator)]
        role: As,

        /// Name of the bearer
        #[arg(long, value_name = "NAME", default_value = "creator")]
        name: String,

        /// Identity of the bearer, whatever their name: a text that stays the same, such as an account number [default:
        /// one for each name]
        #[arg(long, value_name = "TEXT")]
        id: Option<String>,

        /// Mark the bearer as a follower of the creator
        #[arg(long)]
        follower: bool,

        /// Hours for which the token is valid
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
    /// An edge, which passes its fans' acts on to the origin
    Edge,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Keys { data, algorithm } => {
            let dir = data.dir()?;
            let path = dir.join(data_dir::KEYS_FILE);
            if path.exists() {
                return Err(Failure::run(format!(
                    "{} exists already: move it away first; its tokens are not valid with new keys",
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
                None => data_dir::keys(&data.data)?.ok_or_else(|| {
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
