//! `fanfare export`.

use std::io::Write as _;

use ::origin::keep::{Archive, FILE};
use clap::Args as ClapArgs;
use wire::FanId;

use crate::{Failure, data, forget};

/// Print what an origin has archived: of a person, or of a room.
///
/// Of a person it is one JSON object; of a room, an object a line, each with the table that it is from. Moments
/// are microseconds since 1970. The origin may run meanwhile.
#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Of whom: 16 hexadecimal digits
    #[arg(long, value_name = "FAN", required_unless_present = "room")]
    fan: Option<FanId>,

    /// Of which room
    #[arg(long, value_name = "NAME", conflicts_with = "fan")]
    room: Option<String>,

    #[command(flatten)]
    data: data::Data,
}

/// Prints to the standard output.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let path = args.data.data.join(FILE);
    data::alone()?.block_on(async {
        let archive = Archive::open(&path).await.map_err(Failure::run)?;
        if let Some(fan) = args.fan {
            let all = archive.export(fan).await.map_err(Failure::run)?;
            writeln!(std::io::stdout(), "{all:#}").map_err(|error| {
                Failure::run(format!("the export cannot be written: {error}; check where it goes"))
            })?;
        }
        if let Some(room) = args.room {
            let lines = archive.export_room(&room, tokio::io::stdout()).await.map_err(Failure::run)?;
            if lines == 0 {
                eprintln!("nothing is archived of room {room:?}");
            }
        }
        Ok(())
    })
}
