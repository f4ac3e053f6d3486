//! Hostile terms in every format of results: what is written is read back by another implementation, or refused.

use super::*;
use entail_model::term;
use oxrdf::{BaseDirection, BlankNode, Literal, NamedNode};
use oxttl::{NTriplesParser, TurtleParser};
use proptest::prelude::*;
use sparesults::{QueryResultsParser, SliceQueryResultsParserOutput};

/// Text of characters that some format must escape or refuse.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[\\x00-\\x20\"',;<>&\\\\\u{7f}\u{85}\u{2028}\u{feff}\u{fffe}\u{ffff}é😀\u{10ffff}]{0,8}",
        "[ \t\r\n]{0,4}",
        "(\r|\n|\t|a|]]>|&#13;|\"|,){0,6}",
    ]
}

fn node() -> impl Strategy<Value = NamedNode> {
    "[a-z,;'()&é]{0,6}".prop_map(|name| NamedNode::new_unchecked(format!("http://e.org/{name}")))
}

fn any_term() -> impl Strategy<Value = Term> {
    let literal = prop_oneof![
        3 => text().prop_map(Literal::from),
        1 => (text(), node()).prop_map(|(text, datatype)| Literal::new_typed_literal(text, datatype)),
        1 => text().prop_map(|text| Literal::new_language_tagged_literal_unchecked(text, "en-gb")),
        1 => text().prop_map(|text| {
            Literal::new_directional_language_tagged_literal_unchecked(text, "ar", BaseDirection::Rtl)
        }),
    ];
    let simple = prop_oneof![
        1 => node().prop_map(Term::from),
        1 => "[a-z][a-z0-9]{0,3}".prop_map(|label| BlankNode::new_unchecked(label).into()),
        4 => literal.prop_map(Term::from),
    ];
    simple.prop_recursive(2, 6, 1, |object| {
        (node(), object).prop_map(|(node, object)| Term::Triple(Box::new(Triple::new(node.clone(), node, object))))
    })
}

fn variables() -> Vec<Variable> {
    ["a", "b"].map(Variable::new_unchecked).to_vec()
}

type Row = Vec<Option<Term>>;

fn xml(rows: &[Row]) -> Result<Vec<u8>, Fault> {
    let serializer = QueryResultsSerializer::from_format(QueryResultsFormat::Xml);
    let writer = CarriageReturns::new(Vec::new());
    let mut serializer = serializer.serialize_solutions_to_writer(writer, variables()).map_err(write_fault)?;
    for row in rows {
        xml_row(&mut serializer, &variables(), row)?;
    }
    Ok(serializer.finish().map_err(write_fault)?.into_inner())
}

fn table(form: Form, rows: &[Row]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut table = Table::begin(form, &variables(), &mut out);
    for row in rows {
        let bytes = |cell: &Option<Term>| {
            cell.as_ref().map(|cell| {
                let mut bytes = Vec::new();
                term::encode(cell.as_ref(), &mut bytes);
                bytes
            })
        };
        let cells: Vec<Option<Vec<u8>>> = row.iter().map(bytes).collect();
        table.row(cells.iter().map(Option::as_deref), &mut out).expect("terms");
    }
    table.end(&mut out);
    out
}

fn read(format: QueryResultsFormat, bytes: &[u8]) -> Vec<Row> {
    let parser = QueryResultsParser::from_format(format).for_slice(bytes).expect("a head");
    let SliceQueryResultsParserOutput::Solutions(solutions) = parser else { panic!("a boolean") };
    let row = |solution: Result<sparesults::QuerySolution, _>| solution.expect("well-formed").values().to_vec();
    solutions.map(row).collect()
}

fn is_valid_in_xml(row: &Row) -> bool {
    row.iter().flatten().all(|term| invalid_in_xml(term.as_ref()).is_none())
}

/// The fields of a CSV text by the rules of RFC 4180, row after row.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if field.is_empty() && first == '"' {
            let mut end = 1;
            while let Some(quote) = rest[end..].find('"') {
                field.push_str(&rest[end..end + quote]);
                end += quote + 1;
                if !rest[end..].starts_with('"') {
                    break;
                }
                field.push('"');
                end += 1;
            }
            rest = &rest[end..];
            assert!(rest.starts_with(',') || rest.starts_with("\r\n"), "{rest:?}");
        } else if first == ',' {
            row.push(std::mem::take(&mut field));
            rest = &rest[1..];
        } else if let Some(next) = rest.strip_prefix("\r\n") {
            row.push(std::mem::take(&mut field));
            rows.push(std::mem::take(&mut row));
            rest = next;
        } else {
            assert!(!matches!(first, '\r' | '\n' | '"'), "{rest:?}");
            field.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    rows
}

fn csv_cell(cell: Option<&Term>) -> String {
    match cell {
        None => String::new(),
        Some(Term::NamedNode(node)) => node.as_str().to_owned(),
        Some(Term::BlankNode(node)) => node.to_string(),
        Some(Term::Literal(literal)) => literal.value().to_owned(),
        Some(Term::Triple(triple)) => {
            let node = Term::from(triple.subject.clone());
            let parts = [node, triple.predicate.clone().into(), triple.object.clone()];
            parts.map(|part| csv_cell(Some(&part))).join(" ")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn hostile_terms_come_back_from_every_format(
        rows in prop::collection::vec(prop::collection::vec(prop::option::of(any_term()), 2), 0..5),
    ) {
        prop_assert_eq!(&read(QueryResultsFormat::Json, &table(Form::Json, &rows)), &rows, "JSON");
        prop_assert_eq!(&read(QueryResultsFormat::Tsv, &table(Form::Tsv, &rows)), &rows, "TSV");
        let mut csv = csv_rows(std::str::from_utf8(&table(Form::Csv, &rows)).expect("UTF-8"));
        prop_assert_eq!(csv.remove(0), ["a", "b"]);
        let cells = |row: &Row| row.iter().map(|cell| csv_cell(cell.as_ref())).collect::<Vec<_>>();
        prop_assert_eq!(csv, rows.iter().map(cells).collect::<Vec<_>>(), "CSV");
        let valid: Vec<Row> = rows.iter().filter(|row| is_valid_in_xml(row)).cloned().collect();
        prop_assert_eq!(&read(QueryResultsFormat::Xml, &xml(&valid).expect("valid")), &valid, "XML");
        for row in rows.iter().filter(|row| !is_valid_in_xml(row)) {
            let fault = xml(std::slice::from_ref(row)).expect_err("not well-formed");
            prop_assert_eq!(fault.reason, Reason::Unsupported);
            prop_assert!(fault.message.contains("U+") && fault.message.contains("JSON"), "{}", fault);
        }
    }

    #[test]
    fn hostile_graphs_come_back(objects in prop::collection::vec(any_term(), 0..5)) {
        let node = NamedNode::new_unchecked("http://e.org/s");
        let triples: Vec<Triple> =
            objects.into_iter().map(|object| Triple::new(node.clone(), node.clone(), object)).collect();
        for format in [Format::NTriples, Format::Turtle] {
            let mut bytes = Vec::new();
            let mut take = |part: Part| {
                if let Part::Data(data) = part {
                    bytes.extend_from_slice(&data);
                }
                Ok(())
            };
            let mut writer = GraphWriter::new(format, &mut take).expect("a graph");
            writer.write(&triples, &mut take).expect("to memory");
            writer.finish(&mut take).expect("to memory");
            let read: Result<Vec<Triple>, _> = match format {
                Format::Turtle => TurtleParser::new().for_slice(&bytes).collect(),
                _ => NTriplesParser::new().for_slice(&bytes).collect(),
            };
            prop_assert_eq!(read.expect("well-formed"), triples.clone(), "{:?}", format);
        }
    }
}
