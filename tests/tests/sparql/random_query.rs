//! Random datasets and queries, small enough that patterns have matches.

use entail_model::random::Random;
use oxrdf::vocab::{rdf, xsd};
use oxrdf::{BlankNode, GraphName, Literal, NamedNode, NamedOrBlankNode, Quad, Term};

/// Variables of patterns; few, so that they are shared.
const VARIABLES: [&str; 4] = ["?a", "?b", "?c", "?d"];
const NODES: usize = 6;
const PREDICATES: usize = 3;

fn node(number: u64) -> NamedNode {
    NamedNode::new_unchecked(format!("http://example.org/n{number}"))
}

fn predicate(number: u64) -> NamedNode {
    // Objects of rdf:type are placed differently.
    if number == 0 { rdf::TYPE.into_owned() } else { NamedNode::new_unchecked(format!("http://example.org/p{number}")) }
}

fn graph(number: u64) -> NamedNode {
    NamedNode::new_unchecked(format!("http://example.org/g{number}"))
}

fn literal(random: &mut Random) -> Literal {
    match random.below(6) {
        0..3 => Literal::new_typed_literal(random.below(5).to_string(), xsd::INTEGER),
        3 => Literal::new_simple_literal(*random.pick(&["x", "yy", "1"])),
        4 => Literal::new_language_tagged_literal_unchecked("x", *random.pick(&["en", "de"])),
        _ => Literal::new_typed_literal(*random.pick(&["1.5", "2.0"]), xsd::DECIMAL),
    }
}

/// The same query with other nodes.
pub fn of_other_nodes(query: &str) -> String {
    let (first, rest) = query.split_once("/n").unwrap_or((query, ""));
    let others = rest.split("/n").map(|part| match part.split_at_checked(1) {
        Some((number, rest)) => match number.parse::<usize>() {
            Ok(number) => format!("/n{}{rest}", (number + 1) % NODES),
            Err(_) => format!("/n{part}"),
        },
        None => String::new(),
    });
    first.to_owned() + &others.collect::<String>()
}

/// Some facts in the default graph and two named ones.
pub fn facts(random: &mut Random) -> Vec<Quad> {
    let count = random.among(5..=40);
    (0..count).map(|_| fact(random)).collect()
}

/// Some facts without blank nodes, for clusters with several loads: each load has its own blank nodes.
pub fn named_facts(random: &mut Random) -> Vec<Quad> {
    let is_named = |fact: &Quad| !fact.subject.is_blank_node() && !fact.object.is_blank_node();
    facts(random).into_iter().filter(is_named).collect()
}

fn fact(random: &mut Random) -> Quad {
    let subject: NamedOrBlankNode = match random.below(8) {
        0 => BlankNode::new_unchecked(format!("b{}", random.below(2))).into(),
        _ => node(random.below(NODES as u64)).into(),
    };
    let object: Term = match random.below(10) {
        0 => BlankNode::new_unchecked(format!("b{}", random.below(2))).into(),
        1..5 => literal(random).into(),
        _ => node(random.below(NODES as u64)).into(),
    };
    let name = match random.below(3) {
        0 => GraphName::from(graph(random.below(2))),
        _ => GraphName::DefaultGraph,
    };
    Quad::new(subject, predicate(random.below(PREDICATES as u64)), object, name)
}

/// Generates random queries.
pub struct Writer<'r> {
    random: &'r mut Random,
    fresh: usize,
    /// Inside of a GRAPH? It is not nested.
    in_graph: bool,
    /// Inside of an EXISTS? There spareval counts outer variables as the left side of a MINUS, which SPARQL does not.
    in_exists: bool,
}

impl<'r> Writer<'r> {
    pub fn new(random: &'r mut Random) -> Self {
        Self { random, fresh: 0, in_graph: false, in_exists: false }
    }

    /// A query: SELECT, a count, or ASK.
    pub fn query(&mut self) -> String {
        let group = self.group(3);
        match self.random.below(12) {
            0 => format!("ASK {group}"),
            1 => format!("SELECT (COUNT(*) AS ?n) WHERE {group}"),
            2 => format!("SELECT ?a (COUNT(DISTINCT ?b) AS ?n) (SUM(?c) AS ?s) WHERE {group} GROUP BY ?a"),
            3 => format!("SELECT ?a (MIN(STR(?b)) AS ?n) WHERE {group} GROUP BY ?a HAVING (COUNT(*) > 1)"),
            4 => format!("SELECT DISTINCT ?a ?b WHERE {group}"),
            5 => format!("SELECT ?a ?c WHERE {group}"),
            6 => format!("SELECT DISTINCT ?b WHERE {group}"),
            7 => format!("SELECT ?a (STR(?b) AS ?t) WHERE {group}"),
            8 => format!("CONSTRUCT {{ ?a ?b ?c . ?b <http://example.org/q> ?d }} WHERE {group}"),
            _ => format!("SELECT * WHERE {group}"),
        }
    }

    fn group(&mut self, depth: u64) -> String {
        let mut text = String::from("{ ");
        for _ in 0..self.random.among(1..=3) {
            text.push_str(&self.element(depth));
            text.push(' ');
        }
        text.push('}');
        text
    }

    fn element(&mut self, depth: u64) -> String {
        if depth == 0 {
            return self.triples();
        }
        match self.random.below(24) {
            0..9 => self.triples(),
            9 | 10 => format!("OPTIONAL {}", self.group(depth - 1)),
            11 | 12 => format!("{} UNION {}", self.group(depth - 1), self.group(depth - 1)),
            13 if !self.in_exists => format!("MINUS {}", self.group(depth - 1)),
            14 | 15 => format!("{} FILTER({})", self.triples(), self.condition()),
            16 => self.exists(depth),
            17 => self.bind(),
            18 => self.values(),
            19 | 20 => self.path(),
            21 if !self.in_graph => self.named_graph(depth),
            22 => self.subquery(depth),
            _ => self.group(depth - 1),
        }
    }

    fn exists(&mut self, depth: u64) -> String {
        let outer = std::mem::replace(&mut self.in_exists, true);
        let group = self.group(depth - 1);
        self.in_exists = outer;
        format!("FILTER {}EXISTS {group}", self.random.pick(&["", "NOT "]))
    }

    fn named_graph(&mut self, depth: u64) -> String {
        self.in_graph = true;
        let name = match self.random.below(3) {
            0 => graph(self.random.below(3)).to_string(),
            // A variable that occurs nowhere else: spareval sees it inside too, which SPARQL does not.
            _ => self.fresh("?g"),
        };
        let is_variable = name.starts_with('?');
        let inner = if is_variable { format!("{{ {} }}", self.triples()) } else { self.group(depth - 1) };
        self.in_graph = false;
        format!("GRAPH {name} {inner}")
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.fresh += 1;
        format!("{prefix}{}", self.fresh)
    }

    fn subquery(&mut self, depth: u64) -> String {
        let group = self.group(depth - 1);
        match self.random.below(3) {
            0 => format!("{{ SELECT DISTINCT ?a ?b WHERE {group} }}"),
            1 => format!("{{ SELECT ?a (COUNT(?b) AS {}) WHERE {group} GROUP BY ?a }}", self.fresh("?n")),
            _ => format!("{{ SELECT ?b ?c WHERE {group} }}"),
        }
    }

    fn triples(&mut self) -> String {
        let count = self.random.among(1..=3);
        (0..count)
            .map(|_| format!("{} {} {} .", self.subject(), self.predicate(), self.object()))
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn variable(&mut self) -> String {
        (*self.random.pick(&VARIABLES)).to_owned()
    }

    fn subject(&mut self) -> String {
        match self.random.below(6) {
            0 => node(self.random.below(NODES as u64 + 1)).to_string(),
            1 => {
                "_:x".to_owned()
                    + &{
                        // A label may be used in one basic pattern only.
                        self.fresh += 1;
                        self.fresh.to_string()
                    }
            }
            _ => self.variable(),
        }
    }

    fn predicate(&mut self) -> String {
        if self.random.below(5) == 0 {
            self.variable()
        } else {
            predicate(self.random.below(PREDICATES as u64)).to_string()
        }
    }

    fn object(&mut self) -> String {
        match self.random.below(8) {
            0 => node(self.random.below(NODES as u64 + 1)).to_string(),
            1 => literal(self.random).to_string(),
            _ => self.variable(),
        }
    }

    fn path(&mut self) -> String {
        let one = predicate(self.random.among(1..=PREDICATES as u64 - 1));
        let other = predicate(self.random.below(PREDICATES as u64));
        // Alternatives are left out: spareval drops their duplicates, which SPARQL keeps.
        let path = match self.random.below(8) {
            0 => format!("{one}*"),
            1 => format!("{one}+"),
            2 => format!("{one}?"),
            3 => format!("({one}/{other})+"),
            4 => format!("^{one}/{other}"),
            5 => format!("!({one}|{other})"),
            6 => format!("({one}|{other})*"),
            _ => format!("{one}/{other}*"),
        };
        format!("{} {path} {} .", self.path_end(), self.path_end())
    }

    fn path_end(&mut self) -> String {
        if self.random.below(3) == 0 { node(self.random.below(NODES as u64)).to_string() } else { self.variable() }
    }

    fn condition(&mut self) -> String {
        let (one, other) = (self.variable(), self.variable());
        let constant = literal(self.random);
        let iri = node(self.random.below(NODES as u64));
        match self.random.below(16) {
            0 => format!("{one} = {other}"),
            1 => format!("{one} != {other}"),
            2 => format!("{one} = {iri}"),
            3 => format!("{one} IN ({iri}, {})", node(0)),
            4 => format!("{one} > {constant}"),
            5 => format!("{one} + 1 = {other}"),
            6 => format!("sameTerm({one}, {other})"),
            7 => format!("isIRI({one}) || {other} = {constant}"),
            8 => format!("BOUND({one})"),
            9 => format!("!BOUND({one})"),
            10 => format!("STR({one}) = {constant}"),
            11 => format!("{one} IN ({constant}, {iri})"),
            12 => format!("COALESCE({one}, {other}) = {iri}"),
            13 => format!("REGEX(STR({one}), \"[012]\") && {other} != {iri}"),
            14 => format!("({one} + 1) * 2 > 3"),
            _ => format!("LANG({one}) = \"en\""),
        }
    }

    fn bind(&mut self) -> String {
        let target = self.fresh("?v");
        let (one, other) = (self.variable(), self.variable());
        let value = match self.random.below(6) {
            0 => one,
            1 => format!("STR({one})"),
            2 => format!("{one} + 1"),
            3 => format!("COALESCE({one}, {other}, 7)"),
            4 => format!("IF({one} = {other}, {one}, \"no\")"),
            _ => format!("IRI(CONCAT(\"http://example.org/n\", STR({one})))"),
        };
        format!("BIND({value} AS {target})")
    }

    fn values(&mut self) -> String {
        let one = self.variable();
        match self.random.below(3) {
            0 => format!("VALUES {one} {{ {} {} }}", node(0), literal(self.random)),
            1 => format!("VALUES {one} {{ {} {} {} }}", node(1), node(2), node(1)),
            _ => {
                let (a, b) = ("?a", "?b");
                format!("VALUES ({a} {b}) {{ ({} UNDEF) ({} {}) }}", node(0), node(1), literal(self.random))
            }
        }
    }
}
