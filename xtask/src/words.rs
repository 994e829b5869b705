//! The words of the code and its documents: part of `cargo xtask check`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::output;
use crate::workspace::Workspace;

/// The largest share of a package's documentation comments, in percent, that may open with one of [`OPENERS`].
const MAX_SHARE: usize = 7;
/// Words with which a comment opens that does not name its subject.
const OPENERS: [&str; 15] = [
    "what", "who", "whose", "whom", "which", "how", "when", "where", "whether", "why", "that", "those", "of",
    "in", "as",
];

/// The documentation comments of a package.
#[derive(Default)]
struct Comments {
    all: usize,
    /// The comments that do not name their subject, by file and line.
    unnamed: Vec<String>,
}

/// Checks that each Rust file begins with its purpose, that comments name their subject, and that the documents name
/// files that exist.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let root = workspace.root();
    let mut git = std::process::Command::new("git");
    let files = output(git.args(["ls-files", "*.rs", "*.md"]).current_dir(root))?;
    let mut faults = Vec::new();
    let mut packages: BTreeMap<&Path, Comments> = BTreeMap::new();
    for file in files.lines() {
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        if Path::new(file).extension().is_some_and(|extension| extension == "md") {
            faults.extend(dead_links(root, file, &text));
            continue;
        }
        if !text.starts_with("//!") {
            faults.push(format!("{file}: it does not begin with its purpose (//!)"));
        }
        let package = workspace.packages().filter_map(|package| package.manifest_path.as_std_path().parent());
        let package = package.filter(|folder| root.join(file).starts_with(folder));
        let package = package.max_by_key(|folder| folder.as_os_str().len());
        let comments = packages.entry(package.context("a file of no package")?).or_default();
        for (line, comment) in comments_of(&text) {
            comments.all += 1;
            if opens_badly(&comment) {
                comments.unnamed.push(format!("{file}:{line}: {comment}"));
            }
        }
    }
    for Comments { all, unnamed } in packages.into_values() {
        if unnamed.len() * 100 > all * MAX_SHARE {
            faults.push(format!("{} of {all} comments do not name their subject:", unnamed.len()));
            faults.extend(unnamed);
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

/// The documentation comments of a file, each with its first line's number.
fn comments_of(text: &str) -> Vec<(usize, String)> {
    let mut comments: Vec<(usize, String)> = Vec::new();
    let mut before = None;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let kind = ["///", "//!"].into_iter().find(|kind| line.starts_with(kind));
        if let Some(kind) = kind.filter(|kind| before != Some(*kind)) {
            comments.push((at + 1, line[kind.len()..].trim().to_owned()));
        }
        before = kind;
    }
    comments
}

fn opens_badly(comment: &str) -> bool {
    let first = comment.split(|char: char| !char.is_alphanumeric()).find(|word| !word.is_empty());
    first.is_some_and(|word| OPENERS.contains(&word.to_lowercase().as_str()))
}

/// The links of a document to files that are not there.
fn dead_links(root: &Path, document: &str, text: &str) -> Vec<String> {
    let folder = Path::new(document).parent().unwrap_or(Path::new(""));
    let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next());
    let links =
        links.filter(|link| !link.is_empty() && !link.contains("://") && !link.starts_with("mailto:"));
    let is_dead = |link: &&str| !root.join(normal(&folder.join(link))).exists();
    links.filter(is_dead).map(|link| format!("{document}: no {link}")).collect()
}

/// A path without `..`.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, part| {
        match part {
            Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_names_its_subject() {
        assert!(opens_badly("What it says."));
        assert!(opens_badly("`Which` of them"));
        assert!(!opens_badly("Returns whether it is there."));
        let text = "//! A file.\n\n/// Whose.\n/// Of two lines.\nfn f() {}\n// Where.\n";
        let comments = comments_of(text);
        assert_eq!(comments, [(1, "A file.".to_owned()), (3, "Whose.".to_owned())]);
    }

    #[test]
    fn a_link_leads_to_a_file() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = "[a](../Cargo.toml#x) [b](https://example.com) [c](gone.md) [d](#here)";
        let dead = dead_links(root, "src/x.md", text);
        assert_eq!(dead, ["src/x.md: no gone.md"]);
    }
}
