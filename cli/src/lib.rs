//! `entail`: all roles and all commands of the cluster in one program.
//!
//! ```text
//! arguments (flag > environment > file > default) ──► command ──► client ──► cluster
//!                                                        └──────► server: the roles, in this process
//! stdout: data only      stderr: logs, progress, summaries, errors      exit code: see `failure`
//! ```

mod address;
pub mod arguments;
pub mod command;
pub mod config;
mod excerpt;
pub mod failure;
pub mod output;
#[cfg(test)]
mod pages;
mod place;
mod prefixes;
mod progress;
mod server;
pub mod session;
mod traced;
pub mod units;

use arguments::Arguments;
use config::Config;
use failure::Failure;
use session::Session;
use std::io::Write;
use tokio::runtime::Runtime;

/// The table of `entail-bench` in the configuration file.
const BENCH: &str = "bench";

/// Runs the program with the arguments of the process, and exits.
pub fn main() -> ! {
    end(program())
}

/// Exits without running the destructors of statics, RocksDB's among them: an aborted thread may still use what they
/// destroy.
fn end(code: u8) -> ! {
    // Errors of the standard output have been reported already.
    _ = std::io::stdout().flush();
    signal_hook::low_level::exit(code.into())
}

fn program() -> u8 {
    let (arguments, config) = match config::load::<Arguments>(std::env::args_os().collect(), |table| table != BENCH) {
        Ok(loaded) => loaded,
        Err(failure) => return failure.report(),
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::input("the threads of this process", error).report(),
    };
    let code = runtime.block_on(run(arguments, config));
    // A blocking read of the terminal may still be running, and its result is not needed.
    runtime.shutdown_background();
    code
}

async fn run(arguments: Arguments, config: Config) -> u8 {
    let telemetry = arguments.telemetry();
    let _guard = match entail_telemetry::init(&telemetry) {
        Ok(guard) => guard,
        Err(error) => return Failure::Usage(error.to_string()).report(),
    };
    let session = Session::new(arguments.globals, config);
    match command::run(arguments.command, &session).await {
        Ok(()) => 0,
        Err(failure) => failure.report(),
    }
}
