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

    #[command(flatten)]
    size: GraphSize,

    #[command(flatten)]
    pub common: Common,
}

/// The size of a graph, as far as it is given.
#[derive(Args, Clone, Debug)]
pub struct GraphSize {
    /// Vertices of a random graph [default: 3500, of same-generation 1000] or of a chain [default: 2000]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    vertices: Option<u64>,

    /// Edges of a random graph, all different [default: 12000, of same-generation 3000]
    #[arg(long, value_name = "COUNT")]
    edges: Option<u64>,

    /// Vertices in a row of a grid, and rows [default: 100, of same-generation 150]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    side: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormName {
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

const CLOSURE: Sizes = Sizes { vertices: 3500, edges: 12_000, side: 100, length: 2000 };
const SAME_GENERATION: Sizes = Sizes { vertices: 1000, edges: 3000, side: 150, length: 2000 };

impl GraphArguments {
    pub fn closure(&self) -> Result<Workload, Failure> {
        self.size.closure(self.graph, self.common.setup.seed)
    }

    pub fn same_generation(&self) -> Result<Workload, Failure> {
        let form = self.size.form(self.graph, &SAME_GENERATION)?;
        Ok(Workload::SameGeneration(Graph { form, seed: self.common.setup.seed }))
    }
}

impl GraphSize {
    /// The closure of a graph of this size, or else of the default size.
    pub fn closure(&self, name: FormName, seed: u64) -> Result<Workload, Failure> {
        Ok(Workload::Closure(Graph { form: self.form(name, &CLOSURE)?, seed }))
    }

    pub fn is_given(&self) -> bool {
        self.vertices.or(self.edges).or(self.side).is_some()
    }

    fn form(&self, name: FormName, default: &Sizes) -> Result<Form, Failure> {
        match (name, self.vertices, self.edges, self.side) {
            (FormName::Random, vertices, edges, None) => Ok(Form::Random {
                vertices: vertices.unwrap_or(default.vertices),
                edges: edges.unwrap_or(default.edges),
            }),
            (FormName::Grid, None, None, side) => Ok(Form::Grid { side: side.unwrap_or(default.side) }),
            (FormName::Chain, vertices, None, None) => Ok(Form::Chain { vertices: vertices.unwrap_or(default.length) }),
            (FormName::Random, ..) => Err(usage("a random graph has --vertices and --edges")),
            (FormName::Grid, ..) => Err(usage("a grid has --side only")),
            (FormName::Chain, ..) => Err(usage("a chain has --vertices only")),
        }
    }
}

pub fn usage(why: &str) -> Failure {
    Failure::Usage(why.to_owned())
}
