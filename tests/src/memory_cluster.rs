//! A cluster in memory for tests of the SPARQL engine: the facts of several nodes and the real evaluation, without
//! processes.
//!
//! Messages between nodes are delivered in order, within one call; everything else is as on real nodes: shards, homes,
//! two copies per fact, plans in stages.

use entail_logic::answer::{Answer, Committed, Effect, Event, Setup};
use entail_logic::columns::Run;
use entail_logic::eval::meter::{Clock, Meter};
use entail_logic::eval::{Batch, Texts};
use entail_logic::exchange::route::ShardMap;
use entail_logic::fixpoint::Base;
use entail_logic::plan::Plan;
use entail_logic::plan::compile::{Context, RelationStats};
use entail_model::fact::Pair;
use entail_model::term::{self, HashKey};
use entail_model::{Direction, Fact, Fault, Mark, NodeId, Placement, Relation, ShardCount, TermId, fact};
use entail_sparql::{Cluster, Interrupt, NodeProfile, OperatorWork, Rows, Texts as AnswerTexts, Wanted};
use oxrdf::vocab::rdf;
use oxrdf::{GraphName, Quad, Term};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The facts of every node, and the dictionary.
pub struct MemoryCluster {
    nodes: Vec<Base>,
    placement: Placement,
    dictionary: Arc<Dictionary>,
    context: Arc<Context>,
    /// Plans that were executed.
    pub executed: AtomicU64,
    /// Terms that were looked up.
    pub looked_up: AtomicU64,
}

#[derive(Default)]
struct Dictionary {
    ids: HashMap<Vec<u8>, TermId>,
    texts: HashMap<TermId, Arc<[u8]>>,
    locals: HashMap<u16, u64>,
}

impl Dictionary {
    fn intern(&mut self, term: &Term, shards: ShardCount) -> TermId {
        if let Some(id) = term::inline_id(term.as_ref()) {
            return id;
        }
        let mut bytes = Vec::new();
        term::encode(term.as_ref(), &mut bytes);
        if let Some(id) = self.ids.get(&bytes) {
            return *id;
        }
        let home = HashKey([7; 16]).hash(&bytes).home(shards);
        let local = self.locals.entry(home.0).or_default();
        let kind = term::kind_of(&bytes).expect("our own bytes");
        let id = TermId::dictionary(home, *local, kind);
        *local += 1;
        self.ids.insert(bytes.clone(), id);
        self.texts.insert(id, bytes.into());
        id
    }
}

impl Texts for Dictionary {
    fn texts(&self, ids: &[TermId]) -> Result<Vec<Arc<[u8]>>, Fault> {
        let text = |id| self.texts.get(id).cloned().ok_or_else(|| Fault::corrupt(format!("{id:?} is not known")));
        ids.iter().map(text).collect()
    }
}

impl MemoryCluster {
    /// A cluster of `nodes` nodes and `shards` shards with these facts.
    pub fn new(quads: impl IntoIterator<Item = Quad>, shards: u32, nodes: u64) -> Self {
        let shards = ShardCount::new(shards).expect("a power of two");
        let names: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
        let placement = Placement::propose(None, &names, shards);
        let mut dictionary = Dictionary::default();
        let facts: BTreeSet<_> =
            quads.into_iter().map(|quad| fact_of(&quad, &mut dictionary, shards)).map(by_relation).collect();
        let rdf_type = dictionary.intern(&rdf::TYPE.into_owned().into(), shards);
        let mut draft: HashMap<NodeId, BTreeMap<Relation, [Vec<Pair>; 2]>> = HashMap::new();
        let mut stats: HashMap<Relation, RelationStats> = HashMap::new();
        let mut objects: HashMap<(Relation, TermId), u64> = HashMap::new();
        let mut seen = HashSet::new();
        for (relation, subject, object) in facts {
            let homes = [subject.home(), fact::in_home(subject, relation.predicate, object, Some(rdf_type))];
            for (copy, home) in Direction::BOTH.into_iter().zip(homes) {
                let node = placement.holder(home.expect("subjects have homes")).expect("every shard is placed");
                draft.entry(node).or_default().entry(relation).or_default()[copy as usize]
                    .push(copy.pair(subject, object));
            }
            if relation.predicate == rdf_type {
                *objects.entry((relation, object)).or_default() += 1;
            }
            let stats = stats.entry(relation).or_default();
            stats.facts += 1;
            stats.subjects += u64::from(seen.insert((relation, Direction::Forward, subject)));
            stats.objects += u64::from(seen.insert((relation, Direction::Inverse, object)));
        }
        let base = |node: &NodeId| {
            draft.remove(node).unwrap_or_default().into_iter().map(|(r, copies)| (r, copies.map(runs))).collect()
        };
        Self {
            nodes: names.iter().map(base).collect(),
            context: Arc::new(Context {
                single_node: nodes == 1,
                nodes: nodes as usize,
                rdf_type: Some(rdf_type),
                stats,
                objects,
            }),
            placement,
            dictionary: Arc::new(dictionary),
            executed: AtomicU64::new(0),
            looked_up: AtomicU64::new(0),
        }
    }

    fn parts(&self, plan: &Arc<Plan>, wanted: Wanted) -> Result<Vec<Part>, Fault> {
        let part = |(index, base): (usize, &Base)| {
            let meter = Arc::new(Meter::new(Arc::new(Ticks::default()), Arc::clone(plan), self.context.rdf_type));
            let meter = wanted.profile.then_some(meter);
            let answer = Answer::new(Setup {
                shard_map: ShardMap::of_all_holders(NodeId(index as u64 + 1), self.placement.clone()),
                plan: Arc::clone(plan),
                facts: Arc::new(Committed(base.clone())),
                texts: Arc::clone(&self.dictionary) as Arc<dyn Texts + Send + Sync>,
                rows_max: wanted.rows_max,
                rows_left: None,
                stop: Arc::new(AtomicBool::new(false)),
                meter: meter.clone(),
            })?;
            Ok(Part { answer, meter })
        };
        self.nodes.iter().enumerate().map(part).collect()
    }
}

fn fact_of(quad: &Quad, dictionary: &mut Dictionary, shards: ShardCount) -> Fact {
    let graph = match &quad.graph_name {
        GraphName::DefaultGraph => TermId::DEFAULT_GRAPH,
        GraphName::NamedNode(node) => dictionary.intern(&node.clone().into(), shards),
        GraphName::BlankNode(node) => dictionary.intern(&node.clone().into(), shards),
    };
    Fact {
        graph,
        predicate: dictionary.intern(&quad.predicate.clone().into(), shards),
        subject: dictionary.intern(&quad.subject.clone().into(), shards),
        object: dictionary.intern(&quad.object, shards),
    }
}

fn by_relation(fact: Fact) -> (Relation, TermId, TermId) {
    (fact.relation(), fact.subject, fact.object)
}

/// Two runs with different marks, as in a graph with rules.
fn runs(mut pairs: Vec<(TermId, TermId)>) -> Vec<Arc<Run>> {
    pairs.sort_unstable();
    let derived = pairs.split_off(pairs.len() / 2);
    [Run::resident(Mark::Asserted, pairs), Run::resident(Mark::Derived, derived)].into_iter().flatten().collect()
}

impl Cluster for MemoryCluster {
    fn context(&self) -> Result<Arc<Context>, Fault> {
        Ok(Arc::clone(&self.context))
    }

    fn lookup(&self, terms: &[Vec<u8>]) -> Result<Vec<Option<TermId>>, Interrupt> {
        self.looked_up.fetch_add(terms.len() as u64, Ordering::Relaxed);
        Ok(terms.iter().map(|term| self.dictionary.ids.get(term).copied()).collect())
    }

    fn texts(&self, ids: &[TermId], bytes_max: u64) -> Result<AnswerTexts, Interrupt> {
        let (mut texts, mut bytes) = (AnswerTexts::new(), 0);
        for text in self.dictionary.texts(ids)? {
            texts.push(&text);
            bytes += text.len() as u64;
            if bytes > bytes_max {
                break;
            }
        }
        Ok(texts)
    }

    fn execute(&self, plan: Arc<Plan>, wanted: Wanted) -> Result<Box<dyn Rows>, Interrupt> {
        self.executed.fetch_add(1, Ordering::Relaxed);
        let mut parts = self.parts(&plan, wanted)?;
        let mut waiting: VecDeque<(usize, Event)> = (0..parts.len()).map(|part| (part, Event::Start)).collect();
        let mut batches = VecDeque::new();
        while let Some((part, event)) = waiting.pop_front() {
            let from = NodeId(part as u64 + 1);
            parts[part].answer.step(event, &mut |effect| {
                match effect {
                    Effect::Send { to, message } => {
                        waiting.push_back((to.0 as usize - 1, Event::Received { from, message }))
                    }
                    Effect::Rows(batch) => batches.push_back(batch),
                    Effect::Done => {}
                }
                Ok(())
            })?;
        }
        assert!(parts.iter().all(|part| part.answer.is_done()), "every part comes to its end");
        let profile = parts.iter().zip(1..).filter_map(|(part, node)| part.profile(NodeId(node))).collect();
        Ok(Box::new(Found { batches, profile }))
    }

    fn graphs(&self) -> Result<Vec<TermId>, Fault> {
        let graphs: BTreeSet<TermId> = self.context.stats.keys().map(|relation| relation.graph).collect();
        Ok(graphs.into_iter().filter(|graph| *graph != TermId::DEFAULT_GRAPH).collect())
    }

    fn holders(&self) -> Vec<String> {
        self.placement.holders.iter().map(|node| format!("memory-{}", node.0)).collect()
    }
}

/// One node's part of a plan.
struct Part {
    answer: Answer,
    meter: Option<Arc<Meter>>,
}

impl Part {
    fn profile(&self, node: NodeId) -> Option<NodeProfile> {
        let report = self.meter.as_ref()?.report();
        let work = report.into_iter().map(|(((stage, operator), shard), work)| OperatorWork {
            stage,
            operator,
            shard: shard.map(|shard| shard.0),
            work,
        });
        let (name, rows) = (format!("memory-{}", node.0), self.answer.rows());
        Some(NodeProfile { node, name, rows, seconds: 0.0, work: work.collect() })
    }
}

/// A clock that advances by a microsecond each time that it is read.
#[derive(Default)]
struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn nanoseconds(&self) -> u64 {
        self.0.fetch_add(1_000, Ordering::Relaxed)
    }
}

struct Found {
    batches: VecDeque<Batch>,
    profile: Vec<NodeProfile>,
}

impl Rows for Found {
    fn next(&mut self) -> Result<Option<Batch>, Fault> {
        Ok(self.batches.pop_front())
    }

    fn profile(&mut self) -> Vec<NodeProfile> {
        std::mem::take(&mut self.profile)
    }
}
