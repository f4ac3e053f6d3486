//! From the algebra to a program.
//!
//! The algebra nests chains of operators to the left; here they become flat again, so that their length is no height.

use super::{Builder, Index, Program, Step};
use crate::column::Slot;
use entail_model::{Fault, Reason};
use entail_syntax::algebra::{Expression, Function};
use entail_syntax::ast::{Arithmetic, Comparison, Membership, Unary};
use oxrdf::Variable;

impl Program {
    /// The program of an expression without EXISTS. `slot` gives the slot of a variable, or `None` if it has no value in any
    /// row.
    ///
    /// # Errors
    /// `Unsupported` for EXISTS and for a function that is named by an IRI and is no cast; `LimitExceeded` for too many levels.
    pub fn of_algebra(expression: &Expression, slot: &mut dyn FnMut(&Variable) -> Option<Slot>) -> Result<Self, Fault> {
        let mut translation = Translation { builder: Builder::default(), slot, depth: 0 };
        translation.expression(expression)?;
        Ok(translation.builder.finish())
    }
}

struct Translation<'t> {
    builder: Builder,
    slot: &'t mut dyn FnMut(&Variable) -> Option<Slot>,
    depth: usize,
}

impl Translation<'_> {
    fn expression(&mut self, expression: &Expression) -> Result<Index, Fault> {
        self.depth += 1;
        if self.depth > super::DEPTH_MAX {
            let message = format!("an expression of more than {} levels", super::DEPTH_MAX);
            return Err(Fault::new(Reason::LimitExceeded, message));
        }
        let index = self.level(expression);
        self.depth -= 1;
        index
    }

    fn level(&mut self, expression: &Expression) -> Result<Index, Fault> {
        let step = match expression {
            Expression::NamedNode(iri) => return self.builder.constant(iri.as_ref().into()),
            Expression::Literal(literal) => return self.builder.constant(literal.as_ref().into()),
            Expression::Variable(variable) => return self.variable(variable),
            Expression::Or(..) => Step::Or(self.junction(expression)?),
            Expression::And(..) => Step::And(self.junction(expression)?),
            Expression::Equal(a, b) => self.compare(Comparison::Equal, a, b)?,
            Expression::Less(a, b) => self.compare(Comparison::Less, a, b)?,
            Expression::LessOrEqual(a, b) => self.compare(Comparison::LessOrEqual, a, b)?,
            Expression::Greater(a, b) => self.compare(Comparison::Greater, a, b)?,
            Expression::GreaterOrEqual(a, b) => self.compare(Comparison::GreaterOrEqual, a, b)?,
            Expression::Add(..) | Expression::Subtract(..) | Expression::Multiply(..) | Expression::Divide(..) => {
                self.chain(expression)?
            }
            Expression::In(element, list) => Step::Member(Membership::In, self.expression(element)?, self.list(list)?),
            Expression::UnaryPlus(inner) => Step::Unary(Unary::Plus, self.expression(inner)?),
            Expression::UnaryMinus(inner) => Step::Unary(Unary::Minus, self.expression(inner)?),
            Expression::Not(inner) => match &**inner {
                Expression::Equal(a, b) => self.compare(Comparison::NotEqual, a, b)?,
                other => Step::Unary(Unary::Not, self.expression(other)?),
            },
            Expression::SameTerm(a, b) => {
                Step::Call(Function::SameTerm, vec![self.expression(a)?, self.expression(b)?])
            }
            Expression::Bound(variable) => Step::Call(Function::Bound, vec![self.variable(variable)?]),
            Expression::If(a, b, c) => {
                Step::Call(Function::If, vec![self.expression(a)?, self.expression(b)?, self.expression(c)?])
            }
            Expression::Coalesce(list) => Step::Call(Function::Coalesce, self.list(list)?),
            Expression::Exists(_) => {
                return Err(Fault::new(Reason::Unsupported, "EXISTS is not part of this expression"));
            }
            Expression::Custom(name, arguments) => {
                let arguments = self.list(arguments)?;
                return self.builder.custom(name, &arguments);
            }
            Expression::FunctionCall(function, arguments) => Step::Call(*function, self.list(arguments)?),
        };
        self.builder.add(step)
    }

    fn list(&mut self, list: &[Expression]) -> Result<Vec<Index>, Fault> {
        list.iter().map(|expression| self.expression(expression)).collect()
    }

    fn variable(&mut self, variable: &Variable) -> Result<Index, Fault> {
        match (self.slot)(variable) {
            Some(slot) => self.builder.add(Step::Slot(slot)),
            None => self.builder.add(Step::Constant(Box::default())),
        }
    }

    fn compare(&mut self, operator: Comparison, one: &Expression, other: &Expression) -> Result<Step, Fault> {
        Ok(Step::Compare(operator, self.expression(one)?, self.expression(other)?))
    }

    /// The operands of `||` or `&&`, which may be grouped in any way.
    fn junction(&mut self, expression: &Expression) -> Result<Vec<Index>, Fault> {
        let is_or = matches!(expression, Expression::Or(..));
        let (mut open, mut operands) = (vec![expression], Vec::new());
        while let Some(next) = open.pop() {
            match next {
                Expression::Or(a, b) if is_or => open.extend([&**b, &**a]),
                Expression::And(a, b) if !is_or => open.extend([&**b, &**a]),
                other => operands.push(self.expression(other)?),
            }
        }
        Ok(operands)
    }

    /// Operators from left to right: the left operand of each is what stands before it.
    fn chain(&mut self, expression: &Expression) -> Result<Step, Fault> {
        let (mut first, mut rest) = (expression, Vec::new());
        loop {
            let (operator, left, right) = match first {
                Expression::Add(a, b) => (Arithmetic::Add, a, b),
                Expression::Subtract(a, b) => (Arithmetic::Subtract, a, b),
                Expression::Multiply(a, b) => (Arithmetic::Multiply, a, b),
                Expression::Divide(a, b) => (Arithmetic::Divide, a, b),
                _ => break,
            };
            rest.push((operator, &**right));
            first = left;
        }
        let first = self.expression(first)?;
        let rest = rest.into_iter().rev().map(|(operator, operand)| Ok((operator, self.expression(operand)?)));
        Ok(Step::Chain(first, rest.collect::<Result<_, Fault>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_syntax::algebra::Expression as E;

    #[test]
    fn chains_are_flat() {
        let variable = || E::Variable(Variable::new_unchecked("x"));
        let mut sum = variable();
        let mut all = variable();
        for _ in 0..10_000 {
            sum = E::Add(Box::new(sum), Box::new(variable()));
            all = E::And(Box::new(all), Box::new(variable()));
        }
        for expression in [sum, all] {
            let program = Program::of_algebra(&expression, &mut |_| Some(0)).unwrap();
            assert_eq!(program.steps().len(), 10_002);
            // Dropping a high tree recurses.
            std::mem::forget(expression);
        }
    }
}
