//! Printed expressions keep their meaning when SPARQL's parser reads them.

use super::super::{DEPTH_MAX, expression_text, parse};
use entail_syntax::algebra::{Expression, lower_expression};
use entail_syntax::ast::Element;
use entail_syntax::parse_query;
use proptest::prelude::*;

/// Random texts of expressions over `?x` and `?y`, within the grammar of the draft.
fn expression() -> impl Strategy<Value = String> {
    let leaves = prop::sample::select(vec![
        "?x",
        "?y",
        "1",
        "-2.5",
        "+3e1",
        "true",
        ":a",
        "'s'",
        "'t'@en",
        "'u'@ar--rtl",
        "\"v\\n\\\"\"^^:d",
        "<<( ?x a 1 )>>",
    ]);
    leaves.prop_map(str::to_owned).prop_recursive(5, 40, 3, |inner| {
        let operators = prop::sample::select(vec!["+", "-", "*", "/", "=", "!=", "<", ">", "<=", ">=", "&&", "||"]);
        let calls = prop::sample::select(vec!["STR", "isIRI", "STRLEN", "xsd:integer", "!", "-", "+"]);
        prop_oneof![
            (inner.clone(), operators, inner.clone()).prop_map(|(a, operator, b)| format!("({a}) {operator} ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) * {b}")),
            (calls, inner.clone()).prop_map(|(call, a)| format!("{call}({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) NOT IN ({b}, 1)")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("CONCAT(IF({a}, {b}, {c}), sameTerm({a}, {b}))")),
        ]
    })
}

fn parsed(text: &str) -> Option<Expression> {
    let rule = format!(
        "PREFIX : <http://e/> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
         RULE {{ ?x :p ?y }} WHERE {{ ?x :q ?y FILTER({text}) }}"
    );
    parse(&rule).ok().and_then(|rules| rules.rules[0].filters.first().map(|filter| filter.expression.clone()))
}

/// A printed expression, parsed again by SPARQL's parser.
fn reparsed(expression: &Expression) -> Expression {
    let text = expression_text(expression).expect("no EXISTS in a rule");
    let query = parse_query(&format!("ASK {{ FILTER({text}) }}"), None).expect("printed SPARQL").tree;
    let Some(Element::Filter(filter)) = query.solutions.pattern.elements.first() else { panic!("{text}") };
    lower_expression(&filter.expression, &mut |_| panic!("{text}")).expect("an expression")
}

proptest! {
    #[test]
    fn every_expression_comes_back(text in expression()) {
        // Some of the texts chain operators that the grammar does not chain, such as `1 = 2 = 3`.
        if let Some(expression) = parsed(&text) {
            prop_assert_eq!(reparsed(&expression), expression);
        }
    }
}

#[test]
fn brackets_around_arithmetic_stay() {
    for text in ["(1 + 2) * 3", "10 - (5 - 3)", "8 / (4 / 2)", "-(1 + 2)", "-(-1)", "!(1 + 1)", "!(!true)", "-(-(?x))"]
    {
        let expression = parsed(text).expect("an expression");
        assert_eq!(reparsed(&expression), expression, "{text}");
    }
}

#[test]
fn the_highest_expression_fits_the_stack() {
    let deep = DEPTH_MAX as usize - 1;
    let texts = [format!("{}1{}", "STR(".repeat(deep), ")".repeat(deep)), format!("1{}", " + 1".repeat(deep))];
    let check = move || {
        for text in texts {
            let expression = parsed(&text).expect("within the limit");
            assert_eq!(reparsed(&expression), expression);
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(check).expect("a thread").join().expect("no overflow");
}
