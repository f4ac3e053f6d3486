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
use std::hash::{DefaultHasher, Hash, Hasher};

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

/// The text of a row with canonical numbers and other names for blank nodes.
fn named(row: &Row, name: &dyn Fn(&str) -> String) -> String {
    let change = |term: &Term| match term {
        Term::BlankNode(node) => BlankNode::new_unchecked(name(node.as_str())).into(),
        Term::Literal(literal) => canonical(literal).into(),
        other => other.clone(),
    };
    text(row, &|term| mapped(term, &change).to_string())
}

fn is_same_table(expected: &[Row], given: &[Row]) -> bool {
    let masks = |rows: &[Row]| {
        let mut masks: Vec<String> = rows.iter().map(|row| named(row, &|_| "any".to_owned())).collect();
        masks.sort();
        masks
    };
    let colours = |rows: &[Row]| blank_nodes(rows).into_iter().map(|node| (node, 0)).collect();
    masks(expected) == masks(given)
        && Assignment { expected, given, tries: 0 }.search(colours(expected), colours(given))
}

/// The colour of each blank node: nodes that are used in different ways have different colours.
type Colours = BTreeMap<String, u64>;

fn hash(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Splits the classes of blank nodes with one colour by the rows that they are in, until no more are found.
fn refined(rows: &[Row], mut colours: Colours) -> Colours {
    let classes = |colours: &Colours| colours.values().collect::<BTreeSet<_>>().len();
    loop {
        let mut uses: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for row in rows {
            for node in blank_nodes(std::slice::from_ref(row)) {
                let name = |other: &str| if other == node { "this".to_owned() } else { colours[other].to_string() };
                uses.entry(node.clone()).or_default().push(hash(named(row, &name)));
            }
        }
        uses.values_mut().for_each(|uses| uses.sort_unstable());
        let finer: Colours = uses
            .into_iter()
            .map(|(node, uses)| {
                let colour = hash((colours[&node], uses));
                (node, colour)
            })
            .collect();
        let is_finest = classes(&finer) == classes(&colours);
        colours = finer;
        if is_finest {
            return colours;
        }
    }
}

/// The search for names of blank nodes under which two tables are the same.
struct Assignment<'r> {
    expected: &'r [Row],
    given: &'r [Row],
    tries: usize,
}

impl Assignment<'_> {
    /// Nodes of one colour belong together. If there are several, one of them gets a colour of its own, in turns.
    fn search(&mut self, own: Colours, theirs: Colours) -> bool {
        self.tries += 1;
        let (own, theirs) = (refined(self.expected, own), refined(self.given, theirs));
        let sorted = |colours: &Colours| {
            let mut colours: Vec<u64> = colours.values().copied().collect();
            colours.sort_unstable();
            colours
        };
        if self.tries > TRIES_MAX || sorted(&own) != sorted(&theirs) {
            return false;
        }
        let twin = sorted(&own).windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        let Some(twin) = twin else {
            let name = |colour: &u64| own.iter().find(|(_, other)| *other == colour).map(|(name, _)| name.clone());
            let names = theirs.iter().filter_map(|(node, colour)| Some((node.clone(), name(colour)?))).collect();
            return has_the_rows(self.expected, self.given, &names);
        };
        let single = |colours: &Colours, node: &String| {
            let mut colours = colours.clone();
            colours.insert(node.clone(), twin.wrapping_add(1));
            colours
        };
        let of_twins = |colours: &Colours| -> Vec<String> {
            colours.iter().filter(|(_, colour)| **colour == twin).map(|(node, _)| node.clone()).collect()
        };
        let one = &of_twins(&own)[0];
        of_twins(&theirs).iter().any(|other| self.search(single(&own, one), single(&theirs, other)))
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
