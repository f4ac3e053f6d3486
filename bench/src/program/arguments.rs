//! What every workload is told: the cluster to measure, how often, beside whom.

use crate::cluster::{Layout, Shape};
use crate::debian::{Debian, PACKAGES};
use crate::lubm::Lubm;
use crate::peer::Peer;
use crate::run::Request;
use crate::workload::{Kind, SEED, Workload};
use clap::{Args, ValueEnum};
use entail_cli::units;
use std::path::PathBuf;

#[derive(Args, Clone, Debug)]
pub struct LubmArguments {
    /// Universities; each has about 130,000 triples
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    universities: u32,

    /// Measures small requests too: an empty call, one entity's facts, one fact written
    #[arg(long, conflicts_with = "write")]
    pub points: bool,

    #[command(flatten)]
    pub common: Common,
}

impl LubmArguments {
    pub fn workload(&self) -> Workload {
        Workload::Lubm(Lubm { universities: self.universities, seed: self.common.seed })
    }
}

#[derive(Args, Clone, Debug)]
pub struct DebianArguments {
    /// Packages, which are drawn by the archive's profile [default: as many as Debian 12 has]
    #[arg(long, value_name = "COUNT", default_value_t = PACKAGES, hide_default_value = true)]
    packages: u64,

    /// The archive itself in place of drawn packages: what `debian-to-rdf` has written
    #[arg(long, value_name = "FILE", conflicts_with_all = ["packages", "seed"])]
    archive: Option<PathBuf>,

    #[command(flatten)]
    pub common: Common,
}

impl DebianArguments {
    pub fn workload(&self) -> Workload {
        Workload::Debian(match self.archive.clone() {
            Some(path) => Debian::Converted(path),
            None => Debian::Drawn { packages: self.packages, seed: self.common.seed },
        })
    }
}

#[derive(Args, Clone, Debug)]
pub struct Common {
    /// What the input is made from; the same seed gives the same bytes
    #[arg(long, value_name = "NUMBER", default_value_t = SEED)]
    pub seed: u64,

    /// Only writes the input, as N-Triples, to this file, and measures nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runs", "against", "keep"])]
    pub write: Option<PathBuf>,

    /// Nodes of the cluster
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    nodes: u16,

    /// Shards of the cluster, a power of two
    #[arg(long, value_name = "COUNT", default_value = "16", value_parser = units::shards)]
    shards: u32,

    /// Whether coordinator and nodes share a process
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Processes::One)]
    processes: Processes,

    /// Gives each process one processor: the coordinator and the first node share the first one
    #[arg(long)]
    pin: bool,

    /// Memory of each node and of the coordinator [default: that of `entail serve`]
    #[arg(long, value_name = "SIZE", value_parser = checked_size)]
    memory: Option<String>,

    /// Threads of each node for evaluation [default: the processors, shared out; one if pinned]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// How often everything is done, each time on a new cluster
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Measures this one too, in turns, checks that it finds the same facts, and tells the ratios
    #[arg(long, value_enum, value_name = "PEER")]
    against: Option<PeerName>,

    /// Keeps the input, the data and the logs in this directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

impl Common {
    pub fn request(self, workload: Workload, program: PathBuf) -> Request {
        let Self { seed: _, write: _, nodes, shards, processes, pin, memory, threads, runs, against, keep } = self;
        let layout = match processes {
            Processes::One => Layout::One,
            Processes::Many => Layout::Many,
        };
        let shape = Shape { nodes, shards, layout, pinned: pin, memory, threads };
        Request { workload, program, shape, runs, against: against.map(Peer::from), points: false, keep }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Processes {
    /// All of them: `entail serve`
    One,
    /// `entail coordinator`, and `entail node` for each node
    Many,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PeerName {
    /// Rules compiled into the program; one thread, everything in memory
    Ascent,
}

impl From<PeerName> for Peer {
    fn from(name: PeerName) -> Self {
        match name {
            PeerName::Ascent => Self::Ascent,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindName {
    Lubm,
    Closure,
    SameGeneration,
    Debian,
}

impl From<KindName> for Kind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Lubm => Self::Lubm,
            KindName::Closure => Self::Closure,
            KindName::SameGeneration => Self::SameGeneration,
            KindName::Debian => Self::Debian,
        }
    }
}

/// A size that `entail serve` will take, as it was written.
fn checked_size(text: &str) -> Result<String, String> {
    units::memory(text).map(|_| text.to_owned())
}
