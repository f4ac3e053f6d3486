//! Compares answers: as multisets, up to the names of blank nodes, and computed numbers by their values.
//!
//! The standard does not say how a computed number is written. So where the expected literal has the canonical form, any
//! form of its value will do; another form was stored, and must come back as it is.

use crate::number::parse;
use crate::query::{Duplicates, Form, Query};
use crate::value::xsd_name;
use crate::{Answer, Fail, Solution, evaluate, scope};
use oxrdf::{BlankNode, Literal, NamedOrBlankNode, Term, Triple};
use std::collections::{BTreeMap, BTreeSet};

type Row = Vec<Option<Term>>;

/// More assignments of blank nodes than this are not tried.
const TRIES_MAX: usize = 2_000;

/// The difference between the expected answer of a query and the given one, if there is one.
pub fn difference(query: &Query, expected: &Answer, given: &Answer) -> Option<String> {
    let is_reduced = matches!(&query.form, Form::Select(select) if select.duplicates == Duplicates::Open);
    let is_same = match (expected, given) {
        (Answer::Boolean(one), Answer::Boolean(other)) => one == other,
        (Answer::Graph(one), Answer::Graph(other)) => is_same_table(&triples(one), &triples(other)),
        (Answer::Solutions { .. }, Answer::Solutions { .. }) => match (table(expected), table(given)) {
            ((one, _), (other, _)) if one != other => false,
            ((_, one), (_, other)) if is_reduced => {
                other.len() <= one.len() && is_same_table(&distinct(one), &distinct(other))
            }
            ((_, one), (_, other)) => is_same_table(&one, &other),
        },
        _ => false,
    };
    (!is_same).then(|| format!("right\n{}got\n{}", listed(expected), listed(given)))
}

/// Are the rows in an order that the query's ORDER BY allows? True where its keys cannot be seen in the rows.
///
/// # Errors
/// [`Fail::Undecided`] for keys that the oracle does not reckon with.
pub fn is_in_order(query: &Query, given: &Answer) -> Result<bool, Fail> {
    let (Form::Select(select), Answer::Solutions { variables, rows }) = (&query.form, given) else { return Ok(true) };
    let visible = scope::of_select(select);
    let is_visible = |name: &str| visible.iter().any(|own| own == name);
    if select.order_by.iter().any(|key| !scope::is_of(&key.expression, &is_visible)) {
        return Ok(true);
    }
    let solution = |row: &Row| -> Solution {
        variables.iter().zip(row).filter_map(|(name, cell)| Some((name.clone(), cell.clone()?))).collect()
    };
    let solutions: Vec<Solution> = rows.iter().map(solution).collect();
    evaluate::is_sorted(select, &solutions)
}

/// An answer as text, a sorted line for each row.
pub fn listed(answer: &Answer) -> String {
    let mut lines: Vec<String> = match answer {
        Answer::Boolean(value) => vec![value.to_string()],
        Answer::Graph(triples) => triples.iter().map(Triple::to_string).collect(),
        Answer::Solutions { .. } => {
            let (names, rows) = table(answer);
            let mut lines: Vec<String> = rows.iter().map(|row| text(row, &|term| term.to_string())).collect();
            lines.sort();
            lines.insert(0, format!("?{}", names.join(" ?")));
            return lines.iter().map(|line| format!("  {line}\n")).collect();
        }
    };
    lines.sort();
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

fn triples(triples: &[Triple]) -> Vec<Row> {
    let row = |triple: &Triple| {
        vec![Some(triple.subject.clone().into()), Some(triple.predicate.clone().into()), Some(triple.object.clone())]
    };
    distinct(triples.iter().map(row).collect())
}

fn distinct(rows: Vec<Row>) -> Vec<Row> {
    let rows: BTreeMap<String, Row> = rows.into_iter().map(|row| (format!("{row:?}"), row)).collect();
    rows.into_values().collect()
}

/// The variables in the order of their names, with the rows.
fn table(answer: &Answer) -> (Vec<String>, Vec<Row>) {
    let Answer::Solutions { variables, rows } = answer else { return (Vec::new(), Vec::new()) };
    let mut columns: Vec<usize> = (0..variables.len()).collect();
    columns.sort_by_key(|column| &variables[*column]);
    let row = |row: &Row| columns.iter().map(|column| row[*column].clone()).collect();
    (columns.iter().map(|column| variables[*column].clone()).collect(), rows.iter().map(row).collect())
}

fn text(row: &Row, cell: &dyn Fn(&Term) -> String) -> String {
    let cells = row.iter().map(|term| term.as_ref().map_or_else(|| "-".to_owned(), cell));
    cells.collect::<Vec<_>>().join(" ")
}

/// A number or a boolean in its canonical form.
fn canonical(literal: &Literal) -> Literal {
    match xsd_name(literal) {
        Some("boolean") if literal.value() == "1" => Literal::from(true),
        Some("boolean") if literal.value() == "0" => Literal::from(false),
        Some("boolean") | None => literal.clone(),
        Some(name) => parse(literal.value(), name)
            .map(|number| Literal::new_typed_literal(number.literal().value(), literal.datatype()))
            .unwrap_or_else(|| literal.clone()),
    }
}

/// An answer whose numbers and booleans have their canonical forms, for answers that are compared by value.
pub fn by_value(answer: &Answer) -> Answer {
    let change = |term: &Term| if let Term::Literal(literal) = term { canonical(literal).into() } else { term.clone() };
    match answer {
        Answer::Boolean(value) => Answer::Boolean(*value),
        Answer::Graph(triples) => {
            let triple = |triple: &Triple| Triple { object: mapped(&triple.object, &change), ..triple.clone() };
            Answer::Graph(triples.iter().map(triple).collect())
        }
        Answer::Solutions { variables, rows } => {
            let cell = |cell: &Option<Term>| cell.as_ref().map(|term| mapped(term, &change));
            let rows = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
            Answer::Solutions { variables: variables.clone(), rows }
        }
    }
}

/// A term with other terms in the place of its blank nodes and literals.
fn mapped(term: &Term, change: &dyn Fn(&Term) -> Term) -> Term {
    let Term::Triple(triple) = term else { return change(term) };
    let subject = match change(&triple.subject.clone().into()) {
        Term::BlankNode(node) => NamedOrBlankNode::from(node),
        _ => triple.subject.clone(),
    };
    Triple { subject, predicate: triple.predicate.clone(), object: mapped(&triple.object, change) }.into()
}

fn blank_nodes(rows: &[Row]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    rows.iter().flatten().flatten().for_each(|term| blank_nodes_of(term, &mut found));
    found
}

fn blank_nodes_of(term: &Term, found: &mut BTreeSet<String>) {
    match term {
        Term::BlankNode(node) => _ = found.insert(node.as_str().to_owned()),
        Term::Triple(triple) => {
            blank_nodes_of(&triple.subject.clone().into(), found);
            blank_nodes_of(&triple.object, found);
        }
        Term::NamedNode(_) | Term::Literal(_) => {}
    }
}

/// A row with canonical numbers, and every blank node but one under the same name.
fn masked(row: &Row, but: Option<&str>) -> String {
    let change = |term: &Term| match term {
        Term::BlankNode(node) if Some(node.as_str()) == but => BlankNode::new_unchecked("this").into(),
        Term::BlankNode(_) => BlankNode::new_unchecked("any").into(),
        Term::Literal(literal) => canonical(literal).into(),
        other => other.clone(),
    };
    text(row, &|term| mapped(term, &change).to_string())
}

/// How a blank node is used.
fn uses(rows: &[Row], node: &str) -> Vec<String> {
    let is_used = |row: &&Row| blank_nodes(std::slice::from_ref(*row)).contains(node);
    let mut uses: Vec<String> = rows.iter().filter(is_used).map(|row| masked(row, Some(node))).collect();
    uses.sort();
    uses
}

fn is_same_table(expected: &[Row], given: &[Row]) -> bool {
    let masks = |rows: &[Row]| {
        let mut masks: Vec<String> = rows.iter().map(|row| masked(row, None)).collect();
        masks.sort();
        masks
    };
    if masks(expected) != masks(given) {
        return false;
    }
    let used = |rows: &[Row]| -> Vec<(String, Vec<String>)> {
        blank_nodes(rows).into_iter().map(|node| (node.clone(), uses(rows, &node))).collect()
    };
    let mut assignment = Assignment { expected, given, own: used(expected), theirs: used(given), tries: 0 };
    assignment.own.len() == assignment.theirs.len() && assignment.search(&mut BTreeMap::new())
}

/// The search for names of blank nodes under which two tables are the same.
struct Assignment<'r> {
    expected: &'r [Row],
    given: &'r [Row],
    own: Vec<(String, Vec<String>)>,
    theirs: Vec<(String, Vec<String>)>,
    tries: usize,
}

impl Assignment<'_> {
    /// `names` are the expected names by the given ones.
    fn search(&mut self, names: &mut BTreeMap<String, String>) -> bool {
        let Some((own, uses)) = self.own.get(names.len()).cloned() else {
            self.tries += 1;
            return has_the_rows(self.expected, self.given, names);
        };
        let candidates = self.theirs.iter().filter(|(name, other)| *other == uses && !names.contains_key(name));
        let candidates: Vec<String> = candidates.map(|(name, _)| name.clone()).collect();
        for candidate in candidates {
            names.insert(candidate.clone(), own.clone());
            if self.search(names) {
                return true;
            }
            names.remove(&candidate);
            if self.tries > TRIES_MAX {
                return false;
            }
        }
        false
    }
}

/// Do the given rows, renamed, match the expected ones, each exactly once?
fn has_the_rows(expected: &[Row], given: &[Row], names: &BTreeMap<String, String>) -> bool {
    let rename = |term: &Term| match term {
        Term::BlankNode(node) => BlankNode::new_unchecked(names[node.as_str()].as_str()).into(),
        other => other.clone(),
    };
    let loose = |row: &Row| -> String {
        let change =
            |term: &Term| if let Term::Literal(literal) = term { canonical(literal).into() } else { term.clone() };
        text(row, &|term| mapped(term, &change).to_string())
    };
    let mut left: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in given {
        let row: Row = row.iter().map(|cell| cell.as_ref().map(|term| mapped(term, &rename))).collect();
        left.entry(loose(&row)).or_default().push(row);
    }
    let mut rows: Vec<&Row> = expected.iter().collect();
    // Rows with forms that were stored choose first.
    rows.sort_by_key(|row| loose(row) == text(row, &|term| term.to_string()));
    rows.into_iter().all(|row| {
        let candidates = left.entry(loose(row)).or_default();
        let exact = candidates.iter().position(|other| other == row);
        let found = exact.or_else(|| candidates.iter().position(|other| is_like(row, other)));
        found.map(|position| candidates.swap_remove(position)).is_some()
    })
}

fn is_like(expected: &Row, given: &Row) -> bool {
    expected.iter().zip(given).all(|cells| match cells {
        (Some(Term::Literal(one)), Some(Term::Literal(other))) => {
            one == other || canonical(one) == *one && canonical(other) == *one
        }
        (one, other) => one == other,
    })
}
