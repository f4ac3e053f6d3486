//! Well-formedness: each variable has a value before it is used (section "Well-formedness Conditions" of the draft).

use super::Ast;
use entail_model::Fault;
use entail_syntax::Spot;
use entail_syntax::ast::{BodyElement, Expression, Node, Pattern, RuleText, VariableAt};
use oxrdf::Variable;
use std::collections::HashSet;

/// Checks every rule of a text, for the whole language.
///
/// # Errors
/// `Syntax` at the first variable that has no value where it is used, or gets one twice.
pub fn check_wellformed(ast: &Ast) -> Result<(), Fault> {
    ast.document.rules.iter().try_for_each(check_rule)
}

/// The variables that are bound so far.
type Bound<'r> = HashSet<&'r Variable>;

pub(super) fn check_rule(rule: &RuleText) -> Result<(), Fault> {
    let mut bound = Bound::new();
    check_sequence(&rule.body, &mut bound)?;
    let mut unbound = None;
    for node in rule.head.iter().flat_map(Pattern::nodes) {
        node.walk(&mut |node| note_unbound(node, &bound, &mut unbound));
    }
    match unbound {
        None => Ok(()),
        Some((variable, spot)) => {
            Err(spot.syntax(format!("unsafe variable {variable}: the head uses it, the body does not bind it")))
        }
    }
}

fn note_unbound<'r>(node: &'r Node, bound: &Bound<'r>, unbound: &mut Option<(&'r Variable, Spot)>) {
    if let Some(variable) = node.variable()
        && !bound.contains(variable)
    {
        unbound.get_or_insert((variable, node.spot));
    }
}

/// Checks elements from left to right, each with the variables that the elements before it bind.
fn check_sequence<'r>(elements: &'r [BodyElement], bound: &mut Bound<'r>) -> Result<(), Fault> {
    for (index, element) in elements.iter().enumerate() {
        match element {
            BodyElement::Pattern(pattern) => bind(pattern, bound),
            BodyElement::Filter(filter) => check_uses("FILTER", &filter.expression, bound, &elements[index..])?,
            BodyElement::Negation(negation) => check_sequence(&negation.inner, &mut bound.clone())?,
            BodyElement::Assignment { variable: VariableAt { variable, spot }, value, .. } => {
                check_uses("SET", value, bound, &elements[index..])?;
                if !bound.insert(variable) {
                    return Err(spot.syntax(format!("SET gives {variable} a value, but it has one already")));
                }
            }
        }
    }
    Ok(())
}

fn bind<'r>(pattern: &'r Pattern, bound: &mut Bound<'r>) {
    pattern.walk(&mut |node| bound.extend(node.variable()));
}

fn check_uses(keyword: &str, used: &Expression, bound: &Bound<'_>, rest: &[BodyElement]) -> Result<(), Fault> {
    let mut unbound = None;
    used.walk(&mut |part| {
        if let Some(variable) = part.variable().filter(|variable| !bound.contains(variable)) {
            unbound.get_or_insert((variable, part.spot));
        }
    });
    let Some((variable, spot)) = unbound else { return Ok(()) };
    let mut later = Bound::new();
    for element in rest {
        match element {
            BodyElement::Pattern(pattern) => bind(pattern, &mut later),
            BodyElement::Assignment { variable, .. } => drop(later.insert(&variable.variable)),
            BodyElement::Filter(_) | BodyElement::Negation(_) => {}
        }
    }
    Err(spot.syntax(if later.contains(variable) {
        format!("unsafe variable {variable}: {keyword} uses it before the body binds it; move the {keyword} down")
    } else {
        format!("unsafe variable {variable}: {keyword} uses it, the body does not bind it")
    }))
}
