//! The limits of what clients may have in use, from a file.

use std::{fmt, fs, path::PathBuf};

use clap::Args as ClapArgs;
use relay::{Limits, Rate, Share};
use serde::{
    Deserialize,
    de::{self, value::MapAccessDeserializer},
};

use crate::Failure;

/// The flag for limits.
#[derive(Debug, ClapArgs)]
pub(crate) struct LimitsArgs {
    /// Limits of what clients may have in use: a TOML file with those that differ from the defaults, which
    /// docs/limits.toml lists
    #[arg(long, value_name = "FILE")]
    limits: Option<PathBuf>,
}

/// The limits of sessions, and those of TCP connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct All {
    pub(crate) sessions: Limits,
    pub(crate) connections: front::Limits,
}

impl LimitsArgs {
    /// Reads the file, or returns the defaults if there is none.
    pub(crate) fn load(&self) -> Result<All, Failure> {
        let Some(path) = &self.limits else { return Ok(All::default()) };
        let failed =
            |error: &dyn fmt::Display| Failure::usage(format!("--limits {}: {error}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
        parse(&text).map_err(|error| failed(&error))
    }
}

fn parse(text: &str) -> Result<All, String> {
    let file: File = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        format!("line {line}: {}; docs/limits.toml has all names", error.message().replace('\n', " "))
    })?;
    Ok(file.all())
}

/// The content of the file: changes of the defaults.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    fan: Change,
    creator: Change,
    edge: Change,
    address: Change,
    network: Change,
    arriving: Change,
    fans: Change,
    creators: Change,
    edges: Change,
    upstream: Change,
    connections: Connections,
}

impl File {
    fn all(&self) -> All {
        let All { sessions: mut limits, mut connections } = All::default();
        for (change, share) in [
            (&self.fan, &mut limits.fan),
            (&self.creator, &mut limits.creator),
            (&self.edge, &mut limits.edge),
            (&self.address, &mut limits.address),
            (&self.network, &mut limits.network),
            (&self.arriving, &mut limits.arriving),
            (&self.fans, &mut limits.fans),
            (&self.creators, &mut limits.creators),
            (&self.edges, &mut limits.edges),
            (&self.upstream, &mut limits.upstream),
        ] {
            change.apply(share);
        }
        for (change, limit) in [
            (self.connections.node, &mut connections.node),
            (self.connections.network, &mut connections.network),
            (self.connections.address, &mut connections.address),
        ] {
            if let Some(Amount(amount)) = change {
                *limit = usize::try_from(amount).unwrap_or(usize::MAX);
            }
        }
        All { sessions: limits, connections }
    }
}

/// Changes of the limits of TCP connections.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Connections {
    node: Option<Amount>,
    network: Option<Amount>,
    address: Option<Amount>,
}

/// Declares the changes of a share, with a member for each of its limits.
macro_rules! change {
    (amounts: $($amount:ident),+; rates: $($rate:ident),+) => {
        /// Changes of a share.
        #[derive(Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Change {
            $($amount: Option<Amount>,)+
            $($rate: Option<Pace>,)+
        }

        impl Change {
            fn apply(&self, share: &mut Share) {
                $(if let Some(Amount(amount)) = self.$amount {
                    share.$amount = amount;
                })+
                $(if let Some(Pace(rate)) = self.$rate {
                    share.$rate = rate;
                })+
            }
        }
    };
}

change! {
    amounts: sessions, requests, held, tracks, fetches, publications, interests, open_bytes, fetch_bytes, unread_bytes,
        behalf;
    rates: session_rate, request_rate, token_rate, stranger_rate, behalf_rate
}

/// A number, or the word `unlimited`.
#[derive(Clone, Copy)]
struct Amount(u64);

/// A table such as `{ per_second = 10, burst = 50 }`, or the word `unlimited`.
#[derive(Clone, Copy)]
struct Pace(Rate);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number that is not negative, or \"unlimited\"")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Amount, E> {
                let unexpected = || E::invalid_value(de::Unexpected::Signed(value), &self);
                u64::try_from(value).map(Amount).map_err(|_| unexpected())
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Amount, E> {
                match value {
                    "unlimited" => Ok(Amount(u64::MAX)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(value), &self)),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for Pace {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// The table of a pace.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            per_second: Option<u64>,
            per_hour: Option<u64>,
            burst: u32,
        }

        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Pace;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table such as { per_second = 10, burst = 50 }, or \"unlimited\"")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Pace, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                match (table.per_second, table.per_hour) {
                    _ if table.burst == 0 => Err(de::Error::custom("burst is 0: nothing could ever come")),
                    (Some(count @ 1..), None) => Ok(Pace(Rate::per_second(count, table.burst))),
                    (None, Some(count @ 1..)) => Ok(Pace(Rate::per_hour(count, table.burst))),
                    _ => Err(de::Error::custom("give either per_second or per_hour, at least 1")),
                }
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Pace, E> {
                match value {
                    "unlimited" => Ok(Pace(Rate::UNLIMITED)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(value), &self)),
                }
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<All, String> {
        parse(text)
    }

    #[test]
    fn the_documented_file_has_the_defaults() {
        let documented = include_str!("../../docs/limits.toml");
        assert_eq!(read(documented), Ok(All::default()));
        // Every limit is in it: without those of the file, there are none.
        let lift = |line: &str| match line.split_once(" = ") {
            Some((name, _)) if !line.starts_with('#') => format!("{name} = \"unlimited\"\n"),
            _ => format!("{line}\n"),
        };
        let lifted = read(&documented.lines().map(lift).collect::<String>()).unwrap();
        assert_eq!(lifted.sessions, Limits::UNLIMITED);
        let front::Limits { node, network, address, .. } = lifted.connections;
        assert_eq!([node, network, address], [usize::MAX; 3]);
    }

    #[test]
    fn a_file_changes_what_it_names_and_nothing_else() {
        let all = read(
            "[fan]\ntracks = 3\nrequest_rate = { per_second = 2, burst = 4 }\n[connections]\naddress = \"unlimited\"",
        );
        let mut expected = All::default();
        expected.sessions.fan.tracks = 3;
        expected.sessions.fan.request_rate = Rate::per_second(2, 4);
        expected.connections.address = usize::MAX;
        assert_eq!(all, Ok(expected));
    }

    #[test]
    fn a_bad_file_is_named_by_its_line() {
        for (text, needle) in [
            ("[fan]\ntrack = 3", "line 2: unknown field `track`"),
            ("[stranger]", "line 1: unknown field `stranger`"),
            ("[fan]\n\ntracks = -3", "line 3: invalid value: integer `-3`"),
            ("[fan]\ntracks = \"many\"", "line 2: invalid value: string \"many\""),
            (
                "[fan]\nrequest_rate = { per_second = 0, burst = 4 }",
                "line 2: give either per_second or per_hour",
            ),
            ("[fan]\nrequest_rate = { per_second = 1, burst = 0 }", "line 2: burst is 0"),
            ("[fan]\nrequest_rate = 5", "line 2: invalid type: integer `5`, expected a table such as"),
            ("[fan", "line 1: "),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(needle) && !error.contains('\n'), "{text}: {error}");
        }
    }
}
