//! From the syntax tree to SPARQL's algebra (SPARQL 1.1 Query, section 18.2).
//!
//! `group` translates group graph patterns, `select` what is around them, `path` property paths, `term` terms, `update` the
//! operations of updates. New variables and blank nodes have names that begin with a prefix which the text does not contain.

mod group;
mod path;
mod select;
mod term;
#[cfg(test)]
mod tests;
mod update;

use entail_model::Fault;
use entail_syntax::algebra::{AggregateExpression, QueryDataset};
use entail_syntax::algebra::{Query, Update};
use entail_syntax::ast;
use oxrdf::{BlankNode, Variable};

/// The algebra of a query with this text.
///
/// # Errors
/// `Unsupported` for what the algebra does not have.
pub(crate) fn query(query: &ast::Query, text: &str) -> Result<Query, Fault> {
    Translation::new(text).query(query)
}

/// The algebra of an update with this text, operation by operation. Labels of blank nodes in INSERT DATA become blank nodes that nothing else has.
///
/// # Errors
/// `Unsupported` for what the algebra does not have.
pub(crate) fn update(update: &ast::Update, text: &str) -> Result<Update, Fault> {
    Translation::new(text).update(update)
}

/// The algebra of a query.
#[cfg(test)]
pub(crate) fn parsed(text: &str) -> Query {
    let parsed = entail_syntax::parse_query(text, None).unwrap_or_else(|fault| panic!("{text}: {fault}"));
    query(&parsed.tree, text).unwrap_or_else(|fault| panic!("{text}: {fault}"))
}

/// The state of a translation.
struct Translation {
    prefix: String,
    variables: u32,
    blank_nodes: u32,
    /// The aggregates of the query whose clauses are being translated, with the variables of their values.
    aggregates: Vec<(Variable, AggregateExpression)>,
}

impl Translation {
    fn new(text: &str) -> Self {
        let mut prefix = "own".to_owned();
        while memchr::memmem::find(text.as_bytes(), prefix.as_bytes()).is_some() {
            prefix.push('_');
        }
        Self { prefix, variables: 0, blank_nodes: 0, aggregates: Vec::new() }
    }

    /// A variable that the text does not have.
    fn variable(&mut self) -> Variable {
        self.variables += 1;
        Variable::new_unchecked(format!("{}{}", self.prefix, self.variables))
    }

    /// A blank node that the tree does not have.
    fn blank_node(&mut self) -> BlankNode {
        self.blank_nodes += 1;
        BlankNode::new_unchecked(format!("{}p{}", self.prefix, self.blank_nodes))
    }
}

fn dataset(dataset: &ast::Dataset) -> Option<QueryDataset> {
    let ast::Dataset { default, named } = dataset;
    (!dataset.is_empty()).then(|| QueryDataset { default: default.clone(), named: Some(named.clone()) })
}
