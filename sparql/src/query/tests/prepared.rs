//! A text that has the fingerprint of a cached text gets the same plan as if it were parsed.

use super::{NoRows, explained};
use crate::plan::cache::PlanCache;
use proptest::prelude::*;
use std::sync::Arc;

/// IRIs that may stand for each other, those with a special meaning among them.
const IRIS: [&str; 6] = [
    "http://e/a",
    "http://e/b",
    "http://e/p",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#type",
    "http://www.w3.org/2001/XMLSchema#integer",
    "entail:parameter:0",
];

/// Parts of groups; each `#` is an IRI.
const PARTS: [&str; 22] = [
    "?s <#> ?o . ",
    "<#> <#> ?o . ",
    "?s a <#> . ",
    "<#> e:a <#> . ",
    "?s e:p e:a , <#> ; <#> ?o . ",
    "?s <#>/<#> ?o . ",
    "?s ^<#> ?o . ",
    "?s <#>* ?o . ",
    "?s <#>|<#> ?o . ",
    "?s !<#> ?o . ",
    "?s ?p \"1\"^^<#> . ",
    "?s ?p 1 , true , \"<#>\"@en . ",
    "{ ?s <#> ?o } UNION { ?s ?o <#> } ",
    "{ ?s <#> ?o { ?o <#> ?s } } ",
    "OPTIONAL { ?s <#> ?r } ",
    "FILTER(<#>(?o) = ?o) ",
    "FILTER(?s = <#>) ",
    "GRAPH <#> { ?s ?p ?o } ",
    "VALUES ?s { <#> } ",
    "BIND(<#> AS ?x) ",
    "?s ?p <<( <#> <#> ?o )>> . ",
    "{ SELECT ?s { ?s <#> ?o } LIMIT 2 } ",
];

/// Forms of queries around a group.
const FORMS: [&str; 8] = [
    "SELECT * { @}",
    "SELECT DISTINCT ?s ?o WHERE { @} LIMIT 3 OFFSET 1",
    "ASK { @}",
    "ASK FROM <#> { @}",
    "SELECT (COUNT(*) AS ?n) { @}",
    "SELECT ?s (<#>(?o) AS ?n) { @}",
    "SELECT REDUCED ?o { @}",
    "CONSTRUCT { ?s <#> ?o } WHERE { @}",
];

fn written(shape: &str, iris: &[usize]) -> String {
    let mut iris = iris.iter().cycle().map(|number| IRIS[*number]);
    let mut parts = shape.split('#');
    let first = parts.next().unwrap_or_default().to_owned();
    // A `#` within the IRIs of vocabularies is not a placeholder: shapes are split before they are filled.
    parts.fold(first, |text, part| text + iris.next().unwrap_or_default() + part)
}

fn shape() -> impl Strategy<Value = String> {
    let parts = prop::collection::vec(prop::sample::select(&PARTS[..]), 1..4);
    let prologue =
        prop::sample::select(&["PREFIX e: <http://e/> ", "PREFIX e: <#> ", "BASE <#> PREFIX e: <http://e/> "][..]);
    (prologue, prop::sample::select(&FORMS[..]), parts)
        .prop_map(|(prologue, form, parts)| prologue.to_owned() + &form.replace('@', &parts.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_cached_query_is_planned_as_a_new_one(
        shape in shape(),
        iris in prop::collection::vec(prop::collection::vec(0..IRIS.len(), 6), 3),
    ) {
        let cluster = Arc::new(NoRows::default());
        let plans: Arc<PlanCache> = Arc::default();
        for iris in &iris {
            let text = written(&shape, iris);
            let cached = explained(&text, Some(&plans), &cluster);
            let fresh = explained(&text, None, &cluster);
            prop_assert_eq!(cached, fresh, "{}", text);
        }
    }
}

#[test]
fn parameters_that_are_equal_in_one_text_may_differ_in_the_next() {
    let cluster = Arc::new(NoRows::default());
    let plans: Arc<PlanCache> = Arc::default();
    let texts = [
        "PREFIX e: <http://e/> SELECT * { <http://e/a> ?p <http://e/a> . e:a e:p ?x }",
        "PREFIX e: <http://e/> SELECT * { <http://e/b> ?p <http://e/c> . e:a e:p ?x }",
    ];
    let planned = texts.map(|text| explained(text, Some(&plans), &cluster).expect(text));
    assert_eq!(plans.use_of(), (1, 1));
    assert_eq!(planned, texts.map(|text| explained(text, None, &cluster).expect(text)));
    assert!(planned[1].to_string().contains("<http://e/b>") && !planned[1].to_string().contains("entail:parameter"));
}

#[test]
fn an_error_has_its_place_in_the_text_itself() {
    let cluster = Arc::new(NoRows::default());
    let plans: Arc<PlanCache> = Arc::default();
    let text = "SELECT * {\n <http://e/a-long-name> <http://e/another-long-name> }";
    let fault = explained(text, Some(&plans), &cluster).expect_err("no object");
    assert_eq!(fault, explained(text, None, &cluster).expect_err("no object"));
    assert_eq!(fault.position.map(|place| place.line), Some(2));
}
