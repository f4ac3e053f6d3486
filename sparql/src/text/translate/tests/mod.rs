//! The translated algebra is what spargebra's own parser gives, but where that is known to be wrong: over the W3C suites, the
//! examples of the documentation, and thousands of generated texts.

mod canonical;
mod foreign;
mod generated;

use super::{query, update};
use entail_model::Fault;
use entail_syntax::algebra::{GraphPattern, Query};
use entail_syntax::{parse_query, parse_update};
use oxiri::Iri;
use spargebra::SparqlParser;
use std::path::{Path, PathBuf};

const BASE: &str = "http://w3c.example/suite/";

/// Parts of texts that spargebra reads in another way than the standard, and why.
const KNOWN_DIFFERENCES: [(&str, &str); 3] = [
    ("TRUE as ?t", "booleans are keywords, in any case (19.8, note 1)"),
    ("<a><b>+1", "the longest token: the sign belongs to the number (19.8, note 5)"),
    ("?x<?a&&?b>?y", "the longest token: an IRI (19.8, note 5)"),
];

/// Compares the two parsers on a query or update; a description of the first difference.
fn difference(text: &str) -> Option<String> {
    let base = || Iri::parse(BASE.to_owned()).ok();
    let parser = || SparqlParser::new().with_base_iri(BASE).expect("an IRI");
    let is_update = parse_update(text, base()).is_ok() || parser().parse_update(text).is_ok();
    let (own, other) = if is_update {
        let own = parse_update(text, base()).and_then(|parsed| update(&parsed.tree, text));
        let other = parser().parse_update(text).map(foreign::update).map_err(|error| error.to_string());
        (own.map(|own| canonical::update(&own, text)), other.map(|other| canonical::update(&other, text)))
    } else {
        let own = parse_query(text, base()).and_then(|parsed| query(&parsed.tree, text));
        let other = parser().parse_query(text).map(foreign::query).map_err(|error| error.to_string());
        if let (Ok(own), Ok(other)) = (&own, &other)
            && columns(own) != columns(other)
            && !text.contains('*')
        {
            return Some(format!("other columns:\n{text}\n{:?}\n{:?}", columns(own), columns(other)));
        }
        (own.map(|own| canonical::query(&own, text)), other.map(|other| canonical::query(&other, text)))
    };
    judged(text, own, other)
}

fn judged(text: &str, own: Result<String, Fault>, other: Result<String, String>) -> Option<String> {
    match (own, other) {
        (Ok(own), Ok(other)) => (own != other).then(|| format!("other algebra:\n{text}\n{own}\n{other}")),
        (Err(_), Err(_)) => None,
        (Ok(_), Err(error)) => Some(format!("refused by spargebra: {error}\n{text}")),
        (Err(fault), Ok(_)) => Some(format!("accepted by spargebra: {fault}\n{text}")),
    }
}

/// The columns of the outermost projection, in their order.
fn columns(query: &Query) -> Option<&[oxrdf::Variable]> {
    let Query::Select { pattern, .. } = query else { return None };
    let mut pattern = pattern;
    loop {
        pattern = match pattern {
            GraphPattern::Slice { inner, .. } | GraphPattern::Distinct { inner } | GraphPattern::Reduced { inner } => {
                inner
            }
            GraphPattern::Project { variables, .. } => return Some(variables),
            _ => return None,
        }
    }
}

fn is_known(text: &str) -> bool {
    KNOWN_DIFFERENCES.iter().any(|(part, _)| text.contains(part))
}

fn report(texts: impl Iterator<Item = String>) {
    let mut count = 0;
    let differences: Vec<String> =
        texts.inspect(|_| count += 1).filter(|text| !is_known(text)).filter_map(|text| difference(&text)).collect();
    println!("{count} texts, {} differ", differences.len());
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n\n"));
    assert!(count > 0);
}

#[test]
fn the_w3c_suites_have_the_same_algebra() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/suites/w3c-sparql/sparql");
    let root = std::env::var_os("ENTAIL_W3C_SPARQL").map_or_else(beside, PathBuf::from);
    if !root.is_dir() {
        println!("skipped: the W3C suites are not here; ENTAIL_W3C_SPARQL names their folder");
        return;
    }
    let mut files = Vec::new();
    files_below(&root, &mut files);
    assert!(files.len() > 800, "only {} files", files.len());
    report(files.into_iter().filter_map(|file| std::fs::read_to_string(file).ok()));
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rq" || extension == "ru") {
            found.push(path);
        }
    }
}

#[test]
fn generated_texts_have_the_same_algebra() {
    report((0..4_000).map(generated::text));
}

#[test]
fn queries_of_the_repository_have_the_same_algebra() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in ["bench/queries", "examples", "docs"] {
        files_below(&root.join(folder), &mut files);
    }
    assert!(!files.is_empty());
    report(files.into_iter().filter_map(|file| std::fs::read_to_string(file).ok()));
}
