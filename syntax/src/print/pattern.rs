//! Groups and their elements.

use super::expression::Bracketed;
use super::list;
use crate::ast::{Element, Group, Values};
use std::fmt::{self, Display, Formatter};

impl Display for Group {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        self.elements.iter().try_for_each(|element| write!(f, " {element}"))?;
        f.write_str(" }")
    }
}

impl Display for Element {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Triple(triple) => write!(f, "{triple} ."),
            Self::Path(path) => write!(f, "{path} ."),
            Self::Filter(filter) => write!(f, "FILTER{}", Bracketed(&filter.expression)),
            Self::Optional(group) => write!(f, "OPTIONAL {group}"),
            Self::Minus(group) => write!(f, "MINUS {group}"),
            Self::Union(groups) => list(f, " UNION ", groups),
            Self::Graph { name, group } => write!(f, "GRAPH {name} {group}"),
            Self::Service { is_silent, name, group, .. } => {
                write!(f, "SERVICE {}{name} {group}", if *is_silent { "SILENT " } else { "" })
            }
            Self::Bind { expression, variable } => write!(f, "BIND({expression} AS {})", variable.variable),
            Self::Values(values) => values.fmt(f),
            Self::Select(select) => select.fmt(f),
        }
    }
}

impl Display for Values {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("VALUES (")?;
        list(f, " ", self.variables.iter().map(|found| &found.variable))?;
        f.write_str(") {")?;
        for row in &self.rows {
            f.write_str(" (")?;
            let cell = |cell: &Option<crate::ast::Node>| cell.as_ref().map_or("UNDEF".to_owned(), ToString::to_string);
            list(f, " ", row.iter().map(cell))?;
            f.write_str(")")?;
        }
        f.write_str(" }")
    }
}
