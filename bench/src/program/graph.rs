//! The graph of a workload. Defaults depend on the workload, and give its published sizes.

use super::arguments::Common;
use crate::graphs::{Form, Graph};
use crate::workload::Workload;
use clap::{Args, ValueEnum};
use entail_cli::failure::Failure;

#[derive(Args, Clone, Debug)]
pub struct GraphArguments {
    /// The form of the graph
    #[arg(long, value_enum, value_name = "FORM", default_value_t = FormName::Random)]
    graph: FormName,

    /// Vertices of a random graph [default: 3500, of same-generation 1000] or of a chain [default: 2000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    vertices: Option<u64>,

    /// Edges of a random graph, all different [default: 12000, of same-generation 3000]
    #[arg(long, value_name = "COUNT")]
    edges: Option<u64>,

    /// Vertices in a row of a grid, and rows [default: 100, of same-generation 150]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    side: Option<u64>,

    #[command(flatten)]
    pub common: Common,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormName {
    /// Random distinct edges, all equally likely
    Random,
    /// Every vertex has an edge to its right and one down
    Grid,
    /// Every vertex has an edge to the next
    Chain,
}

/// The default sizes.
struct Sizes {
    vertices: u64,
    edges: u64,
    side: u64,
    length: u64,
}

impl GraphArguments {
    pub fn closure(&self) -> Result<Workload, Failure> {
        Ok(Workload::Closure(self.graph(&Sizes { vertices: 3500, edges: 12_000, side: 100, length: 2000 })?))
    }

    pub fn same_generation(&self) -> Result<Workload, Failure> {
        Ok(Workload::SameGeneration(self.graph(&Sizes { vertices: 1000, edges: 3000, side: 150, length: 2000 })?))
    }

    fn graph(&self, default: &Sizes) -> Result<Graph, Failure> {
        let Self { graph, vertices, edges, side, common } = self;
        let form = match (graph, vertices, edges, side) {
            (FormName::Random, vertices, edges, None) => {
                Form::Random { vertices: vertices.unwrap_or(default.vertices), edges: edges.unwrap_or(default.edges) }
            }
            (FormName::Grid, None, None, side) => Form::Grid { side: side.unwrap_or(default.side) },
            (FormName::Chain, vertices, None, None) => Form::Chain { vertices: vertices.unwrap_or(default.length) },
            (FormName::Random, ..) => return Err(usage("a random graph has --vertices and --edges")),
            (FormName::Grid, ..) => return Err(usage("a grid has --side only")),
            (FormName::Chain, ..) => return Err(usage("a chain has --vertices only")),
        };
        Ok(Graph { form, seed: common.seed })
    }
}

fn usage(why: &str) -> Failure {
    Failure::Usage(why.to_owned())
}
