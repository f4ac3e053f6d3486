//! Random rules with NOT, stratum by stratum: several nodes against the naive oracle.

use super::*;
use crate::dependencies::Cycle;
use crate::plan::Condition;
use crate::plan::compile::NegatedBody;
use crate::plan::strata::strata;
use entail_expression::Program;
use entail_syntax::algebra::Expression;
use oxrdf::Variable;

mod plans;

/// The slots of the body, and of all NOTs of a rule: each NOT has two of its own.
const BODY: usize = 4;
const NOTS: usize = 2;
const WIDTH: usize = BODY + 2 * NOTS;

/// Has a NOT of the rule a solution for the row? The conditions of these rules are inequalities.
pub fn is_excluded(rule: &RuleBody, row: &Row, facts: &BTreeSet<Triple>) -> bool {
    rule.negated.iter().any(|negated| has_solution(negated, row, facts))
}

fn has_solution(negated: &NegatedBody, row: &Row, facts: &BTreeSet<Triple>) -> bool {
    let holds = |solution: &Row| {
        negated.conditions.iter().all(|condition| {
            let [a, b] = condition.slots()[..] else { panic!("an inequality has two sides") };
            solution[&a] != solution[&b]
        })
    };
    naive_rows(row.clone(), &negated.atoms, facts).iter().any(holds)
}

fn differ(a: usize, b: usize) -> Condition {
    let variable = |slot: usize| Variable::new_unchecked(format!("v{slot}"));
    let side = |slot| Box::new(Expression::Variable(variable(slot)));
    let expression = Expression::Not(Box::new(Expression::SameTerm(side(a), side(b))));
    let slot = |of: &Variable| [a, b].into_iter().find(|slot| variable(*slot) == *of).map(|slot| slot as u32);
    Condition { program: Program::of_algebra(&expression, &mut { slot }).expect("an inequality") }
}

/// A NOT as random numbers: its atoms, the argument that they have in common, and whether it has a condition.
#[derive(Clone, Debug)]
struct Draft {
    atoms: Vec<(u64, Arg, bool)>,
    hub: Arg,
    first_object: Arg,
    is_conditional: bool,
}

/// Slots from [`BODY`] on stand for those of the NOT.
fn draft() -> impl Strategy<Value = Draft> {
    let side = || {
        prop_oneof![
            5 => (0..BODY + 2).prop_map(Arg::Slot),
            1 => (0u64..10).prop_map(|number| Arg::Const(any_term(number))),
        ]
    };
    let hub = prop_oneof![
        5 => (0..BODY + 2).prop_map(Arg::Slot),
        1 => (0u64..8).prop_map(|number| Arg::Const(any_term(number))),
    ];
    let atoms = prop::collection::vec((0u64..4, side(), any::<bool>()), 1..4);
    (atoms, hub, side(), any::<bool>()).prop_map(|(atoms, hub, first_object, is_conditional)| Draft {
        atoms,
        hub,
        first_object,
        is_conditional,
    })
}

impl Draft {
    /// The NOT of a rule with these slots in its body. Its atoms have a home in common, or there is one.
    fn negated(&self, number: usize, bound: &BTreeSet<usize>) -> NegatedBody {
        // Slots that the body does not bind are slots of the NOT.
        let own = |slot: usize| Arg::Slot(BODY + 2 * number + slot % 2);
        let arg = |arg: Arg| match arg {
            Arg::Slot(slot) if bound.contains(&slot) => arg,
            Arg::Slot(slot) => own(slot),
            Arg::Const(_) => arg,
        };
        let atom = |(index, (number, other, is_by_object)): (usize, &(u64, Arg, bool))| {
            let hub = arg(self.hub);
            let (first, alone) = (index == 0, self.atoms.len() == 1);
            let (subject, object) = match (alone, *is_by_object) {
                // A single atom may have any arguments.
                (true, true) => (arg(*other), arg(self.first_object)),
                (false, true) if !first && *number > 0 => (arg(*other), hub),
                _ => (hub, arg(*other)),
            };
            let is_node = |arg: &Arg| !matches!(arg, Arg::Const(term) if term.is_inline());
            let subject = Some(subject).filter(is_node).unwrap_or(hub);
            let graph = GraphScope::One(TermId::DEFAULT_GRAPH);
            Atom { graph, subject, predicate: Arg::Const(predicate(*number)), object }
        };
        let atoms: Vec<Atom> = self.atoms.iter().enumerate().map(atom).collect();
        let slots: BTreeSet<usize> = atoms.iter().flat_map(Atom::slots).collect();
        let ends = slots.first().zip(slots.last()).filter(|(a, b)| a != b && self.is_conditional);
        NegatedBody { conditions: ends.map(|(a, b)| differ(*a, *b)).into_iter().collect(), atoms }
    }
}

/// Rules with NOTs, which may have no strata.
pub fn rules_with_not() -> impl Strategy<Value = Vec<RuleBody>> {
    (rules(), prop::collection::vec(prop::collection::vec(draft(), 0..=NOTS), 4)).prop_map(|(mut rules, drafts)| {
        for (rule, drafts) in rules.iter_mut().zip(&drafts) {
            let bound: BTreeSet<usize> = rule.body.atoms.iter().flat_map(Atom::slots).collect();
            rule.body.width = WIDTH;
            rule.negated = drafts.iter().enumerate().map(|(number, draft)| draft.negated(number, &bound)).collect();
        }
        rules
    })
}

/// Drops NOTs until the rules have strata.
pub fn with_strata(mut rules: Vec<RuleBody>) -> Vec<RuleBody> {
    while let Err(Cycle(cycle)) = strata(&rules) {
        rules[cycle[0]].negated.clear();
    }
    rules
}

/// Drops NOTs until the rules have strata; returns the rules of each.
pub fn stratified(rules: Vec<RuleBody>) -> Vec<Vec<RuleBody>> {
    let rules = with_strata(rules);
    let of = |rules_of: &Vec<usize>| rules_of.iter().map(|rule| rules[*rule].clone()).collect();
    strata(&rules).expect("they have some now").iter().map(|stratum| of(&stratum.rules)).collect()
}

/// The closure under rules that have strata.
pub fn stratified_closure(facts: &BTreeSet<Triple>, rules: &[RuleBody]) -> BTreeSet<Triple> {
    stratified(rules.to_vec()).iter().fold(facts.clone(), |complete, rules| naive_closure(&complete, rules))
}

fn shapes() -> impl Iterator<Item = Shape> {
    let nodes = [(1, u64::MAX), (1, 0), (2, u64::MAX), (2, 0), (4, u64::MAX)];
    let all = nodes
        .into_iter()
        .flat_map(|(nodes, dense_from)| [false, true].map(|broadcasts| Shape { nodes, dense_from, broadcasts }));
    all.filter(|shape| shape.nodes > 1 || !shape.broadcasts)
}

fn check_one(shape: Shape, rules: &[RuleBody], base: &BTreeSet<Triple>, mode: &Mode, staged: &BTreeSet<Triple>) {
    let expected = naive_closure(&base.union(staged).copied().collect(), rules);
    let mut cluster = Cluster::new(shape, rules, base, mode, staged);
    cluster.run();
    for copy in Direction::BOTH {
        let (found, count) = cluster.facts(base, copy);
        assert_eq!(found, expected, "{shape:?}, {copy:?} copies");
        assert_eq!(count, expected.len(), "{shape:?}: each fact has one {copy:?} copy");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn strata_one_after_another(facts in facts(), rules in rules_with_not()) {
        let strata = stratified(rules);
        for shape in shapes() {
            let mut complete = facts.clone();
            for rules in &strata {
                check_one(shape, rules, &complete, &Mode::NewRules((0..rules.len()).collect()), &BTreeSet::new());
                complete = naive_closure(&complete, rules);
            }
        }
    }

    /// New facts of relations that no rule negates.
    #[test]
    fn new_facts_under_not(facts in facts(), staged in facts(), rules in rules_with_not()) {
        let mut rules = rules;
        let negated = Arg::Const(predicate(3));
        for rule in &mut rules {
            rule.negated.iter_mut().flat_map(|not| &mut not.atoms).for_each(|atom| atom.predicate = negated);
            let of_head = |head: &mut Head| {
                head.predicate = if head.predicate == negated { Arg::Const(predicate(1)) } else { head.predicate };
            };
            rule.heads.iter_mut().for_each(of_head);
        }
        let staged = staged.into_iter().filter(|fact| fact.1 != predicate(3)).collect();
        let base = naive_closure(&facts, &rules);
        shapes().for_each(|shape| check_one(shape, &rules, &base, &Mode::Increment, &staged));
    }
}

/// Do the random rules have NOTs in several strata, NOTs that rows visit every node for, and NOTs of several atoms?
#[test]
fn random_rules_have_nots_of_all_kinds() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut several_strata, mut at_each_node, mut several_atoms) = (0, 0, 0);
    for _ in 0..200 {
        let strata = stratified(rules_with_not().new_tree(&mut runner).expect("rules").current());
        several_strata += u32::from(strata.len() > 1);
        let context = Context { nodes: 3, rdf_type: Some(predicate(0)), ..Context::default() };
        for rules in &strata {
            let program = compile_program(&context, rules, &BTreeSet::new()).expect("one stratum");
            let plans = program.rules.iter().map(|rule| &rule.full);
            let stages = plans.flat_map(|plan| &plan.stages);
            at_each_node += u32::from(stages.into_iter().any(|stage| stage.route == crate::plan::Route::Next));
            let nots = rules.iter().flat_map(|rule| &rule.negated);
            several_atoms += u32::from(nots.into_iter().any(|not| not.atoms.len() > 1));
        }
    }
    let counts = [several_strata, at_each_node, several_atoms];
    assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
}

/// A number has no home: the facts with it as object are at the homes of all their subjects.
#[test]
fn a_number_is_negated_wherever_its_facts_are() {
    let numbers = [8, 9].map(any_term);
    let facts = (0..32).flat_map(|n| numbers.map(|number| (node_term(200 + n), predicate(1), number)));
    let facts: BTreeSet<Triple> = facts.chain([(node_term(300), predicate(2), numbers[0])]).collect();
    let rule = RuleBody {
        label: "unused".into(),
        heads: vec![Head {
            graph: TermId::DEFAULT_GRAPH,
            subject: Arg::Slot(0),
            predicate: Arg::Const(predicate(3)),
            object: Arg::Slot(1),
        }],
        body: Body { width: 3, atoms: vec![atom(1, 0, 1)], conditions: Vec::new() },
        negated: vec![NegatedBody { atoms: vec![atom(2, 2, 1)], conditions: Vec::new() }],
    };
    let derived = naive_closure(&facts, std::slice::from_ref(&rule)).len() - facts.len();
    assert_eq!(derived, 32, "the second number only");
    let mode = Mode::NewRules(BTreeSet::from([0]));
    shapes().for_each(|shape| check_one(shape, std::slice::from_ref(&rule), &facts, &mode, &BTreeSet::new()));
}
