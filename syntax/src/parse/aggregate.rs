//! Calls of aggregates, and where they may stand.

use super::parser::Parser;
use crate::Spot;
use crate::ast::{Aggregate, AggregateFunction, Expression, ExpressionKind};
use crate::lexer::Kind;
use entail_model::Fault;

/// May an aggregate stand in the expression that is being read?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregates {
    /// In SELECT, HAVING and ORDER BY.
    Allowed,
    /// In a pattern and in GROUP BY.
    Forbidden,
    /// In the argument of the aggregate at this place.
    Inside(Spot),
}

pub(super) const NAMES: [&str; 7] = ["COUNT", "SUM", "MIN", "MAX", "AVG", "SAMPLE", "GROUP_CONCAT"];

/// Is the word the name of an aggregate?
pub(super) fn is_aggregate(word: &str) -> bool {
    NAMES.iter().any(|name| word.eq_ignore_ascii_case(name))
}

impl Parser<'_> {
    /// Reads with another rule for aggregates.
    pub fn with_aggregates<T>(
        &mut self,
        aggregates: Aggregates,
        read: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let outer = std::mem::replace(&mut self.aggregates, aggregates);
        let found = read(self)?;
        self.aggregates = outer;
        Ok(found)
    }

    /// A call of an aggregate.
    pub fn aggregate(&mut self) -> Result<Expression, Fault> {
        let name = self.advance()?;
        let spot = name.spot;
        let shown = self.shown(&name);
        match self.aggregates {
            Aggregates::Allowed => {}
            Aggregates::Forbidden => {
                let message = format!("the aggregate {shown} may stand in SELECT, HAVING and ORDER BY only");
                return Err(spot.syntax(message));
            }
            Aggregates::Inside(outer) => {
                return Err(spot.syntax(format!("the aggregate {shown} stands in the aggregate at {outer}")));
            }
        }
        let function = match name.kind {
            Kind::Word(word) => function(word),
            _ => None,
        };
        let Some(mut function) = function else { return Err(self.expected("an aggregate", &name)) };
        let bracket = self.open("(")?;
        let is_distinct = self.eat_word("DISTINCT")?;
        let argument = if function == AggregateFunction::Count && self.eat("*")? {
            None
        } else {
            Some(self.with_aggregates(Aggregates::Inside(spot), Self::expression)?)
        };
        let mut also = "an operator";
        if let AggregateFunction::GroupConcat { separator } = &mut function {
            *separator = self.separator()?;
            also = "an operator, `; SEPARATOR = \"...\"`";
        }
        self.close(bracket, also)?;
        let aggregate = Aggregate { function, argument, is_distinct };
        Ok(Expression { kind: ExpressionKind::Aggregate(Box::new(aggregate)), spot })
    }

    fn separator(&mut self) -> Result<Option<String>, Fault> {
        if !self.eat(";")? {
            return Ok(None);
        }
        self.expect_word("SEPARATOR")?;
        self.expect("=")?;
        self.string().map(Some)
    }
}

fn function(name: &str) -> Option<AggregateFunction> {
    Some(match name.to_ascii_uppercase().as_str() {
        "COUNT" => AggregateFunction::Count,
        "SUM" => AggregateFunction::Sum,
        "MIN" => AggregateFunction::Min,
        "MAX" => AggregateFunction::Max,
        "AVG" => AggregateFunction::Avg,
        "SAMPLE" => AggregateFunction::Sample,
        "GROUP_CONCAT" => AggregateFunction::GroupConcat { separator: None },
        _ => return None,
    })
}
