//! wrangler accepts `wrangler.toml` as it is.

use std::{collections::BTreeSet, fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use fanfare_tests::{peers, root, target};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

const PATIENCE: Duration = Duration::from_mins(1);
/// The most that the upload may weigh, compressed. The platform's own limit is 3 MB on its smallest plan.
const MAX_KIB: f64 = 540.0;

/// Runs `wrangler deploy --dry-run` on a copy of `wrangler.toml`, beside a link to cargo's target folder. Returns the
/// output; the upload is in the folder `out`.
async fn dry_run(folder: &Path) -> Result<String> {
    fs::copy(root()?.join("wrangler.toml"), folder.join("wrangler.toml"))?;
    std::os::unix::fs::symlink(target()?, folder.join("target"))?;
    let wrangler = peers()?.join("cloudflare/node_modules/wrangler/bin/wrangler.js");
    ensure!(wrangler.is_file(), "wrangler is not installed: `cargo xtask test` does it");
    let run = Command::new("node")
        .arg(wrangler)
        .args(["deploy", "--dry-run", "--outdir", "out"])
        .current_dir(folder)
        // Contact no server, and leave no files behind.
        .env("WRANGLER_SEND_METRICS", "false")
        .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
        .env("WRANGLER_HIDE_BANNER", "true")
        .env("WRANGLER_LOG_PATH", folder.join("logs"))
        .env("XDG_CONFIG_HOME", folder)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let run = timeout(PATIENCE, run).await.context("wrangler does not end")?.context("cannot run node")?;
    let said = [run.stdout, run.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    ensure!(run.status.success(), "{said}");
    Ok(said)
}

#[tokio::test]
async fn wrangler_would_deploy_it() -> Result<()> {
    let folder = TempDir::new()?;
    let said = dry_run(folder.path()).await?;
    assert!(!said.contains("WARNING"), "{said}");

    let bindings = said.lines().filter_map(|line| line.strip_prefix("env."));
    let bindings: BTreeSet<String> =
        bindings.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let wanted = ["ROOMS (Stage) Durable Object", "DIRECTORY (Directory) Durable Object", "ASSETS Assets"];
    assert_eq!(bindings, wanted.map(String::from).into(), "{said}");

    // The uploaded modules are those that tests run.
    for name in ["index.js", "fanfare-cloudflare.js", "fanfare-cloudflare_bg.wasm"] {
        let [built, uploaded] = [target()?.join("wasm-out/fanfare-cloudflare"), folder.path().join("out")]
            .map(|at| at.join(name));
        assert!(fs::read(built)? == fs::read(uploaded)?, "{name}");
    }

    let total = said.lines().find(|line| line.starts_with("Total Upload: ")).context("no size")?;
    println!("{total}");
    let gzip = total.split_once("gzip: ").and_then(|(_, size)| size.strip_suffix(" KiB"));
    let gzip: f64 = gzip.with_context(|| format!("no size in KiB: {total}"))?.parse()?;
    assert!(gzip > 0.0 && gzip < MAX_KIB, "{total}");
    Ok(())
}

/// The platform's limit on a Worker's start-up time: <https://developers.cloudflare.com/workers/platform/limits/>.
const START_UP_MS: f64 = 400.0;

#[tokio::test]
async fn it_starts_within_the_platforms_limit() -> Result<()> {
    let module = target()?.join("wasm-out/fanfare-cloudflare/fanfare-cloudflare_bg.wasm");
    // Node has the platform's engine, V8.
    let script = "
        const bytes = require('fs').readFileSync(process.argv[1]);
        const begun = performance.now();
        const module = new WebAssembly.Module(bytes);
        const imports = {};
        for (const { module: from, name } of WebAssembly.Module.imports(module)) (imports[from] ??= {})[name] = () => {};
        new WebAssembly.Instance(module, imports);
        console.log(performance.now() - begun);
    ";
    let run = Command::new("node").args(["-e", script]).arg(module).kill_on_drop(true).output();
    let run = timeout(PATIENCE, run).await.context("node does not end")?.context("cannot run node")?;
    let said = String::from_utf8(run.stdout)?;
    let took: f64 = said.trim().parse().with_context(|| String::from_utf8_lossy(&run.stderr).into_owned())?;
    println!("compiled and started in {took:.1} ms");
    assert!(took < START_UP_MS, "{took} ms");
    Ok(())
}
