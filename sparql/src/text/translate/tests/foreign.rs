//! spargebra's algebra as ours.

use entail_syntax::algebra::{
    AggregateExpression, AggregateFunction, Expression, Function, GraphNamePattern, GraphPattern, GraphTarget,
    GraphUpdateOperation, NamedNodePattern, OrderExpression, PropertyPathExpression, QuadPattern, Query, QueryDataset,
    TermPattern, TriplePattern, Update,
};
use oxrdf::{GraphName, Quad, Term, Triple};
use spargebra::algebra as other;
use spargebra::term as terms;

pub(super) fn query(query: spargebra::Query) -> Query {
    let dataset = |own: Option<other::QueryDataset>| own.map(self::dataset);
    match query {
        spargebra::Query::Select { dataset: own, pattern, base_iri } => {
            Query::Select { dataset: dataset(own), pattern: self::pattern(pattern), base_iri }
        }
        spargebra::Query::Ask { dataset: own, pattern, base_iri } => {
            Query::Ask { dataset: dataset(own), pattern: self::pattern(pattern), base_iri }
        }
        spargebra::Query::Describe { dataset: own, pattern, base_iri } => {
            Query::Describe { dataset: dataset(own), pattern: self::pattern(pattern), base_iri }
        }
        spargebra::Query::Construct { template, dataset: own, pattern, base_iri } => Query::Construct {
            template: template.into_iter().map(triple).collect(),
            dataset: dataset(own),
            pattern: self::pattern(pattern),
            base_iri,
        },
    }
}

pub(super) fn update(update: spargebra::Update) -> Update {
    Update { base_iri: update.base_iri, operations: update.operations.into_iter().map(operation).collect() }
}

fn dataset(dataset: other::QueryDataset) -> QueryDataset {
    QueryDataset { default: dataset.default, named: dataset.named }
}

fn operation(operation: spargebra::GraphUpdateOperation) -> GraphUpdateOperation {
    use spargebra::GraphUpdateOperation as Other;
    match operation {
        Other::InsertData { data } => GraphUpdateOperation::InsertData { data: data.into_iter().map(quad).collect() },
        Other::DeleteData { data } => {
            let quad = |own: terms::GroundQuad| {
                Quad::new(own.subject, own.predicate, ground(own.object), graph_name(own.graph_name))
            };
            GraphUpdateOperation::DeleteData { data: data.into_iter().map(quad).collect() }
        }
        Other::DeleteInsert { delete, insert, using, pattern } => GraphUpdateOperation::DeleteInsert {
            delete: delete.into_iter().map(ground_quad_pattern).collect(),
            insert: insert.into_iter().map(quad_pattern).collect(),
            using: using.map(dataset),
            pattern: Box::new(self::pattern(*pattern)),
        },
        Other::Load { silent, source, destination } => {
            GraphUpdateOperation::Load { silent, source, destination: graph_name(destination) }
        }
        Other::Clear { silent, graph } => GraphUpdateOperation::Clear { silent, graph: target(graph) },
        Other::Create { silent, graph } => GraphUpdateOperation::Create { silent, graph },
        Other::Drop { silent, graph } => GraphUpdateOperation::Drop { silent, graph: target(graph) },
    }
}

fn target(target: other::GraphTarget) -> GraphTarget {
    match target {
        other::GraphTarget::NamedNode(node) => GraphTarget::NamedNode(node),
        other::GraphTarget::DefaultGraph => GraphTarget::DefaultGraph,
        other::GraphTarget::NamedGraphs => GraphTarget::NamedGraphs,
        other::GraphTarget::AllGraphs => GraphTarget::AllGraphs,
    }
}

fn graph_name(name: terms::GraphName) -> GraphName {
    match name {
        terms::GraphName::NamedNode(node) => node.into(),
        terms::GraphName::DefaultGraph => GraphName::DefaultGraph,
    }
}

fn quad(quad: terms::Quad) -> Quad {
    Quad::new(quad.subject, quad.predicate, quad.object, graph_name(quad.graph_name))
}

fn quad_pattern(quad: terms::QuadPattern) -> QuadPattern {
    let graph_name = graph_name_pattern(quad.graph_name);
    QuadPattern { subject: term(quad.subject), predicate: name(quad.predicate), object: term(quad.object), graph_name }
}

fn ground_quad_pattern(quad: terms::GroundQuadPattern) -> QuadPattern {
    let [subject, object] = [quad.subject, quad.object].map(ground_pattern);
    QuadPattern { subject, predicate: name(quad.predicate), object, graph_name: graph_name_pattern(quad.graph_name) }
}

fn ground_pattern(pattern: terms::GroundTermPattern) -> TermPattern {
    match pattern {
        terms::GroundTermPattern::NamedNode(node) => node.into(),
        terms::GroundTermPattern::Literal(literal) => literal.into(),
        terms::GroundTermPattern::Variable(variable) => variable.into(),
        terms::GroundTermPattern::Triple(own) => TriplePattern {
            subject: ground_pattern(own.subject),
            predicate: name(own.predicate),
            object: ground_pattern(own.object),
        }
        .into(),
    }
}

fn graph_name_pattern(name: terms::GraphNamePattern) -> GraphNamePattern {
    match name {
        terms::GraphNamePattern::NamedNode(node) => GraphNamePattern::NamedNode(node),
        terms::GraphNamePattern::DefaultGraph => GraphNamePattern::DefaultGraph,
        terms::GraphNamePattern::Variable(variable) => GraphNamePattern::Variable(variable),
    }
}

fn name(name: terms::NamedNodePattern) -> NamedNodePattern {
    match name {
        terms::NamedNodePattern::NamedNode(node) => node.into(),
        terms::NamedNodePattern::Variable(variable) => variable.into(),
    }
}

fn term(term: terms::TermPattern) -> TermPattern {
    match term {
        terms::TermPattern::NamedNode(node) => node.into(),
        terms::TermPattern::BlankNode(node) => node.into(),
        terms::TermPattern::Literal(literal) => literal.into(),
        terms::TermPattern::Triple(own) => triple(*own).into(),
        terms::TermPattern::Variable(variable) => variable.into(),
    }
}

fn triple(triple: terms::TriplePattern) -> TriplePattern {
    TriplePattern { subject: term(triple.subject), predicate: name(triple.predicate), object: term(triple.object) }
}

fn ground(term: terms::GroundTerm) -> Term {
    match term {
        terms::GroundTerm::NamedNode(node) => node.into(),
        terms::GroundTerm::Literal(literal) => literal.into(),
        terms::GroundTerm::Triple(own) => Triple::new(own.subject, own.predicate, ground(own.object)).into(),
    }
}

fn path(path: other::PropertyPathExpression) -> PropertyPathExpression {
    use other::PropertyPathExpression as Other;
    let boxed = |own: Box<Other>| Box::new(self::path(*own));
    match path {
        Other::NamedNode(node) => node.into(),
        Other::Reverse(inner) => PropertyPathExpression::Reverse(boxed(inner)),
        Other::Sequence(a, b) => PropertyPathExpression::Sequence(boxed(a), boxed(b)),
        Other::Alternative(a, b) => PropertyPathExpression::Alternative(boxed(a), boxed(b)),
        Other::ZeroOrMore(inner) => PropertyPathExpression::ZeroOrMore(boxed(inner)),
        Other::OneOrMore(inner) => PropertyPathExpression::OneOrMore(boxed(inner)),
        Other::ZeroOrOne(inner) => PropertyPathExpression::ZeroOrOne(boxed(inner)),
        Other::NegatedPropertySet(nodes) => PropertyPathExpression::NegatedPropertySet(nodes),
    }
}

pub(super) fn pattern(pattern: other::GraphPattern) -> GraphPattern {
    use other::GraphPattern as Other;
    let boxed = |own: Box<Other>| Box::new(self::pattern(*own));
    match pattern {
        Other::Bgp { patterns } => GraphPattern::Bgp { patterns: patterns.into_iter().map(triple).collect() },
        Other::Path { subject, path: own, object } => {
            GraphPattern::Path { subject: term(subject), path: path(own), object: term(object) }
        }
        Other::Join { left, right } => GraphPattern::Join { left: boxed(left), right: boxed(right) },
        Other::LeftJoin { left, right, expression: own } => {
            GraphPattern::LeftJoin { left: boxed(left), right: boxed(right), expression: own.map(expression) }
        }
        Other::Filter { expr, inner } => GraphPattern::Filter { expr: expression(expr), inner: boxed(inner) },
        Other::Union { left, right } => GraphPattern::Union { left: boxed(left), right: boxed(right) },
        Other::Graph { name: own, inner } => GraphPattern::Graph { name: name(own), inner: boxed(inner) },
        Other::Extend { inner, variable, expression: own } => {
            GraphPattern::Extend { inner: boxed(inner), variable, expression: expression(own) }
        }
        Other::Minus { left, right } => GraphPattern::Minus { left: boxed(left), right: boxed(right) },
        Other::Values { variables, bindings } => {
            let row = |row: Vec<Option<terms::GroundTerm>>| row.into_iter().map(|cell| cell.map(ground)).collect();
            GraphPattern::Values { variables, bindings: bindings.into_iter().map(row).collect() }
        }
        Other::OrderBy { inner, expression: keys } => {
            let key = |key| match key {
                other::OrderExpression::Asc(by) => OrderExpression::Asc(expression(by)),
                other::OrderExpression::Desc(by) => OrderExpression::Desc(expression(by)),
            };
            GraphPattern::OrderBy { inner: boxed(inner), expression: keys.into_iter().map(key).collect() }
        }
        Other::Project { inner, variables } => GraphPattern::Project { inner: boxed(inner), variables },
        Other::Distinct { inner } => GraphPattern::Distinct { inner: boxed(inner) },
        Other::Reduced { inner } => GraphPattern::Reduced { inner: boxed(inner) },
        Other::Slice { inner, start, length } => GraphPattern::Slice { inner: boxed(inner), start, length },
        Other::Group { inner, variables, aggregates } => {
            let aggregates = aggregates.into_iter().map(|(variable, own)| (variable, aggregate(own))).collect();
            GraphPattern::Group { inner: boxed(inner), variables, aggregates }
        }
        Other::Service { name: own, inner, silent } => {
            GraphPattern::Service { name: name(own), inner: boxed(inner), silent }
        }
    }
}

fn aggregate(aggregate: other::AggregateExpression) -> AggregateExpression {
    match aggregate {
        other::AggregateExpression::CountSolutions { distinct } => AggregateExpression::CountSolutions { distinct },
        other::AggregateExpression::FunctionCall { name, expr, distinct } => {
            let name = match name {
                other::AggregateFunction::Count => AggregateFunction::Count,
                other::AggregateFunction::Sum => AggregateFunction::Sum,
                other::AggregateFunction::Avg => AggregateFunction::Avg,
                other::AggregateFunction::Min => AggregateFunction::Min,
                other::AggregateFunction::Max => AggregateFunction::Max,
                other::AggregateFunction::Sample => AggregateFunction::Sample,
                other::AggregateFunction::GroupConcat { separator } => AggregateFunction::GroupConcat { separator },
                other::AggregateFunction::Custom(name) => panic!("{name} is an aggregate of its own"),
            };
            AggregateExpression::FunctionCall { name, expr: expression(expr), distinct }
        }
    }
}

pub(super) fn expression(expression: other::Expression) -> Expression {
    use other::Expression as Other;
    let boxed = |own: Box<Other>| Box::new(self::expression(*own));
    let all = |list: Vec<Other>| list.into_iter().map(self::expression).collect::<Vec<_>>();
    match expression {
        Other::NamedNode(node) => node.into(),
        Other::Literal(literal) => literal.into(),
        Other::Variable(variable) => variable.into(),
        Other::Or(a, b) => Expression::Or(boxed(a), boxed(b)),
        Other::And(a, b) => Expression::And(boxed(a), boxed(b)),
        Other::Equal(a, b) => Expression::Equal(boxed(a), boxed(b)),
        Other::SameTerm(a, b) => Expression::SameTerm(boxed(a), boxed(b)),
        Other::Greater(a, b) => Expression::Greater(boxed(a), boxed(b)),
        Other::GreaterOrEqual(a, b) => Expression::GreaterOrEqual(boxed(a), boxed(b)),
        Other::Less(a, b) => Expression::Less(boxed(a), boxed(b)),
        Other::LessOrEqual(a, b) => Expression::LessOrEqual(boxed(a), boxed(b)),
        Other::In(a, list) => Expression::In(boxed(a), all(list)),
        Other::Add(a, b) => Expression::Add(boxed(a), boxed(b)),
        Other::Subtract(a, b) => Expression::Subtract(boxed(a), boxed(b)),
        Other::Multiply(a, b) => Expression::Multiply(boxed(a), boxed(b)),
        Other::Divide(a, b) => Expression::Divide(boxed(a), boxed(b)),
        Other::UnaryPlus(a) => Expression::UnaryPlus(boxed(a)),
        Other::UnaryMinus(a) => Expression::UnaryMinus(boxed(a)),
        Other::Not(a) => Expression::Not(boxed(a)),
        Other::Exists(own) => Expression::Exists(Box::new(pattern(*own))),
        Other::Bound(variable) => Expression::Bound(variable),
        Other::If(a, b, c) => Expression::If(boxed(a), boxed(b), boxed(c)),
        Other::Coalesce(list) => Expression::Coalesce(all(list)),
        Other::FunctionCall(other::Function::Custom(name), list) => Expression::Custom(name, all(list)),
        Other::FunctionCall(function, list) => {
            let name = function.to_string();
            let function = Function::named(&name).unwrap_or_else(|| panic!("{name} is in the table"));
            Expression::FunctionCall(function, all(list))
        }
    }
}
