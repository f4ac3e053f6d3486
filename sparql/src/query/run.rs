//! Running a query: from the request to its summary.

use crate::cluster::{Cluster, Interrupt};
use crate::plan::cache::{PlanCache, Source, Statement};
use crate::query::prepare::{plan, plan_prepared};
use crate::results::output::{Format, Output, Part};
use crate::rewrite::catalog::Tuning;
use crate::session::Session;
use crate::text::stack::with_stack;
use crate::{DatasetClause, DefaultGraph};
use entail_expression::value::instant::Instant;
use entail_logic::eval::meter::Clock;
use entail_model::{Cancellation, Fault, Reason};
use entail_syntax::Nesting;
use entail_syntax::algebra::Query;
use entail_syntax::algebra::QueryDataset;
use entail_syntax::limits::TEXT_BYTES_MAX;
use oxrdf::NamedNode;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tracing::info_span;

/// Bytes that the coordinator may hold for one query, by default.
const HELD_BYTES_MAX: u64 = 4 << 30;

/// The mode of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Run,
    /// Only the plan, with estimates.
    Explain,
    /// Run the query, and return the plan with the measured work of its stages.
    Profile,
}

/// A clock of the caller.
#[derive(Clone)]
pub struct RequestClock(pub Arc<dyn Clock + Send + Sync>);

impl std::fmt::Debug for RequestClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RequestClock")
    }
}

/// A query and its resources.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub text: String,
    pub base: Option<String>,
    pub format: Format,
    pub mode: Mode,
    /// The dataset of the request; where it names a graph, it replaces the query's own FROM and FROM NAMED.
    pub default_graphs: Vec<String>,
    pub named_graphs: Vec<String>,
    /// The default graph is the merge of all graphs.
    pub union_default_graph: bool,
    /// An answer with more rows fails.
    pub rows_max: Option<u64>,
    /// Bytes that the coordinator may hold for the query: rows of joins and sorts, groups, distinct rows, computed terms. 0:
    /// the default.
    pub held_bytes_max: u64,
    /// The time of the request, which NOW() gives; without one, NOW() is an error.
    pub now: Option<Instant>,
    /// Measures the coordinator's operators, if the query is profiled.
    pub clock: Option<RequestClock>,
    /// The plan cache, if texts are cached.
    pub plans: Option<Arc<PlanCache>>,
    /// Cancels the query.
    pub cancel: Cancellation,
    /// Counts the rows as they are written, for the list of running queries.
    pub rows_written: Option<Arc<AtomicU64>>,
}

/// The outcome of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Solutions or triples; of an ASK, one.
    pub rows: u64,
    /// The plan, if it was requested.
    pub plan: Option<Value>,
}

/// The outcome of a query on the fast path.
#[derive(Debug)]
pub enum LocalOutcome {
    /// The whole answer.
    Done(Summary, Vec<Part>),
    /// The query has to be [run].
    Fallback,
}

/// Runs a query on this thread, blocking; its parts go to `output`.
///
/// # Errors
/// `Syntax`, `Unsupported`, `LimitExceeded`, `InvalidRequest` for the query; `Cancelled` and `DeadlineExceeded`; errors
/// of the cluster and of `output`. After an error the parts so far are not an answer.
pub fn run(request: Request, cluster: Arc<dyn Cluster>, output: Output<'_>) -> Result<Summary, Fault> {
    run_tuned(request, Tuning::default(), cluster, output)
}

/// Runs a query like [`run`], with other thresholds of the rewriting.
///
/// # Errors
/// As for [`run`].
pub fn run_tuned(
    request: Request,
    tuning: Tuning,
    cluster: Arc<dyn Cluster>,
    output: Output<'_>,
) -> Result<Summary, Fault> {
    let span = info_span!("parse");
    let source = span.in_scope(|| source(&request))?;
    with_stack(source.nesting(), || {
        let statement = span.in_scope(|| source.statement())?;
        drop(span);
        run_statement(&request, statement, tuning, cluster, output)
    })
}

/// The fast path: answers a query if the plan cache has a prepared query for its text and a [local](Cluster::is_local)
/// cluster can evaluate it without waiting.
///
/// # Errors
/// As for [`run`].
pub fn run_local(request: &Request, cluster: Arc<dyn Cluster>) -> Result<LocalOutcome, Fault> {
    let Some(cache) = cache(request).filter(|_| request.mode == Mode::Run) else { return Ok(LocalOutcome::Fallback) };
    if request.text.len() > TEXT_BYTES_MAX {
        return Ok(LocalOutcome::Fallback);
    }
    let Some((query, parameters)) = info_span!("parse").in_scope(|| cache.prepared(&request.text)) else {
        return Ok(LocalOutcome::Fallback);
    };
    let work = || -> Result<LocalOutcome, Interrupt> {
        let plan = info_span!("plan").in_scope(|| {
            let session = session(request, Tuning::default(), cluster, None)?;
            plan_prepared(session, &query, &parameters)
        })?;
        let mut parts = Vec::with_capacity(3);
        let rows = info_span!("evaluate").in_scope(|| {
            plan.write(request, &mut |part| {
                parts.push(part);
                Ok(())
            })
        })?;
        cache.hit();
        Ok(LocalOutcome::Done(Summary { rows, plan: None }, parts))
    };
    // The texts of prepared queries do not nest.
    with_stack(Nesting::default(), || match work() {
        Err(Interrupt::Fallback) => Ok(LocalOutcome::Fallback),
        Err(Interrupt::Fault(fault)) => Err(fault),
        Ok(done) => Ok(done),
    })
}

/// The cache to use for the text of the request; none with a base IRI, which changes the meaning of a text.
fn cache(request: &Request) -> Option<&PlanCache> {
    request.plans.as_deref().filter(|_| request.base.is_none())
}

/// The source of the request's text.
fn source(request: &Request) -> Result<Source<'_>, Fault> {
    if request.text.len() > TEXT_BYTES_MAX {
        let message = format!("a text of {} bytes; at most {TEXT_BYTES_MAX} are read", request.text.len());
        return Err(Fault::new(Reason::LimitExceeded, message));
    }
    match cache(request) {
        Some(cache) => cache.source(&request.text),
        None => Source::uncached(&request.text, request.base.as_deref()),
    }
}

fn session(
    request: &Request,
    tuning: Tuning,
    cluster: Arc<dyn Cluster>,
    own: Option<&QueryDataset>,
) -> Result<Session, Interrupt> {
    let dataset = dataset_clause(request, own)?;
    let held_max = if request.held_bytes_max == 0 { HELD_BYTES_MAX } else { request.held_bytes_max };
    let mut session = Session::new(cluster, &dataset, request.cancel.clone(), held_max)?;
    session.now = request.now;
    session.clock = request.clock.as_ref().map(|clock| Arc::clone(&clock.0));
    session.tuning = tuning;
    session.profile = request.mode == Mode::Profile;
    Ok(session)
}

fn run_statement(
    request: &Request,
    statement: Statement,
    tuning: Tuning,
    cluster: Arc<dyn Cluster>,
    output: Output<'_>,
) -> Result<Summary, Fault> {
    let plan = info_span!("plan").in_scope(|| match statement {
        Statement::Prepared(query, parameters) => {
            request.format.of_solutions()?;
            plan_prepared(session(request, tuning, cluster, None)?, &query, &parameters)
        }
        Statement::Algebra(query) => {
            check_format(&query, request.format)?;
            plan(session(request, tuning, cluster, query.dataset())?, *query)
        }
    })?;
    if request.mode == Mode::Explain {
        return Ok(Summary { rows: 0, plan: Some(plan.explain()) });
    }
    let rows = info_span!("evaluate").in_scope(|| plan.write(request, output))?;
    let explained = (request.mode == Mode::Profile).then(|| plan.explain());
    Ok(Summary { rows, plan: explained })
}

fn check_format(query: &Query, format: Format) -> Result<(), Fault> {
    match query {
        Query::Select { .. } | Query::Ask { .. } => format.of_solutions().map(|_| ()),
        Query::Construct { .. } | Query::Describe { .. } => format.is_turtle().map(|_| ()),
    }
}

fn dataset_clause(request: &Request, own: Option<&QueryDataset>) -> Result<DatasetClause, Fault> {
    let nodes = |names: &[String]| {
        let node = |name: &String| {
            NamedNode::new(name)
                .map_err(|error| Fault::new(Reason::InvalidRequest, format!("the graph {name} is not an IRI: {error}")))
        };
        names.iter().map(node).collect::<Result<Vec<_>, _>>()
    };
    let is_told = !request.default_graphs.is_empty() || !request.named_graphs.is_empty();
    let mut clause = match own {
        _ if is_told => DatasetClause {
            default: DefaultGraph::Merge(nodes(&request.default_graphs)?),
            named: Some(nodes(&request.named_graphs)?),
        },
        Some(own) => DatasetClause { default: DefaultGraph::Merge(own.default.clone()), named: own.named.clone() },
        None => DatasetClause { default: DefaultGraph::Own, named: None },
    };
    if request.union_default_graph {
        clause.default = DefaultGraph::UnionOfAll;
    }
    Ok(clause)
}
