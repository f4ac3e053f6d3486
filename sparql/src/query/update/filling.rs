//! Templates of an update, filled by blocks of solutions.
//!
//! The ids of rows stay ids: only computed terms are decoded. Templates with triple terms are filled by terms
//! instead, since a triple term has a text of its own.

use super::{ChangedFact, Changes, Node, of_quad};
use crate::algebra::template::{self, Filling};
use crate::cluster::Interrupt;
use crate::evaluate::answer::Block;
use crate::evaluate::cells::Cells;
use crate::session::Session;
use crate::session::code::{Code, UNBOUND, is_computed};
use entail_model::{Fault, TermId, TermKind, term};
use entail_syntax::algebra::{GraphNamePattern, NamedNodePattern, QuadPattern, TermPattern};
use oxrdf::{BlankNode, Term, Variable};
use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

/// The templates of DELETE and INSERT.
pub(super) struct Templates<'t> {
    delete: Vec<Template<'t>>,
    insert: Vec<Template<'t>>,
}

/// A template, by its positions if none of them is a triple term.
struct Template<'t> {
    pattern: &'t QuadPattern,
    positions: Option<Positions>,
}

struct Positions {
    /// `None`: the default graph.
    graph: Option<Position>,
    subject: Position,
    predicate: Position,
    object: Position,
}

enum Position {
    Constant(Node),
    Variable(Variable),
    Blank(BlankNode),
}

impl<'t> Templates<'t> {
    /// Looks up the constants of the templates.
    pub fn new(session: &Session, delete: &'t [QuadPattern], insert: &'t [QuadPattern]) -> Result<Self, Interrupt> {
        let constants: Vec<Term> = delete.iter().chain(insert).flat_map(constants).collect();
        session.learn(&constants)?;
        let templates = |patterns: &'t [QuadPattern]| -> Result<Vec<Template<'t>>, Interrupt> {
            let template = |pattern| Ok(Template { pattern, positions: Positions::of(session, pattern)? });
            patterns.iter().map(template).collect()
        };
        Ok(Self { delete: templates(delete)?, insert: templates(insert)? })
    }

    /// The variables of all templates, in order.
    pub fn variables(&self) -> Vec<Variable> {
        let patterns: Vec<QuadPattern> =
            self.delete.iter().chain(&self.insert).map(|template| template.pattern.clone()).collect();
        template::quad_variables(&patterns)
    }

    /// Gives the changes of a block of solutions over `variables`, which are in order, in one piece or several. What is no fact is
    /// left out: a variable without a value, or a term in a place that it cannot have.
    pub fn fill(
        &self,
        session: &Session,
        variables: &[Variable],
        block: &Block,
        give: &mut dyn FnMut(Changes) -> Result<(), Interrupt>,
    ) -> Result<(), Interrupt> {
        let needs_terms = self.delete.iter().chain(&self.insert).any(|template| template.positions.is_none());
        if !needs_terms {
            return give(self.changes(session, variables, block, 0..block.rows, None)?);
        }
        let mut first = 0;
        let all = Cells::of_block(session, block, &mut |rows, cells| {
            let terms = cells.terms()?;
            give(self.changes(session, variables, block, first..first + rows, Some(&terms))?)?;
            first += rows;
            Ok(ControlFlow::Continue(()))
        });
        all.map(drop)
    }

    /// The changes of some rows of a block; `terms` are those of their cells.
    fn changes(
        &self,
        session: &Session,
        variables: &[Variable],
        block: &Block,
        rows: Range<usize>,
        terms: Option<&[Option<Term>]>,
    ) -> Result<Changes, Interrupt> {
        let mut changes = Changes::default();
        for (index, row) in rows.enumerate() {
            let of_row = |row: usize| row * block.width..(row + 1) * block.width;
            let mut row = Row {
                session,
                variables,
                codes: &block.cells[of_row(row)],
                terms: terms.map(|terms| Filling::new(variables, &terms[of_row(index)])),
                blank_nodes: HashMap::new(),
            };
            for (templates, facts) in [(&self.delete, &mut changes.removed), (&self.insert, &mut changes.added)] {
                for template in templates {
                    facts.extend(row.fact(template)?);
                }
            }
        }
        Ok(changes)
    }
}

fn constants(pattern: &QuadPattern) -> Vec<Term> {
    let graph = match &pattern.graph_name {
        GraphNamePattern::NamedNode(node) => Some(Term::from(node.clone())),
        GraphNamePattern::DefaultGraph | GraphNamePattern::Variable(_) => None,
    };
    let predicate = match &pattern.predicate {
        NamedNodePattern::NamedNode(node) => Some(Term::from(node.clone())),
        NamedNodePattern::Variable(_) => None,
    };
    let constant = |pattern: &TermPattern| match pattern {
        TermPattern::NamedNode(node) => Some(Term::from(node.clone())),
        TermPattern::Literal(literal) => Some(literal.clone().into()),
        TermPattern::BlankNode(_) | TermPattern::Variable(_) | TermPattern::Triple(_) => None,
    };
    [graph, predicate, constant(&pattern.subject), constant(&pattern.object)].into_iter().flatten().collect()
}

impl Positions {
    fn of(session: &Session, pattern: &QuadPattern) -> Result<Option<Self>, Interrupt> {
        let constant = |term: Term| -> Result<Position, Interrupt> {
            let id = session.id_of(&term)?;
            Ok(Position::Constant(id.map_or(Node::Term(term), Node::Id)))
        };
        let position = |pattern: &TermPattern| -> Result<Option<Position>, Interrupt> {
            Ok(Some(match pattern {
                TermPattern::NamedNode(node) => constant(node.clone().into())?,
                TermPattern::Literal(literal) => constant(literal.clone().into())?,
                TermPattern::BlankNode(node) => Position::Blank(node.clone()),
                TermPattern::Variable(variable) => Position::Variable(variable.clone()),
                TermPattern::Triple(_) => return Ok(None),
            }))
        };
        let graph = match &pattern.graph_name {
            GraphNamePattern::DefaultGraph => None,
            GraphNamePattern::NamedNode(node) => Some(constant(node.clone().into())?),
            GraphNamePattern::Variable(variable) => Some(Position::Variable(variable.clone())),
        };
        let predicate = match &pattern.predicate {
            NamedNodePattern::NamedNode(node) => constant(node.clone().into())?,
            NamedNodePattern::Variable(variable) => Position::Variable(variable.clone()),
        };
        let (Some(subject), Some(object)) = (position(&pattern.subject)?, position(&pattern.object)?) else {
            return Ok(None);
        };
        Ok(Some(Self { graph, subject, predicate, object }))
    }
}

/// One solution, and the blank nodes that were made for it.
struct Row<'r> {
    session: &'r Session,
    variables: &'r [Variable],
    codes: &'r [Code],
    terms: Option<Filling<'r>>,
    blank_nodes: HashMap<BlankNode, BlankNode>,
}

impl Row<'_> {
    fn fact(&mut self, template: &Template<'_>) -> Result<Option<ChangedFact>, Fault> {
        let Some(positions) = &template.positions else {
            let filling = self.terms.as_mut().expect("a template with triple terms asks for terms");
            return Ok(filling.quad(template.pattern).map(|quad| of_quad(&quad)));
        };
        let graph = match &positions.graph {
            None => None,
            Some(position) => match self.node(position)?.filter(is_resource) {
                Some(node) => Some(node),
                None => return Ok(None),
            },
        };
        let subject = self.node(&positions.subject)?.filter(is_resource);
        let predicate = self.node(&positions.predicate)?.filter(|node| kind(node) == TermKind::Iri);
        let (Some(subject), Some(predicate), Some(object)) = (subject, predicate, self.node(&positions.object)?) else {
            return Ok(None);
        };
        Ok(Some(ChangedFact { graph, subject, predicate, object }))
    }

    fn node(&mut self, position: &Position) -> Result<Option<Node>, Fault> {
        Ok(match position {
            Position::Constant(node) => Some(node.clone()),
            // New in each solution, the same within one.
            Position::Blank(label) => {
                let node = match &mut self.terms {
                    Some(filling) => filling.blank_node(label),
                    None => self.blank_nodes.entry(label.clone()).or_default().clone(),
                };
                Some(Node::Term(node.into()))
            }
            Position::Variable(variable) => {
                let index = self.variables.binary_search(variable).ok();
                let code = index.map_or(UNBOUND, |index| self.codes[index]);
                match code {
                    UNBOUND => None,
                    code if is_computed(code) => {
                        let text = self.session.computed(code);
                        let text =
                            text.ok_or_else(|| Fault::internal("a computed term that the query does not know"))?;
                        Some(Node::Term(term::decode(&text)?))
                    }
                    id => Some(Node::Id(id)),
                }
            }
        })
    }
}

fn is_resource(node: &Node) -> bool {
    matches!(kind(node), TermKind::Iri | TermKind::BlankNode)
}

fn kind(node: &Node) -> TermKind {
    match node {
        Node::Id(id) => TermId::kind(*id),
        Node::Term(Term::NamedNode(_)) => TermKind::Iri,
        Node::Term(Term::BlankNode(_)) => TermKind::BlankNode,
        Node::Term(Term::Literal(_)) => TermKind::Literal,
        Node::Term(Term::Triple(_)) => TermKind::Triple,
    }
}
