//! Calls: functions of the table, functions named by an IRI, EXISTS.

use super::aggregate;
use super::expression::call;
use super::parser::Parser;
use super::similar::suggestion;
use crate::Spot;
use crate::ast::{Expression, ExpressionKind, Function, Presence};
use crate::lexer::Kind;
use entail_model::Fault;
use oxrdf::NamedNode;

impl<'a> Parser<'a> {
    /// A call that begins with a word; `expected` names what else may stand there.
    pub fn builtin_call(&mut self, expected: &str) -> Result<Expression, Fault> {
        let Kind::Word(word) = self.peek().kind else { return Err(self.unexpected(expected)) };
        let spot = self.spot();
        let is_negated = word.eq_ignore_ascii_case("NOT");
        if is_negated || word.eq_ignore_ascii_case("EXISTS") {
            return self.exists(spot);
        }
        if aggregate::is_aggregate(word) && !self.is_rules() {
            return self.aggregate();
        }
        match Function::named(word) {
            Some(function) if !self.is_rules() || function.is_in_rules() => {
                self.advance()?;
                self.function_call(function, spot)
            }
            None if !aggregate::is_aggregate(word) => Err(self.no_function(word, expected)),
            _ => Err(spot.syntax(format!("the function {word} of SPARQL is not part of SPARQL-RL"))),
        }
    }

    /// The fault for a word that names no function.
    fn no_function(&mut self, word: &'a str, expected: &str) -> Fault {
        let token = self.peek().clone();
        if self.advance().is_ok() && self.peek().is_mark("(") {
            let known = Function::all().map(|signature| signature.name).filter(|_| !self.is_rules());
            let suggestion = suggestion(word, known.chain(aggregate::NAMES));
            return token.spot.syntax(format!("there is no function {word}{suggestion}"));
        }
        self.expected(expected, &token)
    }

    fn function_call(&mut self, function: Function, spot: Spot) -> Result<Expression, Fault> {
        let signature = function.signature();
        let arguments = self.arguments()?;
        let (least, most) = (signature.arguments_least, signature.arguments_most);
        if !(least..=most).contains(&arguments.len()) {
            let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
            let noun = if most == 1 { "argument" } else { "arguments" };
            let (name, found) = (signature.name, arguments.len());
            return Err(spot.syntax(format!("{name} takes {wanted} {noun}, found {found}")));
        }
        if function == Function::Bound && arguments[0].variable().is_none() {
            return Err(arguments[0].spot.syntax("BOUND takes a variable"));
        }
        Ok(call(function, arguments, spot))
    }

    /// A call of a function that an IRI names; its name has been read.
    pub fn custom_call(&mut self, function: NamedNode, spot: Spot) -> Result<Expression, Fault> {
        let bracket = self.open("(")?;
        let distinct = (!self.is_rules() && self.at_word("DISTINCT")).then_some(self.spot());
        if distinct.is_some() {
            self.advance()?;
        }
        let mut arguments = Vec::new();
        if distinct.is_some() || !self.peek().is_mark(")") {
            arguments = self.list()?;
        }
        self.close_expression(bracket, "an operator, `,`")?;
        Ok(Expression { kind: ExpressionKind::Custom { function, arguments, distinct }, spot })
    }

    /// Expressions in brackets, perhaps none.
    pub fn arguments(&mut self) -> Result<Vec<Expression>, Fault> {
        let bracket = self.open("(")?;
        let list = if self.peek().is_mark(")") { Vec::new() } else { self.list()? };
        self.close_expression(bracket, "an operator, `,`")?;
        Ok(list)
    }

    /// One or more expressions with commas between them.
    fn list(&mut self) -> Result<Vec<Expression>, Fault> {
        let mut list = vec![self.expression()?];
        while self.eat(",")? {
            list.push(self.expression()?);
        }
        Ok(list)
    }

    fn exists(&mut self, spot: Spot) -> Result<Expression, Fault> {
        if self.is_rules() {
            return Err(spot.syntax("EXISTS is not part of SPARQL-RL; NOT {...} says that a pattern has no match"));
        }
        let presence = if self.eat_word("NOT")? { Presence::NotExists } else { Presence::Exists };
        self.expect_word("EXISTS")?;
        let group = self.group()?;
        Ok(Expression { kind: ExpressionKind::Exists(presence, Box::new(group)), spot })
    }
}
