//! Compares the acks that fans received with the rows that the origin keeps and the numbers that it shows.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context as _, Result, bail, ensure};
use origin::keep::{Archive, FILE};
use outbox::Outcome;
use serde_json::Value;
use wire::FanId;

use crate::{
    ROOM,
    crowd::{Crowd, Deed, Numbers, OPTIONS, Record, is_taken, is_unknown},
};

/// The rows of an origin's tables.
pub(crate) struct Kept {
    /// Chat lines by number: fan and text.
    pub(crate) lines: BTreeMap<u64, (String, String)>,
    /// Gifts by fan and key: kind and count.
    gifts: BTreeMap<(String, String), (u64, u64)>,
    /// Votes by fan: the option.
    votes: BTreeMap<String, u64>,
}

impl Kept {
    /// Reads the rows that an origin has kept.
    pub(crate) async fn read(origin: &Path) -> Result<Self> {
        let mut rows = Vec::new();
        Archive::open(&origin.join(FILE)).await?.export_room(ROOM, &mut rows).await?;
        Self::parse(std::str::from_utf8(&rows)?)
    }

    /// Parses an exported archive, one JSON row per line.
    pub(crate) fn parse(rows: &str) -> Result<Self> {
        let mut kept = Self { lines: BTreeMap::new(), gifts: BTreeMap::new(), votes: BTreeMap::new() };
        for row in rows.lines() {
            let row: Value = serde_json::from_str(row)?;
            let text = |name: &str| row[name].as_str().map(str::to_owned).context("a text");
            let number = |name: &str| row[name].as_u64().context("a number");
            let twice = match row["table"].as_str() {
                Some("lines") => {
                    ensure!(row["seen"] == "everyone", "{row} is not seen by everyone");
                    kept.lines.insert(number("id")?, (text("fan")?, text("text")?)).is_some()
                }
                Some("gifts") => {
                    let key = (text("fan")?, text("key")?);
                    kept.gifts.insert(key, (number("gift")?, number("count")?)).is_some()
                }
                Some("votes") => kept.votes.insert(text("fan")?, number("option")?).is_some(),
                _ => false,
            };
            ensure!(!twice, "twice: {row}");
        }
        Ok(kept)
    }
}

/// Checks that every acked act is counted once and no other is, except acts whose outcome is unknown, which may be
/// either.
pub(crate) fn all_is_counted(crowd: &Crowd, kept: &Kept) -> Result<String> {
    let numbers = crowd.seen.pulse.borrow().clone();
    let mut counted = Counted::default();
    let said: BTreeMap<(&str, &str), u64> =
        kept.lines.iter().map(|(id, (fan, text))| ((fan.as_str(), text.as_str()), *id)).collect();
    ensure!(said.len() == kept.lines.len(), "a line is there twice");
    for fan in &crowd.fans {
        counted.fan(&fan.record.borrow(), &said, kept)?;
    }
    ensure!(
        counted.lines == kept.lines.len(),
        "{} lines were sent by no fan",
        kept.lines.len() - counted.lines
    );
    ensure!(
        counted.gifts == kept.gifts.len(),
        "{} gifts were sent by no fan",
        kept.gifts.len() - counted.gifts
    );
    ensure!(
        counted.votes == kept.votes.len(),
        "{} votes were sent by no fan",
        kept.votes.len() - counted.votes
    );
    the_pulse_is_right(&numbers, &counted, kept)?;
    for (id, (fan, text)) in crowd.seen.lines.borrow().iter() {
        let same = kept.lines.get(id).is_some_and(|kept| *kept == (fan.to_string(), text.clone()));
        ensure!(same, "line {id} was shown as {text:?} of {fan}, and is kept as {:?}", kept.lines.get(id));
    }
    Ok(format!("{counted:?}"))
}

#[derive(Debug, Default)]
struct Counted {
    taken: usize,
    rejected: usize,
    unknown: usize,
    lines: usize,
    gifts: usize,
    votes: usize,
    /// Cheers by kind: acked, and of unknown outcome.
    cheers: [(u64, u64); 4],
}

impl Counted {
    fn fan(&mut self, record: &Record, said: &BTreeMap<(&str, &str), u64>, kept: &Kept) -> Result<()> {
        let id = record.fan.context("a fan never received an identity")?;
        let fan = id.to_string();
        let mut keys: BTreeMap<u64, Vec<Option<Outcome>>> = BTreeMap::new();
        let (mut votes, mut unsure): (Option<u8>, BTreeSet<u8>) = (None, BTreeSet::new());
        for (deed, outcome) in &record.deeds {
            let (taken, unknown) = (is_taken(*outcome), is_unknown(*outcome));
            self.taken += usize::from(taken);
            self.unknown += usize::from(unknown);
            self.rejected += usize::from(!taken && !unknown);
            match deed {
                Deed::Say(text) => {
                    let line = said.get(&(fan.as_str(), text.as_str())).copied();
                    is_right(line.is_some(), taken, unknown)
                        .with_context(|| format!("{text:?}: {outcome:?}"))?;
                    if let (Some(Outcome::Taken { line: Some(acked) }), Some(line)) = (outcome, line) {
                        ensure!(acked.0 == line, "{text:?} is line {line}, and {acked:?} was acked");
                    }
                    self.lines += usize::from(line.is_some());
                }
                Deed::Cheer { kind, count } => {
                    let (sure, maybe) = &mut self.cheers[usize::from(*kind)];
                    *sure += u64::from(*count) * u64::from(taken);
                    *maybe += u64::from(*count) * u64::from(unknown);
                }
                Deed::Gift { key, .. } => keys.entry(*key).or_default().push(*outcome),
                Deed::Vote(option) if taken => (votes, unsure) = (Some(*option), BTreeSet::new()),
                Deed::Vote(option) if unknown => drop(unsure.insert(*option)),
                Deed::Vote(_) | Deed::Prepare(_) => {}
            }
        }
        for (key, outcomes) in keys {
            let is_kept = kept.gifts.contains_key(&(fan.clone(), format!("{key:016x}")));
            let taken = outcomes.iter().filter(|outcome| is_taken(**outcome)).count();
            ensure!(taken <= 1, "one gift was taken {taken} times: {outcomes:?}");
            let unknown = outcomes.iter().any(|outcome| is_unknown(*outcome));
            is_right(is_kept, taken == 1, unknown).with_context(|| format!("gift {key:x}: {outcomes:?}"))?;
            self.gifts += usize::from(is_kept);
        }
        self.voted(id, kept.votes.get(&fan).copied(), votes, &unsure)
    }

    fn voted(
        &mut self,
        fan: FanId,
        kept: Option<u64>,
        last: Option<u8>,
        unsure: &BTreeSet<u8>,
    ) -> Result<()> {
        let is_last = kept == last.map(u64::from);
        let is_unsure = kept.is_some_and(|kept| unsure.iter().any(|option| u64::from(*option) == kept));
        ensure!(is_last || is_unsure, "{fan} voted {last:?}, perhaps {unsure:?}, and {kept:?} is kept");
        self.votes += usize::from(kept.is_some());
        Ok(())
    }
}

/// Checks one act: it is kept if it was acked, and not kept if it was refused; an unknown outcome allows both.
fn is_right(is_there: bool, taken: bool, unknown: bool) -> Result<()> {
    match (is_there, taken, unknown) {
        (false, true, _) => bail!("was acked, and is not counted"),
        (true, false, false) => bail!("was not acked, and is counted"),
        _ => Ok(()),
    }
}

fn the_pulse_is_right(numbers: &Numbers, counted: &Counted, kept: &Kept) -> Result<()> {
    ensure!(numbers.says == kept.lines.len() as u64, "{numbers:?}, and {} lines are kept", kept.lines.len());
    for (kind, (sure, maybe)) in counted.cheers.iter().enumerate() {
        let shown = numbers.cheers.get(kind).copied().unwrap_or_default();
        let right = (*sure..=sure + maybe).contains(&shown);
        ensure!(
            right,
            "cheers {kind}: {shown} are shown, {sure} were acked, {maybe} have an unknown outcome"
        );
    }
    let mut gifts: BTreeMap<u64, u64> = BTreeMap::new();
    for (gift, count) in kept.gifts.values() {
        *gifts.entry(*gift).or_default() += count;
    }
    let shown: BTreeMap<u64, u64> =
        numbers.gifts.iter().map(|(gift, count)| (u64::from(*gift), *count)).collect();
    ensure!(shown == gifts, "gifts: {shown:?} are shown, {gifts:?} are kept");
    let votes: Vec<u32> = (0..OPTIONS)
        .map(|option| kept.votes.values().filter(|vote| **vote == u64::from(option)).count() as u32)
        .collect();
    ensure!(numbers.votes == votes, "votes: {:?} are shown, {votes:?} are kept", numbers.votes);
    Ok(())
}
