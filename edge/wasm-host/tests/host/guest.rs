//! Components for tests: the room's own, versions of it with a built-in flaw, and some in text.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use room::{Config, Room};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    MemArg, Module, ValType,
};
use wasm_host::{Batch, Engine, Setup, Version};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Returns a folder of this test binary, which all of its processes share.
pub(crate) fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Returns the path of a folder that does not exist yet.
pub(crate) fn fresh(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = scratch().join(format!("{name}-{}-{next}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// Returns an engine whose cache all tests share.
pub(crate) fn engine() -> Engine {
    Engine::new(Some(scratch().join("compiled"))).expect("an engine")
}

/// Returns the room's own component.
pub(crate) fn component() -> Vec<u8> {
    let file = scratch()
        .ancestors()
        .map(|folder| folder.join("wasm-out/room/room.wasm"))
        .find(|file| file.is_file())
        .expect("the room is not built: run `cargo xtask wasm`");
    std::fs::read(file).expect("the room's component")
}

pub(crate) fn room(engine: &Engine) -> Version {
    engine.load(&component()).expect("the room's component")
}

/// Converts the batches of a rehearsal to a worker's.
pub(crate) fn batches(log: &[room::rehearsal::Batch]) -> Vec<Batch> {
    log.iter().map(|batch| Batch { now: batch.now, inputs: batch.inputs.clone().into() }).collect()
}

/// Returns a setup in which only the version can be at fault.
pub(crate) fn setup(config: Config, version: &Version) -> Setup {
    Setup::new("a room", config, version.clone())
}

/// Returns the state of a native room after those batches.
pub(crate) fn native(config: Config, batches: &[Batch]) -> Vec<u8> {
    let mut room = Room::new(config);
    for batch in batches {
        room.handle(batch.now, &batch.inputs, &mut Vec::new()).expect("a batch of the rehearsal");
    }
    room.snapshot()
}

/// Makes a component of a core module.
fn componentize(mut module: Vec<u8>) -> Vec<u8> {
    let mut wit = Resolve::default();
    let package =
        wit.push_source("worker.wit", include_str!("../../../../wit/worker.wit")).expect("the contract");
    let world = wit.select_world(&[package], Some("worker")).expect("the world");
    embed_component_metadata(&mut module, &wit, world, StringEncoding::UTF8).expect("a module");
    let mut encoder = ComponentEncoder::default().validate(true).module(&module).expect("of that world");
    encoder.encode().expect("a component")
}

/// A component in text: `handle`, `snapshot` and `restore` hold the code that each runs before it answers as
/// if all were well. `$log` writes a log entry, `$deep` does not return.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Guest {
    pub(crate) handle: &'static str,
    pub(crate) snapshot: &'static str,
    pub(crate) restore: &'static str,
}

impl Guest {
    pub(crate) fn component(self) -> Vec<u8> {
        let Self { handle, snapshot, restore } = self;
        let text = format!(
            r#"(module
                (import "fanfare:worker/log@0.1.0" "log" (func $log (param i32 i32 i32)))
                (memory (export "memory") 2)
                (global $next (mut i32) (i32.const 65536))
                ;; At 1024, that all is well; at 1040, a list of one byte, a packet with nothing in it.
                (data (i32.const 1024) "\00\00\00\00\00\08\00\00\01\00\00\00")
                (data (i32.const 1040) "\00\08\00\00\01\00\00\00")
                (data (i32.const 2048) "\01")
                (func $deep (result i32) (i32.add (call $deep) (i32.const 1)))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                    (global.set $next (i32.add (local.get $at) (local.get 3)))
                    (block $fits (loop $grow
                        (br_if $fits (i32.le_u (global.get $next) (i32.shl (memory.size) (i32.const 16))))
                        (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
                        (br $grow)))
                    (local.get $at))
                (func (export "configure")
                    (param i32 i64 i64 i32 i32 i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 i64) (result i32)
                    (i32.const 1024))
                (func (export "handle") (param i64 i32 i32) (result i32)
                    (global.set $next (i32.const 65536))
                    {handle}
                    (i32.const 1024))
                (func (export "plan") (param i32 i32 i32 i32) (result i32)
                    {handle}
                    (i32.const 1040))
                (func (export "snapshot") (result i32) {snapshot} (i32.const 1040))
                (func (export "restore") (param i32 i32) (result i32) {restore} (i32.const 1024)))"#
        );
        componentize(wat::parse_str(text).expect("text of a module"))
    }
}

/// A flaw built into the room's own component.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Flaw {
    /// An instance traps on its nth batch.
    Mortal(i32),
    /// It traps on a batch whose time ends in these microseconds.
    Allergic(i64),
    /// Its `restore` never ends.
    Forgetful,
    /// It traps on a batch that contains these bytes.
    #[allow(dead_code, reason = "for the end-to-end tests, which share this file")]
    Poisoned([u8; 8]),
}

/// Modulus of the microseconds that times end in.
pub(crate) const ENDING: i64 = 1000;

/// Returns the room's own component with a flaw, and otherwise unchanged.
pub(crate) fn flawed(flaw: Flaw) -> Vec<u8> {
    let component = component();
    let core = Parser::new(0)
        .parse_all(&component)
        .find_map(|payload| match payload.expect("a component") {
            Payload::ModuleSection { unchecked_range, .. } => Some(&component[unchecked_range]),
            _ => None,
        })
        .expect("a core module");
    let mut grafting = Grafting::into(core, flaw);
    let mut module = Module::new();
    grafting.parse_core_module(&mut module, Parser::new(0), core).expect("a module");
    componentize(module.finish())
}

/// Puts a function before one of the module's exports.
struct Grafting {
    flaw: Flaw,
    export: &'static str,
    /// Index of the original function of the export, and of its type.
    old: u32,
    kind: u32,
    /// Index of the function that replaces it.
    new: u32,
    /// Index of a new global.
    counter: u32,
}

impl Grafting {
    fn into(core: &[u8], flaw: Flaw) -> Self {
        let export = if matches!(flaw, Flaw::Forgetful) { "restore" } else { "handle" };
        let (mut imported, mut kinds, mut old, mut counter) = (0, Vec::new(), None, 0);
        for payload in Parser::new(0).parse_all(core) {
            match payload.expect("a module") {
                Payload::ImportSection(section) => {
                    let imports = section.into_imports().map(|import| import.expect("an import").ty);
                    imported = imports.filter(|kind| matches!(kind, TypeRef::Func(_))).count() as u32;
                }
                Payload::FunctionSection(section) => {
                    kinds = section.into_iter().collect::<Result<_, _>>().expect("functions");
                }
                Payload::GlobalSection(section) => counter = section.count(),
                Payload::ExportSection(section) => {
                    let mut exports = section.into_iter().map(|found| found.expect("an export"));
                    let found = exports.find(|found| found.name == export);
                    old = found.filter(|found| found.kind == ExternalKind::Func).map(|found| found.index);
                }
                _ => {}
            }
        }
        let old = old.expect("the export");
        let kind = kinds[(old - imported) as usize];
        Self { flaw, export, old, kind, new: imported + kinds.len() as u32, counter }
    }

    fn graft(&self) -> Function {
        let mut function = Function::new([(1, ValType::I32)]);
        let mut code = function.instructions();
        match self.flaw {
            Flaw::Mortal(age) => {
                code.global_get(self.counter).i32_const(1).i32_add().global_set(self.counter);
                code.global_get(self.counter).i32_const(age).i32_ge_s();
                code.if_(wasm_encoder::BlockType::Empty).unreachable().end();
            }
            Flaw::Allergic(moment) => {
                code.local_get(0).i64_const(ENDING).i64_rem_u().i64_const(moment).i64_eq();
                code.if_(wasm_encoder::BlockType::Empty).unreachable().end();
            }
            Flaw::Forgetful => {
                code.loop_(wasm_encoder::BlockType::Empty).br(0).end();
            }
            Flaw::Poisoned(bytes) => {
                // Local 1 is the batch, 2 its length, and 3 the position searched so far.
                let anywhere = MemArg { offset: 0, align: 0, memory_index: 0 };
                code.block(wasm_encoder::BlockType::Empty).loop_(wasm_encoder::BlockType::Empty);
                code.local_get(3).i32_const(8).i32_add().local_get(2).i32_gt_u().br_if(1);
                code.local_get(1).local_get(3).i32_add().i64_load(anywhere);
                code.i64_const(i64::from_le_bytes(bytes)).i64_eq();
                code.if_(wasm_encoder::BlockType::Empty).unreachable().end();
                code.local_get(3).i32_const(1).i32_add().local_set(3).br(0).end().end();
            }
        }
        let parameters = if matches!(self.flaw, Flaw::Forgetful) { 2 } else { 3 };
        for nth in 0..parameters {
            code.local_get(nth);
        }
        code.call(self.old).end();
        function
    }
}

impl Reencode for Grafting {
    type Error = std::convert::Infallible;

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.kind);
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_global_section(self, globals, section)?;
        let kind = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(kind, &ConstExpr::i32_const(0));
        Ok(())
    }

    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: wasmparser::Export<'_>,
    ) -> Result<(), Error> {
        if export.name == self.export {
            exports.export(export.name, ExportKind::Func, self.new);
            return Ok(());
        }
        utils::parse_export(self, exports, export)
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_code_section(self, code, section)?;
        code.function(&self.graft());
        Ok(())
    }
}
