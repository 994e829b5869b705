//! Two nodes with one edge's data: the second does not start with the same directory; with a copy of it, the node that was
//! started first is refused, and both logs say so.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use room::rehearsal::SplitMix64;
use token::Role;
use tokio::task::LocalSet;

use crate::{
    begin_show,
    crowd::{Access, Crowd, Deed, is_taken},
    parts::{Part, Parts},
};

/// The longest until a line is in a log, or an act is settled.
const PATIENCE: Duration = Duration::from_mins(1);
/// The lines that a fan says at the second node.
const LINES: usize = 3;
/// The beginning of the origin's warning, and of the first node's.
const WARNING: &str = "two nodes link with one edge's number";
const REFUSED: &str = "another node links to the origin with this edge's number";

#[tokio::test]
async fn a_second_edge_does_not_start_with_the_same_data_directory() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let parts = Parts::open(dir.path(), 1).await?;
    let data = dir.path().join("edge1");
    let (code, said) = parts.edge_in("another", &data)?.fail().await?;
    ensure!(code == Some(1), "{code:?}: {said}");
    ensure!(said.lines().count() == 1, "{said}");
    ensure!(said.contains(&data.display().to_string()) && said.contains("another node"), "{said}");
    Ok(())
}

#[tokio::test]
async fn two_nodes_with_one_number_are_named_once_and_the_later_one_works() -> Result<()> {
    LocalSet::new().run_until(rivals()).await
}

async fn rivals() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut parts = Parts::open(dir.path(), 1).await?;
    let _show = begin_show(&parts)?;
    let mut crowd = Crowd::new()?;
    let mut roll = SplitMix64(1);
    let access = parts.access()?;
    crowd.enter(&access, Some(Role::Fan), &mut roll)?;
    joined(&mut crowd).await?;

    let (data, copy) = (dir.path().join("edge1"), dir.path().join("copy"));
    fs::create_dir(&copy)?;
    for file in ["edge-id", "edge-incarnation"] {
        fs::copy(data.join(file), copy.join(file))?;
    }
    let mut later = parts.edge_in("copy", &copy)?;
    later.start().await?;
    let access = Access { edges: vec![later.url()?], keys: access.keys };
    let fan = crowd.enter(&access, Some(Role::Fan), &mut roll)?;
    joined(&mut crowd).await?;

    said(&parts.all[0], WARNING).await?;
    said(&parts.all[1], REFUSED).await?;
    for nth in 0..LINES {
        fan.act(Deed::Say(format!("line {nth}")))?;
        let settled = tokio::time::timeout(PATIENCE, crowd.until(|crowd| crowd.seen.open.get() == 0)).await;
        settled.context("a line is not answered")??;
    }
    let is_taken = fan.record.borrow().deeds.iter().all(|(_, outcome)| is_taken(*outcome));
    ensure!(is_taken, "{:?}", fan.record.borrow().deeds);
    let warnings = lines(&parts.all[0], WARNING);
    ensure!(warnings == 1, "{warnings} warnings");
    parts.are_well()
}

/// Waits until all fans are in the room.
async fn joined(crowd: &mut Crowd) -> Result<()> {
    let all_here = crowd.until(|crowd| crowd.fans.iter().all(|fan| fan.record.borrow().joined > 0));
    tokio::time::timeout(PATIENCE, all_here).await.context("not all fans came in")?
}

fn lines(part: &Part, text: &str) -> usize {
    part.said.borrow().iter().filter(|line| line.contains(text)).count()
}

/// Waits until a process has logged a line with that text.
async fn said(part: &Part, text: &str) -> Result<()> {
    let mut said = part.said.subscribe();
    let wanted = said.wait_for(|lines| lines.iter().any(|line| line.contains(text)));
    tokio::time::timeout(PATIENCE, wanted)
        .await
        .with_context(|| format!("{} does not say: {text}", part.name))??;
    Ok(())
}
