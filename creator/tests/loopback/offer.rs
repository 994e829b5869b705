//! SUBSCRIBE_TRACKS: a server that asks for all tracks is offered all.

use moqt::msf;

use crate::server::{Fan, Way, demo, show};

#[tokio::test]
async fn all_tracks_are_published_to_who_asks() {
    let tracks = ["video/360p", "video/180p", "audio"];
    let mut fan = Fan::new(Way::Offered, move |fan| {
        tracks.iter().all(|track| fan.groups(track).len() >= 2) && !fan.catalogs.is_empty()
    });
    show("moqt", demo(), &mut fan).await;
    assert_eq!(fan.frames(msf::TRACK).len(), 1);
    assert_eq!(fan.catalog().tracks.len(), 3);
}
