//! The pages as Cloudflare serves them: one folder of all files that an edge serves from several.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Assembles the folder `target/wasm-out/pages`, from scratch.
pub(crate) fn assemble(workspace: &Workspace) -> Result<()> {
    let built = workspace.target().join("wasm-out");
    let (www, pages) = (workspace.root().join("www"), built.join("pages"));
    // Files that are no longer in the sources must not be deployed.
    if pages.exists() {
        fs::remove_dir_all(&pages).with_context(|| format!("cannot remove {}", pages.display()))?;
    }
    copy(&www, &pages)?;
    copy(&built.join("fanfare-client"), &pages.join("client"))?;
    // Cloudflare serves index.html for every room.
    copy(&www.join("watch.html"), &pages.join("index.html"))?;
    copy(&workspace.root().join("edge/_headers"), &pages.join("_headers"))
}

/// Copies a file, or a folder with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("cannot copy {} to {}", from.display(), to.display());
    if !from.is_dir() {
        return fs::copy(from, to).map(drop).with_context(failed);
    }
    fs::create_dir_all(to).with_context(failed)?;
    for entry in fs::read_dir(from).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
