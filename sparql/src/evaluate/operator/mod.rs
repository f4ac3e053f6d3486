//! Operators: the plan of what the coordinator evaluates, and the streams that run it.
//!
//! An [`Operator`] is immutable and can be opened many times: by an EXISTS for each of its rows, say. Each kind has its stream
//! in a file of its own.

mod distinct;
pub mod exists;
mod extend;
pub mod facts;
mod filter;
mod graph;
mod group;
mod join;
mod lateral;
mod leaf;
mod minus;
mod optional;
pub mod path;
mod slice;
pub mod sort;
mod union;

use crate::evaluate::batch::Batch;
use crate::evaluate::expression::Expression;
use crate::evaluate::run::Env;
use crate::rewrite::fold::{Group, SortOrder};
use crate::session::code::Code;
use entail_model::Fault;
use facts::{Facts, GraphRef};
use oxrdf::Variable;
use path::PathPattern;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// An operator with its inputs.
pub struct Operator {
    pub kind: Kind,
    /// The columns of its rows.
    pub variables: Vec<Variable>,
    /// The expected number of rows.
    pub estimate: f64,
    /// Its place among the measures of the evaluation.
    pub number: usize,
    /// What an explanation says of it.
    pub detail: Option<String>,
}

/// An expression, which one stream at a time runs.
pub type Shared = Arc<Mutex<Expression>>;

pub enum Kind {
    Leaf(usize),
    /// Row after row.
    Table(Vec<Code>),
    Facts(Facts),
    Path(PathPattern),
    /// The input, if the graph is one of the dataset.
    InGraph {
        graph: Code,
        inner: Arc<Operator>,
    },
    /// The input in each named graph.
    EachGraph {
        variable: Variable,
        inner: Arc<Operator>,
    },
    Join {
        left: Arc<Operator>,
        right: Arc<Operator>,
    },
    /// The right side for each left row, with the left row's values in place of its variables.
    Lateral {
        left: Arc<Operator>,
        right: Arc<Operator>,
        /// `Some`: left rows without a right one stay. Its conditions see both.
        optional: Option<Vec<Shared>>,
        /// Variables of the left that are nodes of the default graph in every row.
        nodes: Vec<Variable>,
    },
    Optional {
        left: Arc<Operator>,
        right: Arc<Operator>,
        conditions: Vec<Shared>,
    },
    Minus {
        left: Arc<Operator>,
        right: Arc<Operator>,
    },
    Union(Vec<Arc<Operator>>),
    Filter {
        inner: Arc<Operator>,
        conditions: Vec<Shared>,
    },
    /// New columns after those of the input, one after the other.
    Extend {
        inner: Arc<Operator>,
        made: Vec<Shared>,
    },
    Project(Arc<Operator>),
    Distinct(Arc<Operator>),
    Sort {
        inner: Arc<Operator>,
        keys: Vec<(Shared, SortOrder)>,
    },
    Slice {
        inner: Arc<Operator>,
        start: usize,
        length: Option<usize>,
    },
    Group {
        inner: Arc<Operator>,
        group: Group,
        /// May the computed terms of its input be forgotten after each batch?
        forgets: AtomicBool,
    },
}

/// The rows of an operator.
pub trait Stream {
    /// The next rows, at least one; `None` at the end.
    ///
    /// # Errors
    /// Errors of the cluster; `LimitExceeded` for too much memory; when the query has to end.
    fn next(&mut self) -> Result<Option<Batch>, Fault>;
}

pub type Rows = Box<dyn Stream>;

/// Starts an operator.
///
/// # Errors
/// As for [`Stream::next`].
pub fn open(operator: &Arc<Operator>, env: &Env) -> Result<Rows, Fault> {
    let rows = stream(operator, env)?;
    if !env.run.session.profile {
        return Ok(rows);
    }
    Ok(Box::new(Measured { rows, env: env.clone(), number: operator.number }))
}

fn stream(operator: &Arc<Operator>, env: &Env) -> Result<Rows, Fault> {
    let own = || Arc::clone(operator);
    Ok(match &operator.kind {
        Kind::Leaf(number) => Box::new(leaf::LeafRows::new(*number, env)),
        Kind::Table(_) => Box::new(leaf::TableRows::new(own(), env)),
        Kind::Facts(facts) => Box::new(facts.open(operator, env)?),
        Kind::Path(path) => Box::new(path.open(operator, env)?),
        Kind::InGraph { graph, inner } => graph::in_graph(*graph, inner, env)?,
        Kind::EachGraph { .. } => Box::new(graph::EachGraph::new(own(), env)?),
        Kind::Join { .. } => Box::new(join::Join::new(own(), env)?),
        Kind::Lateral { .. } => Box::new(lateral::Lateral::new(own(), env)?),
        Kind::Optional { .. } => Box::new(optional::Optional::new(own(), env)?),
        Kind::Minus { .. } => Box::new(minus::Minus::new(own(), env)?),
        Kind::Union(_) => Box::new(union::Union::new(own(), env)),
        Kind::Filter { inner, conditions } => Box::new(filter::Filter::new(inner, conditions, env)?),
        Kind::Extend { .. } => Box::new(extend::Extend::new(own(), env)?),
        Kind::Project(inner) => Box::new(union::Projected::new(own(), inner, env)?),
        Kind::Distinct(inner) => Box::new(distinct::Distinct::new(inner, env)?),
        Kind::Sort { .. } => Box::new(sort::Sort::new(own(), env)),
        Kind::Slice { inner, start, length } => Box::new(slice::Slice::new(inner, *start, *length, env)?),
        Kind::Group { .. } => Box::new(group::GroupRows::new(own(), env)),
    })
}

impl Operator {
    /// The column of a variable.
    pub fn column(&self, variable: &Variable) -> Option<usize> {
        self.variables.iter().position(|own| own == variable)
    }

    /// The inputs.
    pub fn inputs(&self) -> Vec<&Arc<Self>> {
        match &self.kind {
            Kind::Leaf(_) | Kind::Table(_) | Kind::Facts(_) | Kind::Path(_) => Vec::new(),
            Kind::InGraph { inner, .. }
            | Kind::EachGraph { inner, .. }
            | Kind::Filter { inner, .. }
            | Kind::Extend { inner, .. }
            | Kind::Project(inner)
            | Kind::Distinct(inner)
            | Kind::Sort { inner, .. }
            | Kind::Slice { inner, .. }
            | Kind::Group { inner, .. } => vec![inner],
            Kind::Join { left, right }
            | Kind::Lateral { left, right, .. }
            | Kind::Optional { left, right, .. }
            | Kind::Minus { left, right } => vec![left, right],
            Kind::Union(inputs) => inputs.iter().collect(),
        }
    }

    /// The word for the operator in explanations.
    pub fn name(&self) -> &'static str {
        match &self.kind {
            Kind::Leaf(_) => "leaf",
            Kind::Table(_) => "table",
            Kind::Facts(_) => "look up",
            Kind::Path(_) => "path",
            Kind::InGraph { .. } | Kind::EachGraph { .. } => "graph",
            Kind::Join { .. } => "join",
            Kind::Lateral { optional: None, .. } => "join row by row",
            Kind::Lateral { .. } => "optional row by row",
            Kind::Optional { .. } => "optional",
            Kind::Minus { .. } => "minus",
            Kind::Union(_) => "union",
            Kind::Filter { .. } => "filter",
            Kind::Extend { .. } => "bind",
            Kind::Project(_) => "project",
            Kind::Distinct(_) => "distinct",
            Kind::Sort { .. } => "sort",
            Kind::Slice { .. } => "slice",
            Kind::Group { .. } => "group",
        }
    }

    /// Does the evaluation keep no row once it was passed on?
    pub fn passes_on(&self) -> bool {
        let is_plain = |conditions: &[Shared]| conditions.iter().all(|one| !crate::session::lock(one).has_exists());
        let own = match &self.kind {
            Kind::Leaf(_) | Kind::Table(_) | Kind::Union(_) | Kind::Project(_) | Kind::Slice { .. } => true,
            Kind::Filter { conditions, .. } => is_plain(conditions),
            Kind::Extend { made, .. } => is_plain(made),
            Kind::Group { forgets, .. } => return forgets.load(Ordering::Relaxed),
            _ => false,
        };
        own && self.inputs().into_iter().all(|input| input.passes_on())
    }

    /// May two evaluations with the same values differ?
    pub fn is_random(&self) -> bool {
        let any = |expressions: &[Shared]| expressions.iter().any(|one| crate::session::lock(one).is_random());
        let own = match &self.kind {
            Kind::Lateral { optional: Some(expressions), .. }
            | Kind::Optional { conditions: expressions, .. }
            | Kind::Filter { conditions: expressions, .. }
            | Kind::Extend { made: expressions, .. } => any(expressions),
            // Their order decides what LIMIT takes.
            Kind::Sort { keys, .. } => keys.iter().any(|(key, _)| crate::session::lock(key).is_random()),
            _ => false,
        };
        own || self.inputs().into_iter().any(|input| input.is_random())
    }

    /// Allows a group, if nothing but this spine of operators keeps rows, to forget the computed terms of its input.
    pub fn allow_forgetting(&self) {
        match &self.kind {
            Kind::Project(inner) | Kind::Slice { inner, .. } => inner.allow_forgetting(),
            Kind::Extend { inner, made } if made.iter().all(|one| !crate::session::lock(one).has_exists()) => {
                inner.allow_forgetting();
            }
            Kind::Group { inner, group, forgets } => {
                let is_numbers_only =
                    group.by.is_empty() && group.aggregates.iter().all(|(_, one)| one.keeps_no_cells());
                forgets.store(is_numbers_only && inner.passes_on(), Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

impl GraphRef {
    /// The variable that it binds.
    pub fn variable(&self) -> Option<&Variable> {
        match self {
            Self::Each(variable) => Some(variable),
            Self::Default | Self::Named(_) | Self::Current => None,
        }
    }
}

/// Counts rows and time.
struct Measured {
    rows: Rows,
    env: Env,
    number: usize,
}

impl Stream for Measured {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        let clock = self.env.run.session.clock.clone();
        let now = || clock.as_ref().map_or(0, |clock| clock.nanoseconds());
        let start = now();
        let next = self.rows.next();
        let measure = &self.env.run.measures[self.number];
        measure.nanoseconds.fetch_add(now().saturating_sub(start), Ordering::Relaxed);
        if let Ok(Some(batch)) = &next {
            measure.rows.fetch_add(batch.rows as u64, Ordering::Relaxed);
        }
        next
    }
}
