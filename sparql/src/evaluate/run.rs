//! Running a query: from the request to its summary.

use crate::cluster::{Cluster, elsewhere};
use crate::evaluate::session::{Session, Stop};
use crate::plan::estimate::Tuning;
use crate::plan::prepare::{self, prepare, prepare_template};
use crate::results::output::{Format, Output, Part};
use crate::text::limits;
use crate::text::parse;
use crate::text::plan_cache::{Found, Plans};
use crate::{DatasetClause, DefaultGraph};
use entail_model::{Fault, Reason};
use oxrdf::NamedNode;
use serde_json::Value;
use spargebra::Query;
use spargebra::algebra::QueryDataset;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tracing::info_span;

/// Bytes of rows that the coordinator's own operators may get from the cluster in one query, unless told otherwise.
const FED_BYTES_MAX: u64 = 4 << 30;

/// What to do with a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Run,
    /// Only the plan, with estimates.
    Explain,
    /// Run it, and give the plan with what its stages did.
    Profile,
}

/// A query and all that it may use.
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
    /// An answer of more rows is refused.
    pub rows_max: Option<u64>,
    /// Bytes of rows that the coordinator's operators may get. 0: the default.
    pub fed_bytes_max: u64,
    /// What is known of the texts of queries, if that is kept.
    pub plans: Option<Arc<Plans>>,
    pub stop: Stop,
}

/// What came of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Solutions or triples; of an ASK, one.
    pub rows: u64,
    /// The plan, where it was asked for.
    pub plan: Option<Value>,
}

/// Runs a query on a thread of its own with a large stack, blocking; its parts go to `output`.
///
/// # Errors
/// `Syntax`, `Unsupported`, `LimitExceeded`, `InvalidRequest` for the query; `Cancelled` and `DeadlineExceeded`; what the
/// cluster and `output` give. After an error the parts so far are no answer.
pub fn run(request: Request, cluster: Arc<dyn Cluster>, output: Output<'_>) -> Result<Summary, Fault> {
    run_tuned(request, Tuning::default(), cluster, output)
}

/// As [`run`], with thresholds of one's own.
pub fn run_tuned(
    request: Request,
    tuning: Tuning,
    cluster: Arc<dyn Cluster>,
    output: Output<'_>,
) -> Result<Summary, Fault> {
    limits::run_on_big_stack(move || run_on_this_thread(&request, tuning, cluster, output))
}

/// Answers a query on this thread and at once, if its text is known and all that it needs is [at hand]; the parts of its
/// answer come with the summary. `None`: it has to be [run].
///
/// # Errors
/// As for [`run`].
///
/// [at hand]: Cluster::is_at_hand
pub fn run_at_hand(request: &Request, cluster: Arc<dyn Cluster>) -> Option<Result<(Summary, Vec<Part>), Fault>> {
    let plans = request.plans.as_ref().filter(|_| request.mode == Mode::Run)?;
    let found = info_span!("parse").in_scope(|| find(plans, request));
    let (template, holes) = match found? {
        Found::Template(template, holes) => (template, holes),
        Found::Parsed(_) => return None,
    };
    let work = || {
        let query = info_span!("plan").in_scope(|| {
            let session = session(request, Tuning::default(), cluster, None)?;
            prepare_template(session, &template, &holes)
        })?;
        let mut parts = Vec::with_capacity(3);
        let rows = info_span!("evaluate").in_scope(|| {
            query.write(request, &mut |part| {
                parts.push(part);
                Ok(())
            })
        })?;
        plans.hit();
        Ok((Summary { rows, plan: None }, parts))
    };
    // A defect fails the query, and nobody else's.
    let result = catch_unwind(AssertUnwindSafe(work));
    let result = result.unwrap_or_else(|_| Err(Fault::internal("the query has panicked: see the log")));
    Some(result).filter(|result| result.as_ref().err() != Some(&elsewhere()))
}

fn find(plans: &Plans, request: &Request) -> Option<Found> {
    let is_plain = request.base.is_none() && request.text.len() <= limits::TEXT_BYTES_MAX;
    is_plain.then(|| plans.find(&request.text)).flatten()
}

/// Keeps what was parsed for the next with this text.
fn keep(request: &Request, session: &Session, query: &Query) {
    let Some(plans) = request.plans.as_ref().filter(|_| request.base.is_none()) else { return };
    plans.keep(&request.text, query, |open, holes| {
        let open = parse::parse_query(open, None).ok()?;
        prepare::template(session, query, &open, holes)
    });
}

fn session(
    request: &Request,
    tuning: Tuning,
    cluster: Arc<dyn Cluster>,
    own: Option<&QueryDataset>,
) -> Result<Session, Fault> {
    let dataset = dataset_clause(request, own)?;
    let fed_max = if request.fed_bytes_max == 0 { FED_BYTES_MAX } else { request.fed_bytes_max };
    let mut session = Session::new(cluster, &dataset, request.stop.clone(), fed_max)?;
    session.tuning = tuning;
    session.profile = request.mode == Mode::Profile;
    Ok(session)
}

fn run_on_this_thread(
    request: &Request,
    tuning: Tuning,
    cluster: Arc<dyn Cluster>,
    output: Output<'_>,
) -> Result<Summary, Fault> {
    let known = || request.plans.as_ref().and_then(|plans| find(plans, request));
    let (found, is_new) = info_span!("parse").in_scope(|| match known() {
        Some(found) => Ok((found, false)),
        None => parse::parse_query(&request.text, request.base.as_deref())
            .map(|query| (Found::Parsed(Box::new(query)), true)),
    })?;
    let query = info_span!("plan").in_scope(|| match found {
        Found::Template(template, holes) => {
            request.format.of_solutions()?;
            prepare_template(session(request, tuning, cluster, None)?, &template, &holes)
        }
        Found::Parsed(query) => {
            check_format(&query, request.format)?;
            let session = session(request, tuning, cluster, query.dataset())?;
            if is_new {
                keep(request, &session, &query);
            }
            prepare(session, *query)
        }
    })?;
    if let Some(plans) = &request.plans {
        if is_new { plans.miss() } else { plans.hit() }
    }
    if request.mode == Mode::Explain {
        return Ok(Summary { rows: 0, plan: Some(query.explain()) });
    }
    let rows = info_span!("evaluate").in_scope(|| query.write(request, output))?;
    let plan = (request.mode == Mode::Profile).then(|| query.explain());
    Ok(Summary { rows, plan })
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
