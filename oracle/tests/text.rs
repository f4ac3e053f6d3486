//! The text of a query says what the query is: parsed and translated by spargebra, it has the same answer.
//!
//! This checks the printing, and the translation of groups with filters, OPTIONAL and BIND, against an independent one.

mod reading;

use entail_oracle::compare::difference;
use entail_oracle::random::{Case, Random};
use entail_oracle::{Answer, Fail, evaluate};

/// SplitMix64.
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut number = state;
        number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        number ^ number >> 31
    }
}

#[test]
fn a_text_means_what_the_query_means() {
    let count: u64 = std::env::var("ENTAIL_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(1_500);
    let (mut compared, mut full) = (0, 0);
    let mut open = std::collections::BTreeMap::<String, usize>::new();
    for seed in 0..count {
        let case = Case::new(&mut Random { next: &mut numbers(seed) });
        let text = case.query.to_string();
        // spargebra refuses a renamed variable as a group's key.
        let Ok(read) = reading::query(&text, None) else {
            *open.entry("not read".to_owned()).or_default() += 1;
            continue;
        };
        let answers = case.dataset().and_then(|data| Ok((evaluate(&case.query, &data)?, evaluate(&read, &data)?)));
        match answers {
            Ok((expected, given)) => {
                compared += 1;
                full += usize::from(!matches!(&expected, Answer::Solutions { rows, .. } if rows.is_empty()));
                if let Some(difference) = difference(&case.query, &expected, &given) {
                    panic!("seed {seed}\n{text}\n{read}\n{difference}");
                }
            }
            Err(Fail::Undecided(why)) => *open.entry(why).or_default() += 1,
            Err(Fail::Error) => panic!("an error is no answer"),
        }
    }
    println!("{compared} of {count} queries have an answer; the others: {open:#?}");
    assert!(compared * 4 > count * 3, "only {compared} of {count}");
    assert!(full as u64 * 2 > compared, "only {full} of {compared} have rows");
}
