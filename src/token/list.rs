//! The command `fanfare token list`.

use std::path::PathBuf;

use ::token::{KeyInfo, Revocation};
use clap::Args as ClapArgs;

use crate::{
    Failure,
    args::{data_dir, keys},
};

/// List the keys, with what each may sign, and the revocations
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    data: data_dir::DataDir,

    /// Keys, a JWKS file or a folder of such files [default: keys.json and keys.d in the data directory]
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let dir = &args.data.data;
    let keys = keys::open(dir, args.keys.clone())?
        .keys()
        .ok_or_else(|| Failure::run(format!("no keys in {}", dir.display())))?;
    for key in keys.list() {
        println!("{}", line(&key));
    }
    for entry in keys.revocations().revoked {
        println!("{}", revoked(&entry));
    }
    Ok(())
}

fn line(key: &KeyInfo) -> String {
    let half = if key.signs { "private" } else { "public" };
    let head = format!("key {} {half} {:?}", key.kid, key.algorithm);
    let Some(scope) = &key.scope else { return format!("{head} for every token") };
    let mut parts = vec![head];
    if let Some(roles) = &scope.roles {
        let roles: Vec<_> = roles.iter().map(ToString::to_string).collect();
        parts.push(format!("roles {}", roles.join(",")));
    }
    if let Some(rooms) = &scope.rooms {
        parts.push(format!("rooms {}", rooms.join(",")));
    }
    if let Some(edge) = scope.edge {
        parts.push(format!("edge {edge}"));
    }
    if let Some(until) = scope.until {
        parts.push(format!("until {until}"));
    }
    parts.join(" ")
}

fn revoked(entry: &Revocation) -> String {
    let part = |name: &str, value: Option<String>| value.map(|value| format!(" {name} {value:?}"));
    let parts = [
        part("jti", entry.jti.clone()),
        part("subject", entry.subject.clone()),
        part("key", entry.kid.clone()),
        part("edge", entry.edge.map(|edge| edge.to_string())),
        entry.before.map(|before| format!(" before {before}")),
    ];
    format!("revoked{}", parts.into_iter().flatten().collect::<String>())
}
