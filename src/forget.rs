//! `fanfare forget`.

use ::origin::keep::{self, FILE, Keep};
use clap::Args as ClapArgs;
use wire::FanId;

use crate::{Failure, data};

/// Erase all that a stopped origin has kept of a person.
///
/// Their lines, gifts, votes, questions and visits go from the archive, and their name and words from every
/// room; counts stay, and so does a ban. An origin that runs has the file to itself, and is asked through its HTTP
/// API instead.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Who: the 16 hexadecimal digits that `fanfare export` and the archive call them by
    #[arg(value_name = "FAN")]
    fan: FanId,

    #[command(flatten)]
    data: data::Data,
}

/// Erases, and says of how many rooms.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let path = args.data.data.join(FILE);
    if !path.exists() {
        return Err(Failure::run(keep::Error::Missing { path }));
    }
    data::alone()?.block_on(async {
        let keep = Keep::open(&path).await.map_err(Failure::run)?;
        let rooms = keep::erase(&keep, args.fan, ::token::now()).await.map_err(Failure::run);
        keep.close().await;
        eprintln!("forgotten: {}, in {} rooms", args.fan, rooms?);
        Ok(())
    })
}
