//! The engine: state that all workers of a process share.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::Component;
use wasmtime::{Config, OptLevel};

use crate::cache::Cache;
use crate::pool::Pool;
use crate::ticker::Ticker;
use crate::version::one_line;
use crate::{Error, Version};

/// Bytes of a component, at most: the room's own has 0.7 MB. Compiling time grows with the size.
pub const COMPONENT: usize = 16 << 20;

/// Bytes of an instance's stack. A thread of the pool has room for it.
const STACK: usize = 512 << 10;

/// Compiles workers and runs them, on threads of its own. Cheap to clone; the threads end with the last
/// clone, with the last [`Version`] and with the last worker.
///
/// Instances are allocated on demand, each with 4 GiB of addresses, so that no access of its memory
/// needs a check. A pool of them was measured: making an instance took 12.8 µs instead of 15.3, letting go of one 9.7 µs
/// instead of 6.6, and calls as long as before. That is not worth a number of rooms that must be known beforehand.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

struct Shared {
    wasmtime: wasmtime::Engine,
    cache: Option<Cache>,
    // Dropped in this order: a call never runs without a ticker.
    pool: Pool,
    _ticker: Ticker,
}

impl Engine {
    /// Creates an engine that stores compiled code in that folder, which it creates if need be. Compiled code
    /// runs unchecked, so the engine refuses a folder that anybody else may write to.
    pub fn new(cache: Option<PathBuf>) -> Result<Self, Error> {
        let unsupported = |error: wasmtime::Error| Error::Unsupported(one_line(&error));
        let wasmtime = wasmtime::Engine::new(&config()).map_err(unsupported)?;
        let cache = cache.map(|folder| Cache::open(folder, &wasmtime)).transpose()?;
        let epoch = wasmtime.clone();
        let no_thread = |error: std::io::Error| Error::Unsupported(error.to_string());
        let ticker = Ticker::start(Arc::new(move || epoch.increment_epoch())).map_err(no_thread)?;
        let pool = Pool::start(STACK).map_err(no_thread)?;
        Ok(Self(Arc::new(Shared { wasmtime, cache, pool, _ticker: ticker })))
    }

    /// Reads a worker from a component's bytes. Compiling takes a second for each megabyte; with a cache,
    /// once.
    pub fn load(&self, component: &[u8]) -> Result<Version, Error> {
        const MAGIC: &[u8] = b"\0asm";
        const COMPONENT_LAYER: &[u8] = &[0x0d, 0, 1, 0];
        if component.len() > COMPONENT {
            let why = format!("it has {} bytes, {COMPONENT} are taken", component.len());
            return Err(Error::NotAWorker(why));
        }
        match component.get(..8).map(|head| head.split_at(4)) {
            Some((MAGIC, COMPONENT_LAYER)) => {}
            Some((MAGIC, _)) => {
                let why = "it is a core module: make a component of it with `wasm-tools component new`";
                return Err(Error::NotAWorker(why.to_owned()));
            }
            _ => return Err(Error::NotAWorker("it is no WebAssembly".to_owned())),
        }
        let name = hex(&Sha256::digest(component));
        let compile = || {
            let compiled = Component::new(&self.0.wasmtime, component);
            compiled.map_err(|error| Error::NotAWorker(one_line(&error)))
        };
        let component = match &self.0.cache {
            Some(cache) => cache.get(&self.0.wasmtime, &name, compile)?,
            None => compile()?,
        };
        Version::new(self, name, &component)
    }

    /// Reads a worker from a component's file.
    pub fn load_file(&self, path: &Path) -> Result<Version, Error> {
        let failed = |why: String| Error::File { path: path.to_owned(), why };
        let component = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        self.load(&component).map_err(|error| failed(error.to_string()))
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.wasmtime
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.0.pool
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("cache", &self.0.cache).finish_non_exhaustive()
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(STACK)
        .wasm_backtrace_max_frames(None)
        // Identical results on every machine: NaN bits are canonical, and instructions whose results differ
        // between processors (relaxed SIMD) are off.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false);
    config
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
