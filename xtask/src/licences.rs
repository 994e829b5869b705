//! The part of `cargo deny check` that needs only cargo's metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail};
use cargo_metadata::{MetadataCommand, Package};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::process::say;
use crate::workspace::Workspace;

/// The part of `deny.toml` that is read here; the rest is for cargo-deny alone.
#[derive(Deserialize)]
struct Deny {
    licenses: Licences,
    sources: Sources,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// Licences that one crate may have and others may not.
#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// Checks every dependency, on any platform, by `deny.toml`.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let deny: Deny = fs::read_to_string(workspace.root().join("deny.toml"))
        .map_err(anyhow::Error::from)
        .and_then(|text| Ok(toml::from_str(&text)?))
        .context("deny.toml")?;
    let metadata = MetadataCommand::new().manifest_path(workspace.manifest()).exec()?;
    let dependencies: Vec<_> = metadata.packages.iter().filter(|package| package.source.is_some()).collect();

    let mut wrong = 0;
    for package in &dependencies {
        for problem in [deny.licences_problem(package), deny.source_problem(package)].into_iter().flatten() {
            say(format!("{} {}: {problem}", package.name, package.version));
            wrong += 1;
        }
    }
    report_duplicates(&dependencies);
    if wrong > 0 {
        bail!("{wrong} problems with dependencies: change the dependency, or say why not in deny.toml");
    }
    say(format!("licences and sources of {} dependencies: as deny.toml allows", dependencies.len()));
    Ok(())
}

impl Deny {
    fn licences_problem(&self, package: &Package) -> Option<String> {
        let Some(text) = &package.license else {
            return Some("names no licence".to_owned());
        };
        let Ok(expression) = Expression::parse_mode(text, ParseMode::LAX) else {
            return Some(format!("licence {text:?} is no SPDX expression"));
        };
        let own = self.licenses.exceptions.iter().filter(|e| package.name == e.name).flat_map(|e| &e.allow);
        let allowed: Vec<_> =
            self.licenses.allow.iter().chain(own).filter_map(|text| Licensee::parse(text).ok()).collect();
        let fine = expression.evaluate(|asked| allowed.iter().any(|licensee| licensee.satisfies(asked)));
        (!fine).then(|| format!("licence {text} is not allowed"))
    }

    fn source_problem(&self, package: &Package) -> Option<String> {
        let source = package.source.as_ref()?.repr.as_str();
        let registry = source.strip_prefix("registry+").unwrap_or(source);
        let fine = self.sources.allow_registry.iter().any(|allowed| allowed == registry);
        (!fine).then(|| format!("source {source} is not allowed"))
    }
}

/// Reports packages that are built in more than one version: a cost, not an error.
fn report_duplicates(dependencies: &[&Package]) {
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in dependencies {
        versions.entry(&package.name).or_default().insert(package.version.to_string());
    }
    versions.retain(|_, versions| versions.len() > 1);
    if versions.is_empty() {
        return;
    }
    let names = versions.iter().map(|(name, versions)| {
        let versions: Vec<_> = versions.iter().map(String::as_str).collect();
        format!("{name} {}", versions.join(" + "))
    });
    say(format!("in more than one version: {}", names.collect::<Vec<_>>().join(", ")));
}
