//! Random directed graphs, and what can be reached in them: a recursive join whose result is far larger than its input.
//!
//! With three to four edges a vertex, nearly all vertices reach nearly all others. The default shape, 12,000 edges over
//! 3,500 vertices, has a closure of about 11.35 million pairs.

use crate::ntriples::Writer;
use crate::random::Random;
use crate::workload::Query;
use std::collections::HashSet;
use std::io::{self, Write};

/// The namespace of vertices and relations.
pub const NAMESPACE: &str = "urn:entail:bench:";

/// Reachability, as two rules.
pub const RULES: &str = include_str!("../rules/closure.srl");

/// Questions about the closure.
pub const QUERIES: [Query; 3] = [
    Query { name: "from", text: include_str!("../queries/closure/from.rq") },
    Query { name: "to", text: include_str!("../queries/closure/to.rq") },
    Query { name: "cycles", text: include_str!("../queries/closure/cycles.rq") },
];

/// A graph with different edges between different vertices, each as likely as any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Graph {
    pub vertices: u64,
    /// Not more than there are pairs of different vertices.
    pub edges: u64,
    pub seed: u64,
}

impl Graph {
    /// Can there be so many edges?
    pub fn is_possible(&self) -> bool {
        self.edges <= self.vertices.saturating_mul(self.vertices.saturating_sub(1))
    }

    /// The edges, in the order in which they are drawn.
    ///
    /// # Panics
    /// If the graph is not [possible](Self::is_possible), since drawing would never end.
    pub fn edges(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        assert!(self.is_possible(), "{self:?} has more edges than pairs of vertices");
        let Self { vertices, edges, seed } = *self;
        let mut random = Random::new(seed, 0);
        let mut drawn = HashSet::new();
        let draw = move || loop {
            let edge = (random.below(vertices), random.below(vertices));
            if edge.0 != edge.1 && drawn.insert(edge) {
                return Some(edge);
            }
        };
        std::iter::from_fn(draw).take(edges as usize)
    }

    /// Writes the edges as N-Triples and gives their number.
    ///
    /// # Errors
    /// What the output fails with.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<u64> {
        let mut writer = Writer::new(out);
        let edge = format!("{NAMESPACE}edge");
        for (from, to) in self.edges() {
            writer.link(&format!("{NAMESPACE}v{from}"), &edge, &format!("{NAMESPACE}v{to}"))?;
        }
        Ok(writer.triples())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::SEED;
    use std::collections::HashMap;

    /// How many pairs of vertices have a path between them, by a search from each vertex.
    fn closure(graph: Graph) -> u64 {
        let mut next: HashMap<u64, Vec<u64>> = HashMap::new();
        for (from, to) in graph.edges() {
            next.entry(from).or_default().push(to);
        }
        let reached = |start: u64| {
            let mut seen = vec![false; graph.vertices as usize];
            let mut open = vec![start];
            let mut count = 0;
            while let Some(vertex) = open.pop() {
                for to in next.get(&vertex).into_iter().flatten() {
                    if !std::mem::replace(&mut seen[*to as usize], true) {
                        count += 1;
                        open.push(*to);
                    }
                }
            }
            count
        };
        (0..graph.vertices).map(reached).sum()
    }

    #[test]
    fn a_seed_gives_one_graph() {
        let graph = |seed| {
            let mut bytes = Vec::new();
            let edges = Graph { vertices: 50, edges: 300, seed }.write(&mut bytes).unwrap();
            assert_eq!(edges, 300);
            bytes
        };
        assert_eq!(graph(1), graph(1));
        assert_ne!(graph(1), graph(2));
        let all = Graph { vertices: 5, edges: 20, seed: 0 }.edges().collect::<HashSet<_>>();
        assert_eq!(all.len(), 20, "every pair is found, and none twice");
    }

    #[test]
    fn the_default_closure_is_as_large_as_published() {
        let pairs = closure(Graph { vertices: 3500, edges: 12_000, seed: SEED });
        assert!((11_200_000..11_500_000).contains(&pairs), "{pairs}");
    }
}
