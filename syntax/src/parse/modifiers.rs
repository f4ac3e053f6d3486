//! GROUP BY, HAVING, ORDER BY, LIMIT and OFFSET.

use super::parser::Parser;
use crate::ast::{GroupKey, Modifiers, SortDirection, SortKey};
use crate::lexer::Kind;
use entail_model::Fault;

impl Parser<'_> {
    /// The clauses after a pattern, as far as they are there.
    pub fn modifiers(&mut self) -> Result<Modifiers, Fault> {
        let mut modifiers = Modifiers::default();
        if self.eat_word("GROUP")? {
            self.expect_word("BY")?;
            while modifiers.group_by.is_empty() || self.at_variable() || self.at_condition() {
                modifiers.group_by.push(self.group_key()?);
            }
        }
        if self.eat_word("HAVING")? {
            while modifiers.having.is_empty() || self.at_condition() {
                modifiers.having.push(self.aggregated(|parser| parser.constraint("HAVING"))?);
            }
        }
        if self.eat_word("ORDER")? {
            self.expect_word("BY")?;
            while modifiers.order_by.is_empty() || self.at_variable() || self.at_condition() {
                modifiers.order_by.push(self.sort_key()?);
            }
        }
        loop {
            let (slot, keyword) = match () {
                () if self.at_word("LIMIT") => (&mut modifiers.limit, "LIMIT"),
                () if self.at_word("OFFSET") => (&mut modifiers.offset, "OFFSET"),
                () => return Ok(modifiers),
            };
            if slot.is_some() {
                return Err(self.spot().syntax(format!("{keyword} stands twice")));
            }
            self.advance()?;
            *slot = Some(self.natural(keyword)?);
        }
    }

    fn group_key(&mut self) -> Result<GroupKey, Fault> {
        if self.at_variable() {
            return Ok(GroupKey { expression: self.variable_expression()?, variable: None });
        }
        if !self.peek().is_mark("(") {
            return Ok(GroupKey { expression: self.constraint("GROUP BY")?, variable: None });
        }
        let bracket = self.open("(")?;
        let expression = self.expression()?;
        let variable = if self.eat_word("AS")? { Some(self.variable_at()?) } else { None };
        self.close(bracket, "an operator, AS")?;
        Ok(GroupKey { expression, variable })
    }

    fn sort_key(&mut self) -> Result<SortKey, Fault> {
        let direction = if self.eat_word("ASC")? {
            Some(SortDirection::Ascending)
        } else if self.eat_word("DESC")? {
            Some(SortDirection::Descending)
        } else {
            None
        };
        let expression = if direction.is_some() {
            self.aggregated(Self::bracketed)?
        } else if self.at_variable() {
            self.variable_expression()?
        } else {
            self.aggregated(|parser| parser.constraint("ORDER BY"))?
        };
        Ok(SortKey { direction: direction.unwrap_or(SortDirection::Ascending), expression })
    }

    fn natural(&mut self, keyword: &str) -> Result<u64, Fault> {
        let spot = self.spot();
        match self.peek().kind {
            Kind::Integer(digits) if !digits.starts_with(['+', '-']) => {
                self.advance()?;
                digits.parse().map_err(|_| spot.syntax(format!("{keyword} {digits} is too large")))
            }
            _ => Err(self.unexpected(&format!("a number without a sign after {keyword}"))),
        }
    }
}
