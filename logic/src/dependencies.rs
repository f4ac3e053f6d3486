//! Dependencies among rules: which rules need results of which others, and in which order they can be evaluated.
//!
//! A dependency is *closed* if the rule needs all results of the other rule before it runs. Rules can be put into strata
//! if no cycle of dependencies contains a closed one: then each rule goes to a stratum that is not below those of the
//! rules that it needs, and above those of the rules that it needs completely.

/// A rule needs results of the rule `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub to: usize,
    pub closed: bool,
}

/// The rules of a cycle of dependencies of which the first one is closed: each rule needs the next one, the last needs
/// the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle(pub Vec<usize>);

/// The number of the stratum of each rule, the smallest that is possible; `needs` has the dependencies of each rule.
///
/// # Errors
/// A shortest cycle with a closed dependency of the first rule that has one.
pub fn strata(needs: &[Vec<Dependency>]) -> Result<Vec<usize>, Cycle> {
    let component = components(needs);
    for (rule, of_rule) in needs.iter().enumerate() {
        let is_wrong = |dependency: &&Dependency| dependency.closed && component[dependency.to] == component[rule];
        let cycles = of_rule.iter().filter(is_wrong).map(|dependency| cycle(needs, rule, dependency.to));
        if let Some(shortest) = cycles.min_by_key(|cycle| cycle.0.len()) {
            return Err(shortest);
        }
    }
    // A component has a lower number than those that it needs.
    let mut rules: Vec<usize> = (0..needs.len()).collect();
    rules.sort_unstable_by_key(|rule| std::cmp::Reverse(component[*rule]));
    let mut stratum_of_component = vec![0; needs.len()];
    for rule in rules {
        let least = needs[rule].iter().map(|need| stratum_of_component[component[need.to]] + usize::from(need.closed));
        let least = least.max().unwrap_or(0);
        let stratum = &mut stratum_of_component[component[rule]];
        *stratum = least.max(*stratum);
    }
    Ok(component.into_iter().map(|of| stratum_of_component[of]).collect())
}

/// The rule, and a shortest way from `to` back to it.
fn cycle(needs: &[Vec<Dependency>], rule: usize, to: usize) -> Cycle {
    const NONE: usize = usize::MAX;
    let mut before = vec![NONE; needs.len()];
    let mut reached = std::collections::VecDeque::from([to]);
    while let Some(at) = reached.pop_front().filter(|at| *at != rule) {
        for next in &needs[at] {
            if before[next.to] == NONE && next.to != to {
                before[next.to] = at;
                reached.push_back(next.to);
            }
        }
    }
    let back = std::iter::successors(Some(rule), |at| Some(before[*at]).filter(|next| *next != NONE));
    let mut rules: Vec<usize> = back.collect();
    rules.reverse();
    // The way ends at the rule, where the cycle begins.
    rules.rotate_right(1);
    Cycle(rules)
}

/// For each vertex the number of its strongly connected component (Kosaraju's algorithm, without recursion). A component
/// has a smaller number than those that its vertices need.
fn components(needs: &[Vec<Dependency>]) -> Vec<usize> {
    const NONE: usize = usize::MAX;
    let mut backward = vec![Vec::new(); needs.len()];
    for (from, of_rule) in needs.iter().enumerate() {
        of_rule.iter().for_each(|need| backward[need.to].push(from));
    }
    let mut component = vec![NONE; needs.len()];
    for (number, start) in finished(needs).into_iter().rev().enumerate() {
        let mut open = vec![start];
        while let Some(vertex) = open.pop() {
            if component[vertex] == NONE {
                component[vertex] = number;
                open.extend(&backward[vertex]);
            }
        }
    }
    component
}

/// The vertices in the order in which a depth-first walk leaves them.
fn finished(needs: &[Vec<Dependency>]) -> Vec<usize> {
    let mut order = Vec::with_capacity(needs.len());
    let mut seen = vec![false; needs.len()];
    for start in 0..needs.len() {
        if std::mem::replace(&mut seen[start], true) {
            continue;
        }
        let mut path = vec![(start, 0)];
        while let Some((vertex, next)) = path.last_mut() {
            match needs[*vertex].get(*next) {
                Some(need) => {
                    *next += 1;
                    if !std::mem::replace(&mut seen[need.to], true) {
                        path.push((need.to, 0));
                    }
                }
                None => order.extend(path.pop().map(|(vertex, _)| vertex)),
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn needs(rules: usize, edges: &[(usize, usize, bool)]) -> Vec<Vec<Dependency>> {
        let mut needs = vec![Vec::new(); rules];
        edges.iter().for_each(|(from, to, closed)| needs[*from].push(Dependency { to: *to, closed: *closed }));
        needs
    }

    #[test]
    fn strata_are_as_few_as_possible() {
        let recursive = needs(3, &[(0, 1, false), (1, 0, false), (2, 1, true)]);
        assert_eq!(strata(&recursive), Ok(vec![0, 0, 1]));
        let ladder = needs(4, &[(3, 2, true), (2, 1, false), (1, 0, true), (3, 0, false)]);
        assert_eq!(strata(&ladder), Ok(vec![0, 1, 1, 2]));
        assert_eq!(strata(&[]), Ok(Vec::new()));
    }

    #[test]
    fn a_cycle_is_told_from_its_closed_dependency_on() {
        assert_eq!(strata(&needs(1, &[(0, 0, true)])), Err(Cycle(vec![0])));
        let long = needs(4, &[(1, 3, true), (3, 2, false), (2, 0, false), (0, 1, false), (2, 1, false)]);
        assert_eq!(strata(&long), Err(Cycle(vec![1, 3, 2])));
    }

    proptest! {
        #[test]
        fn each_rule_is_above_what_it_needs_completely(
            edges in prop::collection::vec((0usize..6, 0usize..6, prop::bool::weighted(0.3)), 0..14),
        ) {
            let needs = needs(6, &edges);
            // Does a way lead from a rule to another?
            let mut leads = [[false; 6]; 6];
            edges.iter().for_each(|(from, to, _)| leads[*from][*to] = true);
            for middle in 0..6 {
                for from in 0..6 {
                    (0..6).for_each(|to| leads[from][to] |= leads[from][middle] && leads[middle][to]);
                }
            }
            let is_possible = !edges.iter().any(|(from, to, closed)| *closed && (from == to || leads[*to][*from]));
            match strata(&needs) {
                Ok(strata) => {
                    prop_assert!(is_possible);
                    for (from, to, closed) in edges {
                        prop_assert!(strata[from] >= strata[to] + usize::from(closed));
                    }
                }
                Err(Cycle(rules)) => {
                    prop_assert!(!is_possible);
                    let next = rules.iter().cycle().skip(1);
                    for (at, (from, to)) in rules.iter().zip(next).enumerate() {
                        let found = needs[*from].iter().any(|need| need.to == *to && (at > 0 || need.closed));
                        prop_assert!(found, "{rules:?}");
                    }
                }
            }
        }
    }
}
