//! GRAPH: a pattern in one graph, if there is one, or in each graph (SPARQL 1.1, 18.6).

use super::{Kind, Operator, Rows, Stream, open};
use crate::evaluate::batch::Batch;
use crate::evaluate::run::Env;
use crate::session::code::{Code, UNBOUND};
use entail_model::Fault;
use std::sync::Arc;

/// The rows of `inner` if the graph is one of the dataset.
pub fn in_graph(graph: Code, inner: &Arc<Operator>, env: &Env) -> Result<Rows, Fault> {
    if env.run.is_graph(graph)? { open(inner, &env.in_graph(graph)) } else { Ok(Box::new(Nothing)) }
}

struct Nothing;

impl Stream for Nothing {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        Ok(None)
    }
}

/// The rows of the input in one named graph after the other, each with the graph.
pub struct EachGraph {
    operator: Arc<Operator>,
    env: Env,
    graphs: std::vec::IntoIter<Code>,
    rows: Option<(Code, Rows)>,
}

impl EachGraph {
    pub fn new(operator: Arc<Operator>, env: &Env) -> Result<Self, Fault> {
        let Kind::EachGraph { variable, .. } = &operator.kind else { return Err(Fault::internal("no graphs")) };
        let mut graphs = env.run.graphs()?.to_vec();
        if let Some(only) = env.get(variable) {
            graphs.retain(|graph| *graph == only);
        }
        Ok(Self { operator, env: env.clone(), graphs: graphs.into_iter(), rows: None })
    }

    /// The rows with the graph in its column, which comes last unless the input has it.
    fn with_graph(&self, mut batch: Batch, graph: Code) -> Batch {
        let Kind::EachGraph { variable, inner } = &self.operator.kind else { return batch };
        let Some(column) = inner.column(variable) else {
            batch.columns.push(vec![graph; batch.rows]);
            return batch;
        };
        let fits = |(_, code): &(usize, &Code)| **code == graph || **code == UNBOUND;
        let kept: Vec<u32> = batch.columns[column].iter().enumerate().filter(fits).map(|(row, _)| row as u32).collect();
        let mut batch = batch.gather(&kept);
        batch.columns[column] = vec![graph; batch.rows];
        batch
    }
}

impl Stream for EachGraph {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        loop {
            if let Some((graph, rows)) = &mut self.rows
                && let Some(batch) = rows.next()?
            {
                let graph = *graph;
                let batch = self.with_graph(batch, graph);
                if batch.rows > 0 {
                    return Ok(Some(batch));
                }
                continue;
            }
            self.env.run.session.check()?;
            let Some(graph) = self.graphs.next() else { return Ok(None) };
            let Kind::EachGraph { inner, .. } = &self.operator.kind else { return Ok(None) };
            self.rows = Some((graph, open(inner, &self.env.in_graph(graph))?));
        }
    }
}
