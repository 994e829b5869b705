//! The browser client as an npm package, which `cargo xtask wasm` makes.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use fanfare_tests::client_folder;
use serde_json::Value;

fn manifest(folder: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(folder.join("package.json"))?)?)
}

/// The files that the manifest's `files` publishes.
fn published(folder: &Path, manifest: &Value) -> Result<BTreeSet<String>> {
    let patterns: Vec<&str> =
        manifest["files"].as_array().context("no files")?.iter().filter_map(Value::as_str).collect();
    let matches = |name: &str| {
        patterns.iter().any(|pattern| match pattern.split_once('*') {
            Some((start, end)) => name.starts_with(start) && name.ends_with(end),
            None => name == *pattern,
        })
    };
    let mut names = BTreeSet::from(["package.json".to_owned()]);
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if matches(&name) {
            names.insert(name);
        }
    }
    Ok(names)
}

/// The files beside it that a file's code loads.
fn loads(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in code.lines() {
        for opening in ["from ", "import ", "new URL("] {
            for (at, _) in line.match_indices(opening) {
                let rest = &line[at + opening.len()..];
                let Some(quote @ ('"' | '\'')) = rest.chars().next() else { continue };
                let Some((name, _)) = rest[1..].split_once(quote) else { continue };
                // A path from the root is the server's, not the package's.
                if !name.starts_with('/') {
                    names.push(name.trim_start_matches("./").to_owned());
                }
            }
        }
    }
    names
}

#[test]
fn its_manifest_says_what_registries_and_bundlers_ask_for() -> Result<()> {
    let folder = client_folder()?;
    let manifest = manifest(&folder)?;
    assert_eq!(manifest["name"], "@fanfare/client");
    assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"), "the workspace's");
    assert_eq!(manifest["license"], "MIT OR Apache-2.0");
    assert_eq!(manifest["type"], "module");
    assert!(manifest["description"].as_str().is_some_and(|text| !text.is_empty()));
    let mut named: Vec<&str> = vec![manifest["types"].as_str().context("no types")?];
    for (path, target) in manifest["exports"].as_object().context("no exports")? {
        assert!(path.starts_with('.'), "{path}");
        match target {
            Value::String(target) => named.push(target),
            target => named.extend(["types", "default"].map(|kind| target[kind].as_str().unwrap_or(kind))),
        }
    }
    named.extend(manifest["sideEffects"].as_array().into_iter().flatten().filter_map(Value::as_str));
    let published = published(&folder, &manifest)?;
    for name in named {
        let file = name.strip_prefix("./").with_context(|| format!("{name} is not relative"))?;
        assert!(published.contains(file), "{name} is not published: {published:?}");
    }
    Ok(())
}

#[test]
fn all_that_it_loads_goes_with_it() -> Result<()> {
    let folder = client_folder()?;
    let published = published(&folder, &manifest(&folder)?)?;
    for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
        assert!(published.contains(licence), "{published:?}");
    }
    let mut loaded = BTreeSet::new();
    for name in published.iter().filter(|name| Path::new(name).extension() == Some("js".as_ref())) {
        for other in loads(&std::fs::read_to_string(folder.join(name))?) {
            assert!(published.contains(&other), "{name} loads {other}, which is not published");
            loaded.insert(other);
        }
    }
    for name in ["worker.js", "worklet.js", "fanfare-client.js", "fanfare-client_bg.wasm"] {
        assert!(loaded.contains(name), "nothing loads {name}: {loaded:?}");
    }
    // The type declarations describe the public API.
    let types = std::fs::read_to_string(folder.join("index.d.ts"))?;
    for name in ["Player", "FanfarePlayer"] {
        assert!(types.contains(&format!("export class {name} ")), "{name}");
    }
    Ok(())
}

/// `npm pack` lists the same files as the manifest. `cargo xtask test` installs npm.
#[test]
fn npm_packs_it() -> Result<()> {
    let folder: PathBuf = client_folder()?;
    let pack = Command::new("npm")
        .args(["pack", "--dry-run", "--json"])
        .env("npm_config_update_notifier", "false")
        .env("npm_config_offline", "true")
        .current_dir(&folder)
        .output()
        .context("cannot start npm: `cargo xtask test` installs it")?;
    assert!(pack.status.success(), "{}", String::from_utf8_lossy(&pack.stderr));
    let packed: Value = serde_json::from_slice(&pack.stdout)?;
    let one = packed.get(0).or_else(|| packed.as_object()?.values().next()).context("nothing is packed")?;
    let files = one["files"].as_array().context("no files")?;
    let files: BTreeSet<String> =
        files.iter().filter_map(|file| file["path"].as_str().map(str::to_owned)).collect();
    assert_eq!(files, published(&folder, &manifest(&folder)?)?);
    Ok(())
}
