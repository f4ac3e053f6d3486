//! Labels of blank nodes: one label occurs in one basic graph pattern of a query, in one WHERE and in one INSERT DATA of an
//! update.

use super::{each_exists, expression, modifier_expressions};
use crate::ast::{Blank, Columns, Element, Group, Node, Quad, Solutions, Value};
use entail_model::Fault;
use std::collections::HashMap;

/// Labels that were met, with the number of the pattern or operation that they belong to.
#[derive(Default)]
pub(super) struct Labels<'a> {
    owners: HashMap<&'a str, u32>,
    current: u32,
}

impl<'a> Labels<'a> {
    /// The quads of an INSERT DATA.
    pub fn quads(&mut self, quads: &'a [Quad]) -> Result<(), Fault> {
        self.current += 1;
        for quad in quads {
            for node in quad.triple.nodes() {
                self.node(node, "INSERT DATA operations: use an IRI")?;
            }
        }
        Ok(())
    }

    /// The pattern and the clauses of a query or subquery.
    pub fn solutions(&mut self, solutions: &'a Solutions) -> Result<(), Fault> {
        self.group(&solutions.pattern)?;
        modifier_expressions(solutions)
            .try_for_each(|expression| each_exists(expression, &mut |group| self.group(group)))
    }

    /// A group. Filters do not end a basic graph pattern, everything else does.
    pub fn group(&mut self, group: &'a Group) -> Result<(), Fault> {
        self.current += 1;
        let mut filters = Vec::new();
        for element in &group.elements {
            match element {
                Element::Triple(triple) => self.nodes(&triple.nodes())?,
                Element::Path(path) => self.nodes(&[&path.subject, &path.object])?,
                Element::Filter(filter) => filters.push(&filter.expression),
                other => {
                    self.inner(other)?;
                    self.current += 1;
                }
            }
        }
        filters.into_iter().try_for_each(|filter| each_exists(filter, &mut |group| self.group(group)))
    }

    fn inner(&mut self, element: &'a Element) -> Result<(), Fault> {
        if let Some(expression) = expression(element) {
            each_exists(expression, &mut |group| self.group(group))?;
        }
        match element {
            Element::Optional(group)
            | Element::Minus(group)
            | Element::Graph { group, .. }
            | Element::Service { group, .. } => self.group(group),
            Element::Union(groups) => groups.iter().try_for_each(|group| self.group(group)),
            Element::Select(select) => {
                if let Columns::List(columns) = &select.projection.columns {
                    for expression in columns.iter().filter_map(|column| column.expression.as_ref()) {
                        each_exists(expression, &mut |group| self.group(group))?;
                    }
                }
                self.solutions(&select.solutions)
            }
            _ => Ok(()),
        }
    }

    fn nodes(&mut self, nodes: &[&'a Node]) -> Result<(), Fault> {
        nodes.iter().try_for_each(|node| self.node(node, "basic graph patterns: use a variable"))
    }

    fn node(&mut self, node: &'a Node, owners: &str) -> Result<(), Fault> {
        let mut outcome = Ok(());
        node.walk(&mut |node| {
            if let Value::Blank(Blank::Label(label)) = &node.value
                && *self.owners.entry(label).or_insert(self.current) != self.current
                && outcome.is_ok()
            {
                outcome = Err(node.spot.syntax(format!("the label _:{label} occurs in two {owners}")));
            }
        });
        outcome
    }
}
