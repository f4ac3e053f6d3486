//! The vertices that are reachable from each vertex of a graph: a recursive join whose result is far larger than its
//! input.
//!
//! In a random graph with three to four edges a vertex nearly all vertices reach nearly all others. In a grid of side
//! `n` a vertex reaches all to its right and below, `(n (n + 1) / 2)² - n²` pairs in all, each over many paths and in
//! `2 n - 2` rounds at most; in a chain of `n` vertices there are `n (n - 1) / 2` pairs, found in as many rounds as it
//! is long.

use crate::workload::Query;

/// Reachability, as two rules.
pub const RULES: &str = include_str!("../rules/closure.srl");

/// Queries over the closure.
pub const QUERIES: [Query; 4] = [
    Query::rows("from", include_str!("../queries/closure/from.rq")),
    Query::rows("to", include_str!("../queries/closure/to.rq")),
    Query::rows("cycles", include_str!("../queries/closure/cycles.rq")),
    Query::count("count", include_str!("../queries/closure/count.rq")),
];

#[cfg(test)]
mod tests {
    use crate::graphs::{Form, Graph};
    use crate::workload::SEED;

    /// Counts the pairs of vertices connected by a path, by a search from each vertex.
    fn pairs(form: Form) -> u64 {
        let edges = Graph { form, seed: SEED }.edges();
        let vertices = edges.iter().map(|(from, to)| from.max(to) + 1).max().unwrap() as usize;
        let mut next: Vec<Vec<u64>> = vec![Vec::new(); vertices];
        for (from, to) in edges {
            next[from as usize].push(to);
        }
        let reached = |start: usize| {
            let mut seen = vec![false; vertices];
            let mut open = vec![start];
            let mut count = 0;
            while let Some(vertex) = open.pop() {
                for to in &next[vertex] {
                    if !std::mem::replace(&mut seen[*to as usize], true) {
                        count += 1;
                        open.push(*to as usize);
                    }
                }
            }
            count
        };
        (0..vertices).map(reached).sum()
    }

    #[test]
    fn closures_are_as_large_as_published() {
        let random = pairs(Form::Random { vertices: 3500, edges: 12_000 });
        assert!((11_200_000..11_500_000).contains(&random), "{random}");
        assert_eq!(pairs(Form::Grid { side: 100 }), 25_492_500);
        assert_eq!(pairs(Form::Chain { vertices: 2000 }), 1_999_000);
    }
}
