//! Reconnection: a lost connection is replaced, and group numbers go on.

use std::{cell::RefCell, rc::Rc};

use creator::State;

use crate::server::{Fan, Server, Way, demo, within};

#[tokio::test]
async fn group_numbers_go_on() {
    let server = Server::start();
    let track = "video/180p";
    let enough = move |fan: &Fan| fan.groups(track).len() >= 3;
    let (mut first, mut second) = (Fan::new(Way::Subscribe, enough), Fan::new(Way::Subscribe, enough));
    let states = Rc::new(RefCell::new(Vec::new()));
    let reported = Rc::clone(&states);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let publishing = Box::pin(creator::publish(
        server.options("moqt"),
        demo(),
        move |report| reported.borrow_mut().push(report.clone()),
        stopped,
    ));
    let serving = async {
        server.serve(&mut first).await;
        server.serve(&mut second).await;
        drop(stop);
    };
    let (outcome, ()) = within(async { tokio::join!(publishing, serving) }).await;
    outcome.unwrap();

    let last = *first.groups(track).keys().last().unwrap();
    let next = *second.groups(track).keys().next().unwrap();
    // The broadcast went on without a connection: half a second is a group.
    assert!(next >= last && next - last <= 4, "group {last}, then {next}");
    assert_eq!(second.frames(track).iter().map(|frame| frame.at).min().unwrap().object, 0);
    let states = states.borrow();
    assert!(states.iter().any(|report| matches!(report.state, State::Reconnecting { .. })));
    let groups: Vec<u64> = states.iter().map(|report| report.counts.groups).collect();
    assert!(groups.is_sorted(), "{groups:?}");
    assert_eq!(states.last().unwrap().state, State::Ended);
}
