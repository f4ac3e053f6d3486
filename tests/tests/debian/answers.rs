//! The answers to the demo's queries, computed with plain sets and breadth-first search from the control file's text:
//! without triples, rules or engine.

use super::control::{Package, Relation, meets};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a query answers: its rows in order, each value as text, empty when it is unbound.
pub type Table = Vec<Vec<String>>;
/// A set of indexes into the list of packages.
type Places = BTreeSet<usize>;

/// The packages with their transitive needs, requirements and exclusions.
pub struct Plain {
    packages: Vec<Package>,
    by_name: HashMap<String, usize>,
    needs: Vec<Places>,
    requires: Vec<Places>,
    excludes: Pairs,
}

/// Pairs of indexes.
type Pairs = BTreeSet<(usize, usize)>;

impl Plain {
    /// Computes everything that the answers consist of.
    pub fn new(packages: Vec<Package>) -> Self {
        let by_name = packages.iter().enumerate().map(|(place, package)| (package.name.clone(), place)).collect();
        let resolver = Resolver::new(&packages, &by_name);
        let mut may = vec![Places::new(); packages.len()];
        let mut must = vec![Places::new(); packages.len()];
        let mut excludes = BTreeSet::new();
        for (place, package) in packages.iter().enumerate() {
            for need in &package.needs {
                let choices: Places = need.iter().flat_map(|relation| resolver.candidates(relation)).collect();
                if choices.len() == 1 {
                    must[place].extend(&choices);
                }
                may[place].extend(choices);
            }
            let opposed = package.opposes.iter().flat_map(|relation| resolver.candidates(relation));
            for other in opposed.filter(|&other| other != place) {
                excludes.extend([(place, other), (other, place)]);
            }
        }
        Self { needs: reach(&may), requires: reach(&must), packages, by_name, excludes }
    }

    /// What the query of that name in `examples/debian` must answer, in its order, about the package `asked` and
    /// the loss of the package `gone`.
    pub fn answer(&self, query: &str, asked: &str, gone: &str) -> Table {
        let (asked, gone) = (self.by_name[asked], self.by_name[gone]);
        match query {
            "needs" => self.largest_first(self.needs[asked].iter().copied().filter(|&place| place != asked)),
            "breaks" => self.largest_first(self.requirers(gone).filter(|&place| place != gone)),
            "never" => self.named(self.never()),
            "hidden" => self.named(self.never().difference(&self.excludes).copied().collect()),
            "trust" => self.trusted(asked),
            "rests" => self.rests(),
            query => panic!("no computation for the query {query}"),
        }
    }

    /// The required number of facts of each derived relation.
    pub fn sizes(&self) -> BTreeMap<&'static str, usize> {
        let total = |sets: &[Places]| sets.iter().map(BTreeSet::len).sum();
        let trusts = (0..self.packages.len()).map(|place| self.trusted_keys(place).len()).sum();
        let excludes = self.excludes.len();
        let needs = total(&self.needs);
        let requires = total(&self.requires);
        let never = self.never().len();
        BTreeMap::from([
            ("needs", needs),
            ("requires", requires),
            ("excludes", excludes),
            ("neverWith", never),
            ("trusts", trusts),
        ])
    }

    /// Name, section and size.
    fn largest_first(&self, places: impl Iterator<Item = usize>) -> Table {
        let mut packages: Vec<&Package> = places.map(|place| &self.packages[place]).collect();
        packages.sort_by_key(|package| (Reverse(package.kib), package.name.as_str()));
        let kib = |package: &Package| package.kib.map(|kib| kib.to_string()).unwrap_or_default();
        let row =
            |package: &Package| vec![package.name.clone(), package.section.clone().unwrap_or_default(), kib(package)];
        packages.into_iter().map(row).collect()
    }

    /// Each pair of names once.
    fn named(&self, pairs: Pairs) -> Table {
        let names = pairs.into_iter().map(|(p, q)| (&self.packages[p].name, &self.packages[q].name));
        let ordered: BTreeSet<_> = names.filter(|(one, other)| one < other).collect();
        ordered.into_iter().map(|(one, other)| vec![one.clone(), other.clone()]).collect()
    }

    /// The packages that transitively require a package.
    fn requirers(&self, place: usize) -> impl Iterator<Item = usize> {
        (0..self.packages.len()).filter(move |&other| self.requires[other].contains(&place))
    }

    /// All ordered pairs that cannot be installed together: each side is, or requires, a side of an exclusion.
    fn never(&self) -> Pairs {
        let mut with: HashMap<usize, Places> = HashMap::new();
        for &(one, _) in &self.excludes {
            with.entry(one).or_insert_with(|| self.requirers(one).chain([one]).collect());
        }
        let mut never = BTreeSet::new();
        for (one, other) in &self.excludes {
            for &p in &with[one] {
                never.extend(with[other].iter().map(|&q| (p, q)));
            }
        }
        never
    }

    fn trusted_keys(&self, asked: usize) -> BTreeSet<String> {
        let places = self.needs[asked].iter().copied().chain([asked]);
        places.filter_map(|place| self.packages[place].maintainer.as_deref()).map(|field| person(field).0).collect()
    }

    /// Name and address; of several spellings of a name, that of the package whose name comes first.
    fn trusted(&self, asked: usize) -> Table {
        let mut fields: Vec<(&str, &str)> = self.packages.iter().filter_map(by_package).collect();
        fields.sort();
        let mut first: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (_, field) in fields {
            let (key, name, email) = person(field);
            first.entry(key).or_insert_with(|| vec![name, email]);
        }
        let mut rows: Table = self.trusted_keys(asked).into_iter().map(|key| first[&key].clone()).collect();
        rows.sort();
        rows
    }

    /// The ten packages that most others require, with the number of those.
    fn rests(&self) -> Table {
        let mut counts = vec![0; self.packages.len()];
        for (place, required) in self.requires.iter().enumerate() {
            required.iter().filter(|&&other| other != place).for_each(|&other| counts[other] += 1);
        }
        let mut rows: Vec<(String, u64)> =
            self.packages.iter().zip(counts).map(|(package, count)| (package.name.clone(), count)).collect();
        rows.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        rows.retain(|row| row.1 > 0);
        rows.into_iter().take(10).map(|(name, count)| vec![name, count.to_string()]).collect()
    }
}

fn by_package(package: &Package) -> Option<(&str, &str)> {
    Some((&*package.name, package.maintainer.as_deref()?))
}

/// A maintainer field: the identity, the name, the address.
fn person(field: &str) -> (String, String, String) {
    match field.split_once(" <") {
        Some((name, rest)) => {
            let email = rest.split('>').next().expect("a split has a first part");
            (email.to_lowercase(), name.trim_matches('"').to_owned(), email.to_owned())
        }
        None => (field.to_owned(), field.to_owned(), String::new()),
    }
}

/// Finds the packages that can satisfy a relation.
struct Resolver<'a> {
    packages: &'a [Package],
    by_name: &'a HashMap<String, usize>,
    /// Providers of a name, with the version they provide it at.
    providers: HashMap<&'a str, Vec<(usize, Option<&'a str>)>>,
}

impl<'a> Resolver<'a> {
    fn new(packages: &'a [Package], by_name: &'a HashMap<String, usize>) -> Self {
        let mut providers: HashMap<&str, Vec<_>> = HashMap::new();
        for (place, package) in packages.iter().enumerate() {
            for offer in &package.provides {
                let version = offer.bound.as_ref().map(|(_, version)| version.as_str());
                providers.entry(&offer.name).or_default().push((place, version));
            }
        }
        Self { packages, by_name, providers }
    }

    fn candidates(&self, relation: &Relation) -> Places {
        let own = self.by_name.get(&relation.name).map(|&place| (place, Some(self.packages[place].version.as_str())));
        let provided = self.providers.get(relation.name.as_str()).into_iter().flatten().copied();
        let fits = |&(place, version): &(usize, Option<&str>)| {
            let architecture = relation.architecture.as_ref();
            architecture.is_none_or(|wanted| *wanted == self.packages[place].architecture)
                && relation.bound.as_ref().is_none_or(|bound| version.is_some_and(|version| meets(version, bound)))
        };
        own.into_iter().chain(provided).filter(fits).map(|(place, _)| place).collect()
    }
}

/// The packages reachable over one or more steps; a package reaches itself only over a cycle.
fn reach(steps: &[Places]) -> Vec<Places> {
    let from = |start: &Places| {
        let mut reached = start.clone();
        let mut pending: Vec<usize> = start.iter().copied().collect();
        while let Some(place) = pending.pop() {
            pending.extend(steps[place].iter().copied().filter(|&next| reached.insert(next)));
        }
        reached
    };
    steps.iter().map(from).collect()
}
