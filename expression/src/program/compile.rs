//! From the syntax tree to a program.

use super::{Builder, Index, Program, Step};
use crate::column::Slot;
use entail_model::Fault;
use entail_syntax::ast::{Aggregate, Expression, ExpressionKind, Function, Group, Presence, Unary};
use oxrdf::Variable;

/// What an expression sees of the query around it.
pub trait Scope {
    /// The slot of a variable; `None` if it has no value in any row.
    fn variable(&mut self, variable: &Variable) -> Option<Slot>;

    /// The slot of a column that says in which rows a pattern has a match.
    ///
    /// # Errors
    /// Why there is none.
    fn exists(&mut self, group: &Group) -> Result<Slot, Fault>;

    /// The slot of a column with the values of an aggregate.
    ///
    /// # Errors
    /// Why there is none.
    fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Slot, Fault>;
}

impl Program {
    /// The program of an expression.
    ///
    /// # Errors
    /// `Unsupported` for a function that is named by an IRI and is no cast, `LimitExceeded` for too many levels; what the
    /// scope says.
    pub fn compile(expression: &Expression, scope: &mut dyn Scope) -> Result<Self, Fault> {
        let mut compiler = Compiler { builder: Builder::default(), scope };
        compiler.expression(expression)?;
        Ok(compiler.builder.finish())
    }
}

struct Compiler<'s> {
    builder: Builder,
    scope: &'s mut dyn Scope,
}

impl Compiler<'_> {
    /// The grammar bounds the height of an expression, so this may recurse.
    fn expression(&mut self, expression: &Expression) -> Result<Index, Fault> {
        let at = |fault: Fault| match fault.position {
            None => fault.at(expression.spot.line.into(), expression.spot.column.into()),
            Some(_) => fault,
        };
        self.kind(&expression.kind).map_err(at)
    }

    fn kind(&mut self, kind: &ExpressionKind) -> Result<Index, Fault> {
        let step = match kind {
            ExpressionKind::Variable(variable) => return self.variable(variable),
            ExpressionKind::Iri(iri) => return self.builder.constant(iri.as_ref().into()),
            ExpressionKind::Literal(literal) => return self.builder.constant(literal.as_ref().into()),
            ExpressionKind::Or(list) => Step::Or(self.list(list)?),
            ExpressionKind::And(list) => Step::And(self.list(list)?),
            ExpressionKind::Compare(operator, sides) => {
                let [left, right] = &**sides;
                Step::Compare(*operator, self.expression(left)?, self.expression(right)?)
            }
            ExpressionKind::Member(membership, element, list) => {
                Step::Member(*membership, self.expression(element)?, self.list(list)?)
            }
            ExpressionKind::Chain(first, rest) => {
                let first = self.expression(first)?;
                let rest = rest.iter().map(|(operator, operand)| Ok((*operator, self.expression(operand)?)));
                Step::Chain(first, rest.collect::<Result<_, Fault>>()?)
            }
            ExpressionKind::Unary(operator, operand) => Step::Unary(*operator, self.expression(operand)?),
            ExpressionKind::Call(function, arguments) => return self.call(*function, arguments),
            ExpressionKind::Custom { function, arguments, .. } => {
                let arguments = self.list(arguments)?;
                return self.builder.custom(function, &arguments);
            }
            ExpressionKind::Exists(presence, group) => {
                let slot = self.scope.exists(group)?;
                let exists = self.builder.add(Step::Slot(slot))?;
                return match presence {
                    Presence::Exists => Ok(exists),
                    Presence::NotExists => self.builder.add(Step::Unary(Unary::Not, exists)),
                };
            }
            ExpressionKind::Aggregate(aggregate) => Step::Slot(self.scope.aggregate(aggregate)?),
        };
        self.builder.add(step)
    }

    fn list(&mut self, list: &[Expression]) -> Result<Vec<Index>, Fault> {
        list.iter().map(|expression| self.expression(expression)).collect()
    }

    fn variable(&mut self, variable: &Variable) -> Result<Index, Fault> {
        match self.scope.variable(variable) {
            Some(slot) => self.builder.add(Step::Slot(slot)),
            None => self.builder.add(Step::Constant(Box::default())),
        }
    }

    fn call(&mut self, function: Function, arguments: &[Expression]) -> Result<Index, Fault> {
        let arguments = self.list(arguments)?;
        self.builder.add(Step::Call(function, arguments))
    }
}
