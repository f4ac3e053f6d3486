//! Which variables are in scope (18.2.1).

use crate::query::*;
use std::collections::BTreeSet;

/// The variables and, with a leading `_:`, the blank nodes that a place names.
pub fn of_node(node: &Node, names: &mut BTreeSet<String>) {
    match node {
        Node::Variable(name) => _ = names.insert(name.clone()),
        Node::Triple(triple) => of_triple(triple, names),
        Node::Blank(_) | Node::Term(_) => {}
    }
}

fn of_triple(triple: &TriplePattern, names: &mut BTreeSet<String>) {
    [&triple.subject, &triple.predicate, &triple.object].into_iter().for_each(|node| of_node(node, names));
}

/// The variables in scope in a group.
pub fn of_group(group: &Group) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    group.0.iter().for_each(|element| of_element(element, &mut names));
    names
}

/// Adds the variables that an element brings into scope.
pub fn of_element(element: &Element, names: &mut BTreeSet<String>) {
    match element {
        Element::Triple(triple) => of_triple(triple, names),
        Element::Path(subject, _, object) => [subject, object].into_iter().for_each(|node| of_node(node, names)),
        Element::Bind(_, name) => _ = names.insert(name.clone()),
        Element::Optional(group) => names.extend(of_group(group)),
        Element::Graph(name, group) => {
            of_node(name, names);
            names.extend(of_group(group));
        }
        Element::Union(groups) => groups.iter().for_each(|group| names.extend(of_group(group))),
        Element::Values(values) => names.extend(values.variables.iter().cloned()),
        Element::Select(select) => names.extend(of_select(select)),
        Element::Filter(_) | Element::Minus(_) => {}
    }
}

/// The variables that a SELECT projects, in their order.
pub fn of_select(select: &Select) -> Vec<String> {
    match &select.projection {
        Projection::Items(items) => items.iter().map(|(_, name)| name.clone()).collect(),
        Projection::Star => {
            let mut names = of_group(&select.pattern);
            names.extend(select.values.iter().flat_map(|values| values.variables.iter().cloned()));
            names.into_iter().collect()
        }
    }
}

/// Are all variables of an expression of this kind, and is there neither an aggregate nor an EXISTS?
pub fn is_of(expression: &Expression, is_of_kind: &dyn Fn(&str) -> bool) -> bool {
    match expression {
        Expression::Variable(name) => is_of_kind(name),
        Expression::Aggregate(_) | Expression::Exists(_) => false,
        other => other.children().into_iter().all(|child| is_of(child, is_of_kind)),
    }
}
