//! Operators of expressions.

use super::parser::{Bracket, Parser};
use super::place::Place;
use crate::Spot;
use crate::ast::{Arithmetic, Comparison, Expression, ExpressionKind, Function, Membership, Unary, Value};
use crate::lexer::Kind;
use entail_model::Fault;

impl Parser<'_> {
    /// A condition after FILTER, HAVING or ORDER BY, which `keyword` names: brackets or a call.
    pub fn constraint(&mut self, keyword: &str) -> Result<Expression, Fault> {
        match self.peek().kind {
            Kind::Mark("(") => self.bracketed(),
            Kind::Iri(_) | Kind::Prefixed { .. } => {
                let spot = self.spot();
                let iri = self.iri()?;
                if self.peek().is_mark("(") {
                    return self.custom_call(iri, spot);
                }
                Err(self.unexpected(&format!("`(` after the name of a function that follows {keyword}")))
            }
            Kind::Word(_) if !self.at_literal() => self.builtin_call(&format!("`(` or a function after {keyword}")),
            _ => Err(self.unexpected(&format!("`(` or a function after {keyword}"))),
        }
    }

    /// An expression.
    pub fn expression(&mut self) -> Result<Expression, Fault> {
        let first = self.conjunction()?;
        if !self.peek().is_mark("||") {
            return Ok(first);
        }
        let spot = first.spot;
        let mut parts = vec![first];
        while self.eat("||")? {
            parts.push(self.conjunction()?);
        }
        Ok(Expression { kind: ExpressionKind::Or(parts), spot })
    }

    fn conjunction(&mut self) -> Result<Expression, Fault> {
        let first = self.relation()?;
        if !self.peek().is_mark("&&") {
            return Ok(first);
        }
        let spot = first.spot;
        let mut parts = vec![first];
        while self.eat("&&")? {
            parts.push(self.relation()?);
        }
        Ok(Expression { kind: ExpressionKind::And(parts), spot })
    }

    fn relation(&mut self) -> Result<Expression, Fault> {
        let left = self.sum()?;
        let comparison = match self.peek().kind {
            Kind::Mark("=") => Comparison::Equal,
            Kind::Mark("!=") => Comparison::NotEqual,
            Kind::Mark("<") => Comparison::Less,
            Kind::Mark(">") => Comparison::Greater,
            Kind::Mark("<=") => Comparison::LessOrEqual,
            Kind::Mark(">=") => Comparison::GreaterOrEqual,
            Kind::Word(_) => return self.membership(left),
            _ => return Ok(left),
        };
        self.advance()?;
        if comparison == Comparison::Equal && self.peek().is_mark("=") {
            return Err(self.spot().syntax("equality is written with one `=`"));
        }
        let right = self.sum()?;
        if let Kind::Mark("=" | "!=" | "<" | ">" | "<=" | ">=") = self.peek().kind {
            return Err(self.spot().syntax("comparisons do not chain: write `a < b && b < c`"));
        }
        let spot = left.spot;
        Ok(Expression { kind: ExpressionKind::Compare(comparison, Box::new([left, right])), spot })
    }

    /// `IN` and `NOT IN` after `left`, or nothing.
    fn membership(&mut self, left: Expression) -> Result<Expression, Fault> {
        let membership = if self.eat_word("IN")? {
            Membership::In
        } else if self.eat_word("NOT")? {
            self.expect_word("IN")?;
            Membership::NotIn
        } else {
            return Ok(left);
        };
        let list = self.arguments()?;
        let spot = left.spot;
        Ok(Expression { kind: ExpressionKind::Member(membership, Box::new(left), list), spot })
    }

    fn sum(&mut self) -> Result<Expression, Fault> {
        let first = self.product()?;
        let mut rest = Vec::new();
        loop {
            if self.eat("+")? {
                rest.push((Arithmetic::Add, self.product()?));
            } else if self.eat("-")? {
                rest.push((Arithmetic::Subtract, self.product()?));
            } else if self.at_signed_number() {
                // `?x -1`: the sign belongs to the number, so the signed number is added.
                let number = self.literal_expression()?;
                rest.push((Arithmetic::Add, self.factors(number)?));
            } else {
                return Ok(chain(first, rest));
            }
        }
    }

    fn at_signed_number(&self) -> bool {
        match self.peek().kind {
            Kind::Integer(number) | Kind::Decimal(number) | Kind::Double(number) => number.starts_with(['+', '-']),
            _ => false,
        }
    }

    fn product(&mut self) -> Result<Expression, Fault> {
        let first = self.unary()?;
        self.factors(first)
    }

    fn factors(&mut self, first: Expression) -> Result<Expression, Fault> {
        let mut rest = Vec::new();
        loop {
            let operator = match self.peek().kind {
                Kind::Mark("*") => Arithmetic::Multiply,
                Kind::Mark("/") => Arithmetic::Divide,
                _ => return Ok(chain(first, rest)),
            };
            self.advance()?;
            rest.push((operator, self.unary()?));
        }
    }

    fn unary(&mut self) -> Result<Expression, Fault> {
        let spot = self.spot();
        let operator = match self.peek().kind {
            Kind::Mark("!") => Unary::Not,
            Kind::Mark("+") => Unary::Plus,
            Kind::Mark("-") => Unary::Minus,
            _ => return self.primary(),
        };
        self.advance()?;
        // SPARQL 1.2 has `!!?x`, SPARQL-RL not.
        let operand = if operator == Unary::Not && self.peek().is_mark("!") && !self.is_rules() {
            self.enter()?;
            let operand = self.unary()?;
            self.leave();
            operand
        } else {
            self.primary()?
        };
        Ok(Expression { kind: ExpressionKind::Unary(operator, Box::new(operand)), spot })
    }

    fn primary(&mut self) -> Result<Expression, Fault> {
        if self.at_literal() {
            return self.literal_expression();
        }
        match self.peek().kind {
            Kind::Mark("(") => self.bracketed(),
            Kind::Mark("<<(") => self.triple_expression(),
            Kind::Variable(_) => self.variable_expression(),
            Kind::Iri(_) | Kind::Prefixed { .. } => {
                let spot = self.spot();
                let iri = self.iri()?;
                if self.peek().is_mark("(") {
                    return self.custom_call(iri, spot);
                }
                Ok(Expression { kind: ExpressionKind::Iri(iri), spot })
            }
            Kind::Word(_) => self.builtin_call("an expression"),
            _ => Err(self.unexpected("an expression")),
        }
    }

    /// An expression in brackets.
    pub fn bracketed(&mut self) -> Result<Expression, Fault> {
        let bracket = self.open("(")?;
        let inner = self.expression()?;
        self.close_expression(bracket, "an operator")?;
        Ok(inner)
    }

    /// Reads the bracket that closes `opened` after an expression; the fault says what was meant, if that can be seen.
    pub fn close_expression(&mut self, opened: Bracket, expected: &str) -> Result<(), Fault> {
        let meant = match self.peek().kind {
            Kind::Word(word) if word.eq_ignore_ascii_case("AND") => "AND is written `&&`".to_owned(),
            Kind::Word(word) if word.eq_ignore_ascii_case("OR") => "OR is written `||`".to_owned(),
            Kind::Iri(_) => {
                let read = self.shown(self.peek());
                format!("{read} reads as an IRI; if `<` compares, write a space after it")
            }
            _ => return self.close(opened, expected),
        };
        Err(self.spot().syntax(meant))
    }

    fn literal_expression(&mut self) -> Result<Expression, Fault> {
        let spot = self.spot();
        Ok(Expression { kind: ExpressionKind::Literal(self.literal()?), spot })
    }

    /// A variable.
    pub fn variable_expression(&mut self) -> Result<Expression, Fault> {
        let found = self.variable_at()?;
        Ok(Expression { kind: ExpressionKind::Variable(found.variable), spot: found.spot })
    }

    /// `<<( subject verb object )>>`: a call of TRIPLE.
    fn triple_expression(&mut self) -> Result<Expression, Fault> {
        let spot = self.spot();
        let bracket = self.open("<<(")?;
        let subject = self.triple_part()?;
        let verb = self.simple_verb(Place::Where)?;
        let predicate = match verb.value {
            Value::Variable(variable) => ExpressionKind::Variable(variable),
            Value::Iri(iri) => ExpressionKind::Iri(iri),
            _ => return Err(verb.spot.syntax("expected an IRI, a variable or `a` as predicate")),
        };
        let predicate = Expression { kind: predicate, spot: verb.spot };
        let object = if self.peek().is_mark("<<(") { self.triple_expression()? } else { self.triple_part()? };
        self.close(bracket, "")?;
        Ok(call(Function::Triple, vec![subject, predicate, object], spot))
    }

    fn triple_part(&mut self) -> Result<Expression, Fault> {
        let spot = self.spot();
        match self.peek().kind {
            Kind::Variable(_) => self.variable_expression(),
            Kind::Iri(_) | Kind::Prefixed { .. } => Ok(Expression { kind: ExpressionKind::Iri(self.iri()?), spot }),
            _ if self.at_literal() => self.literal_expression(),
            _ => Err(self.unexpected("an IRI, a literal or a variable")),
        }
    }
}

/// A chain, or its first operand if there is nothing else.
fn chain(first: Expression, rest: Vec<(Arithmetic, Expression)>) -> Expression {
    if rest.is_empty() {
        return first;
    }
    let spot = first.spot;
    Expression { kind: ExpressionKind::Chain(Box::new(first), rest), spot }
}

/// A call of a function of the table.
pub(super) fn call(function: Function, arguments: Vec<Expression>, spot: Spot) -> Expression {
    Expression { kind: ExpressionKind::Call(function, arguments), spot }
}
