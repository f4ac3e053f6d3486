//! Filters of rules over several nodes: terms as stored, whichever of them the filter looks into.

use super::*;
use crate::plan::Condition;
use crate::plan::compile::NegatedBody;
use entail_expression::Program;
use entail_syntax::algebra::{Expression, lower_expression};
use entail_syntax::ast::Element;
use entail_syntax::parse_query;
use oxrdf::Term;
use std::str::FromStr;

/// The texts of terms, at all nodes.
struct Table(HashMap<TermId, Arc<[u8]>>);

impl Texts for Table {
    fn texts(&self, ids: &[TermId]) -> Result<Vec<Arc<[u8]>>, Fault> {
        let text = |id| self.0.get(id).cloned().ok_or_else(|| Fault::corrupt(format!("no term {id:?}")));
        ids.iter().map(text).collect()
    }
}

const VALUES: [&str; 12] = [
    "\"7\"^^<xsd:integer>",
    "\"007\"^^<xsd:integer>",
    "\"7\"^^<xsd:int>",
    "\"7.0\"^^<xsd:decimal>",
    "\"8\"^^<xsd:integer>",
    "\"7\"",
    "\"chat\"@en",
    "\"chat\"@fr",
    "\"1\"^^<xsd:boolean>",
    "\"2000-01-01T00:00:00+00:00\"^^<xsd:dateTime>",
    "<urn:a>",
    "<urn:b>",
];

/// A filter over `?v` and `?w`, and what it means.
type Case = (&'static [&'static str], fn(&Term, &Term) -> bool);

/// The place of a filter: in a NOT it keeps what it does not hold for, an error included.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Use {
    Filter,
    Not,
    NotWithAtom,
}

const CASES: [Case; 10] = [
    (&["sameTerm(?v, ?w)"], |v, w| v == w),
    (&["!sameTerm(?v, ?w)"], |v, w| v != w),
    // One filter looks into the terms of one column, the other compares it with a column of ids.
    (&["STR(?v) != \"z\"", "sameTerm(?v, ?w)"], |v, w| v == w),
    (&["STR(?v) != \"7\"", "!sameTerm(?v, ?w)"], |v, w| v != w && form(v) != "7"),
    (&["STR(?v) = \"007\""], |v, _| form(v) == "007"),
    (&["STR(?v) = STR(?w)"], |v, w| form(v) == form(w)),
    (&["DATATYPE(?v) = <http://www.w3.org/2001/XMLSchema#int>"], |v, _| v.to_string().ends_with("#int>")),
    (&["LANG(?v) = \"en\""], |v, _| v.to_string().ends_with("@en")),
    (&["?v = 7"], |v, _| v.to_string().starts_with("\"7") && v.to_string().contains("^^") || form(v) == "007"),
    (&["REGEX(STR(?v), \"^0+[1-9-[13579]]|[1-9-[2468]]$\")", "isLITERAL(?w)"], |v, w| {
        w.is_literal() && (form(v).ends_with(['1', '3', '5', '7', '9']))
    }),
];

fn form(term: &Term) -> &str {
    match term {
        Term::Literal(literal) => literal.value(),
        Term::NamedNode(iri) => iri.as_str(),
        other => panic!("no form of {other}"),
    }
}

fn parse(text: &str) -> Expression {
    let query = parse_query(&format!("ASK {{ FILTER({text}) }}"), None).expect("a query").tree;
    let Some(Element::Filter(filter)) = query.solutions.pattern.elements.first() else { panic!("{text}") };
    lower_expression(&filter.expression, &mut |_| panic!("{text}")).expect("an expression")
}

fn condition(text: &str) -> Condition {
    let names = ["x", "v", "y", "w"];
    let slot = |name: &str| names.iter().position(|other| *other == name).map(|slot| slot as u32);
    let program = Program::of_algebra(&parse(text), &mut |variable| slot(variable.as_str())).expect("a filter");
    Condition { program }
}

#[test]
fn rules_filter_by_terms_as_stored() {
    let terms = VALUES.map(|text| {
        let text = text.replace("xsd:", "http://www.w3.org/2001/XMLSchema#");
        Term::from_str(&text).expect("a term")
    });
    let mut texts = HashMap::new();
    let mut id = |number: usize, value: &Term| {
        term::inline_id(value.as_ref()).unwrap_or_else(|| {
            let mut bytes = Vec::new();
            term::encode(value.as_ref(), &mut bytes);
            let kind = term::kind_of(&bytes).expect("a kind");
            let shard = ShardId((number * 5 % usize::from(SHARDS)) as u16);
            let id = TermId::dictionary(shard, 1000 + number as u64, kind);
            texts.insert(id, bytes.into());
            id
        })
    };
    let ids: Vec<TermId> = terms.iter().enumerate().map(|(number, value)| id(number, value)).collect();
    let subject = |index: usize| node_term(300 + index as u64);
    let base: BTreeSet<Triple> =
        ids.iter().enumerate().map(|(index, value)| (subject(index), predicate(1), *value)).collect();
    let texts = Arc::new(Table(texts));
    let cases = CASES.iter().flat_map(|case| [(case, Use::Filter), (case, Use::Not), (case, Use::NotWithAtom)]);
    for ((filters, holds), usage) in cases {
        let is_kept = |v, w| holds(v, w) == (usage == Use::Filter);
        let pairs =
            terms.iter().enumerate().flat_map(|(i, v)| terms.iter().enumerate().map(move |(j, w)| (i, v, j, w)));
        let derived =
            pairs.filter(|(_, v, _, w)| is_kept(v, w)).map(|(i, _, j, _)| (subject(i), predicate(2), subject(j)));
        let expected: BTreeSet<Triple> = base.iter().copied().chain(derived).collect();
        assert!(expected.len() > base.len(), "{filters:?} holds somewhere");
        let conditions: Vec<Condition> = filters.iter().map(|text| condition(text)).collect();
        // Every subject has a fact of this atom.
        let atoms = if usage == Use::NotWithAtom { vec![atom(1, 0, 4)] } else { Vec::new() };
        let (filters_of_body, negated) = match usage {
            Use::Filter => (conditions, Vec::new()),
            Use::Not | Use::NotWithAtom => (Vec::new(), vec![NegatedBody { atoms, conditions }]),
        };
        let rule = RuleBody {
            label: "filtered".into(),
            heads: vec![Head {
                graph: TermId::DEFAULT_GRAPH,
                subject: Arg::Slot(0),
                predicate: Arg::Const(predicate(2)),
                object: Arg::Slot(2),
            }],
            body: Body { width: 5, atoms: vec![atom(1, 0, 1), atom(1, 2, 3)], conditions: filters_of_body },
            negated,
        };
        for nodes in 1..=4 {
            let shape = Shape { nodes, dense_from: u64::MAX, broadcasts: false };
            let (rules, mode) = ([rule.clone()], Mode::NewRules(BTreeSet::from([0])));
            let texts = Arc::clone(&texts);
            let mut cluster = Cluster::with_texts(texts, shape, &rules, &base, &mode, &BTreeSet::new());
            cluster.run();
            let (found, _) = cluster.facts(&base, Direction::Forward);
            assert_eq!(found, expected, "{filters:?}, {usage:?}, on {nodes} nodes");
        }
    }
}
