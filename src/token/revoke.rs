//! The command `fanfare token revoke`.

use std::path::Path;

use ::token::{
    EdgeNumber, MAX_REVOCATIONS, REVOKED_FILE, Revocation, Revocations, load_revocations, now, write_secret,
};
use clap::Args as ClapArgs;

use crate::{
    Failure,
    args::{data_dir, keys},
};

/// Revoke tokens: one, or all of a holder, a key or an edge
///
/// Writes an entry to keys.d/revoked.json in the data directory. Run it with the origin's data directory: the origin
/// reads the file again within seconds and tells its edges, and open sessions end.
#[derive(Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Args {
    #[command(flatten)]
    data: data_dir::DataDir,

    /// The token itself
    #[arg(long, value_name = "JWT", group = "what")]
    token: Option<String>,

    /// Identity of the token (its claim jti)
    #[arg(long, value_name = "TEXT", group = "what")]
    jti: Option<String>,

    /// All tokens of the holder with this identity (mint --id) or, if their tokens have none, with this name
    #[arg(long, value_name = "TEXT", group = "what")]
    subject: Option<String>,

    /// All tokens that the key with this kid signed
    #[arg(long, value_name = "KID", group = "what")]
    key: Option<String>,

    /// All tokens of the edge with this number, and of its anonymous fans
    #[arg(long, value_name = "NUMBER", group = "what")]
    edge: Option<EdgeNumber>,

    /// Only tokens issued before this time, in seconds of Unix time [default: now with --subject, so that the holder can
    /// get a new one; else whenever they are issued]
    #[arg(long, value_name = "SECONDS")]
    before: Option<u64>,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let dir = &args.data.data;
    if !dir.is_dir() {
        return Err(Failure::usage(format!("--data {}: there is no such directory", dir.display())));
    }
    let entry = entry(&args)?;
    let folder = keys::folder(dir)?;
    let path = folder.join(REVOKED_FILE);
    let mut list =
        if path.exists() { load_revocations(&path).map_err(Failure::run)? } else { Revocations::default() };
    if list.revoked.contains(&entry) {
        eprintln!("it is revoked already: {}", path.display());
        return Ok(());
    }
    list.revoked.push(entry);
    if list.revoked.len() > MAX_REVOCATIONS {
        let path = path.display();
        return Err(Failure::run(format!(
            "{path} has {MAX_REVOCATIONS} entries, which is the most: delete those of tokens that have expired"
        )));
    }
    write_secret(&path, list.json().as_bytes())
        .map_err(|error| Failure::run(format!("cannot write {}: {error}", path.display())))?;
    eprintln!("revoked: {}", path.display());
    Ok(())
}

fn entry(args: &Args) -> Result<Revocation, Failure> {
    let before = args.before;
    let seconds = || now().0 / 1_000_000 + 1;
    Ok(match args {
        Args { token: Some(token), data, .. } => of_token(token, &data.data)?,
        Args { subject: Some(subject), .. } => Revocation {
            subject: Some(subject.clone()),
            before: before.or_else(|| Some(seconds())),
            ..Revocation::default()
        },
        Args { jti, key, edge, .. } => {
            Revocation { jti: jti.clone(), kid: key.clone(), edge: *edge, before, ..Revocation::default() }
        }
    })
}

/// Returns the entry for one token. One that was minted before tokens had an identity is revoked with all that its holder
/// has from the same key.
fn of_token(token: &str, dir: &Path) -> Result<Revocation, Failure> {
    let keys = keys::open(dir, None)?.keys().ok_or_else(|| {
        Failure::run(format!("no keys in {}, so the token cannot be read: give --jti", dir.display()))
    })?;
    let token = keys.examine(token, now()).map_err(Failure::run)?;
    Ok(match token.claims.jti {
        Some(jti) => Revocation { jti: Some(jti), ..Revocation::default() },
        None => Revocation {
            subject: Some(token.claims.sub.unwrap_or(token.claims.name)),
            kid: Some(token.kid),
            before: Some(token.claims.iat.unwrap_or_default() + 1),
            ..Revocation::default()
        },
    })
}
