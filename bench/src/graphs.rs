//! Directed graphs whose closures are far larger than the graphs: random ones, grids and chains.
//!
//! ```text
//! random: different edges, each as likely as any other      chain: 0 ──► 1 ──► 2 ──► …
//! grid of side 3:   0 ──► 1 ──► 2      every edge goes right or down, so that a vertex is
//!                   ▼     ▼     ▼      reached over many paths of the same length
//!                   3 ──► 4 ──► 5
//!                   ▼     ▼     ▼
//!                   6 ──► 7 ──► 8
//! ```
//! The lines of a grid or chain are in an order determined by the seed, so that no program profits from sorted input.

use crate::ntriples::Writer;
use entail_model::random::Random;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Write};

/// The namespace of vertices and relations.
pub const NAMESPACE: &str = "urn:entail:bench:";

/// The form and size of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Distinct edges between different vertices; at most as many as there are such pairs.
    Random { vertices: u64, edges: u64 },
    /// As many rows as columns.
    Grid { side: u64 },
    /// One edge less than vertices.
    Chain { vertices: u64 },
}

/// A graph. Its vertices are numbered from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Graph {
    pub form: Form,
    pub seed: u64,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random { vertices, edges } => write!(f, "random-{vertices}-{edges}"),
            Self::Grid { side } => write!(f, "grid-{side}"),
            Self::Chain { vertices } => write!(f, "chain-{vertices}"),
        }
    }
}

impl Graph {
    /// Does a graph with this many edges exist?
    pub fn is_possible(&self) -> bool {
        match self.form {
            Form::Random { vertices, edges } => edges <= vertices.saturating_mul(vertices.saturating_sub(1)),
            Form::Grid { .. } | Form::Chain { .. } => true,
        }
    }

    /// The edges, in the order in which they are written.
    ///
    /// # Panics
    /// If the graph is not [possible](Self::is_possible), since drawing edges would never end.
    pub fn edges(&self) -> Vec<(u64, u64)> {
        assert!(self.is_possible(), "{self:?} has more edges than pairs of vertices");
        let mut random = Random::stream(self.seed, 0);
        match self.form {
            Form::Random { vertices, edges } => draw(vertices, edges, &mut random),
            Form::Grid { side } => {
                let across = side * side.saturating_sub(1);
                let edge = |index| if index < across { right(index, side) } else { down(index - across, side) };
                random.sample(2 * across, 2 * across).into_iter().map(edge).collect()
            }
            Form::Chain { vertices } => {
                let edges = vertices.saturating_sub(1);
                random.sample(edges, edges).into_iter().map(|from| (from, from + 1)).collect()
            }
        }
    }

    /// Writes the edges as N-Triples and returns their number.
    ///
    /// # Errors
    /// The errors of the output.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<u64> {
        let mut writer = Writer::new(out);
        for edge in self.edges() {
            write_edge(edge, &mut writer)?;
        }
        Ok(writer.triples())
    }

    /// An edge without which much is unreachable: the one in the middle of a chain, in a random graph the first edge that
    /// is the only one to its vertex. A grid has none.
    pub fn cut(&self) -> Option<(u64, u64)> {
        match self.form {
            Form::Chain { vertices } => {
                let from = (vertices / 2).checked_sub(1)?;
                Some((from, from + 1))
            }
            Form::Random { .. } => {
                let edges = self.edges();
                let mut incoming: HashMap<u64, u64> = HashMap::new();
                for (_, to) in &edges {
                    *incoming.entry(*to).or_default() += 1;
                }
                edges.into_iter().find(|(_, to)| incoming[to] == 1)
            }
            Form::Grid { .. } => None,
        }
    }
}

/// Writes one edge as a line of N-Triples.
///
/// # Errors
/// The errors of the output.
pub(crate) fn write_edge((from, to): (u64, u64), writer: &mut Writer<'_>) -> io::Result<()> {
    writer.link(&format!("{NAMESPACE}v{from}"), &format!("{NAMESPACE}edge"), &format!("{NAMESPACE}v{to}"))
}

fn draw(vertices: u64, edges: u64, random: &mut Random) -> Vec<(u64, u64)> {
    let mut drawn = HashSet::new();
    let draw = || loop {
        let edge = (random.below(vertices), random.below(vertices));
        if edge.0 != edge.1 && drawn.insert(edge) {
            return Some(edge);
        }
    };
    std::iter::from_fn(draw).take(edges as usize).collect()
}

/// The edges of a grid's rows, one row after the other.
fn right(index: u64, side: u64) -> (u64, u64) {
    let from = index / (side - 1) * side + index % (side - 1);
    (from, from + 1)
}

/// The edges of a grid's columns: every vertex outside of the last row has one.
fn down(index: u64, side: u64) -> (u64, u64) {
    (index, index + side)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_graph() {
        let forms = [
            (Form::Random { vertices: 50, edges: 300 }, 300),
            (Form::Grid { side: 8 }, 112),
            (Form::Chain { vertices: 100 }, 99),
        ];
        for (form, expected) in forms {
            let written = |seed| {
                let mut bytes = Vec::new();
                assert_eq!(Graph { form, seed }.write(&mut bytes).unwrap(), expected);
                bytes
            };
            assert_eq!(written(1), written(1));
            assert_ne!(written(1), written(2), "{form}");
        }
    }

    #[test]
    fn a_cut_is_the_only_way() {
        let cut = |form| Graph { form, seed: 3 }.cut();
        assert_eq!(cut(Form::Chain { vertices: 2000 }), Some((999, 1000)));
        assert_eq!(cut(Form::Chain { vertices: 1 }), None);
        assert_eq!(cut(Form::Grid { side: 4 }), None);
        let form = Form::Random { vertices: 50, edges: 100 };
        let (_, end) = cut(form).unwrap();
        let edges = Graph { form, seed: 3 }.edges();
        assert_eq!(edges.iter().filter(|(_, to)| *to == end).count(), 1);
    }

    #[test]
    fn every_edge_is_there_once() {
        let edges = |form| {
            let mut edges = Graph { form, seed: 3 }.edges();
            edges.sort_unstable();
            edges
        };
        let all: Vec<_> = (0..5).flat_map(|from| (0..5).map(move |to| (from, to))).filter(|(a, b)| a != b).collect();
        assert_eq!(edges(Form::Random { vertices: 5, edges: 20 }), all);
        let of_grid = [(0, 1), (0, 3), (1, 2), (1, 4), (2, 5), (3, 4), (3, 6), (4, 5), (4, 7), (5, 8), (6, 7), (7, 8)];
        assert_eq!(edges(Form::Grid { side: 3 }), of_grid);
        assert_eq!(edges(Form::Chain { vertices: 4 }), [(0, 1), (1, 2), (2, 3)]);
        for form in [Form::Grid { side: 1 }, Form::Grid { side: 0 }, Form::Chain { vertices: 0 }] {
            assert_eq!(edges(form), [], "{form}");
        }
    }
}
