//! Which relations are broadcast, and for which rules.

use super::*;
use crate::plan::compile::{Body, RelationStats};
use crate::plan::{GraphScope, Head};
use entail_model::{ShardId, TermId, TermKind};
use proptest::prelude::*;
use std::sync::LazyLock;

const PATH: u64 = 1;
const EDGE: u64 = 2;
const OTHER: u64 = 3;
const MORE: u64 = 4;

fn relation(number: u64) -> Relation {
    let predicate = TermId::dictionary(ShardId(0), number, TermKind::Iri);
    Relation { graph: TermId::DEFAULT_GRAPH, predicate }
}

/// A rule of relations with the slots of their subjects and objects, the head first.
fn rule(head: (u64, usize, usize), body: &[(u64, usize, usize)]) -> RuleBody {
    let (predicate, graph) = (|number| Arg::Const(relation(number).predicate), TermId::DEFAULT_GRAPH);
    let atom = |(number, subject, object): &(u64, usize, usize)| Atom {
        graph: GraphScope::One(graph),
        subject: Arg::Slot(*subject),
        predicate: predicate(*number),
        object: Arg::Slot(*object),
    };
    let (number, subject, object) = head;
    let head = Head { graph, subject: Arg::Slot(subject), predicate: predicate(number), object: Arg::Slot(object) };
    let body = Body { width: 4, atoms: body.iter().map(atom).collect(), conditions: Vec::new() };
    RuleBody { label: String::new(), heads: vec![head], body, negated: Vec::new() }
}

/// The numbers of more rules than any test has.
static ALL: LazyLock<BTreeSet<usize>> = LazyLock::new(|| (0..10).collect());

fn all_new() -> News<'static> {
    News::Rules { new: &ALL, may_wait: true }
}

fn context(edges: u64) -> Context {
    let stats = RelationStats { facts: edges, subjects: edges, objects: edges };
    Context { stats: [EDGE, MORE].map(|number| (relation(number), stats)).into(), ..Context::default() }
}

#[test]
fn what_recursion_reads_is_broadcast_where_that_keeps_something_at_home() {
    let first = rule((PATH, 0, 1), &[(EDGE, 0, 1)]);
    let cases = [
        ("the candidate stays", rule((PATH, 0, 2), &[(PATH, 0, 1), (EDGE, 1, 2)]), true),
        ("it would go to another home in any case", rule((PATH, 0, 2), &[(EDGE, 0, 1), (PATH, 1, 2)]), false),
        ("it stays in any case", rule((PATH, 0, 2), &[(PATH, 0, 1), (EDGE, 0, 2)]), false),
        ("rows would move", rule((PATH, 1, 3), &[(EDGE, 0, 1), (PATH, 0, 2), (EDGE, 2, 3)]), true),
        ("there is no recursion", rule((OTHER, 0, 2), &[(PATH, 0, 1), (EDGE, 1, 2)]), false),
        ("all of it is derived", rule((PATH, 0, 2), &[(PATH, 0, 1), (PATH, 1, 2)]), false),
    ];
    for (case, second, is_broadcast) in cases {
        let rules = [first.clone(), second];
        let broadcast = worthwhile(&context(12_000), &rules, &all_new());
        assert_eq!(
            broadcast,
            if is_broadcast { BTreeSet::from([Extent::all(relation(EDGE))]) } else { BTreeSet::new() },
            "{case}"
        );
        let too_large = worthwhile(&context(FACTS_MAX + 1), &rules, &all_new());
        assert_eq!(too_large, BTreeSet::new(), "{case}");
        let alone = Context { single_node: true, ..context(12_000) };
        assert_eq!(worthwhile(&alone, &rules, &all_new()), BTreeSet::new(), "{case}");
    }
}

#[test]
fn all_that_is_broadcast_has_one_limit() {
    let path = rule((PATH, 0, 1), &[(EDGE, 0, 1)]);
    let steps = [EDGE, MORE].map(|step| rule((PATH, 0, 2), &[(PATH, 0, 1), (step, 1, 2)]));
    let rules = [&[path], &steps[..]].concat();
    assert_eq!(worthwhile(&context(FACTS_MAX / 2), &rules, &all_new()).len(), 2);
    assert_eq!(worthwhile(&context(FACTS_MAX / 2 + 1), &rules, &all_new()).len(), 1);
}

proptest! {
    /// Components equal those that a search from each rule finds.
    #[test]
    fn a_rule_is_recursive_if_it_can_be_reached_from_itself(
        rules in prop::collection::vec((0u64..7, prop::collection::vec(0u64..7, 1..3)), 1..12)
    ) {
        // The last number is a variable predicate.
        let any = |number: u64| if number == 6 { Arg::Slot(3) } else { Arg::Const(relation(number).predicate) };
        let rules: Vec<RuleBody> = rules.iter().enumerate().map(|(index, (head, body))| {
            let mut made = rule((0, 0, 1), &vec![(0, 0, 1); body.len()]);
            made.label = index.to_string();
            made.heads[0].predicate = any(*head);
            made.body.atoms.iter_mut().zip(body).for_each(|(atom, number)| atom.predicate = any(*number));
            made
        }).collect();
        let feeds = |from: &RuleBody, to: &RuleBody| {
            let made = from.heads[0].relation();
            to.body.atoms.iter().any(|atom| made.is_none() || atom.relation().is_none_or(|read| Some(read) == made))
        };
        let mut expected = Vec::new();
        for start in &rules {
            let (mut reached, mut waiting) = (BTreeSet::new(), vec![start]);
            while let Some(from) = waiting.pop() {
                waiting.extend(rules.iter().filter(|to| feeds(from, to) && reached.insert(to.label.clone())));
            }
            expected.extend(reached.contains(&start.label).then(|| start.label.clone()));
        }
        let found: Vec<String> = recursive(&rules).into_iter().map(|rule| rule.label).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn so_is_what_is_joined_with_what_recursion_finds() {
    let closure = rule((PATH, 0, 2), &[(PATH, 0, 1), (PATH, 1, 2)]);
    let after = rule((OTHER, 0, 2), &[(PATH, 0, 1), (MORE, 1, 2)]);
    let broadcast = |rules: &[RuleBody]| worthwhile(&context(12_000), rules, &all_new());
    assert_eq!(broadcast(&[closure.clone(), after.clone()]), BTreeSet::from([Extent::all(relation(MORE))]));
    assert_eq!(broadcast(&[rule((PATH, 0, 1), &[(EDGE, 0, 1)]), after]), BTreeSet::new());
}

#[test]
fn a_small_change_is_worth_nothing() {
    let rules = [rule((PATH, 0, 1), &[(EDGE, 0, 1)]), rule((PATH, 0, 2), &[(PATH, 0, 1), (EDGE, 1, 2)])];
    for (new, is_broadcast) in
        [([(relation(EDGE), 3_000)], true), ([(relation(EDGE), 1)], false), ([(relation(OTHER), 9)], false)]
    {
        let news = BTreeMap::from(new);
        let broadcast = worthwhile(&context(12_000), &rules, &News::Facts(&news));
        assert_eq!(!broadcast.is_empty(), is_broadcast, "{new:?}");
    }
}

#[test]
fn what_any_rule_derives_is_not_constant() {
    let closure = rule((PATH, 0, 2), &[(PATH, 0, 1), (EDGE, 1, 2)]);
    let mut any = rule((OTHER, 0, 1), &[(OTHER, 0, 1)]);
    any.heads[0].predicate = Arg::Slot(1);
    for more in [rule((EDGE, 1, 0), &[(PATH, 0, 1)]), any] {
        assert_eq!(worthwhile(&context(12_000), &[closure.clone(), more], &all_new()), BTreeSet::new());
    }
}

#[test]
fn what_is_derived_from_what_is_constant_soon_is() {
    let closure = rule((PATH, 0, 2), &[(PATH, 0, 1), (OTHER, 1, 2)]);
    let broadcast = |edges, body: &[(u64, usize, usize)], news: &News<'_>| {
        worthwhile(&context(edges), &[closure.clone(), rule((OTHER, 0, 2), body)], news)
    };
    let both = [(EDGE, 0, 1), (MORE, 1, 2)];
    assert_eq!(broadcast(12_000, &both, &all_new()), BTreeSet::from([Extent::all(relation(OTHER))]));
    let all = BTreeMap::from([EDGE, MORE].map(|number| (relation(number), 12_000)));
    assert_eq!(broadcast(12_000, &both, &News::Facts(&all)), BTreeSet::new(), "rules do not fire over everything");
    assert_eq!(broadcast(FACTS_MAX + 1, &both, &all_new()), BTreeSet::new(), "about as many as each relation has");
    let product = [(EDGE, 0, 1), (MORE, 3, 2)];
    assert_eq!(broadcast(12_000, &product, &all_new()), BTreeSet::new(), "too many");
}

/// Is the class of students broadcast to rules about courses, beside a rule that derives more students from students?
#[test]
fn a_class_is_broadcast_that_is_constant_or_found_soon() {
    const TYPE: u64 = OTHER;
    let id = |class: u64| TermId::dictionary(ShardId(1), class, TermKind::Iri);
    let [student, person, course] = [0, 1, 2].map(|class| Arg::Const(id(class)));
    let x_is = |class, body: &[(u64, usize, Arg)]| {
        let slots: Vec<(u64, usize, usize)> = body.iter().map(|(number, subject, _)| (*number, *subject, 0)).collect();
        let mut made = rule((TYPE, 0, 0), &slots);
        made.heads[0].object = class;
        made.body.atoms.iter_mut().zip(body).for_each(|(atom, (.., object))| atom.object = *object);
        made
    };
    let rules = [
        x_is(student, &[(TYPE, 0, person), (EDGE, 0, Arg::Slot(1)), (TYPE, 1, course)]),
        x_is(person, &[(TYPE, 0, student)]),
    ];
    let soon = [&rules[..], &[x_is(course, &[(MORE, 0, Arg::Slot(1))])]].concat();
    let late = [&rules[..], &[x_is(course, &[(TYPE, 0, student)])]].concat();
    let courses = |facts| {
        let mut context = Context { rdf_type: Some(relation(TYPE).predicate), ..context(12_000) };
        let many = FACTS_MAX + 1;
        context.stats.insert(relation(TYPE), RelationStats { facts: many, subjects: many, objects: 3 });
        context.objects.insert((relation(TYPE), id(2)), facts);
        context
    };
    let new = BTreeMap::from([(relation(TYPE), FACTS_MAX + 1)]);
    for (case, facts, rules, news, is_broadcast) in [
        ("no rule derives it", 9, &rules[..], all_new(), true),
        ("it is too large", FACTS_MAX + 1, &rules, all_new(), false),
        ("how many are new is known of all classes together", 9, &rules, News::Facts(&new), false),
        ("it is derived from constant facts", 9, &soon, all_new(), true),
        ("it is derived from derived facts", 9, &late, all_new(), false),
    ] {
        let class = Extent { relation: relation(TYPE), object: Some(id(2)) };
        let expected = if is_broadcast { BTreeSet::from([class]) } else { BTreeSet::new() };
        assert_eq!(worthwhile(&courses(facts), rules, &news), expected, "{case}");
    }
}

#[test]
fn old_rules_neither_wait_nor_have_things_broadcast_for_nothing() {
    let unrelated = rule((OTHER + 9, 0, 1), &[(OTHER + 8, 0, 1)]);
    let constant = [rule((PATH, 0, 1), &[(EDGE, 0, 1)]), rule((PATH, 0, 2), &[(PATH, 0, 1), (EDGE, 1, 2)]), unrelated];
    let mut soon = constant.clone();
    soon[0] = rule((OTHER, 0, 2), &[(EDGE, 0, 1), (MORE, 1, 2)]);
    soon[1] = rule((PATH, 0, 2), &[(PATH, 0, 1), (OTHER, 1, 2)]);
    for (case, rules, new, may_wait, expected) in [
        ("all are new", &constant, &[0, 1, 2][..], true, Some(EDGE)),
        ("new facts lead to nothing", &constant, &[2], true, None),
        ("new facts feed an old rule", &constant, &[0], true, Some(EDGE)),
        ("all are new, and wait", &soon, &[0, 1, 2], true, Some(OTHER)),
        ("they may not", &soon, &[0, 1, 2], false, None),
        ("new facts lead to nothing, and no rule waits", &soon, &[2], true, None),
        ("an old rule would have to", &soon, &[0], true, None),
    ] {
        let new = new.iter().copied().collect();
        let broadcast = worthwhile(&context(12_000), rules, &News::Rules { new: &new, may_wait });
        assert_eq!(broadcast, expected.map(|of| Extent::all(relation(of))).into_iter().collect(), "{case}");
    }
}
