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
    #[arg(value_name = "FAN", value_parser = fan)]
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

/// A fan's identity, as it is printed.
pub(crate) fn fan(text: &str) -> Result<FanId, String> {
    let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = u64::from_str_radix(text, 16).ok().filter(|_| is_hex);
    id.map(FanId).ok_or_else(|| "a fan is 16 hexadecimal digits, as in 00c0ffee00c0ffee".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fan_is_read_as_it_is_printed() {
        for id in [0, 7, u64::MAX] {
            assert_eq!(fan(&FanId(id).to_string()), Ok(FanId(id)));
        }
        for wrong in ["", "7", "+00000000000000f", "00c0ffee00c0ffeg", "00c0ffee00c0ffee0"] {
            assert!(fan(wrong).is_err(), "{wrong}");
        }
    }
}
