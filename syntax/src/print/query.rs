//! Queries.

use super::expression::Bracketed;
use super::list;
use crate::ast::{
    Column, Columns, Dataset, Described, Duplicates, Form, GroupKey, Modifiers, Projection, Query, Select, Solutions,
    SortDirection, SortKey,
};
use std::fmt::{self, Display, Formatter};

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(base) = &self.base {
            write!(f, "BASE <{base}> ")?;
        }
        match &self.form {
            Form::Select(projection) => projection.fmt(f)?,
            Form::Construct(template) => {
                f.write_str("CONSTRUCT {")?;
                template.iter().try_for_each(|triple| write!(f, " {triple} ."))?;
                f.write_str(" }")?;
            }
            Form::ConstructWhere => f.write_str("CONSTRUCT")?,
            Form::Describe(Described::Star) => f.write_str("DESCRIBE *")?,
            Form::Describe(Described::Nodes(nodes)) => {
                f.write_str("DESCRIBE ")?;
                list(f, " ", nodes)?;
            }
            Form::Ask => f.write_str("ASK")?,
        }
        write_dataset(f, "FROM", &self.dataset)?;
        write!(f, " WHERE {}", self.solutions)
    }
}

pub(super) fn write_dataset(f: &mut Formatter<'_>, keyword: &str, dataset: &Dataset) -> fmt::Result {
    dataset.default.iter().try_for_each(|graph| write!(f, " {keyword} {graph}"))?;
    dataset.named.iter().try_for_each(|graph| write!(f, " {keyword} NAMED {graph}"))
}

impl Display for Select {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} WHERE {}", self.projection, self.solutions)
    }
}

impl Display for Projection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.duplicates {
            Duplicates::Kept => "SELECT ",
            Duplicates::Removed => "SELECT DISTINCT ",
            Duplicates::Reduced => "SELECT REDUCED ",
        })?;
        match &self.columns {
            Columns::Star(_) => f.write_str("*"),
            Columns::List(columns) => list(f, " ", columns),
        }
    }
}

impl Display for Column {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.expression {
            Some(expression) => write!(f, "({expression} AS {})", self.variable.variable),
            None => self.variable.variable.fmt(f),
        }
    }
}

impl Display for Solutions {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.pattern, self.modifiers)?;
        self.values.iter().try_for_each(|values| write!(f, " {values}"))
    }
}

impl Display for Modifiers {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.group_by.is_empty() {
            f.write_str(" GROUP BY ")?;
            list(f, " ", &self.group_by)?;
        }
        if !self.having.is_empty() {
            f.write_str(" HAVING ")?;
            list(f, " ", self.having.iter().map(Bracketed))?;
        }
        if !self.order_by.is_empty() {
            f.write_str(" ORDER BY ")?;
            list(f, " ", &self.order_by)?;
        }
        self.limit.iter().try_for_each(|limit| write!(f, " LIMIT {limit}"))?;
        self.offset.iter().try_for_each(|offset| write!(f, " OFFSET {offset}"))
    }
}

impl Display for GroupKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.variable, self.expression.variable()) {
            (Some(named), _) => write!(f, "({} AS {})", self.expression, named.variable),
            (None, Some(variable)) => variable.fmt(f),
            (None, None) => Bracketed(&self.expression).fmt(f),
        }
    }
}

impl Display for SortKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.direction == SortDirection::Ascending { "ASC" } else { "DESC" })?;
        Bracketed(&self.expression).fmt(f)
    }
}
