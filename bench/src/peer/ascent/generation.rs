//! Same generation, with the rules of `rules/same-generation.srl`.

use crate::graphs::NAMESPACE;
use crate::peer::Closed;
use crate::peer::facts::Facts;

ascent::ascent! {
    /// Edges from parents to children, and pairs of one generation.
    pub struct Generations;

    relation edge(u32, u32);
    relation same(u32, u32);

    same(x, y) <-- edge(p, x), edge(p, y), if x != y;
    same(x, y) <-- edge(a, x), same(a, b), edge(b, y);
}

/// Finds all pairs of one generation.
pub fn close(facts: &mut Facts<'_>) -> Generations {
    let mut generations = Generations { edge: facts.take_pairs(&format!("{NAMESPACE}edge")), ..Generations::default() };
    generations.run();
    generations
}

impl Closed for Generations {
    fn count(&self) -> u64 {
        (self.edge.len() + self.same.len()) as u64
    }

    fn rows(self: Box<Self>, facts: &mut Facts<'_>) -> Vec<(String, u64)> {
        let seventh = facts.id(&format!("{NAMESPACE}v7"));
        vec![
            ("of".to_owned(), self.same.iter().filter(|(x, _)| Some(*x) == seventh).count() as u64),
            ("self".to_owned(), self.same.iter().filter(|(x, y)| x == y).count() as u64),
            ("count".to_owned(), self.same.len() as u64),
        ]
    }
}
