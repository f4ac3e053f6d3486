//! Golden values of expressions, and the columnar evaluation beside a naive one, row by row.

use super::*;
use crate::program::Builder;
use crate::value::instant::InstantKind;
use entail_syntax::algebra::{Expression, lower_expression};
use entail_syntax::ast::{Columns as Chosen, Form, Projection};
use entail_syntax::parse_query;
use oxrdf::{Term, Variable};
use proptest::prelude::*;
use std::collections::HashMap;
use std::str::FromStr;

mod golden;
mod naive;
mod spareval;
mod speed;
mod w3c;

pub(super) const PREFIXES: &str = "PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> PREFIX : <urn:> \
    PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> ";

/// The names of the variables, by slot.
const NAMES: [&str; 4] = ["a", "b", "c", "unbound"];

pub(super) fn parse(text: &str) -> Expression {
    let query = parse_query(&format!("{PREFIXES} SELECT (({text}) AS ?result) {{}}"), None);
    let query = query.unwrap_or_else(|fault| panic!("{text}: {fault}")).tree;
    let Form::Select(Projection { columns: Chosen::List(columns), .. }) = query.form else { panic!("a SELECT") };
    let expression = columns[0].expression.as_ref().expect("an expression");
    lower_expression(expression, &mut |_| panic!("{text} has an EXISTS or an aggregate")).expect("an expression")
}

fn slot(variable: &Variable) -> Option<u32> {
    NAMES.iter().position(|name| *name == variable.as_str()).map(|slot| slot as u32)
}

pub(super) fn evaluator(expression: &Expression) -> Evaluator {
    let program = Program::of_algebra(expression, &mut slot).unwrap();
    // As it arrives at another process.
    let bytes = postcard::to_stdvec(&program).unwrap();
    Evaluator::new(postcard::from_bytes(&bytes).unwrap()).unwrap()
}

pub(super) fn term(text: &str) -> Term {
    let text = text.replace("xsd:", "http://www.w3.org/2001/XMLSchema#");
    Term::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Columns as a node has them: ids, and texts of those that are not inline.
pub(super) struct Data {
    ids: Vec<Vec<TermId>>,
    texts: Vec<Vec<Option<crate::value::Text>>>,
    rows: usize,
}

impl Data {
    /// From rows of terms. Equal terms get equal ids.
    pub fn of(rows: &[Vec<Option<Term>>]) -> Self {
        let mut known = HashMap::new();
        let width = rows.first().map_or(0, Vec::len);
        let (mut ids, mut texts) = (vec![Vec::new(); width], vec![Vec::new(); width]);
        for row in rows {
            for (slot, term) in row.iter().enumerate() {
                let (id, text) = match term {
                    None => (TermId::DEFAULT_GRAPH, None),
                    Some(term) => Self::id(term, &mut known),
                };
                ids[slot].push(id);
                texts[slot].push(text);
            }
        }
        Self { ids, texts, rows: rows.len() }
    }

    fn id(term: &Term, known: &mut HashMap<Term, u64>) -> (TermId, Option<crate::value::Text>) {
        if let Some(id) = term::inline_id(term.as_ref()) {
            return (id, None);
        }
        let mut bytes = Vec::new();
        term::encode(term.as_ref(), &mut bytes);
        let next = known.len() as u64;
        let local = *known.entry(term.clone()).or_insert(next);
        let kind = term::kind_of(&bytes).unwrap();
        (TermId::dictionary(entail_model::ShardId(3), local, kind), Some(bytes.into()))
    }

    pub fn columns(&self) -> Columns<'_> {
        let sources = self.ids.iter().zip(&self.texts).map(|(ids, texts)| Source::Ids { ids, texts });
        Columns { rows: self.rows, sources: sources.collect() }
    }
}

pub(super) fn context() -> Context<'static> {
    let now = crate::value::instant::Instant::parse(InstantKind::DateTime, "2026-11-30T12:00:00Z");
    Context { now, ..Context::default() }
}

/// The terms of an expression, row by row.
pub(super) fn terms(evaluator: &Evaluator, columns: &Columns<'_>) -> Vec<Option<Term>> {
    let mut budget = Budget::new(u64::MAX, &|| Ok(()));
    let column = evaluator.evaluate(columns, &context(), &mut budget).unwrap();
    (0..column.len()).map(|row| column.view(row).term().unwrap()).collect()
}

#[test]
fn what_decides_is_all_that_is_computed() {
    // The second operand would be refused.
    let refused = "REGEX(STR(?a), \"(a)\\\\1\")";
    let rows = vec![vec![Some(term("\"x\""))], vec![Some(term("\"y\""))]];
    let data = Data::of(&rows);
    for text in [
        format!("true || {refused}"),
        format!("!(false && {refused})"),
        format!("IF(true, true, {refused})"),
        format!("COALESCE(true, {refused})"),
        format!("1 IN (1, {refused})"),
    ] {
        let evaluator = evaluator(&parse(&text));
        let mut budget = Budget::new(u64::MAX, &|| Ok(()));
        assert_eq!(evaluator.keep(&data.columns(), &context(), &mut budget), Ok(vec![0, 1]), "{text}");
    }
    let fault = |text: &str| {
        let mut budget = Budget::new(u64::MAX, &|| Ok(()));
        evaluator(&parse(text)).keep(&data.columns(), &context(), &mut budget).unwrap_err()
    };
    assert_eq!(fault(&format!("false || {refused}")).reason, entail_model::Reason::Unsupported);
}

#[test]
fn ids_alone_decide_what_they_can() {
    let evaluator = evaluator(&parse("sameTerm(?a, ?b) || isBLANK(?a) || !BOUND(?b)"));
    assert!(evaluator.program().is_decided_by_ids());
    let rows = [["<urn:a>", "<urn:a>"], ["<urn:a>", "<urn:b>"], ["_:c", "<urn:b>"], ["\"a\"", "\"b\""]];
    let mut data = Data::of(&rows.map(|row| row.map(|text| Some(term(text))).to_vec()));
    data.texts.iter_mut().for_each(Vec::clear);
    data.ids[1][3] = TermId::DEFAULT_GRAPH;
    let mut budget = Budget::new(u64::MAX, &|| Ok(()));
    assert_eq!(evaluator.keep(&data.columns(), &context(), &mut budget), Ok(vec![0, 2, 3]));
}

#[test]
fn new_names_are_new_in_each_row_and_one_label_is_one_node_in_it() {
    let data = Data::of(&[vec![Some(term("\"k\""))], vec![Some(term("\"k\""))]]);
    let of = |text: &str| terms(&evaluator(&parse(text)), &data.columns());
    assert_eq!(of("sameTerm(BNODE(\"k\"), BNODE(?a))"), vec![Some(term("\"true\"^^<xsd:boolean>")); 2]);
    assert_eq!(of("sameTerm(BNODE(\"k\"), BNODE(\"l\"))"), vec![Some(term("\"false\"^^<xsd:boolean>")); 2]);
    for text in ["BNODE(\"k\")", "BNODE()", "UUID()", "STRUUID()", "RAND()"] {
        let both = of(text);
        assert!(both[0].is_some() && both[0] != both[1], "{text}: {both:?}");
    }
    assert_eq!(of("BNODE() = BNODE()")[0], Some(term("\"false\"^^<xsd:boolean>")));
    let uuid = "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$";
    assert_eq!(of(&format!("REGEX(STRUUID(), \"{uuid}\")"))[0], Some(term("\"true\"^^<xsd:boolean>")));
}

#[test]
fn literals_and_their_sum_are_limited() {
    let row = vec![Some(term("\"0123456789\""))];
    let data = Data::of(&vec![row; 3000]);
    let run = |text: &str, bytes_max: u64, literal_bytes_max: usize| {
        let mut budget = Budget::new(bytes_max, &|| Ok(()));
        budget.literal_bytes_max = literal_bytes_max;
        let columns = data.columns();
        evaluator(&parse(text)).evaluate(&columns, &context(), &mut budget).map(|_| budget.bytes_built)
    };
    let twice = "CONCAT(CONCAT(?a, ?a), CONCAT(?a, ?a))";
    // What is left counts, with a byte for the kind of each.
    assert_eq!(run(twice, u64::MAX, 40), Ok(3000 * 41));
    assert_eq!(run(twice, u64::MAX, 39).unwrap_err().reason, entail_model::Reason::LimitExceeded);
    assert_eq!(run(twice, 100_000, 40).unwrap_err().reason, entail_model::Reason::LimitExceeded);
    let mut doubled = "?a".to_owned();
    for _ in 0..12 {
        doubled = format!("CONCAT({doubled}, {doubled})");
    }
    assert_eq!(run(&doubled, 1 << 20, 1 << 24).unwrap_err().reason, entail_model::Reason::LimitExceeded);
}

#[test]
fn a_filter_frees_what_its_pieces_built() {
    let data = Data::of(&vec![vec![Some(term("\"0123456789\""))]; 5000]);
    let evaluator = evaluator(&parse("STRLEN(CONCAT(?a, STR(RAND()))) > 0"));
    let mut budget = Budget::new(200_000, &|| Ok(()));
    assert_eq!(evaluator.keep(&data.columns(), &context(), &mut budget).unwrap().len(), 5000);
    assert_eq!(budget.bytes_built, 0);
}

#[test]
fn long_texts_are_computed_in_small_pieces() {
    let row = |number: usize| vec![Some(term(&format!("\"{number}{}\"", "x".repeat(100_000))))];
    let rows: Vec<_> = (0..300).map(row).collect();
    let data = Data::of(&rows);
    // All together would be 60 MB.
    let mut budget = Budget::new(10 << 20, &|| Ok(()));
    let evaluator = evaluator(&parse("CONTAINS(LCASE(UCASE(?a)), \"7x\")"));
    assert_eq!(evaluator.keep(&data.columns(), &context(), &mut budget).unwrap().len(), 30);
}

#[test]
fn neighbours_that_are_the_same_are_kept_together() {
    let texts = ["\"a\"", "\"a\"", "\"b\"", "\"b\"", "\"b\"", "\"a\""];
    let rows: Vec<_> = texts.iter().map(|text| vec![Some(term(text)), None]).collect();
    let data = Data::of(&rows.iter().cycle().take(6000).cloned().collect::<Vec<_>>());
    let mut budget = Budget::new(u64::MAX, &|| Ok(()));
    let kept = evaluator(&parse("REGEX(?a, \"b\")")).keep(&data.columns(), &context(), &mut budget).unwrap();
    assert_eq!(kept.len(), 3000);
    assert!(kept.iter().all(|row| (2..5).contains(&(row % 6))));
}

#[test]
fn a_cancelled_evaluation_ends() {
    let data = Data::of(&vec![vec![Some(term("\"0123456789\""))]; 5000]);
    let check = || Err(Fault::new(entail_model::Reason::Cancelled, "enough"));
    let mut budget = Budget::new(u64::MAX, &check);
    let fault = evaluator(&parse("STRLEN(?a) > 0")).keep(&data.columns(), &context(), &mut budget).unwrap_err();
    assert_eq!(fault.reason, entail_model::Reason::Cancelled);
}

#[test]
fn other_columns_are_read_as_well() {
    let mut builder = Builder::default();
    let (one, other) = (builder.add(Step::Slot(0)).unwrap(), builder.add(Step::Slot(7)).unwrap());
    builder.add(Step::Call(Function::Coalesce, vec![other, one])).unwrap();
    let evaluator = Evaluator::new(builder.finish()).unwrap();
    let values = [Value::string("a"), Value::Error, Value::integer(7)];
    let columns = Columns { rows: 3, sources: vec![Source::Values(&values)] };
    assert_eq!(terms(&evaluator, &columns), [Some(term("\"a\"")), None, Some(term("\"7\"^^<xsd:integer>"))]);
}
