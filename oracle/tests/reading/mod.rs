//! Texts as queries of the oracle: spargebra parses them, and its algebra is written as groups within groups.

#![allow(dead_code, reason = "each test uses a part")]

use entail_oracle::query::*;
use oxrdf::Term;
use spargebra::SparqlParser;
use spargebra::algebra::{
    AggregateExpression, AggregateFunction, Expression as Parsed, Function as ParsedFunction, GraphPattern,
    OrderExpression, PropertyPathExpression,
};
use spargebra::term::{GroundTerm, NamedNodePattern, TermPattern};
use std::cell::Cell;

/// Why a text is not judged.
pub type Unsupported = String;

/// The query of a text.
pub fn query(text: &str, base: Option<&str>) -> Result<Query, Unsupported> {
    let mut parser = SparqlParser::new();
    if let Some(base) = base {
        parser = parser.with_base_iri(base).map_err(|error| error.to_string())?;
    }
    let parsed = parser.parse_query(text).map_err(|error| error.to_string())?;
    let dataset = parsed.dataset().cloned();
    let reader = Reader { made: Cell::new(0) };
    let form = match parsed {
        spargebra::Query::Select { pattern, .. } => Form::Select(reader.select(&pattern)?),
        spargebra::Query::Ask { pattern, .. } => Form::Ask(reader.group(&pattern)?),
        spargebra::Query::Construct { template, pattern, .. } => {
            let triple = |triple: &spargebra::term::TriplePattern| TriplePattern {
                subject: node(&triple.subject),
                predicate: name(&triple.predicate),
                object: node(&triple.object),
            };
            Form::Construct(template.iter().map(triple).collect(), reader.group(&pattern)?)
        }
        spargebra::Query::Describe { .. } => return Err("DESCRIBE".to_owned()),
    };
    let mut query = Query::new(form);
    if let Some(dataset) = dataset {
        query.from = dataset.default;
        query.from_named = dataset.named.unwrap_or_default();
    }
    Ok(query)
}

struct Reader {
    made: Cell<usize>,
}

fn name(pattern: &NamedNodePattern) -> Node {
    match pattern {
        NamedNodePattern::NamedNode(node) => Node::Term(node.clone().into()),
        NamedNodePattern::Variable(variable) => Node::Variable(variable.as_str().to_owned()),
    }
}

fn node(pattern: &TermPattern) -> Node {
    match pattern {
        TermPattern::NamedNode(node) => Node::Term(node.clone().into()),
        TermPattern::Literal(literal) => Node::Term(literal.clone().into()),
        TermPattern::BlankNode(node) => Node::Blank(node.as_str().to_owned()),
        TermPattern::Variable(variable) => Node::Variable(variable.as_str().to_owned()),
        TermPattern::Triple(triple) => Node::Triple(Box::new(TriplePattern {
            subject: node(&triple.subject),
            predicate: name(&triple.predicate),
            object: node(&triple.object),
        })),
    }
}

fn path(path: &PropertyPathExpression) -> Path {
    let boxed = |inner: &PropertyPathExpression| Box::new(self::path(inner));
    match path {
        PropertyPathExpression::NamedNode(iri) => Path::Link(iri.clone()),
        PropertyPathExpression::Reverse(inner) => Path::Inverse(boxed(inner)),
        PropertyPathExpression::Sequence(one, other) => Path::Sequence(boxed(one), boxed(other)),
        PropertyPathExpression::Alternative(one, other) => Path::Alternative(boxed(one), boxed(other)),
        PropertyPathExpression::ZeroOrMore(inner) => Path::ZeroOrMore(boxed(inner)),
        PropertyPathExpression::OneOrMore(inner) => Path::OneOrMore(boxed(inner)),
        PropertyPathExpression::ZeroOrOne(inner) => Path::ZeroOrOne(boxed(inner)),
        PropertyPathExpression::NegatedPropertySet(iris) => {
            Path::Negated { forward: iris.clone(), backward: Vec::new() }
        }
    }
}

fn ground(term: &GroundTerm) -> Term {
    match term {
        GroundTerm::NamedNode(node) => node.clone().into(),
        GroundTerm::Literal(literal) => literal.clone().into(),
        GroundTerm::Triple(triple) => oxrdf::Triple {
            subject: triple.subject.clone().into(),
            predicate: triple.predicate.clone(),
            object: ground(&triple.object),
        }
        .into(),
    }
}

impl Reader {
    fn nested(&self, pattern: &GraphPattern) -> Result<Element, Unsupported> {
        Ok(Element::Union(vec![self.group(pattern)?]))
    }

    fn group(&self, pattern: &GraphPattern) -> Result<Group, Unsupported> {
        Ok(Group(match pattern {
            GraphPattern::Bgp { patterns } => {
                let triple = |triple: &spargebra::term::TriplePattern| {
                    Element::Triple(TriplePattern {
                        subject: node(&triple.subject),
                        predicate: name(&triple.predicate),
                        object: node(&triple.object),
                    })
                };
                patterns.iter().map(triple).collect()
            }
            GraphPattern::Path { subject, path, object } => {
                vec![Element::Path(node(subject), self::path(path), node(object))]
            }
            GraphPattern::Join { left, right } => vec![self.nested(left)?, self.nested(right)?],
            GraphPattern::LeftJoin { left, right, expression } => {
                let mut optional = Group(vec![self.nested(right)?]);
                if let Some(condition) = expression {
                    optional.0.push(Element::Filter(self.expression(condition)?));
                }
                vec![self.nested(left)?, Element::Optional(optional)]
            }
            GraphPattern::Filter { expr, inner } => {
                vec![self.nested(inner)?, Element::Filter(self.expression(expr)?)]
            }
            GraphPattern::Union { left, right } => vec![Element::Union(vec![self.group(left)?, self.group(right)?])],
            GraphPattern::Graph { name, inner } => vec![Element::Graph(self::name(name), self.group(inner)?)],
            GraphPattern::Extend { inner, variable, expression } => {
                vec![self.nested(inner)?, Element::Bind(self.expression(expression)?, variable.as_str().to_owned())]
            }
            GraphPattern::Minus { left, right } => vec![self.nested(left)?, Element::Minus(self.group(right)?)],
            GraphPattern::Values { variables, bindings } => {
                let row = |row: &Vec<Option<GroundTerm>>| row.iter().map(|cell| cell.as_ref().map(ground)).collect();
                vec![Element::Values(Values {
                    variables: variables.iter().map(|variable| variable.as_str().to_owned()).collect(),
                    rows: bindings.iter().map(row).collect(),
                })]
            }
            GraphPattern::Service { .. } => return Err("SERVICE".to_owned()),
            _ => vec![Element::Select(Box::new(self.select(pattern)?))],
        }))
    }

    fn select(&self, pattern: &GraphPattern) -> Result<Select, Unsupported> {
        Ok(match pattern {
            GraphPattern::Slice { inner, start, length } => {
                Select { offset: *start, limit: *length, ..self.select(inner)? }
            }
            GraphPattern::Distinct { inner } => Select { duplicates: Duplicates::Removed, ..self.select(inner)? },
            GraphPattern::Reduced { inner } => Select { duplicates: Duplicates::Open, ..self.select(inner)? },
            GraphPattern::Project { inner, variables } => self.project(inner, variables)?,
            GraphPattern::OrderBy { inner, expression } => {
                let key = |key: &OrderExpression| {
                    let (OrderExpression::Asc(inner) | OrderExpression::Desc(inner)) = key;
                    let is_descending = matches!(key, OrderExpression::Desc(_));
                    Ok(OrderKey { expression: self.expression(inner)?, is_descending })
                };
                let order_by = expression.iter().map(key).collect::<Result<_, Unsupported>>()?;
                Select { order_by, ..Select::all(self.group(inner)?) }
            }
            GraphPattern::Group { inner, variables, aggregates } => self.grouped(inner, variables, aggregates)?,
            other => Select::all(self.group(other)?),
        })
    }

    /// The expressions directly below are select expressions: their values are of one solution.
    fn project(&self, inner: &GraphPattern, variables: &[spargebra::term::Variable]) -> Result<Select, Unsupported> {
        let (order, mut below) = match inner {
            GraphPattern::OrderBy { inner: below, .. } => (Some(inner), &**below),
            other => (None, other),
        };
        let mut named = Vec::new();
        while let GraphPattern::Extend { inner, variable, expression } = below {
            if !variables.contains(variable) {
                break;
            }
            named.insert(0, (Some(self.expression(expression)?), variable.as_str().to_owned()));
            below = inner;
        }
        let mut select = match order {
            Some(order) => Select { pattern: self.group(below)?, ..self.select(order)? },
            None => self.select(below)?,
        };
        if matches!(select.projection, Projection::Items(_)) {
            select = Select::all(Group(vec![Element::Select(Box::new(select))]));
        }
        let is_named = |name: &str| named.iter().any(|(_, own)| own == name);
        let names = variables.iter().map(|variable| variable.as_str().to_owned());
        let plain: Vec<_> = names.filter(|name| !is_named(name)).map(|name| (None, name)).collect();
        select.projection = Projection::Items(plain.into_iter().chain(named).collect());
        Ok(select)
    }

    fn grouped(
        &self,
        inner: &GraphPattern,
        variables: &[spargebra::term::Variable],
        aggregates: &[(spargebra::term::Variable, AggregateExpression)],
    ) -> Result<Select, Unsupported> {
        let mut select = Select::all(self.group(inner)?);
        let names: Vec<String> = variables.iter().map(|variable| variable.as_str().to_owned()).collect();
        select.group_by = names.iter().map(|name| (Expression::Variable(name.clone()), None)).collect();
        let mut items: Vec<(Option<Expression>, String)> = names.into_iter().map(|name| (None, name)).collect();
        for (variable, aggregate) in aggregates {
            let aggregate = Expression::Aggregate(Box::new(self.aggregate(aggregate)?));
            items.push((Some(aggregate), variable.as_str().to_owned()));
        }
        if items.is_empty() {
            self.made.set(self.made.get() + 1);
            let count = Aggregate { function: Fold::Count, is_distinct: false, argument: None };
            items.push((Some(Expression::Aggregate(Box::new(count))), format!("unused{}", self.made.get())));
        }
        select.projection = Projection::Items(items);
        Ok(select)
    }

    fn aggregate(&self, aggregate: &AggregateExpression) -> Result<Aggregate, Unsupported> {
        Ok(match aggregate {
            AggregateExpression::CountSolutions { distinct } => {
                Aggregate { function: Fold::Count, is_distinct: *distinct, argument: None }
            }
            AggregateExpression::FunctionCall { name, expr, distinct } => {
                let function = match name {
                    AggregateFunction::Count => Fold::Count,
                    AggregateFunction::Sum => Fold::Sum,
                    AggregateFunction::Avg => Fold::Avg,
                    AggregateFunction::Min => Fold::Min,
                    AggregateFunction::Max => Fold::Max,
                    AggregateFunction::Sample => Fold::Sample,
                    AggregateFunction::GroupConcat { separator } => {
                        Fold::GroupConcat(separator.clone().unwrap_or_else(|| " ".to_owned()))
                    }
                    AggregateFunction::Custom(name) => return Err(name.to_string()),
                };
                Aggregate { function, is_distinct: *distinct, argument: Some(self.expression(expr)?) }
            }
        })
    }

    fn all(&self, expressions: &[Parsed]) -> Result<Vec<Expression>, Unsupported> {
        expressions.iter().map(|expression| self.expression(expression)).collect()
    }

    fn expression(&self, expression: &Parsed) -> Result<Expression, Unsupported> {
        let boxed = |inner: &Parsed| self.expression(inner).map(Box::new);
        let compare = |operator, one: &Parsed, other: &Parsed| {
            Ok::<_, Unsupported>(Expression::Compare(operator, boxed(one)?, boxed(other)?))
        };
        let compute = |operator, one: &Parsed, other: &Parsed| {
            Ok::<_, Unsupported>(Expression::Compute(operator, boxed(one)?, boxed(other)?))
        };
        Ok(match expression {
            Parsed::NamedNode(node) => Expression::Term(node.clone().into()),
            Parsed::Literal(literal) => Expression::Term(literal.clone().into()),
            Parsed::Variable(variable) => Expression::Variable(variable.as_str().to_owned()),
            Parsed::Or(one, other) => Expression::Or(boxed(one)?, boxed(other)?),
            Parsed::And(one, other) => Expression::And(boxed(one)?, boxed(other)?),
            Parsed::Equal(one, other) => compare(Comparison::Equal, one, other)?,
            Parsed::Greater(one, other) => compare(Comparison::Greater, one, other)?,
            Parsed::GreaterOrEqual(one, other) => compare(Comparison::GreaterOrEqual, one, other)?,
            Parsed::Less(one, other) => compare(Comparison::Less, one, other)?,
            Parsed::LessOrEqual(one, other) => compare(Comparison::LessOrEqual, one, other)?,
            Parsed::SameTerm(one, other) => {
                Expression::Call(Function::SameTerm, vec![self.expression(one)?, self.expression(other)?])
            }
            Parsed::In(one, list) => Expression::In(boxed(one)?, self.all(list)?),
            Parsed::Add(one, other) => compute(Arithmetic::Add, one, other)?,
            Parsed::Subtract(one, other) => compute(Arithmetic::Subtract, one, other)?,
            Parsed::Multiply(one, other) => compute(Arithmetic::Multiply, one, other)?,
            Parsed::Divide(one, other) => compute(Arithmetic::Divide, one, other)?,
            Parsed::UnaryPlus(_) => return Err("unary plus".to_owned()),
            Parsed::UnaryMinus(one) => Expression::Negative(boxed(one)?),
            Parsed::Not(one) => Expression::Not(boxed(one)?),
            Parsed::Exists(pattern) => Expression::Exists(self.group(pattern)?),
            Parsed::Bound(variable) => {
                Expression::Call(Function::Bound, vec![Expression::Variable(variable.as_str().to_owned())])
            }
            Parsed::If(condition, one, other) => Expression::Call(
                Function::If,
                vec![self.expression(condition)?, self.expression(one)?, self.expression(other)?],
            ),
            Parsed::Coalesce(list) => Expression::Call(Function::Coalesce, self.all(list)?),
            Parsed::FunctionCall(called, arguments) => Expression::Call(function(called)?, self.all(arguments)?),
        })
    }
}

const FUNCTIONS: [(ParsedFunction, Function); 42] = [
    (ParsedFunction::Str, Function::Str),
    (ParsedFunction::Lang, Function::Lang),
    (ParsedFunction::LangMatches, Function::LangMatches),
    (ParsedFunction::HasLang, Function::HasLang),
    (ParsedFunction::Datatype, Function::Datatype),
    (ParsedFunction::Iri, Function::Iri),
    (ParsedFunction::BNode, Function::Bnode),
    (ParsedFunction::StrDt, Function::StrDt),
    (ParsedFunction::StrLang, Function::StrLang),
    (ParsedFunction::IsIri, Function::IsIri),
    (ParsedFunction::IsBlank, Function::IsBlank),
    (ParsedFunction::IsLiteral, Function::IsLiteral),
    (ParsedFunction::IsNumeric, Function::IsNumeric),
    (ParsedFunction::IsTriple, Function::IsTriple),
    (ParsedFunction::Triple, Function::Triple),
    (ParsedFunction::Subject, Function::Subject),
    (ParsedFunction::Predicate, Function::Predicate),
    (ParsedFunction::Object, Function::Object),
    (ParsedFunction::Abs, Function::Abs),
    (ParsedFunction::Ceil, Function::Ceil),
    (ParsedFunction::Floor, Function::Floor),
    (ParsedFunction::Round, Function::Round),
    (ParsedFunction::StrLen, Function::StrLen),
    (ParsedFunction::SubStr, Function::SubStr),
    (ParsedFunction::UCase, Function::UCase),
    (ParsedFunction::LCase, Function::LCase),
    (ParsedFunction::EncodeForUri, Function::EncodeForUri),
    (ParsedFunction::Contains, Function::Contains),
    (ParsedFunction::StrStarts, Function::StrStarts),
    (ParsedFunction::StrEnds, Function::StrEnds),
    (ParsedFunction::StrBefore, Function::StrBefore),
    (ParsedFunction::StrAfter, Function::StrAfter),
    (ParsedFunction::Concat, Function::Concat),
    (ParsedFunction::Replace, Function::Replace),
    (ParsedFunction::Regex, Function::Regex),
    (ParsedFunction::Year, Function::Year),
    (ParsedFunction::Month, Function::Month),
    (ParsedFunction::Day, Function::Day),
    (ParsedFunction::Hours, Function::Hours),
    (ParsedFunction::Minutes, Function::Minutes),
    (ParsedFunction::Seconds, Function::Seconds),
    (ParsedFunction::Timezone, Function::Timezone),
];

const CASTS: [&str; 8] = ["integer", "decimal", "double", "float", "boolean", "string", "dateTime", "date"];

fn function(function: &ParsedFunction) -> Result<Function, Unsupported> {
    if let Some((_, own)) = FUNCTIONS.iter().find(|(parsed, _)| parsed == function) {
        return Ok(*own);
    }
    match function {
        ParsedFunction::Tz => Ok(Function::Tz),
        ParsedFunction::Custom(name) => {
            let local = name.as_str().strip_prefix("http://www.w3.org/2001/XMLSchema#");
            let cast = CASTS.into_iter().find(|cast| Some(*cast) == local);
            cast.map(Function::Cast).ok_or_else(|| name.to_string())
        }
        other => Err(format!("{other:?}")),
    }
}
