//! The cache stores compiled workers, and the engine refuses files that are no worker.

use std::fs;
use std::path::PathBuf;

use wasm_host::{Engine, Error, Instance, Options};

use crate::guest::{Guest, fresh};

fn files(folder: &PathBuf) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_damaged_or_foreign_file_is_made_anew() {
    let folder = fresh("cache");
    let component = Guest::default().component();
    let engine = || Engine::new(Some(folder.clone())).unwrap();
    let name = engine().load(&component).unwrap().name().to_owned();
    let [file] = &files(&folder)[..] else { panic!("{:?}", files(&folder)) };
    assert!(file.file_name().unwrap().to_string_lossy().starts_with(&name));
    let whole = fs::read(file).unwrap();

    // An existing file is used.
    let written = fs::metadata(file).unwrap().modified().unwrap();
    engine().load(&component).unwrap();
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), written);

    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [flipped, whole[..whole.len() / 2].to_vec(), Vec::new(), b"something else".to_vec()] {
        fs::write(file, damaged).unwrap();
        let version = engine().load(&component).unwrap();
        assert!(fs::read(file).unwrap() == whole, "it is whole again");
        let mut instance = Instance::new(&version, Options::default(), "a room").unwrap();
        assert_eq!(instance.snapshot().unwrap(), [1]);
    }
    assert_eq!(files(&folder).len(), 1, "nothing else is left");
    fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_may_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = fresh("open");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let error = Engine::new(Some(folder.clone())).unwrap_err().to_string();
    assert!(error.contains("others may write to it (mode 777)") && error.contains("chmod go-w"), "{error}");
    fs::remove_dir(folder).unwrap();
}

#[test]
fn what_is_no_worker_is_refused_in_one_line() {
    let engine = Engine::new(None).unwrap();
    let refused = |bytes: &[u8]| {
        let error = engine.load(bytes).unwrap_err();
        assert!(matches!(error, Error::NotAWorker(_)), "{error:?}");
        let line = error.to_string();
        assert!(!line.contains('\n') && line.len() < 300, "{line}");
        line
    };
    assert!(refused(b"").contains("no WebAssembly"));
    assert!(refused(b"#!/bin/sh\nexit 0").contains("no WebAssembly"));
    assert!(refused(b"\0asm\x01\0\0\0").contains("core module"));
    assert!(refused(&vec![0; wasm_host::COMPONENT + 1]).contains("16777217 bytes"));
    let empty = wat::parse_str("(component)").unwrap();
    assert!(refused(&empty).contains("configure"), "{}", refused(&empty));
    let wanting = r#"(component (import "wasi:cli/environment@0.2.0" (instance (export "get" (func)))))"#;
    let greedy = refused(&wat::parse_str(wanting).unwrap());
    assert!(greedy.contains("wasi:cli/environment"), "{greedy}");
    let cut = Guest::default().component();
    refused(&cut[..cut.len() / 2]);
    let missing = engine.load_file("/nonexistent/room.wasm".as_ref()).unwrap_err().to_string();
    assert!(missing.contains("/nonexistent/room.wasm"), "{missing}");
}
