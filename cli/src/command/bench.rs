//! `entail bench`: executes the program `entail-bench`, which contains the benchmark with its generators and peers, so
//! that this program does not contain them.
//!
//! ```text
//! entail --timeout 1h bench lubm --points ──exec──► ENTAIL=THIS entail-bench --timeout 3600000ms lubm --points
//! ```
//! The process is replaced, so signals, standard streams and the exit code need no forwarding.

use crate::arguments::{Globals, LogForm};
use crate::failure::Failure;
use crate::units::Timeout;
use clap::Args;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = "entail-bench";

/// Runs benchmarks on clusters of this program, and compares with others: runs the separate program `entail-bench`.
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true, after_help = "`entail bench --help` lists the workloads and their options.")]
pub struct Arguments {
    /// A workload or another command of `entail-bench`, and its options
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Replaces this process; returns only if `entail-bench` is missing.
pub fn run(arguments: Arguments, globals: &Globals) -> Result<(), Failure> {
    let this = std::env::current_exe().map_err(|error| Failure::input("this program", error))?;
    let beside = this.with_file_name(PROGRAM);
    // A name without a directory is looked up on the PATH.
    let program = if beside.exists() { beside.as_path() } else { Path::new(PROGRAM) };
    let mut command = Command::new(program);
    // The benchmark measures the calling program, unless its options name another.
    command.env("ENTAIL", &this).args(common(globals)).args(arguments.words);
    Err(refused(command.exec(), &this))
}

/// The global options from the command line, the environment or the configuration file.
fn common(globals: &Globals) -> Vec<OsString> {
    let Globals { server, timeout, config, log_format, quiet, verbose } = globals;
    let mut words: Vec<OsString> = vec!["--server".into(), server.into()];
    if let Some(Timeout(time)) = timeout {
        let time = time.map_or_else(|| "none".to_owned(), |time| format!("{}ms", time.as_millis()));
        words.extend(["--timeout".into(), time.into()]);
    }
    if let Some(config) = config {
        words.extend(["--config".into(), config.into()]);
    }
    if matches!(log_format, LogForm::Json) {
        words.extend(["--log-format".into(), "json".into()]);
    }
    words.extend(quiet.then(|| "--quiet".into()));
    words.extend((0..*verbose).map(|_| "--verbose".into()));
    words
}

fn refused(error: io::Error, this: &Path) -> Failure {
    let error = match error.kind() {
        ErrorKind::NotFound => io::Error::other(format!(
            "it is neither beside {} nor on the PATH. The benchmark is a program of its own: \
             `make install` installs both, `cargo build -p {PROGRAM}` builds it",
            this.display()
        )),
        _ => error,
    };
    Failure::input(PROGRAM, error)
}
