//! Updates.

use super::group::join;
use super::term::name;
use super::{Translation, dataset};
use entail_model::Fault;
use entail_syntax::algebra::{GraphNamePattern, NamedNodePattern, QuadPattern, TriplePattern};
use entail_syntax::algebra::{GraphPattern, GraphTarget, QueryDataset};
use entail_syntax::algebra::{GraphUpdateOperation, Update};
use entail_syntax::ast::{self, Blank, Loudness, OperationKind, Value};
use oxrdf::{BlankNode, GraphName, NamedNode, NamedOrBlankNode, Quad, Term, Triple};
use std::collections::HashMap;

/// Blank nodes of an INSERT DATA, which nothing else has.
type Fresh<'a> = HashMap<&'a Blank, BlankNode>;

impl Translation {
    pub fn update(&mut self, update: &ast::Update) -> Result<Update, Fault> {
        let operations = update.operations.iter().map(|operation| self.operation(&operation.kind));
        Ok(Update { operations: operations.collect::<Result<_, Fault>>()?, base_iri: update.base.clone() })
    }

    fn operation(&mut self, operation: &OperationKind) -> Result<GraphUpdateOperation, Fault> {
        Ok(match operation {
            OperationKind::Load { loudness, source, into } => GraphUpdateOperation::Load {
                silent: *loudness == Loudness::Silent,
                source: source.clone(),
                destination: graph_name(into.as_ref()),
            },
            OperationKind::Clear(loudness, graph) => {
                GraphUpdateOperation::Clear { silent: *loudness == Loudness::Silent, graph: target(graph) }
            }
            OperationKind::Drop(loudness, graph) => {
                GraphUpdateOperation::Drop { silent: *loudness == Loudness::Silent, graph: target(graph) }
            }
            OperationKind::Create(loudness, graph) => {
                GraphUpdateOperation::Create { silent: *loudness == Loudness::Silent, graph: graph.clone() }
            }
            OperationKind::Transfer { kind, loudness, from, to } => GraphUpdateOperation::Transfer {
                kind: *kind,
                silent: *loudness == Loudness::Silent,
                from: graph_name(from.as_ref()),
                to: graph_name(to.as_ref()),
            },
            OperationKind::InsertData(quads) => {
                let mut fresh = Fresh::new();
                GraphUpdateOperation::InsertData { data: quads.iter().map(|quad| data(quad, &mut fresh)).collect() }
            }
            OperationKind::DeleteData(quads) => {
                // The parser lets no blank node pass.
                let data = quads.iter().map(|quad| data(quad, &mut Fresh::new())).collect();
                GraphUpdateOperation::DeleteData { data }
            }
            OperationKind::DeleteWhere(quads) => self.delete_where(quads),
            OperationKind::Modify { with, delete, insert, using, pattern } => {
                let mut using = dataset(using);
                if let (None, Some(with)) = (&using, with) {
                    using = Some(QueryDataset { default: vec![with.clone()], named: None });
                }
                let quads = |quads: &Option<Vec<ast::Quad>>| -> Vec<QuadPattern> {
                    quads.iter().flatten().map(|quad| self.quad(quad, with.as_ref())).collect()
                };
                let (delete, insert) = (quads(delete), quads(insert));
                GraphUpdateOperation::DeleteInsert { delete, insert, using, pattern: Box::new(self.group(pattern)?) }
            }
        })
    }

    fn delete_where(&self, quads: &[ast::Quad]) -> GraphUpdateOperation {
        let pattern = quads.iter().fold(GraphPattern::default(), |pattern, quad| {
            let triple = GraphPattern::Bgp { patterns: vec![self.triple(&quad.triple)] };
            join(
                pattern,
                match &quad.graph {
                    Some(graph) => GraphPattern::Graph { name: name(graph), inner: Box::new(triple) },
                    None => triple,
                },
            )
        });
        let delete = quads.iter().map(|quad| self.quad(quad, None)).collect();
        GraphUpdateOperation::DeleteInsert { delete, insert: Vec::new(), using: None, pattern: Box::new(pattern) }
    }

    fn quad(&self, quad: &ast::Quad, with: Option<&NamedNode>) -> QuadPattern {
        let TriplePattern { subject, predicate, object } = self.triple(&quad.triple);
        let graph_name = match (&quad.graph, with) {
            (Some(graph), _) => match name(graph) {
                NamedNodePattern::NamedNode(iri) => GraphNamePattern::NamedNode(iri),
                NamedNodePattern::Variable(variable) => GraphNamePattern::Variable(variable),
            },
            (None, Some(with)) => GraphNamePattern::NamedNode(with.clone()),
            (None, None) => GraphNamePattern::DefaultGraph,
        };
        QuadPattern { subject, predicate, object, graph_name }
    }
}

fn data<'a>(quad: &'a ast::Quad, fresh: &mut Fresh<'a>) -> Quad {
    let Triple { subject, predicate, object } = triple(&quad.triple, fresh);
    let graph = quad.graph.as_ref().and_then(|graph| match &graph.value {
        Value::Iri(iri) => Some(iri),
        _ => None,
    });
    Quad { subject, predicate, object, graph_name: graph_name(graph) }
}

fn triple<'a>(triple: &'a ast::Pattern, fresh: &mut Fresh<'a>) -> Triple {
    const CHECKED: &str = "the parser lets nothing else pass";
    let Value::Iri(predicate) = &triple.predicate.value else { unreachable!("{CHECKED}") };
    let subject = match term(&triple.subject, fresh) {
        Term::NamedNode(iri) => NamedOrBlankNode::from(iri),
        Term::BlankNode(node) => node.into(),
        Term::Literal(_) | Term::Triple(_) => unreachable!("{CHECKED}"),
    };
    Triple { subject, predicate: predicate.clone(), object: term(&triple.object, fresh) }
}

fn term<'a>(node: &'a ast::Node, fresh: &mut Fresh<'a>) -> Term {
    match &node.value {
        Value::Iri(iri) => iri.clone().into(),
        Value::Literal(literal) => literal.clone().into(),
        Value::Blank(blank) => fresh.entry(blank).or_default().clone().into(),
        Value::Triple(inner) => triple(inner, fresh).into(),
        Value::Variable(_) => unreachable!("the parser lets no variable pass"),
    }
}

fn graph_name(graph: Option<&NamedNode>) -> GraphName {
    graph.map_or(GraphName::DefaultGraph, |graph| GraphName::NamedNode(graph.clone()))
}

fn target(target: &ast::GraphTarget) -> GraphTarget {
    match target {
        ast::GraphTarget::Graph(graph) => GraphTarget::NamedNode(graph.clone()),
        ast::GraphTarget::Default => GraphTarget::DefaultGraph,
        ast::GraphTarget::Named => GraphTarget::NamedGraphs,
        ast::GraphTarget::All => GraphTarget::AllGraphs,
    }
}
