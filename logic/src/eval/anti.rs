//! Finds the rows for which a NOT has no solution at this node.
//!
//! Only the columns that the NOT reads matter, so equal rows are tested once. The sides are matched one after the other, like
//! those of a join, with a column more that says which row a match belongs to; rows that have a solution are not matched
//! further. Where the first side is not looked up by a value of the row, each row would meet all of its facts: the
//! solutions are then found without the rows, and compared with them.

use super::join::value_of;
use super::matching::Step as MatchStep;
use super::{Batch, Scope};
use crate::plan::{Arg, Condition, Side, Slot, View};
use entail_model::{Fault, TermId};
use std::collections::{BTreeSet, HashMap};

pub(super) struct Step<'a> {
    pub scope: &'a Scope<'a>,
    pub sides: &'a [Side],
    pub conditions: &'a [Condition],
}

impl Step<'_> {
    /// The rows of `batch` without a solution.
    pub fn keep(&self, batch: &Batch) -> Result<Vec<u32>, Fault> {
        let shared: Vec<Slot> = self.slots().into_iter().filter(|slot| batch.is_bound(*slot)).collect();
        let (tests, test_of) = distinct(batch, &shared);
        let mut has_solution = vec![false; tests.rows];
        if self.is_looked_up(&tests) {
            self.match_rows(&tests, &mut has_solution)?;
        } else {
            self.match_solutions(&tests, &shared, &mut has_solution)?;
        }
        Ok((0..batch.rows as u32).filter(|row| !has_solution[test_of[*row as usize]]).collect())
    }

    /// Every slot of the NOT.
    fn slots(&self) -> BTreeSet<Slot> {
        let of_sides = self.sides.iter().flat_map(|side| side.atom.slots());
        of_sides.chain(self.conditions.iter().flat_map(Condition::slots)).collect()
    }

    /// Is the first side looked up by a value of each row? Conditions on values of rows need the rows as well.
    fn is_looked_up(&self, tests: &Batch) -> bool {
        let Some(first) = self.sides.first() else { return true };
        let (key, value) = first.atom.key_value(first.copy);
        let is_bound = |arg: Arg| arg.slot().is_some_and(|slot| tests.is_bound(slot));
        let is_conditional = self.conditions.iter().flat_map(Condition::slots).any(|slot| tests.is_bound(slot));
        is_bound(key) || (key.slot().is_none() && is_bound(value)) || is_conditional
    }

    /// Matches the rows with the sides.
    fn match_rows(&self, tests: &Batch, has_solution: &mut [bool]) -> Result<(), Fault> {
        if self.has_any_value(tests, has_solution)? {
            return Ok(());
        }
        let mut numbered = tests.clone();
        numbered.columns.push((0..tests.rows as u64).map(TermId).collect());
        let number_of = |batch: &Batch, row: usize| batch.columns[tests.columns.len()][row].0 as usize;
        self.extend(self.sides, numbered, &mut |batch, is_solution| {
            if is_solution {
                (0..batch.rows).for_each(|row| has_solution[number_of(&batch, row)] = true);
                return batch;
            }
            let open = (0..batch.rows as u32).filter(|row| !has_solution[number_of(&batch, *row as usize)]);
            let open: Vec<u32> = open.collect();
            batch.take_rows(&open)
        })
    }

    /// For a single side with a bound key and a value that nothing limits: looks for any fact of each key. Returns whether
    /// this is such a NOT.
    fn has_any_value(&self, tests: &Batch, has_solution: &mut [bool]) -> Result<bool, Fault> {
        let ([side], []) = (self.sides, self.conditions) else { return Ok(false) };
        let Some(relation) = side.atom.relation() else { return Ok(false) };
        let (Arg::Slot(key), Arg::Slot(value)) = side.atom.key_value(side.copy) else { return Ok(false) };
        if !tests.is_bound(key) || tests.is_bound(value) {
            return Ok(false);
        }
        // The rows are distinct, and have no other column: they are in the order of the key.
        let keys = &tests.columns[key];
        for run in self.scope.facts.runs(relation, side.copy, View::All) {
            self.scope.check()?;
            run.for_each_match(keys, |row, _| has_solution[row] = true)?;
        }
        Ok(true)
    }

    /// Finds the solutions at this node, and marks the rows that agree with one.
    fn match_solutions(&self, tests: &Batch, shared: &[Slot], has_solution: &mut [bool]) -> Result<(), Fault> {
        let of_row =
            |batch: &Batch, row: usize| shared.iter().map(|slot| batch.columns[*slot][row]).collect::<Vec<_>>();
        let rows: HashMap<Vec<TermId>, usize> = (0..tests.rows).map(|row| (of_row(tests, row), row)).collect();
        self.extend(self.sides, Batch::unit(tests.columns.len()), &mut |batch, is_solution| {
            if !is_solution {
                return batch;
            }
            for row in 0..batch.rows {
                if let Some(of_test) = rows.get(&of_row(&batch, row)) {
                    has_solution[*of_test] = true;
                }
            }
            batch
        })
    }

    /// Extends the batch by facts of all sides. `visit` gets the rows before each side, and returns those to go on with; and
    /// the rows that are solutions, of which it returns anything.
    fn extend(&self, sides: &[Side], batch: Batch, visit: &mut dyn FnMut(Batch, bool) -> Batch) -> Result<(), Fault> {
        self.scope.check()?;
        let Some((side, rest)) = sides.split_first() else {
            let mut batch = batch;
            for condition in self.conditions {
                if batch.rows == 0 {
                    return Ok(());
                }
                let kept = self.scope.conditions.keep(condition, &batch, self.scope)?;
                batch = batch.take_rows(&kept);
            }
            visit(batch, true);
            return Ok(());
        };
        let batch = visit(batch, false);
        if batch.rows == 0 {
            return Ok(());
        }
        let (scope, atom, copy) = (self.scope, &side.atom, side.copy);
        let step = MatchStep { scope, atom, copy, view: View::All, live: None, is_counted: false };
        step.run(&batch, &mut |piece| self.extend(rest, piece, visit))
    }
}

/// The rows of a batch that differ in the slots, in order, with nothing else; and the number of the row among them that each
/// row of the batch is equal to.
fn distinct(batch: &Batch, slots: &[Slot]) -> (Batch, Vec<usize>) {
    let row = |row: u32| slots.iter().map(move |slot| value_of(Arg::Slot(*slot), batch, row));
    let mut rows: Vec<u32> = (0..batch.rows as u32).collect();
    rows.sort_unstable_by(|a, b| row(*a).cmp(row(*b)));
    let mut number_of = vec![0; batch.rows];
    let mut firsts: Vec<u32> = Vec::new();
    for index in rows {
        if firsts.last().is_none_or(|last| row(*last).ne(row(index))) {
            firsts.push(index);
        }
        number_of[index as usize] = firsts.len() - 1;
    }
    (batch.take_live_rows(&firsts, slots), number_of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::Run;
    use crate::eval::{Conditions, Facts, Texts};
    use crate::plan::{Atom, GraphScope, Op, Plan, Route, Sink, Stage};
    use entail_expression::Program;
    use entail_model::{Direction, Mark, Relation, ShardId, TermKind};
    use entail_syntax::algebra::Expression;
    use oxrdf::Variable;
    use std::sync::Arc;

    fn term(number: u64) -> TermId {
        TermId::dictionary(ShardId(0), number, TermKind::Iri)
    }

    /// Facts of one relation for each list, the first of predicate 100.
    struct Known(Vec<Vec<(u64, u64)>>);

    impl Facts for Known {
        fn runs(&self, relation: Relation, copy: Direction, _: View) -> Vec<Arc<Run>> {
            let number = (0..self.0.len()).find(|number| relation.predicate == term(100 + *number as u64));
            let facts = number.map_or(&[][..], |number| &self.0[number]);
            let mut pairs: Vec<_> = facts.iter().map(|(s, o)| copy.pair(term(*s), term(*o))).collect();
            pairs.sort_unstable();
            Run::resident(Mark::Asserted, pairs).into_iter().collect()
        }

        fn relations(&self) -> Vec<Relation> {
            let predicates = (0..self.0.len()).map(|number| term(100 + number as u64));
            predicates.map(|predicate| Relation { graph: TermId::DEFAULT_GRAPH, predicate }).collect()
        }
    }

    impl Texts for Known {
        fn texts(&self, _: &[TermId]) -> Result<Vec<Arc<[u8]>>, Fault> {
            Err(Fault::internal("these conditions are decided by ids"))
        }
    }

    fn side(subject: Arg, number: u64, object: Arg, copy: Direction) -> Side {
        let predicate = Arg::Const(term(100 + number));
        Side { atom: Atom { graph: GraphScope::One(TermId::DEFAULT_GRAPH), subject, predicate, object }, copy }
    }

    fn differ(a: Slot, b: Slot) -> Condition {
        let variable = |slot: Slot| Variable::new_unchecked(format!("v{slot}"));
        let of = |slot| Box::new(Expression::Variable(variable(slot)));
        let expression = Expression::Not(Box::new(Expression::SameTerm(of(a), of(b))));
        let mut slot = |name: &Variable| [a, b].into_iter().find(|of| variable(*of) == *name).map(|of| of as u32);
        Condition { program: Program::of_algebra(&expression, &mut slot).expect("an inequality") }
    }

    /// The rows (slots 0 and 1) that stay, of a width of four.
    fn kept(facts: &[&[(u64, u64)]], sides: &[Side], conditions: &[Condition]) -> Vec<u32> {
        let rows = [(1, 2), (3, 1), (1, 2), (2, 5), (5, 5)];
        let column = |of: fn(&(u64, u64)) -> u64| rows.iter().map(|row| term(of(row))).collect::<Vec<_>>();
        let columns = vec![column(|row| row.0), column(|row| row.1), Vec::new(), Vec::new()];
        let batch = Batch { rows: rows.len(), columns, ..Batch::default() };
        let op = Op::AntiMatch { sides: sides.to_vec(), conditions: conditions.to_vec() };
        let stage = Stage { route: Route::Everywhere, ops: vec![op], live: vec![0, 1] };
        let plan = Plan { width: 4, stages: vec![stage], sink: Sink::Gather(vec![0, 1]) };
        let facts = Known(facts.iter().map(|facts| facts.to_vec()).collect());
        let prepared = Conditions::of([&plan]).expect("sound conditions");
        let scope = Scope {
            facts: &facts,
            texts: &facts,
            conditions: &prepared,
            stop: None,
            meter: None,
            groups: None,
            key_sets: None,
            rows_left: None,
        };
        Step { scope: &scope, sides, conditions }.keep(&batch).expect("nothing fails here")
    }

    const X: Arg = Arg::Slot(0);
    const Y: Arg = Arg::Slot(1);
    const OWN: Arg = Arg::Slot(2);
    const OTHER: Arg = Arg::Slot(3);
    use Direction::{Forward, Inverse};

    #[test]
    fn one_side_drops_the_rows_that_it_matches() {
        let facts: [&[(u64, u64)]; 1] = [&[(1, 2), (1, 7), (5, 4), (7, 2)]];
        let cases = [
            ("any value of a key", side(X, 0, OWN, Forward), vec![1, 3]),
            ("any key of a value", side(OWN, 0, Y, Inverse), vec![1, 3, 4]),
            ("key and value", side(X, 0, Y, Forward), vec![1, 3, 4]),
            ("key and value, by value", side(X, 0, Y, Inverse), vec![1, 3, 4]),
            ("a constant value", side(X, 0, Arg::Const(term(4)), Forward), vec![0, 1, 2, 3]),
            ("a constant key", side(Arg::Const(term(7)), 0, Y, Forward), vec![1, 3, 4]),
            ("any fact", side(OWN, 0, OTHER, Forward), vec![]),
            ("no fact", side(OWN, 0, OWN, Forward), vec![0, 1, 2, 3, 4]),
            ("another relation", side(X, 9, OWN, Forward), vec![0, 1, 2, 3, 4]),
        ];
        for (case, side, expected) in cases {
            assert_eq!(kept(&facts, &[side], &[]), expected, "{case}");
        }
    }

    #[test]
    fn several_sides_drop_the_rows_with_a_common_solution() {
        let facts: [&[(u64, u64)]; 2] = [&[(1, 10), (1, 11), (2, 12), (3, 11)], &[(11, 2), (12, 9), (13, 5)]];
        let joined = [side(X, 0, OWN, Forward), side(OWN, 1, OTHER, Forward)];
        assert_eq!(kept(&facts, &joined, &[]), [4]);
        let closed = [side(X, 0, OWN, Forward), side(OWN, 1, Y, Forward)];
        assert_eq!(kept(&facts, &closed, &[]), [1, 3, 4]);
        // Both sides are scanned, and compared with the rows.
        let scanned = [side(OWN, 1, Y, Forward), side(X, 0, OWN, Inverse)];
        assert_eq!(kept(&facts, &scanned, &[]), [1, 3, 4]);
    }

    #[test]
    fn conditions_decide_with_and_without_sides() {
        assert_eq!(kept(&[], &[], &[differ(0, 1)]), [4], "only equal values stay");
        assert_eq!(kept(&[], &[], &[]), [0u32; 0], "nothing has a solution");
        let facts: [&[(u64, u64)]; 1] = [&[(1, 1), (2, 2), (2, 3), (5, 5)]];
        assert_eq!(kept(&facts, &[side(X, 0, OWN, Forward)], &[differ(0, 2)]), [0, 1, 2, 4]);
        // A scan whose condition needs the rows.
        assert_eq!(kept(&facts, &[side(OWN, 0, OWN, Forward)], &[differ(0, 2)]), [0u32; 0]);
        assert_eq!(kept(&[&[(5, 5)]], &[side(OWN, 0, OWN, Forward)], &[differ(0, 2)]), [4]);
    }
}
