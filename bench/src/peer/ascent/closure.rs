//! Reachability, with the rules of `rules/closure.srl`.

use crate::graphs::NAMESPACE;
use crate::peer::Closed;
use crate::peer::facts::Facts;

ascent::ascent! {
    /// Edges and paths.
    pub struct Closure;

    relation edge(u32, u32);
    relation path(u32, u32);

    path(x, y) <-- edge(x, y);
    path(x, z) <-- path(x, y), edge(y, z);
}

/// Finds all paths.
pub fn close(facts: &mut Facts<'_>) -> Closure {
    let mut closure = Closure { edge: facts.take_pairs(&format!("{NAMESPACE}edge")), ..Closure::default() };
    closure.run();
    closure
}

impl Closed for Closure {
    fn count(&self) -> u64 {
        (self.edge.len() + self.path.len()) as u64
    }

    fn rows(self: Box<Self>, facts: &mut Facts<'_>) -> Vec<(String, u64)> {
        let first = facts.id(&format!("{NAMESPACE}v0"));
        let count = |fits: &dyn Fn(u32, u32) -> bool| self.path.iter().filter(|(x, y)| fits(*x, *y)).count() as u64;
        vec![
            ("from".to_owned(), count(&|x, _| Some(x) == first)),
            ("to".to_owned(), count(&|_, y| Some(y) == first)),
            ("cycles".to_owned(), count(&|x, y| x == y)),
            ("count".to_owned(), self.path.len() as u64),
        ]
    }
}
