//! The examples of `docs/rules.md`, which readers copy.

use crate::rules::parse;

const PAGE: &str = include_str!("../../../../docs/rules.md");

/// The blocks of the page in a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let start = format!("\n```{language}\n");
    PAGE.split(start.as_str()).skip(1).map(|rest| rest.split("\n```").next().unwrap_or(rest)).collect()
}

#[test]
fn every_example_is_a_text_of_its_own() {
    let examples = blocks("sparql");
    assert!(examples.len() >= 7, "{examples:?}");
    for example in examples {
        let parsed = parse(example).unwrap_or_else(|fault| panic!("{fault}\n{example}"));
        assert!(!parsed.rules.is_empty() || !parsed.data.is_empty(), "{example}");
    }
    // Every block has a language, so none escapes the test.
    let plain = PAGE.lines().filter(|line| line.starts_with("```")).step_by(2);
    assert!(plain.into_iter().all(|fence| fence == "```sparql" || fence == "```text"));
}
