//! The columnar evaluation beside `spareval`, row by row, over columns as nodes have them. Ignored: it measures.
//!
//! ```text
//! cargo test -p entail-expression --lib speed -- --ignored --nocapture
//! ```

use super::spareval::optimised;
use super::*;
use ::spareval::QueryEvaluator;
use std::time::{Duration, Instant};

const ROWS: usize = 16_384;

/// A name, an expression over `?a` and `?b`, and the values of both by row.
type Case = (&'static str, &'static str, fn(usize) -> [String; 2]);

const CASES: [Case; 11] = [
    ("integers", "?a > 5000", |row| [integer(row * 7919 % 10_000), integer(row)]),
    ("two integers", "?a + ?b > 9000", |row| [integer(row * 7919 % 10_000), integer(row % 5000)]),
    ("decimals", "?a * 2 >= 1000.5", |row| [decimal(row), decimal(row + 1)]),
    ("equal strings", "?a = \"name 77\"", |row| [string(row % 1000), string(row)]),
    ("CONTAINS", "CONTAINS(?a, \"77\")", |row| [string(row * 31), string(row)]),
    ("LCASE", "LCASE(?a) = \"name 77\"", |row| [string(row % 1000), string(row)]),
    ("sum of decimals", "?a + ?b > 1000.25", |row| [decimal(row), decimal(row + 1)]),
    ("STRSTARTS of STR", "STRSTARTS(STR(?a), \"urn:thing:7\")", |row| [format!("<urn:thing:{row}>"), string(row)]),
    ("dates", "?a < \"2010-01-01T00:00:00Z\"^^xsd:dateTime", |row| [date_time(row), date_time(row + 1)]),
    ("REGEX", "REGEX(?a, \"^name [0-9]*7$\")", |row| [string(row * 31), string(row)]),
    ("IRIs", "?a != ?b", |row| [format!("<urn:thing:{row}>"), format!("<urn:thing:{}>", row / 2 * 2)]),
];

fn integer(number: usize) -> String {
    format!("\"{number}\"^^<xsd:integer>")
}

fn decimal(row: usize) -> String {
    format!("\"{}.{}\"^^<xsd:decimal>", row % 1000, row % 97)
}

fn string(number: usize) -> String {
    format!("\"name {number}\"")
}

fn date_time(row: usize) -> String {
    format!("\"20{:02}-0{}-1{}T10:11:12Z\"^^<xsd:dateTime>", row % 30, row % 9 + 1, row % 10)
}

/// The shortest of five runs.
fn shortest(mut run: impl FnMut() -> usize) -> (Duration, usize) {
    let timed = (0..5).map(|_| {
        let start = Instant::now();
        let kept = run();
        (start.elapsed(), kept)
    });
    timed.min().expect("five runs")
}

#[test]
#[ignore = "it measures"]
fn rows_in_less_time_than_spareval() {
    for (name, text, values) in CASES {
        let rows: Vec<Vec<Option<Term>>> =
            (0..ROWS).map(|row| values(row).iter().map(|text| Some(term(text))).collect()).collect();
        let data = Data::of(&rows);
        let expression = parse(text);
        let evaluator = evaluator(&expression);
        let columns = data.columns();
        let (ours, kept) = shortest(|| {
            let mut budget = Budget::new(u64::MAX, &|| Ok(()));
            evaluator.keep(&columns, &context(), &mut budget).unwrap().len()
        });
        let theirs_expression = optimised(text);
        let names = [Variable::new_unchecked("a"), Variable::new_unchecked("b")];
        let theirs_evaluator = QueryEvaluator::new();
        // As a node did: texts become terms, and the expression is evaluated over them.
        let (theirs, other_kept) = shortest(|| {
            let holds = |row: &usize| {
                let read = |slot: usize| columns.sources[slot].view(*row).term().unwrap().unwrap();
                let values = [(&names[0], read(0)), (&names[1], read(1))];
                theirs_evaluator.evaluate_effective_boolean_value_expression(&theirs_expression, values) == Some(true)
            };
            (0..ROWS).filter(holds).count()
        });
        assert_eq!(kept, other_kept, "{name}");
        let each = |time: Duration| time.as_nanos() as f64 / ROWS as f64;
        let (ours, theirs) = (each(ours), each(theirs));
        println!("{name:18} {ours:8.1} ns a row, spareval {theirs:8.1} ns, {:6.1} times as fast", theirs / ours);
    }
}
