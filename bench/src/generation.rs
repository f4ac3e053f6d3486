//! The pairs of vertices of a graph that are of the same generation: children of one vertex, or of two vertices of the
//! same generation. A recursive join on both sides, in which most results are found repeatedly.
//!
//! A generation of a grid is one of its diagonals, so that a grid of side `n` has `n (2 n² + 1) / 3` pairs, less those
//! of the `2 n - 1` vertices with fewer than two parents with themselves. In a random graph with cycles nearly all
//! pairs are of the same generation. A chain has none.

use crate::workload::Query;

/// Same generation, as two rules.
pub const RULES: &str = include_str!("../rules/same-generation.srl");

/// Queries over generations.
pub const QUERIES: [Query; 3] = [
    Query::rows("of", include_str!("../queries/same-generation/of.rq")),
    Query::rows("self", include_str!("../queries/same-generation/self.rq")),
    Query::count("count", include_str!("../queries/same-generation/count.rq")),
];

#[cfg(test)]
mod tests {
    use crate::graphs::{Form, Graph};
    use crate::workload::SEED;
    use std::collections::HashSet;

    /// Counts the pairs of the same generation, pair by pair.
    fn pairs(form: Form) -> usize {
        let edges = Graph { form, seed: SEED }.edges();
        let vertices = edges.iter().map(|(from, to)| from.max(to) + 1).max().unwrap() as usize;
        let mut children: Vec<Vec<u64>> = vec![Vec::new(); vertices];
        for (from, to) in edges {
            children[from as usize].push(to);
        }
        let crossed = |a: u64, b: u64| {
            let of_b = &children[b as usize];
            children[a as usize].iter().flat_map(move |x| of_b.iter().map(move |y| (*x, *y)))
        };
        let siblings = (0..vertices as u64).flat_map(|parent| crossed(parent, parent)).filter(|(x, y)| x != y);
        let mut found: HashSet<(u64, u64)> = siblings.collect();
        let mut open: Vec<(u64, u64)> = found.iter().copied().collect();
        while let Some((a, b)) = open.pop() {
            open.extend(crossed(a, b).filter(|pair| found.insert(*pair)));
        }
        found.len()
    }

    #[test]
    fn generations_of_a_grid_are_its_diagonals() {
        assert_eq!(pairs(Form::Grid { side: 150 }), 2_249_751);
        assert_eq!(pairs(Form::Chain { vertices: 50 }), 0);
    }
}
