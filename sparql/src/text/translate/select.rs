//! Queries: grouping, columns, order and the other modifiers around a pattern.

use super::group::{all, join, values};
use super::{Translation, dataset, term};
use entail_model::Fault;
use entail_syntax::algebra::NamedNodePattern;
use entail_syntax::algebra::Query;
use entail_syntax::algebra::{AggregateExpression, Expression, GraphPattern, OrderExpression};
use entail_syntax::ast::{
    self, Aggregate, Columns, Described, Duplicates, Element, Form, Modifiers, Projection, Solutions, SortDirection,
    Value,
};
use oxrdf::Variable;
use std::collections::HashSet;

/// A column: a variable, and the expression that gives its value.
type Column = (Variable, Option<Expression>);

impl Translation {
    pub fn query(&mut self, query: &ast::Query) -> Result<Query, Fault> {
        let (dataset, base_iri) = (dataset(&query.dataset), query.base.clone());
        let solutions = &query.solutions;
        Ok(match &query.form {
            Form::Select(projection) => {
                Query::Select { dataset, pattern: self.select(Some(projection), solutions)?, base_iri }
            }
            Form::Ask => Query::Ask { dataset, pattern: self.select(None, solutions)?, base_iri },
            Form::Construct(template) => {
                let template = template.iter().map(|triple| self.triple(triple)).collect();
                Query::Construct { template, dataset, pattern: self.select(None, solutions)?, base_iri }
            }
            Form::ConstructWhere => {
                let triples = solutions.pattern.elements.iter().filter_map(|element| match element {
                    Element::Triple(triple) => Some(self.triple(triple)),
                    _ => None,
                });
                let template = triples.collect();
                Query::Construct { template, dataset, pattern: self.select(None, solutions)?, base_iri }
            }
            Form::Describe(described) => {
                Query::Describe { dataset, pattern: self.describe(described, solutions)?, base_iri }
            }
        })
    }

    /// The algebra of a query or subquery. Without a projection it shows all that is visible.
    pub fn select(&mut self, projection: Option<&Projection>, solutions: &Solutions) -> Result<GraphPattern, Fault> {
        let outer = std::mem::take(&mut self.aggregates);
        let columns = match projection.map(|projection| &projection.columns) {
            None => None,
            Some(Columns::Star(columns)) => {
                Some(columns.iter().map(|column| (column.variable.clone(), None)).collect())
            }
            Some(Columns::List(list)) => Some(self.columns(list)?),
        };
        let pattern = self.solutions(columns, projection.map(|projection| projection.duplicates), solutions)?;
        self.aggregates = outer;
        Ok(pattern)
    }

    fn columns(&mut self, list: &[ast::Column]) -> Result<Vec<Column>, Fault> {
        let column = |column: &ast::Column| {
            let expression = column.expression.as_ref().map(|expression| self.expression(expression)).transpose()?;
            Ok((column.variable.variable.clone(), expression))
        };
        list.iter().map(column).collect()
    }

    fn describe(&mut self, described: &Described, solutions: &Solutions) -> Result<GraphPattern, Fault> {
        let columns = match described {
            Described::Star => None,
            Described::Nodes(nodes) => Some(nodes.iter().map(|node| self.described(node)).collect()),
        };
        self.solutions(columns, None, solutions)
    }

    fn described(&mut self, node: &ast::Node) -> Column {
        match &node.value {
            Value::Variable(variable) => (variable.clone(), None),
            _ => match term::name(node) {
                NamedNodePattern::NamedNode(iri) => (self.variable(), Some(iri.into())),
                NamedNodePattern::Variable(variable) => (variable, None),
            },
        }
    }

    /// A pattern with everything around it. The aggregates of the columns have been translated already.
    fn solutions(
        &mut self,
        columns: Option<Vec<Column>>,
        duplicates: Option<Duplicates>,
        solutions: &Solutions,
    ) -> Result<GraphPattern, Fault> {
        let modifiers = &solutions.modifiers;
        let having = modifiers.having.iter().map(|condition| self.expression(condition)).collect::<Result<_, _>>()?;
        let order = self.order(modifiers)?;
        let aggregates = std::mem::take(&mut self.aggregates);
        let mut pattern = self.group(&solutions.pattern)?;
        if !modifiers.group_by.is_empty() || !aggregates.is_empty() {
            pattern = self.grouped(pattern, modifiers, aggregates)?;
        }
        if let Some(expr) = all(having) {
            pattern = GraphPattern::Filter { expr, inner: Box::new(pattern) };
        }
        if let Some(found) = &solutions.values {
            pattern = join(pattern, values(found));
        }
        let (mut pattern, variables) = shown(pattern, columns);
        if let Some(expression) = order {
            pattern = GraphPattern::OrderBy { inner: Box::new(pattern), expression };
        }
        pattern = GraphPattern::Project { inner: Box::new(pattern), variables };
        match duplicates {
            Some(Duplicates::Removed) => pattern = GraphPattern::Distinct { inner: Box::new(pattern) },
            Some(Duplicates::Reduced) => pattern = GraphPattern::Reduced { inner: Box::new(pattern) },
            Some(Duplicates::Kept) | None => {}
        }
        if modifiers.limit.is_some() || modifiers.offset.is_some() {
            let clamped = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            let (start, length) = (clamped(modifiers.offset.unwrap_or(0)), modifiers.limit.map(clamped));
            pattern = GraphPattern::Slice { inner: Box::new(pattern), start, length };
        }
        Ok(pattern)
    }

    fn order(&mut self, modifiers: &Modifiers) -> Result<Option<Vec<OrderExpression>>, Fault> {
        let keys = modifiers.order_by.iter().map(|key| {
            let expression = self.expression(&key.expression)?;
            Ok(match key.direction {
                SortDirection::Ascending => OrderExpression::Asc(expression),
                SortDirection::Descending => OrderExpression::Desc(expression),
            })
        });
        let keys: Vec<OrderExpression> = keys.collect::<Result<_, Fault>>()?;
        Ok((!keys.is_empty()).then_some(keys))
    }

    fn grouped(
        &mut self,
        mut pattern: GraphPattern,
        modifiers: &Modifiers,
        aggregates: Vec<(Variable, AggregateExpression)>,
    ) -> Result<GraphPattern, Fault> {
        let mut variables = Vec::new();
        for key in &modifiers.group_by {
            let expression = self.expression(&key.expression)?;
            let named = key.variable.as_ref().map(|found| found.variable.clone());
            if let (Expression::Variable(variable), None) = (&expression, &named) {
                variables.push(variable.clone());
                continue;
            }
            let variable = named.unwrap_or_else(|| self.variable());
            variables.push(variable.clone());
            pattern = GraphPattern::Extend { inner: Box::new(pattern), variable, expression };
        }
        Ok(GraphPattern::Group { inner: Box::new(pattern), variables, aggregates })
    }

    /// The variable of the value of an aggregate; equal aggregates of one query share it.
    pub fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Variable, Fault> {
        let distinct = aggregate.is_distinct;
        let call = match &aggregate.argument {
            None => AggregateExpression::CountSolutions { distinct },
            Some(argument) => {
                let name = aggregate.function.clone();
                AggregateExpression::FunctionCall { name, expr: self.expression(argument)?, distinct }
            }
        };
        if let Some((variable, _)) = self.aggregates.iter().find(|(_, known)| *known == call) {
            return Ok(variable.clone());
        }
        let variable = self.variable();
        self.aggregates.push((variable.clone(), call));
        Ok(variable)
    }
}

/// The pattern with the values of columns, and the variables that it shows: each once.
fn shown(mut pattern: GraphPattern, columns: Option<Vec<Column>>) -> (GraphPattern, Vec<Variable>) {
    let Some(columns) = columns else {
        let mut visible = HashSet::new();
        pattern.on_in_scope_variable(&mut |variable| _ = visible.insert(variable.clone()));
        let mut visible: Vec<Variable> = visible.into_iter().collect();
        visible.sort_unstable();
        return (pattern, visible);
    };
    let mut variables = Vec::new();
    for (variable, expression) in columns {
        if let Some(expression) = expression {
            pattern = GraphPattern::Extend { inner: Box::new(pattern), variable: variable.clone(), expression };
        }
        if !variables.contains(&variable) {
            variables.push(variable);
        }
    }
    (pattern, variables)
}
