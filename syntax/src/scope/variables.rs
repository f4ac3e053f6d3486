//! Variables in scope: BIND and AS name new ones.

use super::{each_exists, expression, grouping, modifier_expressions};
use crate::ast::{Columns, Element, Group, Node, Projection, Solutions, Values, VariableAt};
use entail_model::Fault;
use oxrdf::Variable;
use std::collections::HashSet;

/// Variables in scope.
pub(super) type Scope<'a> = HashSet<&'a Variable>;

/// The variables that a pattern and the VALUES after it bring into scope, sorted by name.
pub(crate) fn visible(group: &Group, values: Option<&Values>) -> Vec<Variable> {
    let mut scope = Scope::new();
    group.elements.iter().for_each(|element| add(element, &mut scope));
    scope.extend(values.into_iter().flat_map(|values| &values.variables).map(|found| &found.variable));
    let mut variables: Vec<Variable> = scope.into_iter().cloned().collect();
    variables.sort_unstable();
    variables
}

/// Adds what an element brings into scope.
fn add<'a>(element: &'a Element, scope: &mut Scope<'a>) {
    let groups = |groups: &'a [Group], scope: &mut Scope<'a>| {
        groups.iter().flat_map(|group| &group.elements).for_each(|element| add(element, scope));
    };
    match element {
        Element::Triple(triple) => triple.walk(&mut |node| scope.extend(node.variable())),
        Element::Path(path) => [&path.subject, &path.object].into_iter().for_each(|node| add_node(node, scope)),
        Element::Filter(_) | Element::Minus(_) => {}
        Element::Optional(group) => groups(std::slice::from_ref(group), scope),
        Element::Union(list) => groups(list, scope),
        Element::Graph { name, group } | Element::Service { name, group, .. } => {
            add_node(name, scope);
            groups(std::slice::from_ref(group), scope);
        }
        Element::Bind { variable, .. } => drop(scope.insert(&variable.variable)),
        Element::Values(values) => scope.extend(values.variables.iter().map(|found| &found.variable)),
        Element::Select(select) => match &select.projection.columns {
            Columns::Star(columns) => scope.extend(columns.iter().map(|column| &column.variable)),
            Columns::List(columns) => scope.extend(columns.iter().map(|column| &column.variable.variable)),
        },
    }
}

fn add_node<'a>(node: &'a Node, scope: &mut Scope<'a>) {
    node.walk(&mut |node| scope.extend(node.variable()));
}

/// Checks a group and everything in it.
pub(super) fn check_group(group: &Group) -> Result<(), Fault> {
    let mut scope = Scope::new();
    check_elements(group, &mut scope)
}

/// Checks the elements of a group, and adds what they bring into scope.
fn check_elements<'a>(group: &'a Group, scope: &mut Scope<'a>) -> Result<(), Fault> {
    for element in &group.elements {
        if let Some(expression) = expression(element) {
            each_exists(expression, &mut |group| check_group(group))?;
        }
        match element {
            Element::Bind { variable, .. } if scope.contains(&variable.variable) => {
                return Err(bound("BIND", variable));
            }
            // What is in scope in these is what they bring into scope.
            Element::Optional(inner) | Element::Graph { group: inner, .. } | Element::Service { group: inner, .. } => {
                let mut own = Scope::new();
                check_elements(inner, &mut own)?;
                scope.extend(own);
            }
            Element::Union(groups) => {
                for inner in groups {
                    let mut own = Scope::new();
                    check_elements(inner, &mut own)?;
                    scope.extend(own);
                }
            }
            Element::Minus(inner) => check_group(inner)?,
            Element::Select(select) => check_solutions(Some(&select.projection), &select.solutions)?,
            _ => {}
        }
        match element {
            Element::Optional(_) | Element::Union(_) | Element::Minus(_) => {}
            Element::Graph { name, .. } | Element::Service { name, .. } => add_node(name, scope),
            _ => add(element, scope),
        }
    }
    Ok(())
}

fn bound(keyword: &str, found: &VariableAt) -> Fault {
    let VariableAt { variable, spot } = found;
    spot.syntax(format!("{variable} is bound already: {keyword} needs a new variable"))
}

/// Checks a query or subquery. `projection`: of SELECT.
pub(super) fn check_solutions(projection: Option<&Projection>, solutions: &Solutions) -> Result<(), Fault> {
    let mut scope = Scope::new();
    check_elements(&solutions.pattern, &mut scope)?;
    for expression in modifier_expressions(solutions) {
        each_exists(expression, &mut |group| check_group(group))?;
    }
    for found in solutions.modifiers.group_by.iter().filter_map(|key| key.variable.as_ref()) {
        if !scope.insert(&found.variable) {
            return Err(bound("AS", found));
        }
    }
    scope.extend(solutions.values.iter().flat_map(|values| &values.variables).map(|found| &found.variable));
    let Some(projection) = projection else { return Ok(()) };
    if let Columns::List(columns) = &projection.columns {
        let mut shown = Scope::new();
        for column in columns {
            let variable = &column.variable;
            if let Some(expression) = &column.expression {
                each_exists(expression, &mut |group| check_group(group))?;
                if scope.contains(&variable.variable) || shown.contains(&variable.variable) {
                    return Err(bound("AS", variable));
                }
            }
            shown.insert(&variable.variable);
        }
    }
    grouping::check(projection, solutions, &scope)
}
