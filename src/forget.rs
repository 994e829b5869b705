//! The command `fanfare forget`.

use ::origin::keep::{self, FILE, Keep};
use clap::Args as ClapArgs;
use wire::FanId;

use crate::{Failure, args::data_dir};

/// Erase everything that a stopped origin has kept of a person, or of a room.
///
/// Their lines, gifts, votes, questions and visits are deleted from the archive, and their name and texts from every
/// room; counts stay, and so does a ban. A running origin has the file to itself: use its HTTP API instead.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// ID of the person: the 16 hexadecimal digits in the archive and in `fanfare export`
    #[arg(value_name = "FAN", required_unless_present = "room", conflicts_with = "room")]
    fan: Option<FanId>,

    /// Erase this room instead, with all that is archived of it
    #[arg(long, value_name = "NAME")]
    room: Option<String>,

    #[command(flatten)]
    data: data_dir::DataDir,
}

/// Erases, and prints what was erased.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let path = args.data.data.join(FILE);
    if !path.exists() {
        return Err(Failure::run(keep::Error::Missing { path }));
    }
    data_dir::single_thread_runtime()?.block_on(async {
        let keep = Keep::open(&path).await.map_err(Failure::run)?;
        let forgotten = match (&args.room, args.fan) {
            (Some(room), _) => keep::erase_room(&keep, room).await.map(|()| format!("room {room}")),
            (None, Some(fan)) => {
                keep::erase(&keep, fan, ::token::now()).await.map(|rooms| format!("{fan} in {rooms} rooms"))
            }
            (None, None) => Ok("nobody".to_owned()),
        };
        keep.close().await;
        eprintln!("forgotten: {}", forgotten.map_err(Failure::run)?);
        Ok(())
    })
}
