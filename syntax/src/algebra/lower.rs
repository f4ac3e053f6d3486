//! Expressions of the syntax tree as SPARQL's algebra.
//!
//! Chains of `||` and `&&`, which are associative, errors included, become balanced trees; chains of `+ - * /` lean to the
//! left, as their values do.

use super::Expression;
use crate::ast::{self, Arithmetic, Comparison, ExpressionKind, Membership, Presence, Unary};
use entail_model::Fault;

/// Gives the algebra of an EXISTS (without its negation) or an aggregate, which depend on what is around them.
pub type Outside<'o> = dyn FnMut(&ast::Expression) -> Result<Expression, Fault> + 'o;

/// The algebra of an expression.
///
/// # Errors
/// Those of `outside`; `Unsupported` for DISTINCT in the call of a function that an IRI names.
pub fn lower_expression(expression: &ast::Expression, outside: &mut Outside<'_>) -> Result<Expression, Fault> {
    Ok(match &expression.kind {
        ExpressionKind::Variable(variable) => variable.clone().into(),
        ExpressionKind::Iri(iri) => iri.clone().into(),
        ExpressionKind::Literal(literal) => literal.clone().into(),
        ExpressionKind::Or(list) => balanced(lower_all(list, outside)?, Expression::Or),
        ExpressionKind::And(list) => balanced(lower_all(list, outside)?, Expression::And),
        ExpressionKind::Compare(operator, sides) => {
            let [left, right] = &**sides;
            compare(*operator, lower(left, outside)?, lower(right, outside)?)
        }
        ExpressionKind::Member(membership, element, list) => {
            let member = Expression::In(lower(element, outside)?, lower_all(list, outside)?);
            if *membership == Membership::In { member } else { Expression::Not(Box::new(member)) }
        }
        ExpressionKind::Chain(first, rest) => {
            let mut left = lower_expression(first, outside)?;
            for (operator, operand) in rest {
                left = calculate(*operator, Box::new(left), lower(operand, outside)?);
            }
            left
        }
        ExpressionKind::Unary(operator, operand) => {
            let operand = lower(operand, outside)?;
            match operator {
                Unary::Not => Expression::Not(operand),
                Unary::Plus => Expression::UnaryPlus(operand),
                Unary::Minus => Expression::UnaryMinus(operand),
            }
        }
        ExpressionKind::Call(function, arguments) => call(*function, lower_all(arguments, outside)?),
        ExpressionKind::Custom { function, distinct: Some(spot), .. } => {
            return Err(spot.unsupported(format!("DISTINCT in a call of {function}")));
        }
        ExpressionKind::Custom { function, arguments, distinct: None } => {
            Expression::Custom(function.clone(), lower_all(arguments, outside)?)
        }
        ExpressionKind::Exists(Presence::NotExists, _) => Expression::Not(Box::new(outside(expression)?)),
        ExpressionKind::Exists(Presence::Exists, _) | ExpressionKind::Aggregate(_) => outside(expression)?,
    })
}

fn lower(expression: &ast::Expression, outside: &mut Outside<'_>) -> Result<Box<Expression>, Fault> {
    lower_expression(expression, outside).map(Box::new)
}

fn lower_all(list: &[ast::Expression], outside: &mut Outside<'_>) -> Result<Vec<Expression>, Fault> {
    list.iter().map(|expression| lower_expression(expression, outside)).collect()
}

/// A chain as a low tree.
fn balanced(mut parts: Vec<Expression>, make: fn(Box<Expression>, Box<Expression>) -> Expression) -> Expression {
    while parts.len() > 1 {
        let mut joined = Vec::with_capacity(parts.len().div_ceil(2));
        let mut rest = parts.into_iter();
        while let Some(left) = rest.next() {
            joined.push(match rest.next() {
                Some(right) => make(Box::new(left), Box::new(right)),
                None => left,
            });
        }
        parts = joined;
    }
    parts.pop().expect("a chain has parts")
}

fn compare(operator: Comparison, left: Box<Expression>, right: Box<Expression>) -> Expression {
    match operator {
        Comparison::Equal => Expression::Equal(left, right),
        Comparison::NotEqual => Expression::Not(Box::new(Expression::Equal(left, right))),
        Comparison::Less => Expression::Less(left, right),
        Comparison::LessOrEqual => Expression::LessOrEqual(left, right),
        Comparison::Greater => Expression::Greater(left, right),
        Comparison::GreaterOrEqual => Expression::GreaterOrEqual(left, right),
    }
}

fn calculate(operator: Arithmetic, left: Box<Expression>, right: Box<Expression>) -> Expression {
    match operator {
        Arithmetic::Add => Expression::Add(left, right),
        Arithmetic::Subtract => Expression::Subtract(left, right),
        Arithmetic::Multiply => Expression::Multiply(left, right),
        Arithmetic::Divide => Expression::Divide(left, right),
    }
}

/// The parser counted the arguments.
fn call(function: ast::Function, arguments: Vec<Expression>) -> Expression {
    match function {
        ast::Function::Bound => match arguments.into_iter().next() {
            Some(Expression::Variable(variable)) => Expression::Bound(variable),
            _ => unreachable!("the parser takes a variable only"),
        },
        ast::Function::If => {
            let [test, then, otherwise] = boxed(arguments);
            Expression::If(test, then, otherwise)
        }
        ast::Function::SameTerm => {
            let [left, right] = boxed(arguments);
            Expression::SameTerm(left, right)
        }
        ast::Function::Coalesce => Expression::Coalesce(arguments),
        other => Expression::FunctionCall(other, arguments),
    }
}

fn boxed<const N: usize>(arguments: Vec<Expression>) -> [Box<Expression>; N] {
    let arguments: [Expression; N] = arguments.try_into().expect("the parser counted the arguments");
    arguments.map(Box::new)
}
