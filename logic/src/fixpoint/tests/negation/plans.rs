//! The plans of single rules with NOT, on one node and several, against what they promise.

use super::*;
use crate::columns::Run;
use crate::eval::{Batch, Conditions, Facts, Scope, run_stage};
use crate::fixpoint::heads::Heads;
use crate::plan::{Plan, RulePlans, View};
use entail_model::Mark;
use std::collections::BTreeMap;

type Runs = BTreeMap<Relation, Arc<Run>>;

/// One node's copies of all facts, and of those that have changed.
struct NodeFacts {
    all: [Runs; 2],
    changed: [Runs; 2],
}

impl Facts for NodeFacts {
    fn runs(&self, relation: Relation, copy: Direction, view: View) -> Vec<Arc<Run>> {
        let runs = if view == View::All { &self.all } else { &self.changed };
        runs[copy as usize].get(&relation).cloned().into_iter().collect()
    }

    fn relations(&self) -> Vec<Relation> {
        let all: BTreeSet<Relation> =
            self.all.iter().chain(&self.changed).flat_map(|runs| runs.keys()).copied().collect();
        all.into_iter().collect()
    }
}

/// The copies of facts at a node.
fn runs_at(map: &ShardMap, facts: &BTreeSet<Triple>) -> [Runs; 2] {
    Direction::BOTH.map(|copy| {
        let mut pairs: BTreeMap<Relation, Vec<(TermId, TermId)>> = BTreeMap::new();
        for (s, p, o) in facts {
            let home = match copy {
                Direction::Forward => s.home(),
                Direction::Inverse => in_home(*s, *p, *o, Some(predicate(0))),
            };
            if map.is_mine(home.expect("subjects are nodes")) {
                let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: *p };
                pairs.entry(relation).or_default().push(copy.pair(*s, *o));
            }
        }
        let run = |(relation, mut pairs): (Relation, Vec<_>)| {
            pairs.sort_unstable();
            Some((relation, Run::resident(Mark::Asserted, pairs)?))
        };
        pairs.into_iter().filter_map(run).collect()
    })
}

/// The heads of a plan that runs on several nodes, all rows of a stage before the next one.
fn heads_of(nodes: u64, plan: &Plan, all: &BTreeSet<Triple>, changed: &BTreeSet<Triple>) -> BTreeSet<Triple> {
    plan.check().expect("a sound plan");
    let holders = (0..SHARDS).map(|shard| NodeId(u64::from(shard) % nodes)).collect();
    let placement = Placement { version: 1, holders };
    let maps: Vec<ShardMap> = (0..nodes).map(|me| ShardMap::of_all_holders(NodeId(me), placement.clone())).collect();
    let facts: Vec<NodeFacts> =
        maps.iter().map(|map| NodeFacts { all: runs_at(map, all), changed: runs_at(map, changed) }).collect();
    let conditions = Conditions::of([plan]).expect("sound conditions");
    let mut heads = Heads::new(plan, |_| None);
    let mut rows: Vec<Vec<Batch>> =
        maps.iter().map(|map| vec![Batch::unit(plan.width); usize::from(map.starts(plan))]).collect();
    for (number, stage) in plan.stages.iter().enumerate() {
        let mut next: Vec<Vec<Batch>> = vec![Vec::new(); maps.len()];
        for (node, batches) in rows.into_iter().enumerate() {
            let scope = Scope {
                facts: &facts[node],
                texts: &NoTexts,
                conditions: &conditions,
                stop: None,
                meter: None,
                groups: None,
                key_sets: None,
                rows_left: None,
            };
            for batch in batches {
                run_stage(&scope, plan, number, batch, &mut |mut piece| {
                    let Some(following) = plan.stages.get(number + 1) else {
                        heads.add(&piece);
                        return Ok(());
                    };
                    piece.project(&stage.live);
                    for (to, batch) in maps[node].split(&following.route, piece)? {
                        next[to.0 as usize].push(batch);
                    }
                    Ok(())
                })
                .expect("nothing fails here");
            }
        }
        rows = next;
    }
    let triples = |(relation, pairs): (Relation, Vec<(TermId, TermId)>)| {
        pairs.into_iter().map(move |(s, o)| (s, relation.predicate, o))
    };
    heads.pairs.into_iter().flat_map(triples).collect()
}

/// The plans of a rule, however many nodes there are.
fn plans(nodes: u64, rule: &RuleBody) -> RulePlans {
    let rdf_type = Some(predicate(0));
    let context = Context { single_node: nodes == 1, nodes: nodes as usize, rdf_type, ..Context::default() };
    let program = compile_program(&context, std::slice::from_ref(rule), &BTreeSet::new()).expect("one rule in strata");
    program.check().expect("a sound program");
    program.check_nodes(nodes as usize).expect("the number of nodes");
    program.rules.into_iter().next().expect("a rule")
}

/// A rule that does not negate what it derives: its heads are of a relation of their own.
fn rule_with_not() -> impl Strategy<Value = RuleBody> {
    rules_with_not().prop_map(|mut rules| {
        let mut rule = rules.swap_remove(0);
        rule.heads.iter_mut().for_each(|head| head.predicate = Arg::Const(predicate(9)));
        rule
    })
}

/// The heads of the rows over the facts that the test of NOTs lets pass.
fn expected(rule: &RuleBody, facts: &BTreeSet<Triple>, passes: impl Fn(&Row) -> bool) -> BTreeSet<Triple> {
    let rows = naive_rows(Row::new(), &rule.body.atoms, facts).into_iter().filter(passes);
    rows.flat_map(|row| naive_heads(rule, &row)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_rule_fires_unless_a_not_has_a_solution(facts in facts(), rule in rule_with_not()) {
        let expected = expected(&rule, &facts, |row| !is_excluded(&rule, row, &facts));
        for nodes in [1, 2, 4] {
            let found = heads_of(nodes, &plans(nodes, &rule).full, &facts, &BTreeSet::new());
            prop_assert_eq!(&found, &expected, "{} nodes", nodes);
        }
    }

    /// Inserted facts: all heads that lose an instance are found, and only heads of instances without the NOTs. With one
    /// atom in each NOT, all of them lose one.
    #[test]
    fn heads_that_lose_an_instance(facts in facts(), inserted in facts(), rule in rule_with_not()) {
        let inserted: BTreeSet<Triple> = inserted.difference(&facts).copied().collect();
        let after: BTreeSet<Triple> = facts.union(&inserted).copied().collect();
        let lost = expected(&rule, &facts, |row| !is_excluded(&rule, row, &facts) && is_excluded(&rule, row, &after));
        let may_be = expected(&rule, &facts, |_| true);
        let touched = expected(&rule, &facts, |row| is_excluded(&rule, row, &inserted));
        for nodes in [1, 2, 4] {
            let plans = plans(nodes, &rule);
            let found = plans.negated.iter().map(|plans| heads_of(nodes, &plans.appeared, &facts, &inserted));
            let found: BTreeSet<Triple> = found.flatten().collect();
            prop_assert!(lost.is_subset(&found) && found.is_subset(&may_be), "{nodes} nodes: {found:?}, {lost:?}");
            if rule.negated.iter().all(|not| not.atoms.len() == 1) {
                prop_assert_eq!(&found, &touched, "{} nodes", nodes);
            }
        }
    }

    /// Removed facts: all heads that get an instance are found, and only heads of instances.
    #[test]
    fn heads_that_get_an_instance(facts in facts(), removed in facts(), rule in rule_with_not()) {
        let removed: BTreeSet<Triple> = removed.difference(&facts).copied().collect();
        let before: BTreeSet<Triple> = facts.union(&removed).copied().collect();
        let got = expected(&rule, &facts, |row| !is_excluded(&rule, row, &facts) && is_excluded(&rule, row, &before));
        let are = expected(&rule, &facts, |row| !is_excluded(&rule, row, &facts));
        for nodes in [1, 2, 4] {
            let plans = plans(nodes, &rule);
            let found = plans.negated.iter().map(|plans| heads_of(nodes, &plans.disappeared, &facts, &removed));
            let found: BTreeSet<Triple> = found.flatten().collect();
            prop_assert!(got.is_subset(&found) && found.is_subset(&are), "{nodes} nodes: {found:?}, {got:?}, {are:?}");
        }
    }
}
