//! Numbers of JSON-LD become the literals that JSON-LD 1.1 (API, section 8.2.2) says.

use super::*;
use oxrdf::Literal;

const XSD: &str = "http://www.w3.org/2001/XMLSchema#";

/// The object of the only fact.
fn object(document: &str) -> Literal {
    let parsed = parse_all(request(Format::JsonLd), document.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"));
    match &parsed.quads[..] {
        [Quad { object: Term::Literal(literal), .. }] => literal.clone(),
        other => panic!("{document}: {other:?}"),
    }
}

fn check(document: &str, value: &str, datatype: &str) {
    let found = object(document);
    let datatype = datatype.replace("xsd:", XSD);
    assert_eq!((found.value(), found.datatype().as_str()), (value, datatype.as_str()), "{document}");
}

#[test]
fn numbers_without_a_fraction_are_integers_below_ten_to_the_21() {
    let cases = [
        ("7", "7", "xsd:integer"),
        ("-0", "0", "xsd:integer"),
        ("0.0", "0", "xsd:integer"),
        ("-0.0", "0", "xsd:integer"),
        ("1.0", "1", "xsd:integer"),
        ("1e2", "100", "xsd:integer"),
        ("99999999999999999999", "99999999999999999999", "xsd:integer"),
        ("100000000000000000000", "100000000000000000000", "xsd:integer"),
        ("123456789012345678901", "123456789012345678901", "xsd:integer"),
        ("-999999999999999999999", "-999999999999999999999", "xsd:integer"),
        ("1e20", "100000000000000000000", "xsd:integer"),
        ("1.0E20", "100000000000000000000", "xsd:integer"),
        ("12.5e19", "125000000000000000000", "xsd:integer"),
        ("1000000000000000000000", "1.0E21", "xsd:double"),
        ("1e21", "1.0E21", "xsd:double"),
        ("1.0E21", "1.0E21", "xsd:double"),
        ("-1e21", "-1.0E21", "xsd:double"),
        ("1.5", "1.5E0", "xsd:double"),
        ("1e-7", "1.0E-7", "xsd:double"),
        ("100000000000000000000.5", "1.000000000000000000005E20", "xsd:double"),
    ];
    for (number, value, datatype) in cases {
        check(&format!("{{\"@id\": \"a:s\", \"a:p\": {number}}}"), value, datatype);
        check(&format!("[{{\"@id\": \"a:s\", \"a:p\": [{{\"@value\": {number}}}]}}]"), value, datatype);
    }
}

#[test]
fn the_type_of_a_number_decides_its_form() {
    let cases = [
        ("1e20", "xsd:double", "1.0E20"),
        ("123456789012345678901", "xsd:double", "1.23456789012345678901E20"),
        ("-0", "xsd:double", "-0.0E0"),
        ("0", "xsd:double", "0.0E0"),
        ("1", "xsd:double", "1.0E0"),
        ("1e20", "xsd:integer", "100000000000000000000"),
        ("1e20", "xsd:decimal", "100000000000000000000"),
        ("1e20", "a:t", "100000000000000000000"),
        ("1e21", "xsd:integer", "1.0E21"),
    ];
    for (number, datatype, value) in cases {
        let full = datatype.replace("xsd:", XSD);
        let typed = format!("{{\"@value\": {number}, \"@type\": \"{full}\"}}");
        check(&format!("{{\"@id\": \"a:s\", \"a:p\": {typed}}}"), value, datatype);
        let context = format!("{{\"p\": {{\"@id\": \"a:p\", \"@type\": \"{full}\"}}}}");
        check(&format!("{{\"@context\": {context}, \"@id\": \"a:s\", \"p\": {number}}}"), value, datatype);
    }
}

#[test]
fn json_literals_are_canonical() {
    let json = "http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON";
    let document =
        r#"{"@id": "a:s", "a:p": {"@value": {"b": [1e20, -0, "1e20"], "a": 123456789012345678901}, "@type": "@json"}}"#;
    check(document, r#"{"a":123456789012345680000,"b":[100000000000000000000,0,"1e20"]}"#, json);
}

#[test]
fn strings_and_other_numbers_are_left_alone() {
    let values = r#"["1e20", "73786976294838206464", 73786976294838206464, 1e20, "\\\"1e20"]"#;
    let document = format!("{{\"@id\": \"a:s\", \"a:p\": {values}}}");
    let parsed = parse_all(request(Format::JsonLd), document.as_bytes()).expect("well-formed");
    let mut found: Vec<String> = parsed.quads.iter().map(|quad| quad.object.to_string().replace(XSD, "")).collect();
    found.sort();
    let expected = [
        r#""100000000000000000000"^^<integer>"#,
        r#""1e20""#,
        r#""73786976294838206464""#,
        r#""73786976294838206464"^^<integer>"#,
        r#""\\\"1e20""#,
    ];
    assert_eq!(found, expected);
    // The position of an error after a number that was replaced.
    let malformed = r#"{"@id": "a:s", "a:p": 1e20, "a:q": x}"#;
    let fault = parse_all(request(Format::JsonLd), malformed.as_bytes()).expect_err("x");
    assert_eq!(fault.position.map(|at| (at.line, at.column)), Some((1, 36)));
}
