//! VALUES.

use super::parser::Parser;
use super::place::Place;
use crate::ast::{Node, Pattern, Value, Values, VariableAt};
use crate::lexer::Kind;
use entail_model::Fault;

impl Parser<'_> {
    /// `VALUES`, with its block.
    pub fn values(&mut self) -> Result<Values, Fault> {
        let spot = self.spot();
        self.expect_word("VALUES")?;
        let is_table = self.peek().is_mark("(");
        let variables = if is_table { self.value_variables()? } else { vec![self.value_variable()?] };
        self.in_data = true;
        let bracket = self.open("{")?;
        let mut rows = Vec::new();
        while !self.peek().is_mark("}") {
            rows.push(if is_table { self.row(variables.len())? } else { vec![self.cell()?] });
        }
        self.close(bracket, "a row")?;
        self.in_data = false;
        Ok(Values { variables, rows, spot })
    }

    fn value_variable(&mut self) -> Result<VariableAt, Fault> {
        if self.at_variable() {
            self.variable_at()
        } else {
            Err(self.unexpected("a variable, or variables in brackets"))
        }
    }

    fn value_variables(&mut self) -> Result<Vec<VariableAt>, Fault> {
        let bracket = self.open("(")?;
        let mut variables: Vec<VariableAt> = Vec::new();
        while self.at_variable() {
            let found = self.variable_at()?;
            if variables.iter().any(|other| other.variable == found.variable) {
                return Err(found.spot.syntax(format!("VALUES names {} twice", found.variable)));
            }
            variables.push(found);
        }
        self.close(bracket, "a variable")?;
        Ok(variables)
    }

    fn row(&mut self, width: usize) -> Result<Vec<Option<Node>>, Fault> {
        let spot = self.spot();
        let bracket = self.open("(")?;
        let mut row = Vec::with_capacity(width);
        while !self.peek().is_mark(")") && !self.peek().is_mark("}") {
            row.push(self.cell()?);
        }
        self.close(bracket, "a value")?;
        if row.len() != width {
            let found = row.len();
            let (values, variables) = (plural(found, "value"), plural(width, "variable"));
            return Err(spot.syntax(format!("a row of {values} for {variables}; UNDEF stands for no value")));
        }
        Ok(row)
    }

    fn cell(&mut self) -> Result<Option<Node>, Fault> {
        if self.eat_word("UNDEF")? {
            return Ok(None);
        }
        let node = match self.peek().kind {
            Kind::Mark("<<(") => self.triple_term(Place::Values)?,
            Kind::Iri(_) | Kind::Prefixed { .. } | Kind::Variable(_) => self.simple_term(Place::Values)?,
            _ if self.at_literal() => self.simple_term(Place::Values)?,
            Kind::Blank(_) | Kind::Mark("[") => return Err(self.spot().syntax("there are no blank nodes in VALUES")),
            _ => return Err(self.unexpected("an IRI, a literal, a triple term or UNDEF")),
        };
        self.charge(node.weight(), node.spot)?;
        if let Value::Triple(triple) = &node.value {
            check_triple(triple)?;
        }
        Ok(Some(node))
    }
}

/// Checks that the subject of a triple term is an IRI, and that nothing in it is a blank node.
fn check_triple(triple: &Pattern) -> Result<(), Fault> {
    if let Some(spot) = triple.subject.blank_spot().or_else(|| triple.object.blank_spot()) {
        return Err(spot.syntax("there are no blank nodes in VALUES"));
    }
    match &triple.subject.value {
        Value::Iri(_) => {}
        _ => return Err(triple.subject.spot.syntax("the subject of a triple term in VALUES is an IRI")),
    }
    match &triple.object.value {
        Value::Triple(inner) => check_triple(inner),
        _ => Ok(()),
    }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}
