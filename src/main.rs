//! `bell`: parses the flags, runs one command, prints its answer, and sets the exit code.

use std::process::ExitCode;

use clap::Parser;
use division_bell::cli::Cli;
use division_bell::commands;

/// What is freed is wiped: buffers of libraries hold pieces of audits too, and nobody else would clear them.
#[cfg(not(feature = "unwiped"))]
#[global_allocator]
static WIPING: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    let cli = Cli::parse();
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let code = runtime.block_on(commands::run(cli));
            // A thread that still reads a long file has nobody left to read it for.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("bell: starting: {error}");
            ExitCode::from(75)
        }
    }
}
