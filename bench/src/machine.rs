//! The machine that measures: figures without it mean little.

use serde::Serialize;
use std::fs;
use std::thread::available_parallelism;

/// What the machine is and how busy it was at the start.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub processors: usize,
    pub processor: String,
    pub memory_bytes: u64,
    pub kernel: String,
    /// Processes that ran or waited in the last minute, on average; well above zero means that others were at work.
    pub load: f64,
    /// Of Entail.
    pub version: &'static str,
    pub build: &'static str,
}

impl Machine {
    /// This one. What cannot be learnt stays empty.
    pub fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            processors: available_parallelism().map_or(0, usize::from),
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default().to_owned(),
            memory_bytes: field(&read("/proc/meminfo"), "MemTotal")
                .and_then(|text| text.strip_suffix("kB")?.trim().parse::<u64>().ok())
                .map_or(0, |kib| kib << 10),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            load: read("/proc/loadavg").split(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION"),
            build: if cfg!(debug_assertions) { "dev" } else { "release" },
        }
    }
}

/// The value of a line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}
