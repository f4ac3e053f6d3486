//! The standard's checks after the grammar: which variables are in scope (SPARQL 1.2 Query, section 18.2.1), what a grouped
//! query may show (11.4, 19.8), where the label of a blank node may occur again (19.6).

mod blanks;
mod grouping;
mod variables;

pub(crate) use variables::visible;

use crate::ast::{
    Described, Element, Expression, ExpressionKind, Form, Group, OperationKind, Query, Solutions, Update,
};
use entail_model::Fault;

/// # Errors
/// `Syntax` at the first thing that breaks a rule.
pub(crate) fn check_query(query: &Query) -> Result<(), Fault> {
    let projection = match &query.form {
        Form::Select(projection) => Some(projection),
        Form::Construct(_)
        | Form::ConstructWhere
        | Form::Describe(Described::Star | Described::Nodes(_))
        | Form::Ask => None,
    };
    variables::check_solutions(projection, &query.solutions)?;
    blanks::Labels::default().solutions(&query.solutions)
}

/// # Errors
/// `Syntax` at the first thing that breaks a rule.
pub(crate) fn check_update(update: &Update) -> Result<(), Fault> {
    let mut patterns = blanks::Labels::default();
    let mut data = blanks::Labels::default();
    for operation in &update.operations {
        match &operation.kind {
            OperationKind::Modify { pattern, .. } => {
                variables::check_group(pattern)?;
                patterns.group(pattern)?;
            }
            OperationKind::InsertData(quads) => data.quads(quads)?,
            _ => {}
        }
    }
    Ok(())
}

/// Calls `visit` for each group of an EXISTS in an expression.
fn each_exists<'a>(
    expression: &'a Expression,
    visit: &mut impl FnMut(&'a Group) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut outcome = Ok(());
    expression.walk(&mut |part| {
        if let (Ok(()), ExpressionKind::Exists(_, group)) = (&outcome, &part.kind) {
            outcome = visit(group);
        }
    });
    outcome
}

/// The expressions of an element itself.
fn expression(element: &Element) -> Option<&Expression> {
    match element {
        Element::Filter(filter) => Some(&filter.expression),
        Element::Bind { expression, .. } => Some(expression),
        _ => None,
    }
}

/// The expressions of the clauses after a pattern.
fn modifier_expressions(solutions: &Solutions) -> impl Iterator<Item = &Expression> {
    let modifiers = &solutions.modifiers;
    let keys = modifiers.group_by.iter().map(|key| &key.expression);
    keys.chain(&modifiers.having).chain(modifiers.order_by.iter().map(|key| &key.expression))
}
