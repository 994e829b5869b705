//! The command `fanfare token keys`.

use std::path::Path;

use ::token::{Algorithm, EdgeNumber, Keys, Scope};
use clap::{Args as ClapArgs, ValueEnum};

use crate::{
    Failure,
    args::{data_dir, keys, worker},
};

/// Make keys: those of the house, or those of an edge
///
/// The house's keys (keys.json, keys.public.json) sign for creators, moderators and fans with a name. An edge's keys
/// (edge.json and strangers.json in keys.d) sign for that edge and its anonymous fans, and for nobody else.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    data: data_dir::DataDir,

    /// Algorithm of the keys
    #[arg(long, value_enum, default_value_t = Curve::Eddsa)]
    algorithm: Curve,

    /// Holder of the keys
    #[arg(long, value_enum, default_value_t = Kind::House)]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Curve {
    /// Ed25519
    Eddsa,
    /// ECDSA on P-256
    Es256,
}

impl From<Curve> for Algorithm {
    fn from(curve: Curve) -> Self {
        match curve {
            Curve::Eddsa => Self::EdDSA,
            Curve::Es256 => Self::ES256,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// The operator: may sign every token
    House,
    /// The edge with this data directory: its own token, and those of its anonymous fans
    Edge,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let dir = args.data.dir()?;
    match args.kind {
        Kind::House => of_house(&dir, args.algorithm.into()),
        Kind::Edge => of_edge(&dir, args.algorithm.into()),
    }
}

fn of_house(dir: &Path, algorithm: Algorithm) -> Result<(), Failure> {
    let (private, public) = (dir.join(keys::KEYS_FILE), dir.join("keys.public.json"));
    let house = Keys::generate(algorithm).map_err(Failure::run)?;
    save(&house, &private)?;
    house.save_public(&public).map_err(Failure::run)?;
    eprintln!("private keys: {}\npublic keys:  {}", private.display(), public.display());
    Ok(())
}

fn of_edge(dir: &Path, algorithm: Algorithm) -> Result<(), Failure> {
    let folder = keys::folder(dir)?;
    let edge = worker::edge_id(dir)?;
    let make = |scope| Keys::generate_scoped(algorithm, scope).map_err(Failure::run);
    let (own, strangers) = (make(Scope::edge(edge))?, make(Scope::strangers(edge))?);
    let public = dir.join(format!("edge-{}.public.json", EdgeNumber(edge)));
    save(&own, &folder.join("edge.json"))?;
    save(&strangers, &folder.join("strangers.json"))?;
    own.and(&strangers).save_public(&public).map_err(Failure::run)?;
    eprintln!("private keys: {}", folder.display());
    eprintln!("public keys:  {}", public.display());
    eprintln!(
        "copy the public keys into keys.d of the origin, and keys.public.json of the house into keys.d here"
    );
    Ok(())
}

fn save(keys: &Keys, path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Err(Failure::run(format!(
            "{} exists already: move it away first; its tokens are not valid with new keys",
            path.display()
        )));
    }
    keys.save_private(path).map_err(Failure::run)
}
