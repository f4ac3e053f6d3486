//! Rule sets as programs: constants to ids, rules to plans.

use crate::metalog::RuleSet;
use entail_logic::eval::condition::is_decided_by_id;
use entail_logic::plan::broadcast::{self, News};
use entail_logic::plan::compile::{Body, Context, RuleBody, compile_program};
use entail_logic::plan::{Arg, Atom, Condition, GraphScope, Head, Program};
use entail_logic::rules::{self, Rule, expression_text};
use entail_model::{Fault, Reason, TermId, term};
use oxrdf::{NamedNode, Term, TermRef, Triple};
use spargebra::algebra::Expression;
use spargebra::term::{NamedNodePattern, TermPattern, TriplePattern};
use std::collections::{BTreeMap, BTreeSet};

/// Parsed rule sets with everything that their plans need but ids.
pub struct Parsed {
    sets: Vec<(Option<NamedNode>, rules::RuleSet)>,
    /// How many rules (the facts of DATA blocks count as one) each set has.
    sizes: Vec<usize>,
}

/// Ids of terms by their canonical bytes.
pub type Ids = BTreeMap<Vec<u8>, TermId>;

fn canonical(term: TermRef<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    term::encode(term, &mut bytes);
    bytes
}

impl Parsed {
    /// Parses rule sets.
    ///
    /// # Errors
    /// `Syntax` or `Unsupported` with a position.
    pub fn new<'a>(sets: impl IntoIterator<Item = &'a RuleSet>) -> Result<Self, Fault> {
        let mut parsed = Self { sets: Vec::new(), sizes: Vec::new() };
        for set in sets {
            let graph = set.graph.as_ref().map(NamedNode::new).transpose().map_err(|error| {
                Fault::new(Reason::InvalidRequest, format!("the graph of the rules is not an IRI: {error}"))
            })?;
            let rules = rules::parse(&set.source)?;
            parsed.sizes.push(rules.rules.len() + usize::from(!rules.data.is_empty()));
            parsed.sets.push((graph, rules));
        }
        Ok(parsed)
    }

    /// The number of program rules of each set, in order.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The canonical bytes of every dictionary term in the rules.
    pub fn constants(&self) -> BTreeSet<Vec<u8>> {
        let mut constants = BTreeSet::new();
        let mut add = |term: TermRef<'_>| {
            if term::inline_id(term).is_none() {
                constants.insert(canonical(term));
            }
        };
        for (graph, set) in &self.sets {
            graph.iter().for_each(|graph| add(graph.as_ref().into()));
            for triple in &set.data {
                triple_terms(triple).iter().for_each(|term| add(term.as_ref()));
            }
            let patterns = set.rules.iter().flat_map(|rule| rule.head.iter().chain(&rule.body));
            patterns.flat_map(pattern_terms).for_each(|term| add(term.as_ref()));
        }
        constants
    }

    /// The program of all sets, for so much that is new.
    ///
    /// # Errors
    /// `Internal` when an id is missing.
    pub fn program(&self, context: &Context, ids: &Ids, news: &News<'_>) -> Result<Program, Fault> {
        let mut all = Vec::new();
        for (graph, set) in &self.sets {
            let lowering = Lowering { ids, graph: graph.as_ref() };
            for rule in &set.rules {
                all.push(lowering.rule(rule)?);
            }
            if !set.data.is_empty() {
                all.push(lowering.data(&set.data)?);
            }
        }
        Ok(compile_program(context, &all, &broadcast::worthwhile(context, &all, news)))
    }
}

fn triple_terms(triple: &Triple) -> [Term; 3] {
    [triple.subject.clone().into(), triple.predicate.clone().into(), triple.object.clone()]
}

fn pattern_terms(pattern: &TriplePattern) -> Vec<Term> {
    let subject = constant(&pattern.subject);
    let object = constant(&pattern.object);
    let predicate = match &pattern.predicate {
        NamedNodePattern::NamedNode(node) => Some(node.clone().into()),
        NamedNodePattern::Variable(_) => None,
    };
    [subject, predicate, object].into_iter().flatten().collect()
}

fn constant(pattern: &TermPattern) -> Option<Term> {
    match pattern {
        TermPattern::NamedNode(node) => Some(node.clone().into()),
        TermPattern::Literal(literal) => Some(literal.clone().into()),
        TermPattern::BlankNode(node) => Some(node.clone().into()),
        TermPattern::Triple(_) => oxrdf::Term::try_from(pattern.clone()).ok(),
        TermPattern::Variable(_) => None,
    }
}

struct Lowering<'a> {
    ids: &'a Ids,
    graph: Option<&'a NamedNode>,
}

/// The variables of a rule, in order of their slots.
#[derive(Default)]
struct Slots(Vec<String>);

impl Slots {
    fn of(&mut self, name: &str) -> usize {
        self.0.iter().position(|known| known == name).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        })
    }
}

impl Lowering<'_> {
    fn id(&self, term: TermRef<'_>) -> Result<TermId, Fault> {
        if let Some(id) = term::inline_id(term) {
            return Ok(id);
        }
        self.ids.get(&canonical(term)).copied().ok_or_else(|| Fault::internal(format!("no id for {term}")))
    }

    fn graph(&self) -> Result<TermId, Fault> {
        self.graph.map_or(Ok(TermId::DEFAULT_GRAPH), |graph| self.id(graph.as_ref().into()))
    }

    fn arg(&self, pattern: &TermPattern, slots: &mut Slots) -> Result<Arg, Fault> {
        if let TermPattern::Variable(variable) = pattern {
            return Ok(Arg::Slot(slots.of(variable.as_str())));
        }
        let term = constant(pattern).ok_or_else(|| Fault::internal(format!("the pattern {pattern} has no term")))?;
        self.id(term.as_ref()).map(Arg::Const)
    }

    fn predicate(&self, pattern: &NamedNodePattern, slots: &mut Slots) -> Result<Arg, Fault> {
        match pattern {
            NamedNodePattern::Variable(variable) => Ok(Arg::Slot(slots.of(variable.as_str()))),
            NamedNodePattern::NamedNode(node) => self.id(node.as_ref().into()).map(Arg::Const),
        }
    }

    fn rule(&self, rule: &Rule) -> Result<RuleBody, Fault> {
        let mut slots = Slots::default();
        let graph = self.graph()?;
        let atoms = rule.body.iter().map(|pattern| {
            Ok(Atom {
                graph: GraphScope::One(graph),
                subject: self.arg(&pattern.subject, &mut slots)?,
                predicate: self.predicate(&pattern.predicate, &mut slots)?,
                object: self.arg(&pattern.object, &mut slots)?,
            })
        });
        let atoms = atoms.collect::<Result<Vec<_>, Fault>>()?;
        let heads = rule.head.iter().map(|pattern| {
            Ok(Head {
                graph,
                subject: self.arg(&pattern.subject, &mut slots)?,
                predicate: self.predicate(&pattern.predicate, &mut slots)?,
                object: self.arg(&pattern.object, &mut slots)?,
            })
        });
        let heads = heads.collect::<Result<Vec<_>, Fault>>()?;
        let conditions = rule.filters.iter().map(|filter| condition(&filter.expression, &mut slots));
        let conditions = conditions.collect::<Result<Vec<_>, Fault>>()?;
        let label = rule.name.as_ref().map_or_else(|| rule.text.clone(), |name| name.as_str().to_owned());
        Ok(RuleBody { label, heads, body: Body { width: slots.0.len(), atoms, conditions } })
    }

    /// The facts of DATA blocks: a rule whose body is always true.
    fn data(&self, triples: &[Triple]) -> Result<RuleBody, Fault> {
        let graph = self.graph()?;
        let heads = triples.iter().map(|triple| {
            let [subject, predicate, object] = triple_terms(triple).map(|term| self.id(term.as_ref()).map(Arg::Const));
            Ok(Head { graph, subject: subject?, predicate: predicate?, object: object? })
        });
        Ok(RuleBody { label: "DATA".into(), heads: heads.collect::<Result<_, Fault>>()?, body: Body::default() })
    }
}

fn condition(expression: &Expression, slots: &mut Slots) -> Result<Condition, Fault> {
    let text = expression_text(expression)
        .ok_or_else(|| Fault::new(Reason::Unsupported, "EXISTS is not part of the rule language"))?;
    let mut names = BTreeSet::new();
    collect_variables(expression, &mut names);
    let variables = names.into_iter().map(|name| {
        let slot = slots.of(&name);
        (name, slot)
    });
    Ok(Condition { expression: text, variables: variables.collect(), by_id: is_decided_by_id(expression) })
}

/// The names of the variables in an expression without EXISTS.
pub fn collect_variables(expression: &Expression, names: &mut BTreeSet<String>) {
    match expression {
        Expression::Variable(variable) | Expression::Bound(variable) => _ = names.insert(variable.as_str().to_owned()),
        Expression::NamedNode(_) | Expression::Literal(_) | Expression::Exists(_) => {}
        Expression::Or(a, b)
        | Expression::And(a, b)
        | Expression::Equal(a, b)
        | Expression::SameTerm(a, b)
        | Expression::Greater(a, b)
        | Expression::GreaterOrEqual(a, b)
        | Expression::Less(a, b)
        | Expression::LessOrEqual(a, b)
        | Expression::Add(a, b)
        | Expression::Subtract(a, b)
        | Expression::Multiply(a, b)
        | Expression::Divide(a, b) => [a, b].into_iter().for_each(|part| collect_variables(part, names)),
        Expression::UnaryPlus(inner) | Expression::UnaryMinus(inner) | Expression::Not(inner) => {
            collect_variables(inner, names);
        }
        Expression::If(a, b, c) => [a, b, c].into_iter().for_each(|part| collect_variables(part, names)),
        Expression::In(a, list) => {
            collect_variables(a, names);
            list.iter().for_each(|part| collect_variables(part, names));
        }
        Expression::Coalesce(list) | Expression::FunctionCall(_, list) => {
            list.iter().for_each(|part| collect_variables(part, names));
        }
    }
}
