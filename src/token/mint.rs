//! The command `fanfare token mint`.

use std::{path::PathBuf, time::Duration};

use ::token::{Claims, EdgeNumber, Role};
use clap::{Args as ClapArgs, ValueEnum};

use crate::{
    Failure,
    args::{data_dir, keys},
};

/// Print a token
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    data: data_dir::DataDir,

    /// Private keys, a JWKS file or a folder of such files [default: keys.json and keys.d in the data directory]
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

    /// Identity of the bearer, whatever their name: a text that stays the same, such as an account number [default: one
    /// for each name]
    #[arg(long, value_name = "TEXT")]
    id: Option<String>,

    /// Number of the edge that the token is for, 16 hexadecimal digits, as in edge-id in its data directory; with --role
    /// edge
    #[arg(long, value_name = "NUMBER")]
    edge: Option<EdgeNumber>,

    /// Mark the bearer as a follower of the creator
    #[arg(long)]
    follower: bool,

    /// Hours for which the token is valid
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=87_600))]
    hours: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum As {
    Creator,
    Moderator,
    Fan,
    /// An edge, which passes its fans' acts on to the origin
    Edge,
    /// An operator, who exports and erases what is archived; the token opens no room
    Operator,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    if args.edge.is_some() && args.role != As::Edge {
        return Err(Failure::usage("--edge: only a token of --role edge has an edge's number"));
    }
    let keys = keys::open(&args.data.data, args.keys)?.keys().ok_or_else(|| {
        let dir = args.data.data.display();
        Failure::run(format!("no keys in {dir}: make some with `fanfare token keys --data {dir}`"))
    })?;
    let role = match args.role {
        As::Creator => Role::Creator,
        As::Moderator => Role::Moderator,
        As::Fan => Role::Fan,
        As::Edge => Role::Edge,
        As::Operator => Role::Operator,
    };
    let claims = Claims::new(&args.room, role, &args.name, Duration::from_hours(args.hours));
    let claims = Claims { sub: args.id, follower: args.follower, edge: args.edge, ..claims };
    if role == Role::Edge && claims.edge_number().is_none() {
        eprintln!("warning: without --edge NUMBER no edge can link its rooms with this token");
    }
    println!("{}", keys.mint(&claims).map_err(Failure::run)?);
    Ok(())
}
