//! Rule sets as programs: constants to ids, rules to plans.

use super::ParsedSet;
use entail_logic::plan::broadcast::{self, News};
use entail_logic::plan::compile::{Body, Context, RuleBody, compile_program};
use entail_logic::plan::lower::{Lowering, Position, Terms};
use entail_logic::plan::{Arg, Atom, GraphScope, Head, Program};
use entail_logic::rules::Rule;
use entail_logic::rules::{NamedNodePattern, TermPattern, TriplePattern};
use entail_model::{Fault, TermId, term};
use oxrdf::{NamedNode, Term, TermRef, Triple};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Ids of terms by their canonical bytes.
pub type Ids = BTreeMap<Vec<u8>, TermId>;

/// The canonical bytes of every dictionary term in the rules.
///
/// # Errors
/// The fault of a set that does not parse.
pub fn constants(sets: &[Arc<ParsedSet>]) -> Result<BTreeSet<Vec<u8>>, Fault> {
    let mut constants = BTreeSet::new();
    let mut add = |term: TermRef<'_>| {
        if term::inline_id(term).is_none() {
            constants.insert(canonical(term));
        }
    };
    for set in sets {
        let content = set.content()?;
        content.graph.iter().for_each(|graph| add(graph.as_ref().into()));
        for triple in &content.rules.data {
            triple_terms(triple).iter().for_each(|term| add(term.as_ref()));
        }
        let patterns = content.rules.rules.iter().flat_map(|rule| rule.head.iter().chain(&rule.body));
        patterns.flat_map(pattern_terms).for_each(|term| add(term.as_ref()));
    }
    Ok(constants)
}

/// Compiles all rule sets into one program, optimised for this delta.
///
/// # Errors
/// `Internal` when an id is missing; the fault of a set that does not parse.
pub fn program(sets: &[Arc<ParsedSet>], context: &Context, ids: &Ids, news: &News<'_>) -> Result<Program, Fault> {
    let mut all = Vec::new();
    for set in sets {
        let content = set.content()?;
        let lowering = SetLowering { ids, graph: content.graph.as_ref() };
        for rule in &content.rules.rules {
            all.push(lowering.rule(rule)?);
        }
        if !content.rules.data.is_empty() {
            all.push(lowering.data(&content.rules.data)?);
        }
    }
    Ok(compile_program(context, &all, &broadcast::worthwhile(context, &all, news)))
}

fn canonical(term: TermRef<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    term::encode(term, &mut bytes);
    bytes
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

/// The ids of a program's constants; each constant has one.
#[derive(Clone, Copy)]
struct Constants<'a>(&'a Ids);

impl Terms for Constants<'_> {
    type Error = Fault;

    fn id(&mut self, term: &Term) -> Result<Option<TermId>, Fault> {
        if let Some(id) = term::inline_id(term.as_ref()) {
            return Ok(Some(id));
        }
        let id = self.0.get(&canonical(term.as_ref())).copied();
        id.map(Some).ok_or_else(|| Fault::internal(format!("no id for {term}")))
    }
}

/// Lowers the rules of one set.
struct SetLowering<'a> {
    ids: &'a Ids,
    graph: Option<&'a NamedNode>,
}

type RuleLowering<'a> = Lowering<Constants<'a>>;

impl SetLowering<'_> {
    fn graph(&self) -> Result<TermId, Fault> {
        let Some(graph) = self.graph else { return Ok(TermId::DEFAULT_GRAPH) };
        let id = Constants(self.ids).id(&graph.clone().into())?;
        id.ok_or_else(|| Fault::internal("a graph without an id"))
    }

    fn rule(&self, rule: &Rule) -> Result<RuleBody, Fault> {
        let mut lowering = Lowering::new(Constants(self.ids));
        let graph = self.graph()?;
        let atoms = rule.body.iter().map(|pattern| {
            let [subject, predicate, object] = args(&mut lowering, pattern)?;
            Ok(Atom { graph: GraphScope::One(graph), subject, predicate, object })
        });
        let atoms = atoms.collect::<Result<Vec<_>, Fault>>()?;
        let heads = rule.head.iter().map(|pattern| {
            let [subject, predicate, object] = args(&mut lowering, pattern)?;
            Ok(Head { graph, subject, predicate, object })
        });
        let heads = heads.collect::<Result<Vec<_>, Fault>>()?;
        let conditions = rule.filters.iter().map(|filter| lowering.condition(&filter.expression));
        let conditions = conditions.collect::<Result<Vec<_>, Fault>>()?;
        let label = rule.name.as_ref().map_or_else(|| rule.text.clone(), |name| name.as_str().to_owned());
        Ok(RuleBody { label, heads, body: Body { width: lowering.slots.width(), atoms, conditions } })
    }

    /// The facts of DATA blocks, as a rule with an empty body.
    fn data(&self, triples: &[Triple]) -> Result<RuleBody, Fault> {
        let graph = self.graph()?;
        let mut lowering = Lowering::new(Constants(self.ids));
        let heads = triples.iter().map(|triple| {
            let [subject, predicate, object] =
                triple_terms(triple).map(|term| arg(&mut lowering, Position::Term(&term)));
            Ok(Head { graph, subject: subject?, predicate: predicate?, object: object? })
        });
        Ok(RuleBody { label: "DATA".into(), heads: heads.collect::<Result<_, Fault>>()?, body: Body::default() })
    }
}

/// Subject, predicate and object of a pattern.
fn args(lowering: &mut RuleLowering<'_>, pattern: &TriplePattern) -> Result<[Arg; 3], Fault> {
    let subject = term_arg(lowering, &pattern.subject)?;
    let predicate = match &pattern.predicate {
        NamedNodePattern::Variable(variable) => arg(lowering, Position::Variable(variable))?,
        NamedNodePattern::NamedNode(node) => arg(lowering, Position::Term(&node.clone().into()))?,
    };
    Ok([subject, predicate, term_arg(lowering, &pattern.object)?])
}

fn term_arg(lowering: &mut RuleLowering<'_>, pattern: &TermPattern) -> Result<Arg, Fault> {
    if let TermPattern::Variable(variable) = pattern {
        return arg(lowering, Position::Variable(variable));
    }
    let term = constant(pattern).ok_or_else(|| Fault::internal(format!("the pattern {pattern} has no term")))?;
    arg(lowering, Position::Term(&term))
}

fn arg(lowering: &mut RuleLowering<'_>, position: Position<'_>) -> Result<Arg, Fault> {
    lowering.arg(position)?.ok_or_else(|| Fault::internal("a constant without an id"))
}
