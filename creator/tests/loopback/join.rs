//! Joining late: a subscriber has everything it needs at once.

use std::time::Duration;

use moqt::{Location, msf};

use crate::server::{Fan, Way, demo, show};

#[tokio::test]
async fn a_subscriber_gets_the_newest_group_from_its_key_frame() {
    let track = "video/360p";
    let mut fan = Fan::new(Way::Subscribe, move |fan| fan.groups(track).len() >= 2);
    fan.late = Duration::from_millis(1800);
    show("moqt", demo(), &mut fan).await;

    let largest = fan.largest[track].expect("it was live before");
    let first = fan.frames(track).iter().map(|frame| frame.at).min().unwrap();
    assert_eq!(first, Location::new(largest.group, 0));
    assert!(fan.frames(track)[0].header.marking.unwrap().independent);
    // All groups are from the newest on: no old one was sent.
    assert!(fan.groups(track).keys().all(|group| *group >= largest.group));
}

#[tokio::test]
async fn a_fetch_joins_what_is_there_to_what_comes() {
    let track = "video/180p";
    let mut fan = Fan::new(Way::Join, move |fan| fan.groups(track).len() >= 2);
    fan.late = Duration::from_millis(1300);
    show("moqt", demo(), &mut fan).await;

    // The catalog came by fetch: no new version was published in its track.
    assert!(fan.frames(msf::TRACK).is_empty());
    assert_eq!(fan.fetched[msf::TRACK].len(), 1);
    let largest = fan.largest[track].unwrap();
    let mut all: Vec<Location> = fan.fetched[track].iter().map(|frame| frame.at).collect();
    assert_eq!((all[0], *all.last().unwrap()), (Location::new(largest.group, 0), largest));
    all.extend(fan.frames(track).iter().map(|frame| frame.at));
    let group: Vec<u64> = all.iter().filter(|at| at.group == largest.group).map(|at| at.object).collect();
    assert!(group.iter().copied().eq(0..15), "each once, and none left out: {group:?}");
}
