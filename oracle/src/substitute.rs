//! The substitution of a solution into a pattern (SPARQL 1.1, 18.6): each variable that is bound is replaced by its value.

use crate::query::*;
use crate::{Fail, Solution, undecided};
use oxrdf::vocab::xsd;
use oxrdf::{Literal, Term};

fn in_node(node: &Node, solution: &Solution) -> Node {
    match node {
        Node::Variable(name) => solution.get(name).map_or_else(|| node.clone(), |term| Node::Term(term.clone())),
        Node::Triple(triple) => Node::Triple(Box::new(in_triple(triple, solution))),
        Node::Blank(_) | Node::Term(_) => node.clone(),
    }
}

fn in_triple(triple: &TriplePattern, solution: &Solution) -> TriplePattern {
    let [subject, predicate, object] =
        [&triple.subject, &triple.predicate, &triple.object].map(|node| in_node(node, solution));
    // A triple term without variables is a term, whatever its places are.
    TriplePattern { subject, predicate, object }
}

pub fn in_group(group: &Group, solution: &Solution) -> Result<Group, Fail> {
    Ok(Group(group.0.iter().map(|element| in_element(element, solution)).collect::<Result<_, _>>()?))
}

fn in_element(element: &Element, solution: &Solution) -> Result<Element, Fail> {
    Ok(match element {
        Element::Triple(triple) => Element::Triple(in_triple(triple, solution)),
        Element::Path(subject, path, object) => {
            Element::Path(in_node(subject, solution), path.clone(), in_node(object, solution))
        }
        Element::Filter(condition) => Element::Filter(in_expression(condition, solution)?),
        Element::Bind(value, name) if !solution.contains_key(name) => {
            Element::Bind(in_expression(value, solution)?, name.clone())
        }
        Element::Bind(..) => return Err(undecided("BIND of a variable that is substituted")),
        Element::Optional(group) => Element::Optional(in_group(group, solution)?),
        Element::Minus(group) => Element::Minus(in_group(group, solution)?),
        Element::Graph(name, group) => Element::Graph(in_node(name, solution), in_group(group, solution)?),
        Element::Union(groups) => {
            Element::Union(groups.iter().map(|group| in_group(group, solution)).collect::<Result<_, _>>()?)
        }
        Element::Values(values) => Element::Values(in_values(values, solution)),
        Element::Select(select) => Element::Select(Box::new(in_select(select, solution)?)),
    })
}

/// The rows that agree with the solution, without the columns that it binds.
fn in_values(values: &Values, solution: &Solution) -> Values {
    let is_kept = |column: usize| !solution.contains_key(&values.variables[column]);
    let agrees = |row: &&Vec<Option<Term>>| {
        let mut cells = values.variables.iter().zip(*row);
        cells.all(|(name, cell)| cell.is_none() || solution.get(name).is_none_or(|term| Some(term) == cell.as_ref()))
    };
    let columns: Vec<usize> = (0..values.variables.len()).filter(|column| is_kept(*column)).collect();
    let kept = |row: &Vec<Option<Term>>| columns.iter().map(|column| row[*column].clone()).collect();
    Values {
        variables: columns.iter().map(|column| values.variables[*column].clone()).collect(),
        rows: values.rows.iter().filter(agrees).map(kept).collect(),
    }
}

fn in_select(select: &Select, solution: &Solution) -> Result<Select, Fail> {
    let mut own = select.clone();
    own.pattern = in_group(&select.pattern, solution)?;
    own.values = select.values.as_ref().map(|values| in_values(values, solution));
    if let Projection::Items(items) = &mut own.projection {
        items.retain(|(_, name)| !solution.contains_key(name));
        let expressions = items.iter_mut().filter_map(|(expression, _)| expression.as_mut());
        expressions.map(|expression| replace(expression, solution)).collect::<Result<Vec<_>, _>>()?;
    }
    for (key, _) in &mut own.group_by {
        replace(key, solution)?;
    }
    own.having.iter_mut().try_for_each(|condition| replace(condition, solution))?;
    own.order_by.iter_mut().try_for_each(|key| replace(&mut key.expression, solution))?;
    Ok(own)
}

fn in_expression(expression: &Expression, solution: &Solution) -> Result<Expression, Fail> {
    let mut own = expression.clone();
    replace(&mut own, solution)?;
    Ok(own)
}

fn replace(expression: &mut Expression, solution: &Solution) -> Result<(), Fail> {
    let value = |name: &String| solution.get(name).cloned();
    match expression {
        Expression::Variable(name) => {
            if let Some(term) = value(name) {
                *expression = Expression::Term(term);
            }
        }
        Expression::Call(Function::Bound, arguments) => {
            if let [Expression::Variable(name)] = &arguments[..]
                && solution.contains_key(name)
            {
                // A term in the place of the variable is bound.
                *expression = Expression::Term(Literal::new_typed_literal("true", xsd::BOOLEAN).into());
            }
        }
        Expression::Exists(group) => *group = in_group(group, solution)?,
        other => other.children_mut().into_iter().try_for_each(|child| replace(child, solution))?,
    }
    Ok(())
}
