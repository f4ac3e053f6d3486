//! Conditions of rules: which calls are refused, how high an expression may grow, and its algebra.

use super::DEPTH_MAX;
use entail_model::Fault;
use entail_syntax::algebra::{self, lower_expression};
use entail_syntax::ast::{Comparison, Expression, ExpressionKind, Function, Membership, RuleText};
use oxrdf::NamedNodeRef;
use oxrdf::vocab::xsd;

/// Checks a condition of a rule.
///
/// # Errors
/// `Unsupported` at the first call that this version does not evaluate in rules; `Syntax` at a cast of several values;
/// `LimitExceeded` at an expression that is too high.
pub(super) fn check(rule: &RuleText, expression: &Expression) -> Result<(), Fault> {
    if height(expression) > DEPTH_MAX as usize {
        return Err(expression.spot.limit(format!("an expression of more than {DEPTH_MAX} levels")));
    }
    check_calls(rule, expression)
}

fn check_calls(rule: &RuleText, expression: &Expression) -> Result<(), Fault> {
    let spot = expression.spot;
    match &expression.kind {
        // Every shard and every later epoch must derive the same facts.
        ExpressionKind::Call(function, _) if function.is_volatile() => {
            let name = function.name();
            return Err(
                spot.unsupported(format!("{name}() in a rule, which would depend on when and where the rule runs,"))
            );
        }
        ExpressionKind::Call(function, _) if function.needs_base() && rule.has_base => {
            return Err(spot.unsupported(format!("{}() under a BASE", function.name())));
        }
        ExpressionKind::Custom { function, .. } if !is_cast(function.as_ref()) => {
            return Err(spot.unsupported(format!("the function {function}")));
        }
        ExpressionKind::Custom { function, arguments, .. } if arguments.len() != 1 => {
            return Err(spot.syntax(format!("{function} takes one argument, found {}", arguments.len())));
        }
        _ => {}
    }
    expression.operands().into_iter().try_for_each(|operand| check_calls(rule, operand))
}

/// Does the evaluator have this function? Of functions named by an IRI it has only the casts of SPARQL.
fn is_cast(function: NamedNodeRef<'_>) -> bool {
    [xsd::STRING, xsd::BOOLEAN, xsd::DOUBLE, xsd::FLOAT, xsd::INTEGER, xsd::DECIMAL, xsd::DATE_TIME].contains(&function)
}

/// The algebra of a condition that was checked; at most [`DEPTH_MAX`] levels high, so code that walks, prints or drops it may
/// recurse.
///
/// # Errors
/// `Unsupported` for what the algebra does not have.
pub(super) fn lower(expression: &Expression) -> Result<algebra::Expression, Fault> {
    lower_expression(expression, &mut |_| unreachable!("the grammar of rules has no EXISTS and no aggregates"))
}

/// The height of the algebra of an expression.
fn height(expression: &Expression) -> usize {
    let highest = |list: &[Expression]| list.iter().map(height).max().unwrap_or(0);
    match &expression.kind {
        ExpressionKind::Variable(_) | ExpressionKind::Iri(_) | ExpressionKind::Literal(_) => 0,
        ExpressionKind::Call(Function::Bound, _) => 0,
        // Balanced.
        ExpressionKind::Or(list) | ExpressionKind::And(list) => {
            list.len().next_power_of_two().trailing_zeros() as usize + highest(list)
        }
        // Leaning to the left.
        ExpressionKind::Chain(first, rest) => {
            let operand = |(index, (_, operand)): (usize, &(_, Expression))| rest.len() - index + height(operand);
            rest.iter().enumerate().map(operand).max().unwrap_or(0).max(rest.len() + height(first))
        }
        // A negation around the operator.
        ExpressionKind::Compare(Comparison::NotEqual, sides) => 2 + highest(&**sides),
        ExpressionKind::Member(Membership::NotIn, element, list) => 2 + highest(list).max(height(element)),
        _ => 1 + expression.operands().into_iter().map(height).max().unwrap_or(0),
    }
}
