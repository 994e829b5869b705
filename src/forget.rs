//! The command `fanfare forget`.

use ::origin::keep::{self, FILE, Keep};
use clap::Args as ClapArgs;
use wire::FanId;

use crate::{Failure, args::data_dir};

/// Erase everything that a stopped origin has kept of a person.
///
/// Their lines, gifts, votes, questions and visits are deleted from the archive, and their name and texts from every
/// room; counts stay, and so does a ban. A running origin has the file to itself: use its HTTP API instead.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// ID of the person: the 16 hexadecimal digits in the archive and in `fanfare export`
    #[arg(value_name = "FAN")]
    fan: FanId,

    #[command(flatten)]
    data: data_dir::DataDir,
}

/// Erases, and prints the number of rooms.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let path = args.data.data.join(FILE);
    if !path.exists() {
        return Err(Failure::run(keep::Error::Missing { path }));
    }
    data_dir::single_thread_runtime()?.block_on(async {
        let keep = Keep::open(&path).await.map_err(Failure::run)?;
        let rooms = keep::erase(&keep, args.fan, ::token::now()).await.map_err(Failure::run);
        keep.close().await;
        eprintln!("forgotten: {} in {} rooms", args.fan, rooms?);
        Ok(())
    })
}
