//! `cargo xtask`: the commands of this repository besides plain cargo.
#![forbid(unsafe_code)]

mod bench;
mod check;
mod cloudflare;
mod fuzz;
mod interop;
mod licences;
mod pages;
mod peers;
mod phases;
mod process;
mod spin;
mod test;
mod tools;
mod up;
mod wasm;
mod wasm_toolchain;
mod words;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::workspace::Workspace;

/// The commands of this repository besides plain cargo
///
/// Each command first sets up what it needs, saying what it does and why; a second run finds
/// it done. All of it stays under the target folder, except Debian packages.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Xtask {
    Up(up::Up),
    Test(test::Test),
    Interop(interop::Interop),
    Check(check::Check),
    Wasm(wasm::Wasm),
    Bench(bench::Bench),
    Fuzz(fuzz::Fuzz),
    #[command(hide = true)]
    Spin(spin::Spin),
}

impl Xtask {
    fn run(self) -> anyhow::Result<()> {
        let workspace = Workspace::load()?;
        match self {
            Self::Up(command) => command.run(&workspace),
            Self::Test(command) => command.run(&workspace),
            Self::Interop(command) => command.run(&workspace),
            Self::Check(command) => command.run(&workspace),
            Self::Wasm(command) => command.run(&workspace),
            Self::Bench(command) => command.run(&workspace),
            Self::Fuzz(command) => command.run(&workspace),
            Self::Spin(command) => command.run(),
        }
    }
}

fn main() -> ExitCode {
    match Xtask::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
