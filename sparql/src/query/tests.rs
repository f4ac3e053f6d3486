//! Tests of whole requests over a cluster that knows every term and has no rows: parsing, rewriting and planning.

mod once;
mod prepared;
mod stack;

use super::run::{Mode, Request, run};
use crate::cluster::{Cluster, Interrupt, NodeProfile, Rows, Texts, Wanted};
use crate::plan::cache::PlanCache;
use entail_logic::eval::Batch;
use entail_logic::plan::Plan;
use entail_logic::plan::compile::Context;
use entail_model::{Fault, ShardId, TermId, term};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Assigns an id to every term at its first lookup, and returns no rows for any plan.
#[derive(Default)]
struct NoRows {
    ids: Mutex<HashMap<Vec<u8>, TermId>>,
}

impl Cluster for NoRows {
    fn context(&self) -> Result<Arc<Context>, Fault> {
        Ok(Arc::default())
    }

    fn lookup(&self, terms: &[Vec<u8>]) -> Result<Vec<Option<TermId>>, Interrupt> {
        let mut ids = self.ids.lock().expect("no panic");
        let mut id = |bytes: &Vec<u8>| {
            let kind = term::kind_of(bytes)?;
            let next = ids.len() as u64;
            Ok(Some(*ids.entry(bytes.clone()).or_insert_with(|| TermId::dictionary(ShardId(0), next, kind))))
        };
        terms.iter().map(&mut id).collect::<Result<_, Fault>>().map_err(Into::into)
    }

    fn texts(&self, _: &[TermId], _: u64) -> Result<Texts, Interrupt> {
        Ok(Texts::new())
    }

    fn execute(&self, _: Arc<Plan>, _: Wanted) -> Result<Box<dyn Rows>, Interrupt> {
        Ok(Box::new(End))
    }

    fn graphs(&self) -> Result<Vec<TermId>, Fault> {
        Ok(Vec::new())
    }
}

struct End;

impl Rows for End {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        Ok(None)
    }

    fn profile(&mut self) -> Vec<NodeProfile> {
        Vec::new()
    }
}

/// A session over such a cluster that may hold some bytes.
pub(crate) fn session(held_max: u64) -> Arc<crate::session::Session> {
    let dataset = crate::DatasetClause { default: crate::DefaultGraph::Own, named: None };
    let session = crate::session::Session::new(Arc::new(NoRows::default()), &dataset, Default::default(), held_max);
    Arc::new(session.expect("a session"))
}

fn request(text: &str, plans: Option<&Arc<PlanCache>>, mode: Mode) -> Request {
    Request { text: text.to_owned(), plans: plans.cloned(), mode, ..Request::default() }
}

/// The plan of a text.
fn explained(text: &str, plans: Option<&Arc<PlanCache>>, cluster: &Arc<NoRows>) -> Result<Value, Fault> {
    let summary = run(request(text, plans, Mode::Explain), Arc::clone(cluster) as Arc<dyn Cluster>, &mut |_| Ok(()))?;
    Ok(without_made_up_names(summary.plan.expect("an explained query has a plan")))
}

/// The plan without the variable names that the parser generates at random.
fn without_made_up_names(plan: Value) -> Value {
    let text = plan.to_string();
    let (mut named, mut rest) = (String::new(), &text[..]);
    while let Some((before, after)) = rest.split_once('?') {
        let name = after.strip_prefix("_:").unwrap_or(after);
        let length = name.bytes().take_while(u8::is_ascii_hexdigit).count();
        named.push_str(before);
        named.push('?');
        rest = if length > 20 { &name[length..] } else { after };
    }
    Value::String(named + rest)
}
