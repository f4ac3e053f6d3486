//! Expressions: parsed directly into SPARQL's algebra, with separate notes for the checks.
//!
//! Invariant: no tree that leaves this file is higher than [`DEPTH_MAX`], however the text nests or chains, so code
//! that walks, prints or drops it may recurse.

use super::DEPTH_MAX;
use super::ast::{Constraint, Value};
use super::builtin::{self, Builtin};
use super::parser::Parser;
use super::token::{Kind, Spot};
use super::triples::Place;
use entail_model::Fault;
use oxrdf::{NamedNode, Variable};
use spargebra::algebra::{Expression, Function};

/// Reads one expression.
pub(super) struct Expressions<'p, 'a> {
    parser: &'p mut Parser<'a>,
    variables: Vec<(Variable, Spot)>,
    refused: Option<(String, Spot)>,
}

/// An expression that knows its height.
struct Tree {
    expression: Expression,
    height: u32,
}

type Binary = fn(Box<Expression>, Box<Expression>) -> Expression;

impl<'p, 'a> Expressions<'p, 'a> {
    pub fn new(parser: &'p mut Parser<'a>) -> Self {
        Self { parser, variables: Vec::new(), refused: None }
    }

    /// What may follow FILTER: brackets or a call.
    pub fn constraint(mut self) -> Result<Constraint, Fault> {
        let token = self.parser.peek();
        let found = match token.kind {
            Kind::Mark("(") => self.bracketed(),
            Kind::Iri(_) | Kind::Prefixed { .. } => self.custom_call(),
            Kind::Word(word) if word.eq_ignore_ascii_case("NOT") || word.eq_ignore_ascii_case("EXISTS") => {
                Err(token.spot.syntax("EXISTS is not part of SPARQL-RL; NOT {...} says that a pattern has no match"))
            }
            Kind::Word(_) => self.builtin_call(),
            _ => Err(self.parser.unexpected("`(` or a function after FILTER")),
        };
        found.map(|tree| self.finish(tree))
    }

    /// A whole expression.
    pub fn whole(mut self) -> Result<Constraint, Fault> {
        self.or().map(|tree| self.finish(tree))
    }

    fn finish(self, tree: Tree) -> Constraint {
        Constraint { expression: tree.expression, variables: self.variables, refused: self.refused }
    }

    fn or(&mut self) -> Result<Tree, Fault> {
        let mut parts = vec![self.and()?];
        while self.parser.eat("||")? {
            parts.push(self.and()?);
        }
        self.balanced(parts, Expression::Or)
    }

    fn and(&mut self) -> Result<Tree, Fault> {
        let mut parts = vec![self.relational()?];
        while self.parser.eat("&&")? {
            parts.push(self.relational()?);
        }
        self.balanced(parts, Expression::And)
    }

    /// Balances a chain of `||` or `&&`, which are associative, errors included: long chains become low trees.
    fn balanced(&self, mut parts: Vec<Tree>, make: Binary) -> Result<Tree, Fault> {
        while parts.len() > 1 {
            let mut joined = Vec::with_capacity(parts.len().div_ceil(2));
            let mut rest = parts.into_iter();
            while let Some(left) = rest.next() {
                joined.push(match rest.next() {
                    Some(right) => self.join(left, right, make)?,
                    None => left,
                });
            }
            parts = joined;
        }
        Ok(parts.pop().expect("there is at least one part"))
    }

    fn relational(&mut self) -> Result<Tree, Fault> {
        let left = self.additive()?;
        if self.parser.eat_word("IN")? {
            return self.member_of(left);
        }
        if self.parser.eat_word("NOT")? {
            self.parser.expect_word("IN")?;
            let member = self.member_of(left)?;
            return self.unary_of(member, Expression::Not);
        }
        let make: Binary = match self.parser.peek().kind {
            Kind::Mark("=") => Expression::Equal,
            Kind::Mark("!=") => |left, right| Expression::Not(Box::new(Expression::Equal(left, right))),
            Kind::Mark("<") => Expression::Less,
            Kind::Mark(">") => Expression::Greater,
            Kind::Mark("<=") => Expression::LessOrEqual,
            Kind::Mark(">=") => Expression::GreaterOrEqual,
            _ => return Ok(left),
        };
        self.parser.advance()?;
        let right = self.additive()?;
        self.join(left, right, make)
    }

    fn member_of(&mut self, element: Tree) -> Result<Tree, Fault> {
        let (list, height) = self.arguments()?;
        let height = element.height.max(height);
        self.grown(height, Expression::In(Box::new(element.expression), list))
    }

    fn additive(&mut self) -> Result<Tree, Fault> {
        let mut left = self.multiplicative()?;
        loop {
            if self.parser.eat("+")? {
                let right = self.multiplicative()?;
                left = self.join(left, right, Expression::Add)?;
            } else if self.parser.eat("-")? {
                let right = self.multiplicative()?;
                left = self.join(left, right, Expression::Subtract)?;
            } else if self.at_signed_number() {
                // `?x -1`: the sign belongs to the number, so the signed number is added.
                let number = self.literal()?;
                let right = self.factors(number)?;
                left = self.join(left, right, Expression::Add)?;
            } else {
                return Ok(left);
            }
        }
    }

    fn at_signed_number(&self) -> bool {
        match self.parser.peek().kind {
            Kind::Integer(number) | Kind::Decimal(number) | Kind::Double(number) => number.starts_with(['+', '-']),
            _ => false,
        }
    }

    fn multiplicative(&mut self) -> Result<Tree, Fault> {
        let first = self.unary()?;
        self.factors(first)
    }

    fn factors(&mut self, mut left: Tree) -> Result<Tree, Fault> {
        loop {
            let make: Binary = match self.parser.peek().kind {
                Kind::Mark("*") => Expression::Multiply,
                Kind::Mark("/") => Expression::Divide,
                _ => return Ok(left),
            };
            self.parser.advance()?;
            let right = self.unary()?;
            left = self.join(left, right, make)?;
        }
    }

    fn unary(&mut self) -> Result<Tree, Fault> {
        let make: fn(Box<Expression>) -> Expression = match self.parser.peek().kind {
            Kind::Mark("!") => Expression::Not,
            Kind::Mark("+") => Expression::UnaryPlus,
            Kind::Mark("-") => Expression::UnaryMinus,
            _ => return self.primary(),
        };
        self.parser.advance()?;
        let inner = self.primary()?;
        self.unary_of(inner, make)
    }

    fn primary(&mut self) -> Result<Tree, Fault> {
        if self.parser.at_literal() {
            return self.literal();
        }
        match self.parser.peek().kind {
            Kind::Mark("(") => self.bracketed(),
            Kind::Mark("<<(") => self.triple_term(),
            Kind::Variable(_) => self.variable(),
            Kind::Iri(_) | Kind::Prefixed { .. } => {
                let spot = self.parser.peek().spot;
                let iri = self.parser.iri()?;
                if self.parser.peek().is_mark("(") { self.call_of(iri, spot) } else { Ok(leaf(iri)) }
            }
            Kind::Word(_) => self.builtin_call(),
            _ => Err(self.parser.unexpected("an expression")),
        }
    }

    fn bracketed(&mut self) -> Result<Tree, Fault> {
        self.parser.expect("(")?;
        self.parser.enter()?;
        let inner = self.or()?;
        self.parser.leave();
        if self.parser.eat(")")? { Ok(inner) } else { Err(self.parser.unexpected("an operator or `)`")) }
    }

    fn literal(&mut self) -> Result<Tree, Fault> {
        self.parser.literal().map(leaf)
    }

    fn variable(&mut self) -> Result<Tree, Fault> {
        let (variable, spot) = self.parser.variable_name()?;
        self.variables.push((variable.clone(), spot));
        Ok(leaf(variable))
    }

    /// An IRI that must be the name of a called function.
    fn custom_call(&mut self) -> Result<Tree, Fault> {
        let spot = self.parser.peek().spot;
        let iri = self.parser.iri()?;
        self.call_of(iri, spot)
    }

    fn call_of(&mut self, function: NamedNode, spot: Spot) -> Result<Tree, Fault> {
        let (arguments, height) = self.arguments()?;
        if !builtin::is_cast(function.as_ref()) {
            self.refuse(format!("the function {function}"), spot);
        } else if arguments.len() != 1 {
            return Err(spot.syntax(format!("{function} takes one argument, found {}", arguments.len())));
        }
        self.grown(height, Expression::FunctionCall(Function::Custom(function), arguments))
    }

    fn builtin_call(&mut self) -> Result<Tree, Fault> {
        let token = self.parser.advance()?;
        let Kind::Word(word) = token.kind else { return Err(self.parser.expected("a function", &token)) };
        let builtin = match builtin::find(word) {
            Some(builtin) => builtin,
            None if builtin::is_sparql_only(word) => {
                return Err(token.spot.syntax(format!("the function {word} of SPARQL is not part of SPARQL-RL")));
            }
            None => return Err(self.parser.expected("an expression", &token)),
        };
        let (arguments, height) = self.arguments()?;
        self.judge(builtin, arguments.len(), token.spot)?;
        self.grown(height, builtin.call(arguments))
    }

    fn judge(&mut self, builtin: &Builtin, arguments: usize, spot: Spot) -> Result<(), Fault> {
        let Builtin { name, least, most, .. } = builtin;
        if !(*least..=*most).contains(&arguments) {
            let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
            return Err(spot.syntax(format!("{name} takes {wanted} arguments, found {arguments}")));
        }
        if builtin.is_volatile() {
            self.refuse(format!("{name}() in a rule, which would depend on when and where the rule runs,"), spot);
        } else if builtin.needs_base() && self.parser.base.is_some() {
            self.refuse(format!("{name}() under a BASE"), spot);
        }
        Ok(())
    }

    fn refuse(&mut self, feature: String, spot: Spot) {
        self.refused.get_or_insert((feature, spot));
    }

    /// Arguments in brackets, and the height of the highest one.
    fn arguments(&mut self) -> Result<(Vec<Expression>, u32), Fault> {
        let (mut list, mut height) = (Vec::new(), 0);
        self.parser.expect("(")?;
        if self.parser.eat(")")? {
            return Ok((list, height));
        }
        self.parser.enter()?;
        loop {
            let argument = self.or()?;
            height = height.max(argument.height);
            list.push(argument.expression);
            if !self.parser.eat(",")? {
                break;
            }
        }
        self.parser.leave();
        if self.parser.eat(")")? { Ok((list, height)) } else { Err(self.parser.unexpected("an operator, `,` or `)`")) }
    }

    /// `<<( subject verb object )>>`: a call of TRIPLE in the algebra.
    fn triple_term(&mut self) -> Result<Tree, Fault> {
        self.parser.expect("<<(")?;
        self.parser.enter()?;
        let subject = self.triple_term_part()?;
        let predicate = self.parser.simple_verb(Place::Body)?;
        let predicate = match predicate.value {
            Value::Variable(variable) => {
                self.variables.push((variable.clone(), predicate.spot));
                variable.into()
            }
            Value::Iri(iri) => iri.into(),
            _ => return Err(predicate.spot.syntax("expected an IRI, a variable or `a` as predicate")),
        };
        let object = if self.parser.peek().is_mark("<<(") { self.triple_term()? } else { self.triple_term_part()? };
        self.parser.leave();
        self.parser.expect(")>>")?;
        let height = subject.height.max(object.height);
        let parts = vec![subject.expression, predicate, object.expression];
        self.grown(height, Expression::FunctionCall(Function::Triple, parts))
    }

    fn triple_term_part(&mut self) -> Result<Tree, Fault> {
        match self.parser.peek().kind {
            Kind::Variable(_) => self.variable(),
            Kind::Iri(_) | Kind::Prefixed { .. } => self.parser.iri().map(leaf),
            _ if self.parser.at_literal() => self.literal(),
            _ => Err(self.parser.unexpected("an IRI, a literal or a variable")),
        }
    }

    fn unary_of(&self, inner: Tree, make: fn(Box<Expression>) -> Expression) -> Result<Tree, Fault> {
        self.grown(inner.height, make(Box::new(inner.expression)))
    }

    fn join(&self, left: Tree, right: Tree, make: Binary) -> Result<Tree, Fault> {
        let height = left.height.max(right.height);
        self.grown(height, make(Box::new(left.expression), Box::new(right.expression)))
    }

    /// The tree, checked against the limit of height; its highest branch has `height` levels.
    fn grown(&self, height: u32, expression: Expression) -> Result<Tree, Fault> {
        if height >= DEPTH_MAX {
            let spot = self.parser.peek().spot;
            return Err(spot.limit(format!("an expression of more than {DEPTH_MAX} levels")));
        }
        Ok(Tree { expression, height: height + 1 })
    }
}

fn leaf(expression: impl Into<Expression>) -> Tree {
    Tree { expression: expression.into(), height: 0 }
}
