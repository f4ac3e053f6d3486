//! Random expressions: any function may get any term, most get one that they are made for.

use super::data::{literal, typed};
use super::query::Writer;
use super::{NAMESPACE, node};
use crate::query::*;
use oxrdf::{Literal, Term};

fn simple(text: &str) -> Expression {
    Expression::Term(Literal::new_simple_literal(text).into())
}

fn call(function: Function, arguments: Vec<Expression>) -> Expression {
    Expression::Call(function, arguments)
}

fn compare(operator: Comparison, one: Expression, other: Expression) -> Expression {
    Expression::Compare(operator, Box::new(one), Box::new(other))
}

const COMPARISONS: [Comparison; 8] = [
    Comparison::Equal,
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];

const ARITHMETIC: [Arithmetic; 5] =
    [Arithmetic::Add, Arithmetic::Add, Arithmetic::Subtract, Arithmetic::Multiply, Arithmetic::Divide];

const CASTS: [&str; 7] = ["integer", "decimal", "double", "float", "boolean", "string", "dateTime"];

impl Writer<'_, '_> {
    pub fn variable_value(&mut self) -> Expression {
        Expression::Variable(self.variable())
    }

    fn constant(&mut self) -> Expression {
        if let Some(term) = self.witness().filter(|term| !matches!(term, Term::Triple(_)) && self.random.chance(50)) {
            return Expression::Term(term);
        }
        let term = if self.random.chance(30) { node(self.random).into() } else { Term::from(literal(self.random)) };
        Expression::Term(term)
    }

    /// A number that divides without an end of digits.
    fn small(&mut self) -> Expression {
        let (form, datatype) = *self.random.pick(&[
            ("1", "integer"),
            ("2", "integer"),
            ("0.5", "decimal"),
            ("2e0", "double"),
            ("0", "integer"),
        ]);
        Expression::Term(typed(form, datatype).into())
    }

    /// An expression whose effective boolean value is asked for.
    pub fn condition(&mut self, depth: u64) -> Expression {
        if depth > 0 && self.random.chance(35) {
            let one = Box::new(self.condition(depth - 1));
            return match self.random.below(4) {
                0 => Expression::Not(one),
                1 => Expression::Or(one, Box::new(self.condition(depth - 1))),
                2 => Expression::And(one, Box::new(self.condition(depth - 1))),
                _ => call(Function::Coalesce, vec![*one, self.condition(depth - 1)]),
            };
        }
        match self.random.below(20) {
            0..9 => {
                let operator = *self.random.pick(&COMPARISONS);
                let one = self.value(depth);
                let other = if self.random.chance(50) { self.constant() } else { self.value(depth) };
                compare(operator, one, other)
            }
            9 => Expression::In(Box::new(self.value(depth)), vec![self.constant(), self.value(0)]),
            10 => Expression::NotIn(Box::new(self.value(depth)), vec![self.constant(), self.value(0)]),
            11 => call(Function::SameTerm, vec![self.value(depth), self.variable_value()]),
            12 if self.has_bound => call(Function::Bound, vec![self.variable_value()]),
            13 => {
                let kinds =
                    [Function::IsIri, Function::IsBlank, Function::IsLiteral, Function::IsNumeric, Function::IsTriple];
                call(*self.random.pick(&kinds), vec![self.value(depth)])
            }
            14 => self.string_test(),
            15 => call(Function::LangMatches, vec![call(Function::Lang, vec![self.variable_value()]), simple("en")]),
            16 => compare(Comparison::Equal, call(Function::Datatype, vec![self.variable_value()]), self.datatype()),
            _ => self.value(depth),
        }
    }

    fn string_test(&mut self) -> Expression {
        let tests = [Function::Contains, Function::StrStarts, Function::StrEnds, Function::Regex];
        let text = self.text(1);
        let part = simple(self.random.word(&["a", "1", "b", "", "c"]));
        call(*self.random.pick(&tests), vec![text, part])
    }

    fn datatype(&mut self) -> Expression {
        Expression::Term(
            typed("", self.random.word(&["integer", "int", "string", "double"])).datatype().into_owned().into(),
        )
    }

    /// An expression for a term.
    pub fn value(&mut self, depth: u64) -> Expression {
        if depth == 0 {
            return if self.random.chance(75) { self.variable_value() } else { self.constant() };
        }
        match self.random.below(24) {
            0..7 => self.variable_value(),
            7 => self.constant(),
            8..11 => self.number(depth - 1),
            11..15 => self.text(depth - 1),
            15 => call(Function::If, vec![self.condition(depth - 1), self.value(depth - 1), self.value(depth - 1)]),
            16 => call(Function::Coalesce, vec![self.value(depth - 1), self.value(depth - 1)]),
            17 => call(Function::Datatype, vec![self.value(depth - 1)]),
            18 => {
                let parts = [Function::Subject, Function::Predicate, Function::Object];
                call(*self.random.pick(&parts), vec![self.variable_value()])
            }
            19 => call(
                Function::Triple,
                vec![self.variable_value(), Expression::Term(node(self.random).into()), self.value(depth - 1)],
            ),
            20 => call(Function::Cast(self.random.word(&CASTS)), vec![self.value(depth - 1)]),
            21 => self.moment_part(),
            22 => call(Function::StrDt, vec![call(Function::Str, vec![self.variable_value()]), self.datatype()]),
            _ => {
                let name = call(
                    Function::Concat,
                    vec![simple(&format!("{NAMESPACE}n")), call(Function::Str, vec![self.variable_value()])],
                );
                call(Function::Iri, vec![name])
            }
        }
    }

    fn moment_part(&mut self) -> Expression {
        let parts = [
            Function::Year,
            Function::Month,
            Function::Day,
            Function::Hours,
            Function::Minutes,
            Function::Seconds,
            Function::Tz,
            Function::Timezone,
        ];
        call(*self.random.pick(&parts), vec![self.variable_value()])
    }

    pub fn number(&mut self, depth: u64) -> Expression {
        match self.random.below(8) {
            0 => Expression::Negative(Box::new(self.value(depth))),
            1 => {
                let functions = [Function::Abs, Function::Ceil, Function::Floor, Function::Round];
                call(*self.random.pick(&functions), vec![self.value(depth)])
            }
            2 => call(Function::StrLen, vec![self.text(depth)]),
            _ => {
                let operator = *self.random.pick(&ARITHMETIC);
                let other = if self.random.chance(60) || operator == Arithmetic::Divide {
                    self.small()
                } else {
                    self.value(depth)
                };
                Expression::Compute(operator, Box::new(self.value(depth)), Box::new(other))
            }
        }
    }

    fn text(&mut self, depth: u64) -> Expression {
        let plain = call(Function::Str, vec![self.variable_value()]);
        if depth == 0 {
            return if self.random.chance(50) { plain } else { self.variable_value() };
        }
        let one = self.text(depth - 1);
        match self.random.below(12) {
            0 => call(Function::UCase, vec![one]),
            1 => call(Function::LCase, vec![one]),
            2 => call(Function::SubStr, vec![one, self.position()]),
            3 => call(Function::SubStr, vec![one, self.position(), self.position()]),
            4 => call(Function::Concat, vec![one, self.text(depth - 1)]),
            5 => call(Function::StrBefore, vec![one, simple(self.random.word(&["b", "", "z"]))]),
            6 => call(Function::StrAfter, vec![one, simple(self.random.word(&["a", "", "z"]))]),
            7 => call(Function::Replace, vec![one, simple(self.random.word(&["b", "1"])), simple("xy")]),
            8 => call(Function::Lang, vec![self.variable_value()]),
            9 => call(Function::EncodeForUri, vec![one]),
            10 => call(Function::StrLang, vec![one, simple("de")]),
            _ => one,
        }
    }

    fn position(&mut self) -> Expression {
        let (form, datatype) =
            *self.random.pick(&[("1", "integer"), ("2", "integer"), ("0", "integer"), ("-1", "integer")]);
        Expression::Term(typed(form, datatype).into())
    }
}
