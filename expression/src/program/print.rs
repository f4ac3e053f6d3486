//! Programs as SPARQL text, for people who look at plans.

use super::{Index, Program, Step};
use crate::column::Slot;
use entail_model::term;
use entail_syntax::ast::Membership;

impl Program {
    /// The expression as text. `name` gives the name of a slot, with its question mark.
    pub fn text(&self, name: &dyn Fn(Slot) -> String) -> String {
        self.step_text(self.root(), name)
    }

    fn step_text(&self, index: Index, name: &dyn Fn(Slot) -> String) -> String {
        let of = |index: &Index| self.step_text(*index, name);
        let list = |list: &[Index], between: &str| list.iter().map(of).collect::<Vec<_>>().join(between);
        match &self.steps[index as usize] {
            // A variable without a value in any row.
            Step::Constant(bytes) if bytes.is_empty() => "?_".to_owned(),
            Step::Constant(bytes) => term::decode(bytes).map_or_else(|fault| fault.message, |term| term.to_string()),
            Step::Slot(slot) => name(*slot),
            Step::Or(operands) => format!("({})", list(operands, " || ")),
            Step::And(operands) => format!("({})", list(operands, " && ")),
            Step::Compare(operator, left, right) => format!("({} {} {})", of(left), operator.symbol(), of(right)),
            Step::Member(membership, element, members) => {
                let membership = if *membership == Membership::In { "IN" } else { "NOT IN" };
                format!("({} {membership} ({}))", of(element), list(members, ", "))
            }
            Step::Chain(first, rest) => {
                let rest: Vec<String> =
                    rest.iter().map(|(operator, operand)| format!(" {} {}", operator.symbol(), of(operand))).collect();
                format!("({}{})", of(first), rest.concat())
            }
            Step::Unary(operator, operand) => format!("({}{})", operator.symbol(), of(operand)),
            Step::Call(function, arguments) => format!("{}({})", function.name(), list(arguments, ", ")),
            Step::Cast(datatype, operand) => format!("<{}>({})", datatype.iri(), of(operand)),
            Step::CastString(operand) => format!("{}({})", oxrdf::vocab::xsd::STRING, of(operand)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entail_syntax::algebra::lower_expression;
    use entail_syntax::ast::Element;
    use entail_syntax::parse_query;

    #[test]
    fn a_program_is_shown_as_it_was_written() {
        let shown = |text: &str| {
            let query = parse_query(&format!("ASK {{ FILTER({text}) }}"), None).unwrap().tree;
            let Some(Element::Filter(filter)) = query.solutions.pattern.elements.first() else { panic!("{text}") };
            let expr = lower_expression(&filter.expression, &mut |_| panic!("{text}")).unwrap();
            let mut names = Vec::new();
            let mut slot = |variable: &oxrdf::Variable| {
                names.push(variable.to_string());
                Some(names.len() as Slot - 1)
            };
            let program = Program::of_algebra(&expr, &mut slot).unwrap();
            program.text(&|slot| names[slot as usize].clone())
        };
        for (text, expected) in [
            ("?a>3 && ! ?b", "((?a > \"3\"^^<http://www.w3.org/2001/XMLSchema#integer>) && (!?b))"),
            ("?a NOT IN (<urn:b>, STR(?c))", "(!(?a IN (<urn:b>, STR(?c))))"),
            ("?a != (?b + ?c * -?d)", "(?a != (?b + (?c * (-?d))))"),
            ("<http://www.w3.org/2001/XMLSchema#date>(?a)", "<http://www.w3.org/2001/XMLSchema#date>(?a)"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }
}
