//! `cargo xtask wasm`: the Wasm modules that are shipped.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use cargo_metadata::Message;
use serde::{Deserialize, Serialize};

use crate::pages;
use crate::process::say;
use crate::wasm_toolchain::{TARGET, WasmToolchain};
use crate::workspace::Workspace;

/// Everything that ships as Wasm. `cargo xtask up` and `cargo xtask test` build all of it.
const ARTEFACTS: &[Artefact] = &[
    Artefact {
        name: "fanfare-client",
        package: "fanfare-client",
        kind: Kind::Browser,
        features: None,
        files: Some("client-wasm/js"),
    },
    Artefact {
        name: "room",
        package: "fanfare-component",
        kind: Kind::Component,
        features: None,
        files: None,
    },
    Artefact {
        name: "fanfare-cloudflare",
        package: "fanfare-cloudflare",
        kind: Kind::Isolate,
        features: None,
        files: Some("edge/cloudflare/js"),
    },
];

/// The Wasm modules that are built for tests alone.
const TESTED: &[Artefact] = &[
    Artefact {
        name: "fanfare-rehearsal",
        package: "fanfare-rehearsal",
        kind: Kind::Browser,
        features: None,
        files: Some("tests/cloudflare/rehearsal"),
    },
    Artefact {
        name: "panics/fanfare-cloudflare",
        package: "fanfare-cloudflare",
        kind: Kind::Isolate,
        features: Some("panics"),
        files: Some("edge/cloudflare/js"),
    },
];

/// The licences, copied beside every module that is passed on.
const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// One Wasm module, and the parameters of its build.
struct Artefact {
    /// The folder of the result, under `target/wasm-out`; its files have the last part of it in their names.
    name: &'static str,
    /// The package, whose library is a `cdylib`.
    package: &'static str,
    kind: Kind,
    /// The cargo features besides those that are shipped.
    features: Option<&'static str>,
    /// A folder of the repository whose files are copied beside it.
    files: Option<&'static str>,
}

/// The environment that runs the module.
#[derive(Clone, Copy)]
enum Kind {
    /// A page or a worker of it: `NAME.js`, an ES module, beside `NAME_bg.wasm`.
    Browser,
    /// An edge node or origin: `NAME.wasm`, a component.
    Component,
    /// Cloudflare: as for a page, beside the script that the platform calls.
    Isolate,
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Component => "component",
            Self::Isolate => "isolate",
        }
    }

    /// Returns the profile in Cargo.toml that it is built with.
    fn profile(self) -> &'static str {
        match self {
            Self::Browser => "wasm",
            Self::Isolate => "isolate",
            Self::Component => "worker",
        }
    }

    fn rustflags(self) -> &'static [&'static str] {
        match self {
            // The first flag enables WebTransport and WebCodecs, the second random numbers.
            Self::Browser => &["--cfg=web_sys_unstable_apis", "--cfg=getrandom_backend=\"wasm_js\""],
            // Hashes are rare here, and unrolled rounds make the module larger.
            Self::Isolate => &["--cfg=getrandom_backend=\"wasm_js\"", "--cfg=sha2_backend_soft=\"compact\""],
            Self::Component => &[],
        }
    }
}

/// Build what ships as Wasm and report its size
///
/// The results are in target/wasm-out/NAME; target/wasm-out/pages has the pages with the browser
/// client, for `wrangler deploy`. The toolchain is the first of these that works: one
/// that is there already; the active one after `rustup target add wasm32-unknown-unknown`; one
/// built from Debian's packages. `FANFARE_WASM_TOOLCHAIN` forces one: `installed` (the active one
/// as it is), `rustup` or `debian`.
#[derive(clap::Args)]
pub(crate) struct Wasm {}

impl Wasm {
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let Self {} = self;
        build_all(workspace)
    }
}

/// Builds the modules that have changed, and assembles the pages.
pub(crate) fn build_all(workspace: &Workspace) -> Result<()> {
    build(workspace, ARTEFACTS)?;
    pages::assemble(workspace)
}

/// Builds the modules that tests run in a browser and in workerd.
pub(crate) fn build_tested(workspace: &Workspace) -> Result<()> {
    build(workspace, TESTED)
}

fn build(workspace: &Workspace, artefacts: &[Artefact]) -> Result<()> {
    let builder = Builder::new(workspace)?;
    for artefact in artefacts {
        let Sizes { raw, brotli, .. } = builder.build(artefact)?;
        say(format!("{}: {raw} bytes, {brotli} with brotli", artefact.name));
    }
    Ok(())
}

/// Compiles packages of one workspace for Wasm.
struct Builder {
    toolchain: WasmToolchain,
    manifest: PathBuf,
    target: PathBuf,
}

impl Builder {
    fn new(workspace: &Workspace) -> Result<Self> {
        Ok(Self {
            toolchain: WasmToolchain::resolve(workspace.target())?,
            manifest: workspace.manifest(),
            target: workspace.target().to_owned(),
        })
    }

    /// Compiles and packs one artefact. An unchanged one is not packed again.
    fn build(&self, artefact: &Artefact) -> Result<Sizes> {
        let features: &[_] = match &artefact.features {
            Some(features) => &["--features", features],
            None => &[],
        };
        let module = self.compile(artefact.package, artefact.kind, features, &[])?;
        let out = self.target.join("wasm-out").join(artefact.name);
        if let Some(files) = artefact.files {
            let root = self.manifest.parent().context("the workspace has no folder")?;
            pages::copy(&root.join(files), &out)?;
            for licence in LICENCES {
                fs::copy(root.join(licence), out.join(licence)).with_context(|| format!("no {licence}"))?;
            }
        }
        let file = artefact.name.rsplit('/').next().unwrap_or(artefact.name);
        let input = fingerprint(&fs::read(&module)?);
        let report = out.join("size.json");
        let known: Option<Sizes> = fs::read(&report).ok().and_then(|json| serde_json::from_slice(&json).ok());
        if let Some(sizes) = known
            && sizes.input == input
        {
            return Ok(sizes);
        }
        let packed = match artefact.kind {
            Kind::Browser | Kind::Isolate => bind(&module, artefact.kind, file, &out),
            Kind::Component => componentize(&module, file, &out),
        };
        let wasm = packed.with_context(|| format!("cannot pack {}", module.display()))?;
        let bytes = fs::read(wasm)?;
        let sizes = Sizes { input, raw: bytes.len(), brotli: brotli_len(&bytes)? };
        fs::write(report, serde_json::to_vec(&sizes)?)?;
        Ok(sizes)
    }

    /// Runs cargo, with `rustc_arguments` for the last crate only; returns the module it made.
    fn compile(
        &self,
        package: &str,
        kind: Kind,
        features: &[&str],
        rustc_arguments: &[&str],
    ) -> Result<PathBuf> {
        say(format!("building {package} for {TARGET}"));
        let mut cargo = self.toolchain.cargo();
        cargo
            .args(["rustc", "--lib", "--profile", kind.profile(), "--target", TARGET, "--package", package])
            .args(features)
            .arg("--message-format=json-render-diagnostics")
            .arg("--manifest-path")
            .arg(&self.manifest)
            // A folder of its own, and one per set of flags: none evicts another's build.
            .arg("--target-dir")
            .arg(self.target.join("wasm").join(kind.folder()))
            .env("CARGO_ENCODED_RUSTFLAGS", kind.rustflags().join("\x1f"))
            .arg("--")
            .args(rustc_arguments)
            .stdout(Stdio::piped());
        let mut child = cargo.spawn().context("cannot start cargo")?;
        let stdout = child.stdout.take().context("cargo has no output")?;
        let mut module = None;
        for message in Message::parse_stream(BufReader::new(stdout)) {
            if let Message::CompilerArtifact(made) = message? {
                let wasm = made.filenames.into_iter().find(|file| file.extension() == Some("wasm"));
                module = wasm.or(module);
            }
        }
        if !child.wait()?.success() {
            bail!("{package} does not build for {TARGET}");
        }
        Ok(module
            .with_context(|| format!("{package} makes no Wasm module: is its library a cdylib?"))?
            .into())
    }
}

/// A size report, and the fingerprint of the module it was made from.
#[derive(Serialize, Deserialize)]
struct Sizes {
    input: u64,
    raw: usize,
    brotli: usize,
}

fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Generates the JavaScript bindings, as `wasm-bindgen --target web` does.
fn bind(module: &Path, kind: Kind, name: &str, out: &Path) -> Result<PathBuf> {
    wasm_bindgen_cli_support::Bindgen::new()
        .input_path(module)
        .out_name(name)
        .web(true)?
        .omit_default_module_path(matches!(kind, Kind::Isolate))
        .reset_state_function(matches!(kind, Kind::Isolate))
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(out)?;
    let bindings = out.join(format!("{name}.js"));
    let code = without_comments(&fs::read_to_string(&bindings)?);
    fs::write(bindings, code)?;
    Ok(out.join(format!("{name}_bg.wasm")))
}

/// Leaves out the documentation comments of generated JavaScript, each of which has lines of its own: they are downloaded too.
fn without_comments(code: &str) -> String {
    let mut is_comment = false;
    let kept = code.lines().filter(|line| {
        let line = line.trim();
        is_comment |= line.starts_with("/**");
        let keep = !is_comment;
        is_comment &= !line.ends_with("*/");
        keep
    });
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// Makes a component of a module, as `wasm-tools component new` does.
fn componentize(module: &Path, name: &str, out: &Path) -> Result<PathBuf> {
    let component =
        wit_component::ComponentEncoder::default().validate(true).module(&fs::read(module)?)?.encode()?;
    fs::create_dir_all(out)?;
    let path = out.join(format!("{name}.wasm"));
    fs::write(&path, component)?;
    Ok(path)
}

/// Returns the size that a browser downloads: `brotli -q 11`, as a server keeps it.
pub(crate) fn brotli_len(bytes: &[u8]) -> Result<usize> {
    const BUFFER_BYTES: usize = 1 << 16;
    const QUALITY: u32 = 11;
    const WINDOW_BITS: u32 = 22;
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), BUFFER_BYTES, QUALITY, WINDOW_BITS);
    encoder.write_all(bytes)?;
    Ok(encoder.into_inner().len())
}

/// Compiles a package of the workspace for browsers with its names left out: a module to weigh.
pub(crate) fn compile_stripped(workspace: &Workspace, package: &str) -> Result<Vec<u8>> {
    let module = Builder::new(workspace)?.compile(package, Kind::Browser, &[], &["-Cstrip=symbols"])?;
    Ok(fs::read(module)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_code_is_handed_on_without_its_comments() {
        let code = "/**\n * A thing.\n */\nexport class Thing {\n    /** One line. */\n    go() { return '/**/'; } // kept\n}\n";
        let kept = "export class Thing {\n    go() { return '/**/'; } // kept\n}\n";
        assert_eq!(without_comments(code), kept);
    }
}
