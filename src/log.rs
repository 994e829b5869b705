//! Logging to the standard error.

use std::{io::IsTerminal as _, str::FromStr};

use tracing_subscriber::{
    filter::{LevelFilter, ParseError, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// The log levels, by module.
#[derive(Clone, Debug)]
pub(crate) struct Levels(Targets);

impl FromStr for Levels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A bare word must be a level; tracing would take it for a module and log everything in it.
        for word in text.split(',').filter(|word| !word.contains('=')) {
            word.trim().parse::<LevelFilter>().map_err(|_| format!("{word} is not a level"))?;
        }
        text.parse().map(Self).map_err(|error: ParseError| error.to_string())
    }
}

/// Starts logging.
pub(crate) fn start(levels: Levels) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    tracing_subscriber::registry().with(lines).with(levels.0).init();
}

#[cfg(test)]
mod tests {
    use super::Levels;

    #[test]
    fn a_level_may_be_for_one_module() {
        assert!("info,node=debug".parse::<Levels>().is_ok());
        assert_eq!("loud".parse::<Levels>().map(|_| ()), Err("loud is not a level".to_owned()));
        assert!("node=loud".parse::<Levels>().is_err());
    }
}
