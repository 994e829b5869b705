//! Tests of the commands: keys are made, a token is minted, revoked, and refused.

use std::{fs, path::Path};

use ::token::{Claims, Error, Keys, Role, now};
use clap::Parser as _;

use crate::{Cli, Command, args::keys};

fn run(dir: &Path, line: &str) -> Result<(), String> {
    let words = ["fanfare", "token"].into_iter().chain(line.split(' '));
    let data = ["--data".into(), dir.as_os_str().to_owned()];
    let words = words.map(Into::into).chain(data);
    let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
    let Command::Token(args) = cli.command else { return Err("another command".into()) };
    super::run(args).map_err(|failure| format!("{failure:?}"))
}

fn verified(dir: &Path, jwt: &str) -> Result<Claims, Error> {
    keys::open(dir, None).expect("readable").keys().expect("keys").verify(jwt, now())
}

#[test]
fn a_token_is_revoked_by_itself_and_by_its_holder() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let dir = dir.path();
    run(dir, "keys").expect("made");
    assert!(run(dir, "keys").expect_err("not twice").contains("exists already"));
    let house = Keys::load(&dir.join("keys.json")).expect("readable");
    let mint =
        |name| house.mint(&Claims::new("demo", Role::Creator, name, std::time::Duration::from_hours(1)));
    let [ada, bob] = ["ada", "bob"].map(|name| mint(name).expect("minted"));
    run(dir, &format!("revoke --token {ada}")).expect("revoked");
    assert!(matches!(verified(dir, &ada), Err(Error::Revoked { .. })));
    assert!(run(dir, &format!("revoke --token {ada}")).is_err(), "it is no valid token any more");
    assert!(verified(dir, &bob).is_ok());
    run(dir, "revoke --subject bob").expect("revoked");
    assert!(matches!(verified(dir, &bob), Err(Error::Revoked { .. })));
    run(dir, "list").expect("listed");
    assert!(run(dir, "revoke").is_err(), "it does not say what");
    assert!(run(dir, "revoke --edge nowhere").expect_err("no number").contains("is not an edge's number"));
}

#[test]
fn an_edges_keys_are_made_for_its_number_and_told_to_the_origin_as_one_public_file() {
    let (edge, origin) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (edge, origin) = (edge.path(), origin.path());
    run(edge, "keys --kind edge").expect("made");
    run(origin, "keys").expect("made");
    let number = fs::read_to_string(edge.join("edge-id")).expect("written").trim().to_owned();
    let public = format!("edge-{number}.public.json");
    fs::create_dir_all(origin.join("keys.d")).expect("made");
    fs::copy(edge.join(&public), origin.join("keys.d").join(&public)).expect("copied");
    assert!(!fs::read_to_string(edge.join(&public)).expect("readable").contains("\"d\""));

    let own = keys::open(edge, None).expect("readable").keys().expect("keys");
    let edge_id = crate::args::worker::edge_id(edge).expect("its number");
    let token =
        own.mint(&Claims::for_edge(edge_id, now(), now() + wire::Micros::from_secs(60))).expect("minted");
    let stranger = own.mint_anonymous([1; 16], now()).expect("minted");
    for jwt in [&token, &stranger] {
        assert!(verified(origin, jwt).is_ok());
    }
    run(origin, &format!("revoke --edge {number}")).expect("revoked");
    for jwt in [&token, &stranger] {
        assert!(matches!(verified(origin, jwt), Err(Error::Revoked { .. })));
    }
    assert!(run(edge, "mint --room demo").is_err(), "an edge mints for nobody");
    assert!(run(origin, "mint --room demo --edge 7").is_err(), "only an edge's token has a number");
}
