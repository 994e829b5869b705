//! A worker's code, ready to be instantiated.

use std::fmt;
use std::sync::Arc;

use wasmtime::component::{Component, HasSelf, Linker};

use crate::bindings::{self, WorkerPre};
use crate::instance::Held;
use crate::{Engine, Error};

/// A version of a worker: a component of the world in `wit/worker.wit`, compiled. Its name is the SHA-256
/// of the component. Cheap to clone.
#[derive(Clone)]
pub struct Version(Arc<Compiled>);

struct Compiled {
    name: String,
    pre: WorkerPre<Held>,
    engine: Engine,
}

/// Characters of a name that log entries and pages show.
const SHORT: usize = 12;

impl Version {
    /// Checks that a component fits the worker's world.
    pub(crate) fn new(engine: &Engine, name: String, component: &Component) -> Result<Self, Error> {
        let not = |error: wasmtime::Error| Error::NotAWorker(one_line(&error));
        let mut linker = Linker::new(engine.wasmtime());
        bindings::Worker::add_to_linker::<_, HasSelf<Held>>(&mut linker, |held| held).map_err(not)?;
        let pre = linker.instantiate_pre(component).and_then(WorkerPre::new).map_err(not)?;
        Ok(Self(Arc::new(Compiled { name, pre, engine: engine.clone() })))
    }

    /// Returns the SHA-256 of the component, in hexadecimal.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn pre(&self) -> &WorkerPre<Held> {
        &self.0.pre
    }
}

/// Writes the beginning of the name.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name[..SHORT])
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Version {}

/// Returns an error and its causes, in one line.
pub(crate) fn one_line(error: &wasmtime::Error) -> String {
    let causes: Vec<String> = error.chain().map(|cause| cause.to_string().replace('\n', " ")).collect();
    causes.join(": ")
}
