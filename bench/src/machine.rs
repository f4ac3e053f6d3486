//! A description of the measuring machine, for the interpretation of results.

use crate::Error;
use serde::Serialize;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

/// The machine and its load at the start.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub processors: usize,
    pub processor: String,
    pub memory_bytes: u64,
    pub kernel: String,
    /// The load average of the last minute; well above zero means that other programs were running.
    pub load: f64,
    /// The version that the measured program reports.
    pub version: String,
    /// The build profile of the benchmark, which usually is that of the program beside it.
    pub build: &'static str,
}

impl Machine {
    /// Describes this machine and the measured program `entail`. Unknown properties of the machine stay empty.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such program.
    pub fn here(program: &Path) -> Result<Self, Error> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Ok(Self {
            processors: available_parallelism().map_or(0, usize::from),
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default().to_owned(),
            memory_bytes: field(&read("/proc/meminfo"), "MemTotal")
                .and_then(|text| text.strip_suffix("kB")?.trim().parse::<u64>().ok())
                .map_or(0, |kib| kib << 10),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            load: read("/proc/loadavg").split(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default(),
            version: version(program)?,
            build: if cfg!(debug_assertions) { "dev" } else { "release" },
        })
    }
}

/// The number of `entail --version`.
fn version(program: &Path) -> Result<String, Error> {
    let told = Command::new(program).arg("--version").output().map_err(|error| Error::io(program.display(), error))?;
    let text = String::from_utf8_lossy(&told.stdout);
    Ok(text.split_whitespace().nth(1).unwrap_or_default().to_owned())
}

/// The value of a line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}
