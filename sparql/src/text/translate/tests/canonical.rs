//! Algebra as text that is equal for equal algebra, whatever the names of generated variables and blank nodes, the order of
//! joined patterns, the shape of chains of `&&`, `||` and UNION, and whether a sign belongs to a number or stands before it.

use entail_syntax::algebra::{
    AggregateExpression, Expression, GraphNamePattern, GraphPattern, GraphTarget, GraphUpdateOperation,
    NamedNodePattern, OrderExpression, PropertyPathExpression, QuadPattern, Query, QueryDataset, TermPattern,
    TriplePattern, Update,
};
use entail_syntax::ast::Transfer;
use oxrdf::{BlankNode, GraphName, Literal, Quad, Term, Variable};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

/// Stands before and after a name that may be replaced.
const MARK: char = '\u{1}';
/// A statement with what belongs to it; a bag's parts have no order.
struct Tree {
    label: String,
    is_bag: bool,
    parts: Vec<Tree>,
}

impl Tree {
    fn leaf(label: String) -> Self {
        Self { label, is_bag: false, parts: Vec::new() }
    }

    fn list(label: impl Into<String>, parts: Vec<Self>) -> Self {
        Self { label: label.into(), is_bag: false, parts }
    }

    fn bag(label: impl Into<String>, parts: Vec<Self>) -> Self {
        Self { label: label.into(), is_bag: true, parts }
    }

    fn labels<'t>(&'t self, found: &mut Vec<&'t str>) {
        found.push(&self.label);
        self.parts.iter().for_each(|part| part.labels(found));
    }

    fn render(&self, colours: &BTreeMap<&str, u64>) -> String {
        let mut parts: Vec<String> = self.parts.iter().map(|part| part.render(colours)).collect();
        if self.is_bag {
            parts.sort();
        }
        format!("({} {})", painted(&self.label, colours, None), parts.join(" "))
    }
}

/// A label with colours in place of names; `own` is shown as such.
fn painted(label: &str, colours: &BTreeMap<&str, u64>, own: Option<&str>) -> String {
    let piece = |(index, piece): (usize, &str)| match index % 2 {
        0 => piece.to_owned(),
        _ if own == Some(piece) => "#own".to_owned(),
        _ => format!("#{}", colours[piece]),
    };
    label.split(MARK).enumerate().map(piece).collect()
}

/// Paints a tree, with names told apart by where they occur.
fn canonical(tree: &Tree) -> String {
    let mut labels = Vec::new();
    tree.labels(&mut labels);
    let names: BTreeSet<&str> = labels.iter().flat_map(|label| label.split(MARK).skip(1).step_by(2)).collect();
    let mut colours: BTreeMap<&str, u64> = names.iter().map(|name| (*name, 0)).collect();
    let mut apart = 1;
    for _ in 0..names.len() {
        let colour = |name: &&str| {
            let has = |label: &&&str| label.split(MARK).skip(1).step_by(2).any(|other| other == *name);
            let mut met: Vec<String> =
                labels.iter().filter(has).map(|label| painted(label, &colours, Some(name))).collect();
            met.sort();
            let mut hasher = DefaultHasher::new();
            met.hash(&mut hasher);
            hasher.finish()
        };
        colours = names.iter().map(|name| (*name, colour(name))).collect();
        // Names that are told apart stay apart; when no others are, they look the same from everywhere.
        let distinct = colours.values().collect::<BTreeSet<_>>().len();
        if std::mem::replace(&mut apart, distinct) == distinct && distinct > 1 {
            break;
        }
    }
    tree.render(&colours)
}

/// The canonical text of a query with this text.
pub(super) fn query(query: &Query, text: &str) -> String {
    canonical(&Writer { text }.query(query))
}

/// The canonical text of an update with this text.
pub(super) fn update(update: &Update, text: &str) -> String {
    let writer = Writer { text };
    let operations = update.operations.iter().flat_map(expanded);
    let operations = operations.map(|operation| writer.operation(&operation)).collect();
    canonical(&Tree::list(format!("update {:?}", update.base_iri), operations))
}

struct Writer<'t> {
    text: &'t str,
}

impl Writer<'_> {
    fn variable(&self, variable: &Variable) -> String {
        let name = variable.as_str();
        let is_written = ["?", "$"].iter().any(|sign| self.text.contains(&format!("{sign}{name}")));
        if is_written { format!("?{name}") } else { format!("{MARK}v{name}{MARK}") }
    }

    fn blank(&self, node: &BlankNode) -> String {
        format!("{MARK}b{}{MARK}", node.as_str())
    }

    fn term(&self, term: &TermPattern) -> String {
        match term {
            TermPattern::NamedNode(iri) => iri.to_string(),
            TermPattern::Literal(literal) => literal.to_string(),
            TermPattern::BlankNode(node) => self.blank(node),
            TermPattern::Variable(variable) => self.variable(variable),
            TermPattern::Triple(triple) => format!("<<{}>>", self.triple(triple)),
        }
    }

    fn name(&self, name: &NamedNodePattern) -> String {
        match name {
            NamedNodePattern::NamedNode(iri) => iri.to_string(),
            NamedNodePattern::Variable(variable) => self.variable(variable),
        }
    }

    fn triple(&self, triple: &TriplePattern) -> String {
        format!("{} {} {}", self.term(&triple.subject), self.name(&triple.predicate), self.term(&triple.object))
    }

    fn variables(&self, variables: &[Variable]) -> String {
        let mut names: Vec<String> = variables.iter().map(|variable| self.variable(variable)).collect();
        names.sort();
        names.join(" ")
    }

    fn query(&self, query: &Query) -> Tree {
        let (form, template, dataset, pattern, base) = match query {
            Query::Select { dataset, pattern, base_iri } => ("select", None, dataset, pattern, base_iri),
            Query::Ask { dataset, pattern, base_iri } => ("ask", None, dataset, pattern, base_iri),
            Query::Describe { dataset, pattern, base_iri } => ("describe", None, dataset, pattern, base_iri),
            Query::Construct { template, dataset, pattern, base_iri } => {
                ("construct", Some(template), dataset, pattern, base_iri)
            }
        };
        let template = template.into_iter().flatten().map(|triple| Tree::leaf(self.triple(triple))).collect();
        let parts = vec![Tree::bag("template", template), self.pattern(pattern)];
        Tree::list(format!("{form} {} {base:?}", self.dataset(dataset.as_ref())), parts)
    }

    fn dataset(&self, dataset: Option<&QueryDataset>) -> String {
        dataset.map(|dataset| format!("{:?} {:?}", dataset.default, dataset.named)).unwrap_or_default()
    }

    fn pattern(&self, pattern: &GraphPattern) -> Tree {
        match pattern {
            GraphPattern::Bgp { .. } | GraphPattern::Join { .. } | GraphPattern::Path { .. } => {
                let mut parts = Vec::new();
                self.joined(pattern, &mut parts);
                Tree::bag("join", parts)
            }
            GraphPattern::LeftJoin { left, right, expression } => {
                let mut parts = vec![self.pattern(left), self.pattern(right)];
                parts.extend(expression.as_ref().map(|expression| self.statement("on", expression)));
                Tree::list("optional", parts)
            }
            GraphPattern::Filter { expr, inner } => {
                Tree::list("filter", vec![self.pattern(inner), self.statement("", expr)])
            }
            GraphPattern::Union { .. } => {
                let mut parts = Vec::new();
                self.united(pattern, &mut parts);
                Tree::list("union", parts)
            }
            GraphPattern::Graph { name, inner } => {
                Tree::list(format!("graph {}", self.name(name)), vec![self.pattern(inner)])
            }
            GraphPattern::Extend { inner, variable, expression } => {
                let statement = self.statement(&format!("{} :=", self.variable(variable)), expression);
                Tree::list("extend", vec![self.pattern(inner), statement])
            }
            GraphPattern::Minus { left, right } => Tree::list("minus", vec![self.pattern(left), self.pattern(right)]),
            GraphPattern::Values { variables, bindings } => {
                let cell = |cell: &Option<Term>| cell.as_ref().map_or("UNDEF".to_owned(), Term::to_string);
                let row = |row: &Vec<Option<Term>>| row.iter().map(cell).collect::<Vec<_>>().join(" ");
                let rows: Vec<String> = bindings.iter().map(row).collect();
                let names: Vec<String> = variables.iter().map(|variable| self.variable(variable)).collect();
                Tree::leaf(format!("values {} {}", names.join(" "), rows.join(" | ")))
            }
            GraphPattern::OrderBy { inner, expression } => {
                let keys = expression.iter().map(|key| match key {
                    OrderExpression::Asc(key) => self.statement("asc", key),
                    OrderExpression::Desc(key) => self.statement("desc", key),
                });
                Tree::list("order", std::iter::once(self.pattern(inner)).chain(keys).collect())
            }
            GraphPattern::Project { inner, variables } => {
                Tree::list(format!("project {}", self.variables(variables)), vec![self.pattern(inner)])
            }
            GraphPattern::Distinct { inner } => Tree::list("distinct", vec![self.pattern(inner)]),
            GraphPattern::Reduced { inner } => Tree::list("reduced", vec![self.pattern(inner)]),
            GraphPattern::Slice { inner, start, length } => {
                Tree::list(format!("slice {start} {length:?}"), vec![self.pattern(inner)])
            }
            GraphPattern::Group { inner, variables, aggregates } => {
                let aggregates = aggregates.iter().map(|(variable, call)| {
                    let variable = self.variable(variable);
                    match call {
                        AggregateExpression::CountSolutions { distinct } => {
                            Tree::leaf(format!("{variable} := count {distinct}"))
                        }
                        AggregateExpression::FunctionCall { name, expr, distinct } => {
                            self.statement(&format!("{variable} := {name:?} {distinct}"), expr)
                        }
                    }
                });
                let parts = vec![self.pattern(inner), Tree::bag("aggregates", aggregates.collect())];
                Tree::list(format!("group {}", self.variables(variables)), parts)
            }
            GraphPattern::Service { name, inner, silent } => {
                Tree::list(format!("service {silent} {}", self.name(name)), vec![self.pattern(inner)])
            }
            GraphPattern::Leaf { .. } => panic!("no text has leaves"),
        }
    }

    fn joined(&self, pattern: &GraphPattern, parts: &mut Vec<Tree>) {
        match pattern {
            GraphPattern::Join { left, right } => {
                self.joined(left, parts);
                self.joined(right, parts);
            }
            GraphPattern::Bgp { patterns } => {
                parts.extend(patterns.iter().map(|triple| Tree::leaf(self.triple(triple))));
            }
            GraphPattern::Path { subject, path, object } => {
                parts.push(Tree::leaf(format!("{} {} {}", self.term(subject), path_text(path), self.term(object))));
            }
            other => parts.push(self.pattern(other)),
        }
    }

    fn united(&self, pattern: &GraphPattern, parts: &mut Vec<Tree>) {
        match pattern {
            GraphPattern::Union { left, right } => {
                self.united(left, parts);
                parts.push(self.pattern(right));
            }
            other => parts.push(self.pattern(other)),
        }
    }

    /// An expression after a few words, with the patterns of its EXISTS as parts.
    fn statement(&self, words: &str, expression: &Expression) -> Tree {
        let mut parts = Vec::new();
        let text = self.expression(expression, &mut parts);
        Tree::list(format!("{words} {text}"), parts)
    }

    fn expression(&self, expression: &Expression, parts: &mut Vec<Tree>) -> String {
        let mut each = |list: &[&Expression]| -> Vec<String> {
            list.iter().map(|operand| self.expression(operand, parts)).collect()
        };
        let (name, list) = match expression {
            Expression::NamedNode(iri) => return iri.to_string(),
            Expression::Literal(literal) => return signed(literal, ""),
            Expression::Variable(variable) => return self.variable(variable),
            Expression::Bound(variable) => return format!("bound({})", self.variable(variable)),
            Expression::Exists(pattern) => {
                parts.push(self.pattern(pattern));
                return "exists".to_owned();
            }
            Expression::Or(..) => (
                "or",
                each(&chain(expression, &|part| match part {
                    Expression::Or(a, b) => Some((a, b)),
                    _ => None,
                })),
            ),
            Expression::And(..) => (
                "and",
                each(&chain(expression, &|part| match part {
                    Expression::And(a, b) => Some((a, b)),
                    _ => None,
                })),
            ),
            Expression::Equal(a, b) => ("=", each(&[a, b])),
            Expression::SameTerm(a, b) => ("sameTerm", each(&[a, b])),
            Expression::Greater(a, b) => (">", each(&[a, b])),
            Expression::GreaterOrEqual(a, b) => (">=", each(&[a, b])),
            Expression::Less(a, b) => ("<", each(&[a, b])),
            Expression::LessOrEqual(a, b) => ("<=", each(&[a, b])),
            Expression::In(element, list) => {
                let all: Vec<&Expression> = std::iter::once(element.as_ref()).chain(list).collect();
                ("in", each(&all))
            }
            Expression::Add(a, b) => ("+", each(&[a, b])),
            // `?x - 1` and `?x -1` are the same value, written by way of another operator.
            Expression::Subtract(a, b) => match negated(b) {
                Some(negated) => ("+", each(&[a, &negated])),
                None => ("-", each(&[a, b])),
            },
            Expression::Multiply(a, b) => ("*", each(&[a, b])),
            Expression::Divide(a, b) => ("/", each(&[a, b])),
            Expression::UnaryPlus(operand) => match &**operand {
                Expression::Literal(literal) if is_unsigned(literal) => return signed(literal, "+"),
                other => ("plus", each(&[other])),
            },
            Expression::UnaryMinus(operand) => match &**operand {
                Expression::Literal(literal) if is_unsigned(literal) => return signed(literal, "-"),
                other => ("minus", each(&[other])),
            },
            Expression::Not(operand) => ("not", each(&[operand])),
            Expression::If(a, b, c) => ("if", each(&[a, b, c])),
            Expression::Coalesce(list) => ("coalesce", each(&list.iter().collect::<Vec<_>>())),
            Expression::Custom(iri, list) => {
                return format!("{iri}({})", each(&list.iter().collect::<Vec<_>>()).join(", "));
            }
            Expression::FunctionCall(function, list) => {
                return format!("{function:?}({})", each(&list.iter().collect::<Vec<_>>()).join(", "));
            }
        };
        format!("{name}({})", list.join(", "))
    }

    fn operation(&self, operation: &GraphUpdateOperation) -> Tree {
        match operation {
            GraphUpdateOperation::InsertData { data } => {
                Tree::bag("insert data", data.iter().map(|quad| Tree::leaf(self.quad(quad))).collect())
            }
            GraphUpdateOperation::DeleteInsert { delete, insert, using, pattern } => {
                let delete = delete.iter().map(|quad| Tree::leaf(self.quad_pattern(quad))).collect();
                let insert = insert.iter().map(|quad| Tree::leaf(self.quad_pattern(quad))).collect();
                let parts = vec![Tree::bag("delete", delete), Tree::bag("insert", insert), self.pattern(pattern)];
                Tree::list(format!("modify {}", self.dataset(using.as_ref())), parts)
            }
            other => Tree::leaf(format!("{other:?}")),
        }
    }

    fn quad(&self, quad: &Quad) -> String {
        let subject = self.rdf_term(&quad.subject.clone().into());
        format!("{subject} {} {} {}", quad.predicate, self.rdf_term(&quad.object), quad.graph_name)
    }

    fn rdf_term(&self, term: &Term) -> String {
        match term {
            Term::BlankNode(node) => self.blank(node),
            Term::Triple(triple) => {
                let subject = self.rdf_term(&triple.subject.clone().into());
                format!("<<{subject} {} {}>>", triple.predicate, self.rdf_term(&triple.object))
            }
            other => other.to_string(),
        }
    }

    fn quad_pattern(&self, quad: &QuadPattern) -> String {
        let QuadPattern { subject, predicate, object, graph_name } = quad;
        let (subject, predicate, object) = (self.term(subject), self.name(predicate), self.term(object));
        let graph = match graph_name {
            GraphNamePattern::NamedNode(iri) => iri.to_string(),
            GraphNamePattern::DefaultGraph => String::new(),
            GraphNamePattern::Variable(variable) => self.variable(variable),
        };
        format!("{subject} {predicate} {object} {graph}")
    }
}

/// ADD, MOVE and COPY as the standard defines them (SPARQL 1.1 Update, section 3.2): the other parser does so. Of a graph to
/// itself they are nothing.
fn expanded(operation: &GraphUpdateOperation) -> Vec<GraphUpdateOperation> {
    let GraphUpdateOperation::Transfer { kind, silent, from, to } = operation else { return vec![operation.clone()] };
    if from == to {
        return Vec::new();
    }
    let target = |graph: &GraphName| match graph {
        GraphName::NamedNode(node) => GraphTarget::NamedNode(node.clone()),
        _ => GraphTarget::DefaultGraph,
    };
    let drop = |graph, silent| GraphUpdateOperation::Drop { silent, graph: target(graph) };
    let before = (*kind != Transfer::Add).then(|| drop(to, true));
    let after = (*kind == Transfer::Move).then(|| drop(from, *silent));
    before.into_iter().chain([copied(from, to)]).chain(after).collect()
}

fn copied(from: &GraphName, to: &GraphName) -> GraphUpdateOperation {
    let variable = |name: &str| Variable::new_unchecked(name);
    let (subject, predicate, object) = (variable("s"), variable("p"), variable("o"));
    let triple = TriplePattern {
        subject: subject.clone().into(),
        predicate: predicate.clone().into(),
        object: object.clone().into(),
    };
    let triples = GraphPattern::Bgp { patterns: vec![triple] };
    let graph_name = match to {
        GraphName::NamedNode(to) => GraphNamePattern::NamedNode(to.clone()),
        _ => GraphNamePattern::DefaultGraph,
    };
    let insert =
        QuadPattern { subject: subject.into(), predicate: predicate.into(), object: object.into(), graph_name };
    let pattern = match from {
        GraphName::NamedNode(from) => GraphPattern::Graph { name: from.clone().into(), inner: Box::new(triples) },
        _ => triples,
    };
    GraphUpdateOperation::DeleteInsert {
        delete: Vec::new(),
        insert: vec![insert],
        using: None,
        pattern: Box::new(pattern),
    }
}

/// The operands of a chain of one associative operator.
fn chain<'e>(
    expression: &'e Expression,
    parts: &dyn Fn(&'e Expression) -> Option<(&'e Expression, &'e Expression)>,
) -> Vec<&'e Expression> {
    match parts(expression) {
        Some((left, right)) => [chain(left, parts), chain(right, parts)].concat(),
        None => vec![expression],
    }
}

fn is_number(literal: &Literal) -> bool {
    use oxrdf::vocab::xsd;
    [xsd::INTEGER, xsd::DECIMAL, xsd::DOUBLE].contains(&literal.datatype())
}

fn is_unsigned(literal: &Literal) -> bool {
    is_number(literal) && !literal.value().starts_with(['+', '-'])
}

fn signed(literal: &Literal, sign: &str) -> String {
    let text = Literal::new_typed_literal(format!("{sign}{}", literal.value()), literal.datatype());
    match literal.value().strip_prefix('+').filter(|_| is_number(literal)) {
        Some(value) => Literal::new_typed_literal(value, literal.datatype()).to_string(),
        None if sign.is_empty() => literal.to_string(),
        None if sign == "+" => literal.to_string(),
        None => text.to_string(),
    }
}

/// The operand of a subtraction with its first number negated, if it begins with one.
fn negated(expression: &Expression) -> Option<Expression> {
    match expression {
        Expression::Literal(literal) if is_unsigned(literal) => {
            Some(Literal::new_typed_literal(format!("-{}", literal.value()), literal.datatype()).into())
        }
        Expression::Multiply(a, b) => negated(a).map(|a| Expression::Multiply(Box::new(a), b.clone())),
        Expression::Divide(a, b) => negated(a).map(|a| Expression::Divide(Box::new(a), b.clone())),
        _ => None,
    }
}

/// A path as text; chains are flat.
fn path_text(path: &PropertyPathExpression) -> String {
    match path {
        PropertyPathExpression::NamedNode(iri) => iri.to_string(),
        PropertyPathExpression::Reverse(inner) => format!("^({})", path_text(inner)),
        PropertyPathExpression::Sequence(a, b) => format!("({}/{})", path_text(a), path_text(b)),
        PropertyPathExpression::Alternative(a, b) => format!("({}|{})", path_text(a), path_text(b)),
        PropertyPathExpression::ZeroOrMore(inner) => format!("({})*", path_text(inner)),
        PropertyPathExpression::OneOrMore(inner) => format!("({})+", path_text(inner)),
        PropertyPathExpression::ZeroOrOne(inner) => format!("({})?", path_text(inner)),
        PropertyPathExpression::NegatedPropertySet(list) => format!("!{list:?}"),
    }
}
