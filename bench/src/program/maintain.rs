//! The options of `entail bench maintain`: one workload, or all of them.

use super::arguments::Setup;
use super::graph::{FormName, GraphSize, usage};
use crate::debian::{Debian, PACKAGES};
use crate::lubm::Lubm;
use crate::run::{Measured, Request};
use crate::workload::Workload;
use clap::Args;
use entail_cli::failure::Failure;
use std::path::{Path, PathBuf};

/// The universities that are measured if no workload is named.
const UNIVERSITIES: [u32; 2] = [10, 50];

#[derive(Args, Clone, Debug)]
pub struct MaintainArguments {
    /// LUBM with this number of universities [default: LUBM-10, LUBM-50 and every other workload, one after the other]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..), group = "workload")]
    universities: Option<u32>,

    /// Debian, with this number of generated packages
    #[arg(long, value_name = "COUNT", group = "workload")]
    packages: Option<u64>,

    /// Debian, from the output of `debian-to-rdf`
    #[arg(long, value_name = "FILE", group = "workload")]
    archive: Option<PathBuf>,

    /// The closure of a graph of this form
    #[arg(long, value_enum, value_name = "FORM", group = "workload")]
    graph: Option<FormName>,

    #[command(flatten)]
    size: GraphSize,

    #[command(flatten)]
    setup: Setup,
}

impl MaintainArguments {
    /// The benchmarks, one for each workload. Each keeps its files, if they are kept, in a directory of its own.
    pub fn requests(self, program: &Path) -> Result<Vec<Request>, Failure> {
        let requests = self.workloads()?.into_iter().map(|workload| {
            let name = workload.name();
            let request = self.setup.clone().request(workload, Measured::Changes, program.to_owned());
            Request { keep: request.keep.map(|directory| directory.join(name)), ..request }
        });
        Ok(requests.collect())
    }

    fn workloads(&self) -> Result<Vec<Workload>, Failure> {
        let Self { universities, packages, archive, graph, size, setup } = self;
        let seed = setup.seed;
        if graph.is_none() && size.is_given() {
            return Err(usage("--vertices, --edges and --side are for --graph"));
        }
        let lubm = |universities: u32| Workload::Lubm(Lubm { universities, seed });
        let drawn = |packages: u64| Workload::Debian(Debian::Drawn { packages, seed });
        let one = match (universities, packages, archive, graph) {
            (Some(universities), ..) => Some(lubm(*universities)),
            (_, Some(packages), ..) => Some(drawn(*packages)),
            (_, _, Some(archive), _) => Some(Workload::Debian(Debian::Converted(archive.clone()))),
            (.., Some(graph)) => Some(size.closure(*graph, seed)?),
            (None, None, None, None) => None,
        };
        if let Some(one) = one {
            return Ok(vec![one]);
        }
        let mut all: Vec<Workload> = UNIVERSITIES.map(lubm).into();
        all.push(drawn(PACKAGES));
        for form in [FormName::Random, FormName::Grid, FormName::Chain] {
            all.push(size.closure(form, seed)?);
        }
        Ok(all)
    }
}
