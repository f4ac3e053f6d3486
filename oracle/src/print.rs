//! Queries as text. IRIs are written in full, and everything that could be ambiguous is in brackets.

use crate::query::*;
use oxrdf::NamedNode;
use std::fmt::{Display, Formatter, Result};

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Variable(name) => write!(f, "?{name}"),
            Self::Blank(label) => write!(f, "_:{label}"),
            Self::Term(term) => write!(f, "{term}"),
            Self::Triple(triple) => write!(f, "<<( {triple} )>>"),
        }
    }
}

impl Display for TriplePattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {} {}", self.subject, self.predicate, self.object)
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Link(iri) => write!(f, "{iri}"),
            Self::Inverse(path) => write!(f, "^({path})"),
            Self::Sequence(one, other) => write!(f, "({one}/{other})"),
            Self::Alternative(one, other) => write!(f, "({one}|{other})"),
            Self::ZeroOrOne(path) => write!(f, "({path})?"),
            Self::ZeroOrMore(path) => write!(f, "({path})*"),
            Self::OneOrMore(path) => write!(f, "({path})+"),
            Self::Negated { forward, backward } => {
                let steps = forward.iter().map(NamedNode::to_string);
                let steps: Vec<String> = steps.chain(backward.iter().map(|iri| format!("^{iri}"))).collect();
                write!(f, "!({})", steps.join("|"))
            }
        }
    }
}

impl Display for Group {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("{ ")?;
        self.0.iter().try_for_each(|element| write!(f, "{element} "))?;
        f.write_str("}")
    }
}

impl Display for Element {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Triple(triple) => write!(f, "{triple} ."),
            Self::Path(subject, path, object) => write!(f, "{subject} {path} {object} ."),
            Self::Filter(condition) => write!(f, "FILTER({condition})"),
            Self::Bind(value, name) => write!(f, "BIND({value} AS ?{name})"),
            Self::Optional(group) => write!(f, "OPTIONAL {group}"),
            Self::Minus(group) => write!(f, "MINUS {group}"),
            Self::Graph(name, group) => write!(f, "GRAPH {name} {group}"),
            Self::Union(groups) => f.write_str(&joined(groups, " UNION ")),
            Self::Values(values) => write!(f, "{values}"),
            Self::Select(select) => {
                f.write_str("{ ")?;
                write_select(f, select, "")?;
                f.write_str(" }")
            }
        }
    }
}

fn joined<T: Display>(items: &[T], separator: &str) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(separator)
}

impl Display for Values {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("VALUES (")?;
        self.variables.iter().try_for_each(|name| write!(f, "?{name} "))?;
        f.write_str(") { ")?;
        for row in &self.rows {
            f.write_str("( ")?;
            for cell in row {
                match cell {
                    Some(term) => write!(f, "{term} ")?,
                    None => f.write_str("UNDEF ")?,
                }
            }
            f.write_str(") ")?;
        }
        f.write_str("}")
    }
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Variable(name) => write!(f, "?{name}"),
            Self::Term(term) => write!(f, "{term}"),
            Self::Or(one, other) => write!(f, "({one} || {other})"),
            Self::And(one, other) => write!(f, "({one} && {other})"),
            Self::Not(one) => write!(f, "(! {one})"),
            Self::Compare(operator, one, other) => write!(f, "({one} {} {other})", operator.sign()),
            Self::In(one, list) => write!(f, "({one} IN ({}))", joined(list, ", ")),
            Self::NotIn(one, list) => write!(f, "({one} NOT IN ({}))", joined(list, ", ")),
            Self::Compute(operator, one, other) => write!(f, "({one} {} {other})", operator.sign()),
            Self::Negative(one) => write!(f, "(- {one})"),
            Self::Call(function, arguments) => write!(f, "{}({})", function.name(), joined(arguments, ", ")),
            Self::Exists(group) => write!(f, "EXISTS {group}"),
            Self::Aggregate(aggregate) => write!(f, "{aggregate}"),
        }
    }
}

impl Comparison {
    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Arithmetic {
    fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
        }
    }
}

impl Function {
    /// The name, as a query writes it.
    pub fn name(self) -> String {
        match self {
            Self::Cast(datatype) => format!("<http://www.w3.org/2001/XMLSchema#{datatype}>"),
            Self::SameTerm => "sameTerm".to_owned(),
            // The names of the others are those of SPARQL, but for their case.
            Self::EncodeForUri => "ENCODE_FOR_URI".to_owned(),
            other => format!("{other:?}").to_uppercase(),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (name, separator) = match &self.function {
            Fold::GroupConcat(separator) => ("GROUP_CONCAT", format!("; SEPARATOR=\"{separator}\"")),
            Fold::Count => ("COUNT", String::new()),
            Fold::Sum => ("SUM", String::new()),
            Fold::Avg => ("AVG", String::new()),
            Fold::Min => ("MIN", String::new()),
            Fold::Max => ("MAX", String::new()),
            Fold::Sample => ("SAMPLE", String::new()),
        };
        let distinct = if self.is_distinct { "DISTINCT " } else { "" };
        match &self.argument {
            Some(argument) => write!(f, "{name}({distinct}{argument}{separator})"),
            None => write!(f, "{name}({distinct}*)"),
        }
    }
}

/// A SELECT with the text of its FROM clauses.
fn write_select(f: &mut Formatter<'_>, select: &Select, from: &str) -> Result {
    f.write_str("SELECT ")?;
    f.write_str(match select.duplicates {
        Duplicates::Kept => "",
        Duplicates::Removed => "DISTINCT ",
        Duplicates::Open => "REDUCED ",
    })?;
    match &select.projection {
        Projection::Star => f.write_str("* ")?,
        Projection::Items(items) => {
            for (expression, name) in items {
                match expression {
                    Some(expression) => write!(f, "({expression} AS ?{name}) ")?,
                    None => write!(f, "?{name} ")?,
                }
            }
        }
    }
    write!(f, "{from}WHERE {}", select.pattern)?;
    write_modifiers(f, select)
}

fn write_modifiers(f: &mut Formatter<'_>, select: &Select) -> Result {
    if !select.group_by.is_empty() {
        f.write_str(" GROUP BY")?;
    }
    for (key, name) in &select.group_by {
        match name {
            Some(name) => write!(f, " ({key} AS ?{name})")?,
            None => write!(f, " {}", bracketed(key))?,
        }
    }
    if !select.having.is_empty() {
        f.write_str(" HAVING")?;
    }
    select.having.iter().try_for_each(|condition| write!(f, " ({condition})"))?;
    if !select.order_by.is_empty() {
        f.write_str(" ORDER BY")?;
    }
    for key in &select.order_by {
        write!(f, " {}({})", if key.is_descending { "DESC" } else { "ASC" }, key.expression)?;
    }
    if let Some(limit) = select.limit {
        write!(f, " LIMIT {limit}")?;
    }
    if select.offset > 0 {
        write!(f, " OFFSET {}", select.offset)?;
    }
    select.values.iter().try_for_each(|values| write!(f, " {values}"))
}

fn bracketed(key: &Expression) -> String {
    if matches!(key, Expression::Variable(_)) { key.to_string() } else { format!("({key})") }
}

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let from = self.from.iter().map(|iri| format!("FROM {iri} "));
        let from: String = from.chain(self.from_named.iter().map(|iri| format!("FROM NAMED {iri} "))).collect();
        match &self.form {
            Form::Select(select) => write_select(f, select, &from),
            Form::Ask(pattern) => write!(f, "ASK {from}WHERE {pattern}"),
            Form::Construct(template, pattern) => {
                f.write_str("CONSTRUCT { ")?;
                template.iter().try_for_each(|triple| write!(f, "{triple} . "))?;
                write!(f, "}} {from}WHERE {pattern}")
            }
        }
    }
}
