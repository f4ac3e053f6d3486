//! A naive evaluator: one row, one term at a time, control by the tables of the standard. It shares the functions of one row
//! with the columnar one, and nothing of its columns, selections and ids.

use super::*;
use oxrdf::NamedNodeRef;

/// The term of an expression in a row; `None` is an error.
pub fn evaluate(expression: &Expression, row: &[Option<Term>]) -> Option<Term> {
    let of = |expression: &Expression| evaluate(expression, row);
    let boolean = |value: bool| term(&format!("\"{value}\"^^<xsd:boolean>"));
    match expression {
        Expression::NamedNode(iri) => Some(iri.clone().into()),
        Expression::Literal(literal) => Some(literal.clone().into()),
        Expression::Variable(variable) => row.get(slot(variable)? as usize)?.clone(),
        Expression::Bound(variable) => {
            let value = slot(variable).and_then(|slot| row.get(slot as usize)?.clone());
            Some(boolean(value.is_some()))
        }
        Expression::Or(a, b) => match (condition(of(a)), condition(of(b))) {
            (Some(true), _) | (_, Some(true)) => Some(boolean(true)),
            (Some(false), Some(false)) => Some(boolean(false)),
            _ => None,
        },
        Expression::And(a, b) => match (condition(of(a)), condition(of(b))) {
            (Some(false), _) | (_, Some(false)) => Some(boolean(false)),
            (Some(true), Some(true)) => Some(boolean(true)),
            _ => None,
        },
        Expression::Not(inner) => condition(of(inner)).map(|value| boolean(!value)),
        Expression::If(test, then, otherwise) => {
            if condition(of(test))? {
                of(then)
            } else {
                of(otherwise)
            }
        }
        Expression::Coalesce(list) => list.iter().find_map(of),
        Expression::In(element, list) => {
            let element = of(element);
            let equal =
                |other: &Expression| condition(apply(&|a, b| Expression::Equal(a, b), &[element.clone()?, of(other)?]));
            let found: Vec<Option<bool>> = list.iter().map(equal).collect();
            match found {
                found if found.contains(&Some(true)) => Some(boolean(true)),
                found if found.contains(&None) => None,
                _ => Some(boolean(false)),
            }
        }
        Expression::Equal(a, b) => apply(&|a, b| Expression::Equal(a, b), &[of(a)?, of(b)?]),
        Expression::SameTerm(a, b) => Some(boolean(of(a)? == of(b)?)),
        Expression::Less(a, b) => apply(&|a, b| Expression::Less(a, b), &[of(a)?, of(b)?]),
        Expression::LessOrEqual(a, b) => apply(&|a, b| Expression::LessOrEqual(a, b), &[of(a)?, of(b)?]),
        Expression::Greater(a, b) => apply(&|a, b| Expression::Less(b, a), &[of(a)?, of(b)?]),
        Expression::GreaterOrEqual(a, b) => apply(&|a, b| Expression::LessOrEqual(b, a), &[of(a)?, of(b)?]),
        Expression::Add(a, b) => apply(&|a, b| Expression::Add(a, b), &[of(a)?, of(b)?]),
        Expression::Subtract(a, b) => apply(&|a, b| Expression::Subtract(a, b), &[of(a)?, of(b)?]),
        Expression::Multiply(a, b) => apply(&|a, b| Expression::Multiply(a, b), &[of(a)?, of(b)?]),
        Expression::Divide(a, b) => apply(&|a, b| Expression::Divide(a, b), &[of(a)?, of(b)?]),
        Expression::UnaryMinus(a) => single(Expression::UnaryMinus(Box::new(constant(&of(a)?)?))),
        Expression::UnaryPlus(a) => single(Expression::UnaryPlus(Box::new(constant(&of(a)?)?))),
        Expression::FunctionCall(function, arguments) => {
            let arguments: Option<Vec<Term>> = arguments.iter().map(of).collect();
            let arguments: Option<Vec<Expression>> = arguments?.iter().map(constant).collect();
            single(Expression::FunctionCall(*function, arguments?))
        }
        Expression::Custom(name, arguments) => {
            let arguments: Option<Vec<Term>> = arguments.iter().map(of).collect();
            let arguments: Option<Vec<Expression>> = arguments?.iter().map(constant).collect();
            single(Expression::Custom(name.clone(), arguments?))
        }
        Expression::Exists(_) => None,
    }
}

/// The effective boolean value, by its definition (17.2.2).
fn condition(term: Option<Term>) -> Option<bool> {
    let Term::Literal(literal) = term? else { return None };
    let datatype = literal.datatype().as_str();
    if literal.language().is_some() || datatype.ends_with("#string") {
        return Some(!literal.value().is_empty());
    }
    match datatype.strip_prefix("http://www.w3.org/2001/XMLSchema#")? {
        "boolean" => Some(matches!(literal.value(), "true" | "1")),
        "integer" | "int" => Some(literal.value().parse::<i128>().is_ok_and(|number| number != 0)),
        "byte" => Some(literal.value().parse::<i8>().is_ok_and(|number| number != 0)),
        "decimal" | "double" | "float" => Some(
            literal.value().replace("INF", "inf").parse::<f64>().is_ok_and(|number| number != 0.0 && !number.is_nan()),
        ),
        _ => None,
    }
}

fn apply(make: &dyn Fn(Box<Expression>, Box<Expression>) -> Expression, terms: &[Term; 2]) -> Option<Term> {
    single(make(Box::new(constant(&terms[0])?), Box::new(constant(&terms[1])?)))
}

/// A term as an expression; blank nodes and triple terms are passed through a variable.
fn constant(term: &Term) -> Option<Expression> {
    match term {
        Term::NamedNode(iri) => Some(iri.clone().into()),
        Term::Literal(literal) => Some(literal.clone().into()),
        _ => None,
    }
}

/// The value of an expression without variables.
fn single(expression: Expression) -> Option<Term> {
    let evaluator = evaluator(&expression);
    terms(&evaluator, &Columns { rows: 1, sources: Vec::new() }).remove(0)
}

/// Terms of all kinds, written canonically and otherwise, and forms without values.
pub fn any_term() -> impl Strategy<Value = Term> {
    prop::sample::select(vec![
        "\"0\"^^<xsd:integer>",
        "\"7\"^^<xsd:integer>",
        "\"007\"^^<xsd:integer>",
        "\"-3\"^^<xsd:integer>",
        "\"9223372036854775807\"^^<xsd:integer>",
        "\"7\"^^<xsd:int>",
        "\"300\"^^<xsd:byte>",
        "\"7.0\"^^<xsd:decimal>",
        "\"0.1\"^^<xsd:decimal>",
        "\"-2.5\"^^<xsd:decimal>",
        "\"7\"^^<xsd:double>",
        "\"1.0E-1\"^^<xsd:double>",
        "\"NaN\"^^<xsd:double>",
        "\"INF\"^^<xsd:double>",
        "\"0.1\"^^<xsd:float>",
        "\"x\"^^<xsd:integer>",
        "\"\"",
        "\"abc\"",
        "\"7\"",
        "\"true\"",
        "\"abc\"@en",
        "\"abc\"@de",
        "\"abc\"@ar--rtl",
        "\"true\"^^<xsd:boolean>",
        "\"0\"^^<xsd:boolean>",
        "\"maybe\"^^<xsd:boolean>",
        "\"2024-02-29\"^^<xsd:date>",
        "\"2024-02-31\"^^<xsd:date>",
        "\"2024-02-29Z\"^^<xsd:date>",
        "\"2024-02-29T00:00:00\"^^<xsd:dateTime>",
        "\"2024-02-29T10:00:00Z\"^^<xsd:dateTime>",
        "\"2024-02-29T24:00:00-05:00\"^^<xsd:dateTime>",
        "\"10:00:00\"^^<xsd:time>",
        "\"P1Y\"^^<xsd:yearMonthDuration>",
        "\"PT36H\"^^<xsd:dayTimeDuration>",
        "\"P1M\"^^<xsd:duration>",
        "\"a\"^^<urn:t>",
        "\"b\"^^<urn:t>",
        "<urn:a>",
        "<urn:b>",
        "\"a.c\"",
        "\"^a\"",
        "\"i\"",
        "\"[\"",
        "\"en\"",
        "\"*\"",
    ])
    .prop_map(term)
}

fn any_expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        3 => prop::sample::select(vec!["a", "b", "c", "unbound"]).prop_map(|name| Variable::new_unchecked(name).into()),
        2 => any_term().prop_filter_map("a constant", |term| constant(&term)),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone()).prop_map(|(a, b)| (Box::new(a), Box::new(b)));
        let list = prop::collection::vec(inner.clone(), 0..4);
        type Make = fn(Box<Expression>, Box<Expression>) -> Expression;
        let makers: Vec<Make> = vec![
            Expression::Or, Expression::And, Expression::Equal, Expression::SameTerm, Expression::Less, Expression::LessOrEqual,
            Expression::Greater, Expression::GreaterOrEqual, Expression::Add, Expression::Subtract, Expression::Multiply,
            Expression::Divide,
        ];
        prop_oneof![
            6 => (prop::sample::select(makers), two).prop_map(|(make, (a, b))| make(a, b)),
            1 => inner.clone().prop_map(|a| Expression::Not(Box::new(a))),
            1 => inner.clone().prop_map(|a| Expression::UnaryMinus(Box::new(a))),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| Expression::If(Box::new(a), Box::new(b), Box::new(c))),
            1 => list.clone().prop_map(Expression::Coalesce),
            1 => (inner.clone(), list.clone()).prop_map(|(a, list)| Expression::In(Box::new(a), list)),
            1 => prop::sample::select(vec!["a", "b", "unbound"]).prop_map(|name| Expression::Bound(Variable::new_unchecked(name))),
            3 => (any_function(), prop::collection::vec(inner.clone(), 4)).prop_map(|((function, arguments), mut list)| {
                list.truncate(arguments);
                Expression::FunctionCall(function, list)
            }),
            1 => (any_cast(), inner).prop_map(|(cast, operand)| Expression::Custom(cast.into_owned(), vec![operand])),
        ]
    })
}

fn any_cast() -> impl Strategy<Value = NamedNodeRef<'static>> {
    use oxrdf::vocab::xsd;
    prop::sample::select(vec![
        xsd::STRING,
        xsd::INTEGER,
        xsd::DECIMAL,
        xsd::DOUBLE,
        xsd::FLOAT,
        xsd::BOOLEAN,
        xsd::DATE_TIME,
        xsd::DATE,
        xsd::DAY_TIME_DURATION,
    ])
}

fn any_function() -> impl Strategy<Value = (Function, usize)> {
    use Function::*;
    prop::sample::select(vec![
        (Str, 1),
        (Lang, 1),
        (LangMatches, 2),
        (LangDir, 1),
        (Datatype, 1),
        (Iri, 1),
        (Abs, 1),
        (Ceil, 1),
        (Floor, 1),
        (Round, 1),
        (Concat, 2),
        (Concat, 0),
        (SubStr, 2),
        (SubStr, 3),
        (StrLen, 1),
        (Replace, 3),
        (UCase, 1),
        (LCase, 1),
        (EncodeForUri, 1),
        (Contains, 2),
        (StrStarts, 2),
        (StrEnds, 2),
        (StrBefore, 2),
        (StrAfter, 2),
        (Year, 1),
        (Month, 1),
        (Day, 1),
        (Hours, 1),
        (Minutes, 1),
        (Seconds, 1),
        (Timezone, 1),
        (Tz, 1),
        (Md5, 1),
        (Sha256, 1),
        (StrLang, 2),
        (StrDt, 2),
        (IsIri, 1),
        (IsLiteral, 1),
        (IsNumeric, 1),
        (HasLang, 1),
        (HasLangDir, 1),
        (Regex, 2),
        (Regex, 3),
        (Adjust, 2),
        (Now, 0),
    ])
}

pub fn any_rows() -> impl Strategy<Value = Vec<Vec<Option<Term>>>> {
    let value = prop_oneof![6 => any_term().prop_map(Some), 1 => Just(None)];
    prop::collection::vec(prop::collection::vec(value, 3), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]
    #[test]
    fn columns_and_rows_agree(expression in any_expression(), rows in any_rows()) {
        let data = Data::of(&rows);
        let evaluator = evaluator(&expression);
        let expected: Vec<Option<Term>> = rows.iter().map(|row| evaluate(&expression, row)).collect();
        prop_assert_eq!(&terms(&evaluator, &data.columns()), &expected, "{}", expression);
        let mut budget = Budget::new(u64::MAX, &|| Ok(()));
        let kept = evaluator.keep(&data.columns(), &context(), &mut budget).unwrap();
        let holds = |row: &u32| condition(expected[*row as usize].clone()) == Some(true);
        prop_assert_eq!(kept, (0..rows.len() as u32).filter(holds).collect::<Vec<_>>(), "{}", expression);
    }
}

/// More in `make test-long`, which sets this variable for all random tests.
fn cases() -> u32 {
    ProptestConfig::default().cases.max(1000)
}
