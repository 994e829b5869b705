//! Keys in a folder, read again while a node runs.

use std::{fs, path::Path};

use token::{Algorithm, Error, KeyFiles, REVOKED_FILE, Revocation, Revocations};

use crate::{NOW, claims, keys};

fn opened(dir: &Path) -> KeyFiles {
    KeyFiles::open(Some(dir.join("keys.json")), dir.join("keys.d")).expect("readable")
}

#[test]
fn a_single_file_of_before_goes_on_working() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (house, file) = (keys(Algorithm::EdDSA, 1), dir.path().join("keys.json"));
    house.save_private(&file).expect("written");
    let files = opened(dir.path());
    assert!(files.keys().expect("keys").verify(&house.mint(&claims()).expect("minted"), NOW).is_ok());
    let none = KeyFiles::open(None, dir.path().join("nowhere")).expect("no folder is no fault");
    assert!(none.keys().is_none());
    assert!(matches!(
        KeyFiles::open(Some(dir.path().join("absent.json")), dir.path().join("nowhere")),
        Err(Error::Read { .. })
    ));
}

#[test]
fn keys_come_and_go_while_a_node_runs() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let folder = dir.path().join("keys.d");
    let (house, edge) = (keys(Algorithm::EdDSA, 1), keys(Algorithm::ES256, 2));
    house.save_public(&folder.join("house.json")).expect("written");
    let mut files = KeyFiles::open(None, folder.clone()).expect("readable");
    let of_node = files.keys().expect("keys");
    let (by_house, by_edge) = (house.mint(&claims()), edge.mint(&claims()));
    let (by_house, by_edge) = (by_house.expect("minted"), by_edge.expect("minted"));
    assert!(of_node.verify(&by_house, NOW).is_ok());
    assert!(!files.refresh().expect("readable"), "nothing has changed");

    edge.save_public(&folder.join("edge.json")).expect("written");
    assert!(of_node.verify(&by_edge, NOW).is_err(), "not read yet");
    assert!(files.refresh().expect("readable"));
    assert!(of_node.verify(&by_edge, NOW).is_ok());

    let jti = of_node.verify(&by_house, NOW).expect("ours").jti;
    let list = Revocations { revoked: vec![Revocation { jti, ..Revocation::default() }] };
    fs::write(folder.join(REVOKED_FILE), list.json()).expect("written");
    assert!(files.refresh().expect("readable"));
    assert!(matches!(of_node.verify(&by_house, NOW), Err(Error::Revoked { .. })));

    fs::remove_file(folder.join("edge.json")).expect("removed");
    assert!(files.refresh().expect("readable"));
    assert!(matches!(of_node.verify(&by_edge, NOW), Err(Error::UnknownKey { .. })));

    fs::remove_dir_all(&folder).expect("removed");
    assert!(files.refresh().expect("no folder is no fault"));
    assert!(of_node.verify(&by_house, NOW).is_err(), "without files, no token is valid");
}

/// A file that is being written, or that has a fault, must not take the keys from a node that runs.
#[test]
fn a_damaged_file_leaves_the_keys_as_they_were() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let folder = dir.path().join("keys.d");
    let house = keys(Algorithm::EdDSA, 1);
    house.save_public(&folder.join("house.json")).expect("written");
    let mut files = KeyFiles::open(None, folder.clone()).expect("readable");
    let of_node = files.keys().expect("keys");
    for (name, text, reason) in [
        ("house.json", "{ \"keys\": [", "is not usable: it is not a JWK Set"),
        (REVOKED_FILE, "[]", "list of revocations"),
    ] {
        fs::write(folder.join(name), text).expect("written");
        let fault = files.refresh().expect_err("a fault").to_string();
        assert!(fault.contains(reason) && fault.contains(name) && fault.lines().count() == 1, "{fault}");
        assert!(!files.refresh().expect("the same fault is reported once"));
        assert!(of_node.verify(&house.mint(&claims()).expect("minted"), NOW).is_ok());
        house.save_public(&folder.join("house.json")).expect("mended");
    }
}
