//! Tracks that are not for everybody.

use anyhow::{Result, ensure};
use fanfare_tests::{Door, Guest, House, ROOM};
use moqt::{Event, Namespace, Params, Properties, RequestCode, TrackName};
use wire::names;

use crate::{
    Innocents, evening,
    intruder::{Intruder, own, refused},
};

/// Rooms that somebody asks for, and how many of them one may have.
const ROOMS: usize = 1000;
const PLACES: usize = 4;

#[tokio::test]
async fn hostile_acts_without_a_seat() -> Result<()> {
    evening(async |house: House| {
        let mut innocents = Innocents::enter(&house).await?;
        let mut guest = Guest::enter(&house, Door::Fans, None).await?;
        let acts = own(names::FAN, names::ACTS)?;
        let publish =
            |session: &mut moqt::Session| session.publish(acts, Params::default(), Properties::NONE);
        let request = guest.call(|session, _| publish(session)).await??;
        ensure!(refused(&mut guest, request).await? == RequestCode::DOES_NOT_EXIST);
        // A second run of acts for a seat that has one.
        let mut seated = Intruder::enter(&house, None).await?;
        let acts = own(names::FAN, names::ACTS)?;
        let second =
            seated.guest.call(|session, _| session.publish(acts, Params::default(), Properties::NONE));
        match second.await? {
            Ok(request) => ensure!(refused(&mut seated.guest, request).await? == RequestCode::DOES_NOT_EXIST),
            Err(misuse) => ensure!(matches!(misuse, moqt::Misuse::DuplicateSubscription(_)), "{misuse}"),
        }
        innocents.go_on().await
    })
    .await
}

/// What edges and the origin say to each other, and what another fan is told.
#[tokio::test]
async fn hostile_listeners_hear_nothing() -> Result<()> {
    evening(async |house: House| {
        let mut innocents = Innocents::enter(&house).await?;
        let link = |track| TrackName::new(Namespace::from_path(&format!(".edge/2/1/{ROOM}"))?, track);
        for door in [Door::Fans, Door::Origin] {
            let mut guest = Guest::enter(&house, door, None).await?;
            for name in [link(names::DOWNS)?, link(names::DELTAS)?, own(names::FAN, names::ACTS)?] {
                let asked = name.clone();
                let request = guest.call(|session, _| session.subscribe(asked, Params::default())).await??;
                let code = refused(&mut guest, request).await?;
                let known =
                    [RequestCode::UNAUTHORIZED, RequestCode::DOES_NOT_EXIST, RequestCode::NOT_SUPPORTED];
                ensure!(known.contains(&code), "{door:?}, {name}: {code:?}");
            }
        }
        // Whoever asks for all answers has their own, whatever is said to others.
        let mut nosy = Intruder::enter(&house, None).await?;
        let prefix = Namespace::new([names::FAN])?;
        nosy.guest.call(|session, _| session.subscribe_tracks(prefix, Params::default())).await??;
        nosy.hello(1).await?;
        let own = nosy.told(|message| match message {
            wire::EdgeMessage::Welcome { fan, .. } => Some(fan),
            _ => None,
        });
        own.await?;
        innocents.go_on().await?;
        nosy.send(wire::packet(&crate::intruder::say(1, "and now I"))).await?;
        let first = nosy.told(|message| match message {
            wire::EdgeMessage::Said { number, .. } => Some(number),
            wire::EdgeMessage::Acked { through } => Some(through),
            _ => None,
        });
        ensure!(first.await? == 1, "an answer to somebody else");
        Ok(())
    })
    .await
}

/// With a creator's token for every room, too: what begins with a dot is the house's.
#[tokio::test]
async fn hostile_publishers_of_the_houses_own_tracks() -> Result<()> {
    evening(async |house: House| {
        let mut innocents = Innocents::enter(&house).await?;
        for (door, token) in
            [(Door::Fans, None), (Door::Fans, Some(house.token()?)), (Door::Origin, Some(house.token()?))]
        {
            for path in
                [format!(".room/{ROOM}"), format!(".edge/2/1/{ROOM}"), format!(".fan/{ROOM}"), ".new".into()]
            {
                let mut guest = Guest::enter(&house, door, token.clone()).await?;
                let namespace = Namespace::from_path(&path)?;
                let of = namespace.clone();
                let request =
                    guest.call(|session, _| session.publish_namespace(of, Params::default())).await??;
                is_shown_out(&mut guest, request, &path).await?;
                let mut guest = Guest::enter(&house, door, token.clone()).await?;
                let name = TrackName::new(namespace, "chat")?;
                let publish =
                    |session: &mut moqt::Session| session.publish(name, Params::default(), Properties::NONE);
                let request = guest.call(|session, _| publish(session)).await??;
                is_shown_out(&mut guest, request, &path).await?;
            }
            innocents.go_on().await?;
        }
        Ok(())
    })
    .await
}

/// The request is refused, or broken off, or the session closed.
async fn is_shown_out(guest: &mut Guest, request: moqt::session::RequestId, path: &str) -> Result<()> {
    let end = |event| match event {
        Event::RequestError { request: of, error } if of == request => Some(Ok(error.code.0)),
        Event::Closed { code, .. } => Some(Ok(code.0)),
        Event::RequestOk { request: of, .. } if of == request => Some(Err(())),
        _ => None,
    };
    if let Ok(code) = guest.until(end).await? {
        ensure!(code != 0, "{path}: no code");
    } else {
        // An edge takes it before it knows; it does not stay.
        let over = |event| matches!(event, Event::Cancelled { .. } | Event::Closed { .. }).then_some(());
        guest.until(over).await?;
    }
    Ok(())
}

/// Rooms that there are not: each request ends, and others still get into a room.
#[tokio::test]
async fn hostile_guest_of_a_thousand_rooms() -> Result<()> {
    evening(async |house: House| {
        let mut innocents = Innocents::enter(&house).await?;
        let mut guest = Guest::enter(&house, Door::Fans, None).await?;
        for at in 0..ROOMS {
            let name = TrackName::new(Namespace::from_path(&format!(".fan/nowhere/{at}"))?, names::ANSWERS)?;
            guest.call(|session, _| session.subscribe(name, Params::default())).await??;
        }
        let (mut full, mut absent) = (0, 0);
        while full + absent < ROOMS {
            let code = guest.until(|event| match event {
                Event::RequestError { error, .. } => Some(error.code),
                _ => None,
            });
            match code.await? {
                RequestCode::EXCESSIVE_LOAD => full += 1,
                RequestCode::DOES_NOT_EXIST => absent += 1,
                code => anyhow::bail!("{code:?}"),
            }
            if full + absent == ROOMS / 2 {
                innocents.go_on().await?;
            }
        }
        ensure!((1..=2 * PLACES).contains(&absent), "{absent} were asked for at the origin");
        // One after the other is given up, and another asked for: none of them is kept.
        for at in 0..ROOMS + 100 {
            let name =
                TrackName::new(Namespace::from_path(&format!(".fan/elsewhere/{at}"))?, names::ANSWERS)?;
            let asked = move |session: &mut moqt::Session| {
                let request = session.subscribe(name, Params::default())?;
                session.cancel(request)
            };
            guest.call(|session, _| asked(session)).await??;
        }
        innocents.go_on().await?;
        Innocents::enter(&house).await?.go_on().await
    })
    .await
}
