//! Other programs that solve the same workloads, each in its own process, so that time and memory can be measured
//! separately.
//!
//! ```text
//! run ──► this program again: `entail-bench peer ascent lubm FILE` ──► facts ──► rules, compiled in ──► a report (JSON)
//! ```

pub mod ascent;
pub mod facts;

use crate::Error;
use crate::process::Usage;
use crate::workload::Kind;
use facts::Facts;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

/// The program that Entail is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Datalog compiled into the program: the crate of that name. One thread, everything in memory.
    Ascent,
}

impl Peer {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ascent => "ascent",
        }
    }
}

/// The report of a peer about a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The number of distinct facts of the file.
    pub asserted: u64,
    /// The number of facts of the closure that are not in the file.
    pub derived: u64,
    /// The time to read, split and number the file.
    pub read_seconds: f64,
    /// The time to evaluate the rules to their fixpoint.
    pub fixpoint_seconds: f64,
    /// The total time.
    pub seconds: f64,
    /// The resources used up to then.
    pub usage: Usage,
    /// The number of rows of each query of the workload; not part of the time.
    pub rows: Vec<(String, u64)>,
}

/// The closure of some facts.
pub trait Closed {
    /// The number of facts in it, without facts that the rules do not read.
    fn count(&self) -> u64;
    /// The number of rows of each query of the workload.
    fn rows(self: Box<Self>, facts: &mut Facts<'_>) -> Vec<(String, u64)>;
}

/// Solves a workload in this process.
///
/// # Errors
/// [`Error::Io`] and [`Error::Input`] for a file that cannot be read.
pub fn solve(peer: Peer, kind: Kind, file: &Path) -> Result<Report, Error> {
    let started = Instant::now();
    let text = fs::read(file).map_err(|error| Error::io(file.display(), error))?;
    let mut facts = Facts::parse(&text)?;
    let asserted = facts.count();
    let read = started.elapsed().as_secs_f64();
    let closed: Box<dyn Closed> = match (peer, kind) {
        (Peer::Ascent, Kind::Lubm) => Box::new(ascent::lubm::close(&mut facts)),
        (Peer::Ascent, Kind::Closure) => Box::new(ascent::closure::close(&mut facts)),
        (Peer::Ascent, Kind::Debian) => Box::new(ascent::debian::close(&mut facts)),
        (Peer::Ascent, Kind::SameGeneration) => Box::new(ascent::generation::close(&mut facts)),
    };
    let seconds = started.elapsed().as_secs_f64();
    let usage = Usage::of(std::process::id())?;
    let derived = closed.count() + facts.count() - asserted;
    let rows = closed.rows(&mut facts);
    Ok(Report { asserted, derived, read_seconds: read, fixpoint_seconds: seconds - read, seconds, usage, rows })
}

/// Runs a peer in a separate process; dropping the future ends the process.
///
/// # Errors
/// [`Error::Child`] if the peer fails.
pub async fn spawn(peer: Peer, kind: Kind, file: &Path) -> Result<Report, Error> {
    let program = crate::process::this_program()?;
    let failed = |why: String| Error::Child { name: peer.name().to_owned(), why };
    let output = tokio::process::Command::new(program)
        .args(["peer", peer.name(), kind.name()])
        .arg(file)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| Error::io("a process for the peer", error))?;
    if !output.status.success() {
        return Err(failed(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(format!("its report is none: {error}")))
}
