//! What operations and rules read and change, by graph and predicate: a WHERE is evaluated over the epoch that the request
//! builds on, so it must not read what an earlier operation of the request can change.
//!
//! An operation changes the facts that it names, and those that rules derive from them: rules are followed until nothing is
//! added. Only names are compared, never facts, so a request is refused or not whatever the graph holds.

use super::operation::{Kind, Modification, Operation};
use entail_model::{Fault, Reason};
use entail_syntax::algebra::{
    self, GraphNamePattern, GraphPattern, GraphTarget, NamedNodePattern, PropertyPathExpression, QuadPattern,
    QueryDataset, TriplePattern,
};
use oxrdf::{GraphName, NamedNode};

/// What a rule in force reads and derives: predicates, `None` for any, in one graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Influence {
    pub graph: GraphName,
    pub reads: Vec<Option<NamedNode>>,
    pub derives: Vec<Option<NamedNode>>,
}

/// Some graphs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Graphs {
    One(GraphName),
    /// All but the default graph.
    Named,
    All,
}

impl Graphs {
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::One(one), Self::One(other)) => one == other,
            (Self::One(one), Self::Named) | (Self::Named, Self::One(one)) => *one != GraphName::DefaultGraph,
            _ => true,
        }
    }
}

/// All facts of some graphs with one predicate, or with any.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cell {
    graphs: Graphs,
    predicate: Option<NamedNode>,
}

impl Cell {
    fn meets(&self, other: &Self) -> bool {
        let same = match (&self.predicate, &other.predicate) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        same && self.graphs.meets(&other.graphs)
    }
}

/// Refuses a WHERE that would have to see what an earlier operation changes.
///
/// # Errors
/// `Unsupported`, which names both operations.
pub(super) fn check_order(operations: &[Operation], rules: &[Influence]) -> Result<(), Fault> {
    let mut changed: Vec<(Cell, &Operation)> = Vec::new();
    for operation in operations {
        if let (Kind::Modify(modification), false) = (&operation.kind, changed.is_empty()) {
            let read = read_by(modification);
            let met = changed.iter().find(|(cell, _)| read.iter().any(|read| read.meets(cell)));
            if let Some((_, earlier)) = met {
                let text = format!(
                    "not supported: {} reads what {} changes, itself or through rules; send them as two requests",
                    operation.described(),
                    earlier.described()
                );
                return Err(operation.fault(Reason::Unsupported, &text));
            }
        }
        let own = changed_by(operation).into_iter().map(|cell| (cell, operation));
        for cell in own {
            add(&mut changed, cell);
        }
        follow(&mut changed, rules);
    }
    Ok(())
}

fn add<'o>(changed: &mut Vec<(Cell, &'o Operation)>, (cell, by): (Cell, &'o Operation)) {
    if !changed.iter().any(|(known, _)| *known == cell) {
        changed.push((cell, by));
    }
}

/// Adds what rules derive from changed facts.
fn follow<'o>(changed: &mut Vec<(Cell, &'o Operation)>, rules: &[Influence]) {
    let mut fired = vec![false; rules.len()];
    loop {
        let before = fired.iter().filter(|fired| **fired).count();
        for (rule, fired) in rules.iter().zip(&mut fired) {
            let cell = |predicate: &Option<NamedNode>| Cell {
                graphs: Graphs::One(rule.graph.clone()),
                predicate: predicate.clone(),
            };
            let reads: Vec<Cell> = rule.reads.iter().map(cell).collect();
            let met = changed.iter().find(|(changed, _)| reads.iter().any(|read| read.meets(changed)));
            if let (Some((_, by)), false) = (met, *fired) {
                let by: &'o Operation = by;
                *fired = true;
                rule.derives.iter().map(cell).for_each(|cell| add(changed, (cell, by)));
            }
        }
        if fired.iter().filter(|fired| **fired).count() == before {
            return;
        }
    }
}

fn changed_by(operation: &Operation) -> Vec<Cell> {
    let any_in = |graphs| vec![Cell { graphs, predicate: None }];
    match &operation.kind {
        Kind::Data { removed, added } => {
            let mut cells: Vec<Cell> = Vec::new();
            for quad in removed.iter().chain(added) {
                let cell =
                    Cell { graphs: Graphs::One(quad.graph_name.clone()), predicate: Some(quad.predicate.clone()) };
                // Facts of one predicate often follow each other.
                if cells.last() != Some(&cell) {
                    cells.push(cell);
                }
            }
            cells
        }
        Kind::Clear(target) => any_in(match target {
            GraphTarget::NamedNode(node) => Graphs::One(node.clone().into()),
            GraphTarget::DefaultGraph => Graphs::One(GraphName::DefaultGraph),
            GraphTarget::NamedGraphs => Graphs::Named,
            GraphTarget::AllGraphs => Graphs::All,
        }),
        Kind::Create { .. } => Vec::new(),
        Kind::Transfer { kind, from, to, .. } => {
            let mut cells = any_in(Graphs::One(to.clone()));
            if *kind == entail_syntax::ast::Transfer::Move {
                cells.extend(any_in(Graphs::One(from.clone())));
            }
            cells
        }
        Kind::Modify(Modification { delete, insert, .. }) => delete.iter().chain(insert).map(template).collect(),
    }
}

fn template(quad: &QuadPattern) -> Cell {
    let graphs = match &quad.graph_name {
        GraphNamePattern::NamedNode(node) => Graphs::One(node.clone().into()),
        GraphNamePattern::DefaultGraph => Graphs::One(GraphName::DefaultGraph),
        GraphNamePattern::Variable(_) => Graphs::Named,
    };
    Cell { graphs, predicate: constant(&quad.predicate) }
}

fn constant(predicate: &NamedNodePattern) -> Option<NamedNode> {
    match predicate {
        NamedNodePattern::NamedNode(node) => Some(node.clone()),
        NamedNodePattern::Variable(_) => None,
    }
}

fn read_by(modification: &Modification) -> Vec<Cell> {
    let own = QueryDataset { default: Vec::new(), named: None };
    let (dataset, default) = match &modification.using {
        Some(using) => (using, using.default.iter().map(|graph| Graphs::One(graph.clone().into())).collect()),
        None => (&own, vec![Graphs::One(GraphName::DefaultGraph)]),
    };
    let mut reading = Reading { dataset, cells: Vec::new() };
    reading.pattern(&modification.pattern, &default);
    reading.cells
}

/// Collects what a pattern reads.
struct Reading<'d> {
    dataset: &'d QueryDataset,
    cells: Vec<Cell>,
}

impl Reading<'_> {
    fn pattern(&mut self, pattern: &GraphPattern, graphs: &[Graphs]) {
        match pattern {
            GraphPattern::Bgp { patterns } => patterns.iter().for_each(|triple| self.triple(triple, graphs)),
            GraphPattern::Path { path, .. } => self.path(path, graphs),
            GraphPattern::Graph { name, inner } => {
                let named = self.named(name);
                // What is found may depend on which graphs there are.
                let mut exist = Vec::new();
                if matches!(name, NamedNodePattern::Variable(_)) {
                    exist.clone_from(&named);
                }
                if !is_found_in_graph(inner) {
                    self.read(&exist, None);
                }
                self.pattern(inner, &named);
            }
            _ => {}
        }
        let exists = algebra::expressions(pattern).into_iter().flat_map(algebra::exists_patterns);
        exists.for_each(|inner| self.pattern(inner, graphs));
        if !matches!(pattern, GraphPattern::Graph { .. }) {
            algebra::children(pattern).into_iter().for_each(|inner| self.pattern(inner, graphs));
        }
    }

    fn named(&self, name: &NamedNodePattern) -> Vec<Graphs> {
        match (name, &self.dataset.named) {
            (NamedNodePattern::NamedNode(node), _) => vec![Graphs::One(node.clone().into())],
            (NamedNodePattern::Variable(_), None) => vec![Graphs::Named],
            (NamedNodePattern::Variable(_), Some(named)) => {
                named.iter().map(|graph| Graphs::One(graph.clone().into())).collect()
            }
        }
    }

    fn triple(&mut self, triple: &TriplePattern, graphs: &[Graphs]) {
        self.read(graphs, constant(&triple.predicate));
    }

    fn path(&mut self, path: &PropertyPathExpression, graphs: &[Graphs]) {
        match path {
            PropertyPathExpression::NamedNode(node) => self.read(graphs, Some(node.clone())),
            PropertyPathExpression::Reverse(inner) | PropertyPathExpression::OneOrMore(inner) => {
                self.path(inner, graphs);
            }
            PropertyPathExpression::Sequence(one, other) | PropertyPathExpression::Alternative(one, other) => {
                self.path(one, graphs);
                self.path(other, graphs);
            }
            // A path without steps leads from each term of the graph to itself.
            PropertyPathExpression::ZeroOrMore(_)
            | PropertyPathExpression::ZeroOrOne(_)
            | PropertyPathExpression::NegatedPropertySet(_) => self.read(graphs, None),
        }
    }

    fn read(&mut self, graphs: &[Graphs], predicate: Option<NamedNode>) {
        for graphs in graphs {
            let cell = Cell { graphs: graphs.clone(), predicate: predicate.clone() };
            if !self.cells.contains(&cell) {
                self.cells.push(cell);
            }
        }
    }
}

/// Does each solution of the pattern need a fact of the graph?
fn is_found_in_graph(pattern: &GraphPattern) -> bool {
    match pattern {
        GraphPattern::Bgp { patterns } => !patterns.is_empty(),
        GraphPattern::Join { left, right } => is_found_in_graph(left) || is_found_in_graph(right),
        GraphPattern::Filter { inner, .. } | GraphPattern::Extend { inner, .. } => is_found_in_graph(inner),
        _ => false,
    }
}
