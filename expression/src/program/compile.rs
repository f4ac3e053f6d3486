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

#[cfg(test)]
mod tests {
    use super::*;
    use entail_model::Reason;
    use entail_syntax::Spot;
    use entail_syntax::ast::{AggregateFunction, Arithmetic, Comparison, Membership};
    use oxrdf::vocab::xsd;
    use oxrdf::{Literal, NamedNode};

    /// `?x` is slot 0; aggregates and patterns have slots of their own.
    struct Slots;

    impl Scope for Slots {
        fn variable(&mut self, variable: &Variable) -> Option<Slot> {
            (variable.as_str() == "x").then_some(0)
        }

        fn exists(&mut self, _group: &Group) -> Result<Slot, Fault> {
            Ok(7)
        }

        fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Slot, Fault> {
            if aggregate.is_distinct { Err(Fault::internal("no such column")) } else { Ok(8) }
        }
    }

    const SPOT: Spot = Spot { line: 3, column: 5 };

    fn expression(kind: ExpressionKind) -> Expression {
        Expression { kind, spot: SPOT }
    }

    fn variable(name: &str) -> Expression {
        expression(ExpressionKind::Variable(Variable::new_unchecked(name)))
    }

    fn number(number: i64) -> Expression {
        expression(ExpressionKind::Literal(Literal::from(number)))
    }

    fn text(kind: ExpressionKind) -> String {
        let program = Program::compile(&expression(kind), &mut Slots).unwrap();
        program.text(&|slot| format!("?{slot}")).replace(xsd::INTEGER.as_str(), "integer")
    }

    #[test]
    fn each_kind_has_its_step() {
        let group = || Box::new(Group { elements: Vec::new(), spot: SPOT });
        let aggregate =
            |is_distinct| Box::new(Aggregate { function: AggregateFunction::Count, argument: None, is_distinct });
        let custom = |name: &str, arguments| ExpressionKind::Custom {
            function: NamedNode::new_unchecked(name),
            arguments,
            distinct: None,
        };
        for (kind, expected) in [
            (ExpressionKind::Variable(Variable::new_unchecked("y")), "?_"),
            (ExpressionKind::Or(vec![variable("x"), number(1), variable("x")]), "(?0 || \"1\"^^<integer> || ?0)"),
            (
                ExpressionKind::Compare(Comparison::NotEqual, Box::new([variable("x"), number(1)])),
                "(?0 != \"1\"^^<integer>)",
            ),
            (
                ExpressionKind::Member(Membership::NotIn, Box::new(variable("x")), vec![number(1)]),
                "(?0 NOT IN (\"1\"^^<integer>))",
            ),
            (ExpressionKind::Chain(Box::new(variable("x")), vec![(Arithmetic::Subtract, variable("x"))]), "(?0 - ?0)"),
            (ExpressionKind::Unary(Unary::Minus, Box::new(variable("x"))), "(-?0)"),
            (ExpressionKind::Call(Function::Bound, vec![variable("x")]), "BOUND(?0)"),
            (custom(xsd::INTEGER.as_str(), vec![variable("x")]), "<integer>(?0)"),
            (ExpressionKind::Exists(Presence::NotExists, group()), "(!?7)"),
            (ExpressionKind::Aggregate(aggregate(false)), "?8"),
        ] {
            assert_eq!(text(kind), expected);
        }
        for (kind, reason) in [
            (custom("urn:f", vec![]), Reason::Unsupported),
            (custom(xsd::INTEGER.as_str(), vec![]), Reason::InvalidRequest),
            (ExpressionKind::Aggregate(aggregate(true)), Reason::Internal),
        ] {
            let fault = Program::compile(&expression(kind), &mut Slots).unwrap_err();
            assert_eq!((fault.reason, fault.position.map(|at| (at.line, at.column))), (reason, Some((3, 5))));
        }
    }
}
