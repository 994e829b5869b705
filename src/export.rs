//! The command `fanfare export`.

use std::io::Write as _;

use ::origin::keep::{Archive, FILE};
use clap::Args as ClapArgs;
use wire::FanId;

use crate::{Failure, args::data_dir};

/// Print an origin's archive of a person or of a room.
///
/// A person's archive is one JSON object. A room's archive is one object per line, each with the name of its table.
/// Times are microseconds since 1970. The origin may be running.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// ID of the person: 16 hexadecimal digits
    #[arg(long, value_name = "FAN", required_unless_present = "room")]
    fan: Option<FanId>,

    /// Name of the room
    #[arg(long, value_name = "NAME", conflicts_with = "fan")]
    room: Option<String>,

    #[command(flatten)]
    data: data_dir::DataDir,
}

/// Prints to the standard output.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let path = args.data.data.join(FILE);
    data_dir::single_thread_runtime()?.block_on(async {
        let archive = Archive::open(&path).await.map_err(Failure::run)?;
        if let Some(fan) = args.fan {
            let all = archive.export(fan).await.map_err(Failure::run)?;
            writeln!(std::io::stdout(), "{all:#}").map_err(|error| {
                Failure::run(format!("the export cannot be written: {error}; check the standard output"))
            })?;
        }
        if let Some(room) = args.room {
            let lines = archive.export_room(&room, tokio::io::stdout()).await.map_err(Failure::run)?;
            if lines == 0 {
                eprintln!("room {room:?} has no archive");
            }
        }
        Ok(())
    })
}
