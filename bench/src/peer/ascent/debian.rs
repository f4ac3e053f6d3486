//! Debian's packages: the rules of `rules/debian.srl`, in the same order.

use crate::debian::term;
use crate::peer::Closed;
use crate::peer::facts::Facts;
use hashbrown::HashSet;

ascent::ascent! {
    /// A relation for each class and property that the rules read or derive.
    pub struct Packages;

    relation package(u32);
    relation alternative(u32, u32);
    relation breaks(u32, u32);
    relation conflicts_with(u32, u32);
    relation depends_on(u32, u32);
    relation directly_needs(u32, u32);
    relation excludes(u32, u32);
    relation maintainer(u32, u32);
    relation met_by(u32, u32);
    relation needs(u32, u32);
    relation opposes(u32, u32);
    relation provides(u32, u32);
    relation trusts(u32, u32);

    directly_needs(p, q) <-- depends_on(p, n), alternative(n, q), package(q);
    directly_needs(p, q) <-- depends_on(p, n), alternative(n, v), provides(q, v);
    directly_needs(p, q) <-- depends_on(p, n), alternative(n, v), met_by(v, q);

    needs(p, q) <-- directly_needs(p, q);
    needs(p, r) <-- needs(p, q), directly_needs(q, r);

    opposes(p, v) <-- conflicts_with(p, v);
    opposes(p, v) <-- breaks(p, v);

    excludes(p, q) <-- opposes(p, q), package(q), if p != q;
    excludes(p, q) <-- opposes(p, v), provides(q, v), if p != q;
    excludes(p, q) <-- opposes(p, v), met_by(v, q), if p != q;
    excludes(q, p) <-- excludes(p, q);

    trusts(p, m) <-- maintainer(p, m), package(p);
    trusts(p, m) <-- needs(p, q), maintainer(q, m);
}

/// Applies the rules.
pub fn close(facts: &mut Facts<'_>) -> Packages {
    let mut packages = Packages { package: facts.take_members(&term("Package")), ..Packages::default() };
    packages.alternative = facts.take_pairs(&term("alternative"));
    packages.breaks = facts.take_pairs(&term("breaks"));
    packages.conflicts_with = facts.take_pairs(&term("conflictsWith"));
    packages.depends_on = facts.take_pairs(&term("dependsOn"));
    packages.maintainer = facts.take_pairs(&term("maintainer"));
    packages.met_by = facts.take_pairs(&term("metBy"));
    packages.provides = facts.take_pairs(&term("provides"));
    packages.run();
    packages
}

impl Closed for Packages {
    fn count(&self) -> u64 {
        let read = [&self.alternative, &self.breaks, &self.conflicts_with, &self.depends_on, &self.maintainer];
        let also = [&self.met_by, &self.provides];
        let given = [&self.directly_needs, &self.excludes, &self.needs, &self.opposes, &self.trusts];
        let pairs: usize = read.into_iter().chain(also).chain(given).map(Vec::len).sum();
        (pairs + self.package.len()) as u64
    }

    fn rows(self: Box<Self>, _: &mut Facts<'_>) -> Vec<(String, u64)> {
        let excluded: HashSet<_> = self.excludes.iter().collect();
        vec![
            ("cycles".to_owned(), self.needs.iter().filter(|(p, q)| p == q).count() as u64),
            ("excluded".to_owned(), self.needs.iter().filter(|pair| excluded.contains(pair)).count() as u64),
            ("trusts".to_owned(), self.trusts.len() as u64),
        ]
    }
}
