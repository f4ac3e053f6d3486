//! Compares answers by the meaning of terms, and up to the names of blank nodes.

use super::Answer;
use oxrdf::graph::CanonicalizationAlgorithm;
use oxrdf::vocab::xsd;
use oxrdf::{BlankNode, Dataset, Graph, GraphName, Literal, NamedNode, NamedNodeRef, Quad, Term, Triple};
use std::collections::{BTreeMap, HashMap};

/// How answers are compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Does the order of rows matter?
    is_ordered: bool,
    /// May duplicate rows be dropped?
    is_lax: bool,
    /// Are only the lexical forms of terms known?
    is_text: bool,
}

impl Options {
    /// The options that the suites require.
    pub fn of(query: &str, is_lax: bool, result: &str) -> Self {
        let upper = query.to_uppercase();
        Self { is_ordered: upper.contains("ORDER BY"), is_lax, is_text: result.ends_with(".csv") }
    }
}

/// Compares an expected answer with a given one; `Err` is the difference.
pub fn compare(expected: &Answer, given: &Answer, options: Options) -> Result<(), String> {
    match (expected, given) {
        (Answer::Boolean(expected), Answer::Boolean(given)) if expected == given => Ok(()),
        (Answer::Graph(expected), Answer::Graph(given)) => compare_graphs(expected, given),
        (Answer::Solutions { .. }, Answer::Solutions { .. }) => compare_tables(expected, given, options),
        _ => Err(format!("expected {expected:?}, given {given:?}")),
    }
}

fn compare_graphs(expected: &[Triple], given: &[Triple]) -> Result<(), String> {
    let canonical = |triples: &[Triple]| {
        let mut graph: Graph = triples
            .iter()
            .map(|triple| Triple::new(triple.subject.clone(), triple.predicate.clone(), normal(&triple.object)))
            .collect();
        graph.canonicalize(CanonicalizationAlgorithm::Unstable);
        graph
    };
    let (expected, given) = (canonical(expected), canonical(given));
    if expected == given { Ok(()) } else { Err(format!("expected\n{expected}given\n{given}")) }
}

/// Tables are compared as datasets with one graph per row, whose blank nodes are renamed together.
fn compare_tables(expected: &Answer, given: &Answer, options: Options) -> Result<(), String> {
    let (Answer::Solutions { variables, rows }, Answer::Solutions { variables: own, rows: own_rows }) =
        (expected, given)
    else {
        return Err("not tables".into());
    };
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    if sorted(variables) != sorted(own) && !rows.is_empty() {
        return Err(format!("expected variables {variables:?}, given {own:?}"));
    }
    let (mut expected, mut given) = (normal_rows(variables, rows, options), normal_rows(own, own_rows, options));
    if options.is_lax {
        expected.dedup_all();
        given.dedup_all();
    }
    let is_ordered = options.is_ordered && expected.is_ground() && given.is_ground();
    let (expected, given) = (expected.canonical(is_ordered), given.canonical(is_ordered));
    if expected == given { Ok(()) } else { Err(format!("expected\n{expected}given\n{given}")) }
}

struct Table {
    rows: Vec<BTreeMap<String, Term>>,
}

fn normal_rows(variables: &[String], rows: &[Vec<Option<Term>>], options: Options) -> Table {
    let term = |term: &Term| if options.is_text { Literal::from(text_of(term)).into() } else { normal(term) };
    let row = |row: &Vec<Option<Term>>| {
        let cells =
            variables.iter().zip(row).filter_map(|(variable, cell)| Some((variable.clone(), term(cell.as_ref()?))));
        cells.collect()
    };
    Table { rows: rows.iter().map(row).collect() }
}

/// The lexical form of a term; labels of blank nodes are ignored.
fn text_of(term: &Term) -> String {
    match term {
        Term::Literal(literal) if literal.value().starts_with("_:") => "_:".to_owned(),
        Term::NamedNode(node) => node.as_str().to_owned(),
        Term::BlankNode(_) => "_:".to_owned(),
        Term::Literal(literal) => literal.value().to_owned(),
        Term::Triple(triple) => triple.to_string(),
    }
}

impl Table {
    fn is_ground(&self) -> bool {
        self.rows.iter().flat_map(BTreeMap::values).all(|term| !matches!(term, Term::BlankNode(_)))
    }

    fn dedup_all(&mut self) {
        let mut seen = std::collections::BTreeSet::new();
        self.rows.retain(|row| seen.insert(format!("{row:?}")));
    }

    /// The table's rows, sorted unless their order matters, with canonical names for blank nodes.
    fn canonical(&self, is_ordered: bool) -> String {
        let names = canonical_blank_nodes(&self.rows);
        let cell = |(variable, term): (&String, &Term)| match term {
            Term::BlankNode(node) => format!("?{variable}=_:{}", names.get(node).cloned().unwrap_or_default()),
            term => format!("?{variable}={term}"),
        };
        let mut lines: Vec<String> =
            self.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" ")).collect();
        if !is_ordered {
            lines.sort();
        }
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

fn canonical_blank_nodes(rows: &[BTreeMap<String, Term>]) -> HashMap<BlankNode, String> {
    let mut dataset = Dataset::new();
    for (index, row) in rows.iter().enumerate() {
        let subject = BlankNode::new_unchecked(format!("row{index}"));
        for (variable, term) in row {
            let predicate = NamedNode::new_unchecked(format!("urn:variable:{variable}"));
            dataset.insert(&Quad::new(subject.clone(), predicate, term.clone(), GraphName::DefaultGraph));
        }
    }
    let names = dataset.canonicalize_blank_nodes(oxrdf::dataset::CanonicalizationAlgorithm::Unstable);
    let names = names.into_iter().map(|(node, name)| (node.into_owned(), name.as_str().to_owned()));
    names.collect()
}

/// Numbers are compared by value: the suites do not prescribe their lexical forms.
fn normal(term: &Term) -> Term {
    let Term::Literal(literal) = term else { return term.clone() };
    let numeric =
        |datatype: NamedNodeRef<'_>| [xsd::INTEGER, xsd::DECIMAL, xsd::DOUBLE, xsd::FLOAT].contains(&datatype);
    if numeric(literal.datatype())
        && let Ok(value) = literal.value().parse::<f64>()
    {
        return Literal::new_typed_literal(format!("{value:?}"), literal.datatype()).into();
    }
    term.clone()
}
