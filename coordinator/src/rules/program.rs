//! Rule sets as programs: constants to ids, rules to plans.

use super::ParsedSet;
use entail_logic::dependencies::Cycle;
use entail_logic::plan::broadcast::{self, News};
use entail_logic::plan::compile::{Body, Context, NegatedBody, RuleBody, compile_program};
use entail_logic::plan::lower::{Lowering, Position, Terms};
use entail_logic::plan::strata::strata;
use entail_logic::plan::{Arg, Atom, GraphScope, Head, Program};
use entail_logic::rules::{NamedNodePattern, TermPattern, TriplePattern};
use entail_logic::rules::{Negated, Rule, describe_cycle};
use entail_model::{Fault, Reason, TermId, term};
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
        let rules = content.rules.rules.iter();
        let patterns = rules.flat_map(|rule| {
            let negated = rule.negated.iter().flat_map(|negated| &negated.patterns);
            rule.head.iter().chain(&rule.body).chain(negated)
        });
        patterns.flat_map(pattern_terms).for_each(|term| add(term.as_ref()));
    }
    Ok(constants)
}

/// Compiles rules into one program, optimised for this delta.
///
/// # Errors
/// Rules that have no strata, which are never the [`bodies`] of the sets in force.
pub fn program(rules: &[RuleBody], context: &Context, news: &News<'_>) -> Result<Program, Cycle> {
    compile_program(context, rules, &broadcast::worthwhile(context, rules, news))
}

/// The rules of all sets in terms of ids.
///
/// # Errors
/// `Internal` when an id is missing; `Syntax` for rules that have no strata together; the fault of a set that does not
/// parse.
pub fn bodies(sets: &[Arc<ParsedSet>], ids: &Ids) -> Result<Vec<RuleBody>, Fault> {
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
    strata(&all).map_err(|cycle| unstratified(sets, &cycle))?;
    Ok(all)
}

/// The fault of rules of several sets that negate what they derive from each other, at the first of them.
fn unstratified(sets: &[Arc<ParsedSet>], Cycle(cycle): &Cycle) -> Fault {
    let rules: Vec<Option<(&str, &Rule)>> = sets.iter().flat_map(|set| numbered(set)).collect();
    let of_cycle: Vec<(&str, &Rule)> = cycle.iter().filter_map(|rule| *rules.get(*rule)?).collect();
    let described = |(set, rule): &(&str, &Rule)| {
        let name = rule.name.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
        format!("the rule {name}at {}:{} of {set}", rule.line, rule.column)
    };
    let message = format!(
        "no stratification of all rule sets together: this rule has a NOT, so it would have to wait for its own results{}",
        describe_cycle(of_cycle.iter().map(described))
    );
    let fault = Fault::new(Reason::Syntax, message);
    of_cycle.first().map_or(fault.clone(), |(_, rule)| fault.at(rule.line, rule.column))
}

/// The rules of a set as a program numbers them, each with the name of the set: its data is the last one, and no rule.
fn numbered(set: &ParsedSet) -> Vec<Option<(&str, &Rule)>> {
    let Ok(content) = set.content() else { return Vec::new() };
    let rules = content.rules.rules.iter().map(|rule| Some((set.set.name.as_str(), rule)));
    rules.chain((!content.rules.data.is_empty()).then_some(None)).collect()
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
        let atoms = atoms(&mut lowering, graph, &rule.body)?;
        let heads = rule.head.iter().map(|pattern| {
            let [subject, predicate, object] = args(&mut lowering, pattern)?;
            Ok(Head { graph, subject, predicate, object })
        });
        let heads = heads.collect::<Result<Vec<_>, Fault>>()?;
        let conditions = rule.filters.iter().map(|filter| lowering.condition(&filter.expression));
        let conditions = conditions.collect::<Result<Vec<_>, Fault>>()?;
        let negated = rule.negated.iter().map(|Negated { patterns, filters }| {
            let atoms = self::atoms(&mut lowering, graph, patterns)?;
            let conditions = filters.iter().map(|filter| lowering.condition(&filter.expression));
            Ok(NegatedBody { atoms, conditions: conditions.collect::<Result<_, Fault>>()? })
        });
        let negated = negated.collect::<Result<Vec<_>, Fault>>()?;
        let label = rule.name.as_ref().map_or_else(|| rule.text.clone(), |name| name.as_str().to_owned());
        Ok(RuleBody { label, heads, body: Body { width: lowering.slots.width(), atoms, conditions }, negated })
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
        let (heads, negated) = (heads.collect::<Result<_, Fault>>()?, Vec::new());
        Ok(RuleBody { label: "DATA".into(), heads, body: Body::default(), negated })
    }
}

/// The atoms of some patterns of a graph.
fn atoms(lowering: &mut RuleLowering<'_>, graph: TermId, patterns: &[TriplePattern]) -> Result<Vec<Atom>, Fault> {
    let atom = |pattern: &TriplePattern| {
        let [subject, predicate, object] = args(lowering, pattern)?;
        Ok(Atom { graph: GraphScope::One(graph), subject, predicate, object })
    };
    patterns.iter().map(atom).collect()
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
