//! Micro-benchmarks of the basic operations, on data of the sizes that occur in a load and a fixpoint.
//!
//! ```sh
//! cargo bench --profile dev -p entail-bench                     # all
//! cargo bench --profile dev -p entail-bench -- 'merge|sort'     # some
//! ```
//! `thrpt` counts lines, terms and pairs. Pairs are generated from a seed and are the same in every run.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped ends the benchmark")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use entail_bench::lubm::Lubm;
use entail_bench::workload::SEED;
use entail_logic::columns::run::CHUNK_PAIRS;
use entail_logic::columns::{Pair, Run, pairs};
use entail_logic::exchange::{Message, Payload, wire};
use entail_model::fact::Mark;
use entail_model::id::TermKind;
use entail_model::random::Random;
use entail_model::term::HashKey;
use entail_model::{Attempt, ClusterId, Relation, Round, ShardCount, ShardId, TermId};
use entail_node::store::{OpenOptions, Store, codec};
use entail_rdf::{Batch, Format, ParseRequest};
use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The numbers of pairs of a large run and of a small one.
const MANY: u64 = 1 << 20;
const FEW: u64 = 1 << 12;
/// Terms of each side of a pair; shards of the cluster.
const TERMS: u64 = 1 << 18;
const SHARDS: u32 = 16;
const MEMORY: u64 = 1 << 30;
const KEY: HashKey = HashKey([7; 16]);

fn term(number: u64) -> TermId {
    TermId::dictionary(ShardId((number % u64::from(SHARDS)) as u16), number / u64::from(SHARDS), TermKind::Iri)
}

fn unsorted(count: u64, place: u64) -> Vec<Pair> {
    let mut random = Random::stream(SEED, place);
    (0..count).map(|_| (term(random.below(TERMS)), term(random.below(TERMS)))).collect()
}

fn sorted(count: u64, place: u64) -> Vec<Pair> {
    let mut pairs = unsorted(count, place);
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// Loading: text to facts, and terms to ids.
fn load(criterion: &mut Criterion) {
    let mut text = Vec::new();
    let lines = Lubm { universities: 1, seed: SEED }.write(&mut text).unwrap();
    let mut group = criterion.benchmark_group("load");
    group.sample_size(20).throughput(Throughput::Elements(lines));
    group.bench_function("parse", |bencher| bencher.iter(|| parse(&text, &|batch| drop(black_box(batch)))));
    let batches = Mutex::new(Vec::new());
    parse(&text, &|batch| batches.lock().unwrap().push(batch));
    let batches = batches.into_inner().unwrap();
    let terms: Vec<Vec<&[u8]>> =
        batches.iter().map(|batch| batch.terms.iter().map(|(_, bytes)| bytes).collect()).collect();
    group.throughput(Throughput::Elements(terms.iter().map(|terms| terms.len() as u64).sum()));
    let intern = |store: &Store| terms.iter().for_each(|terms| drop(store.intern(Attempt(1), terms).unwrap()));
    group.bench_function("intern new terms", |bencher| {
        bencher.iter_batched(
            new_store,
            |(directory, store)| {
                intern(&store);
                // Returned, so that they are dropped outside of the measured time.
                (store, directory)
            },
            BatchSize::PerIteration,
        );
    });
    let (_directory, store) = new_store();
    intern(&store);
    group.bench_function("intern known terms", |bencher| bencher.iter(|| intern(&store)));
    group.finish();
}

fn parse(text: &[u8], take: &(dyn Fn(Batch) + Sync)) {
    let request = ParseRequest::new("kernel.nt", Format::NTriples, KEY, 0);
    let sink = |batch| {
        take(batch);
        Ok(())
    };
    entail_rdf::parse(request, text, &sink).unwrap();
}

fn new_store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), OpenOptions { memory_budget: MEMORY }).unwrap();
    store.bind_cluster(ClusterId(1), KEY, ShardCount::new(SHARDS).unwrap()).unwrap();
    (directory, store)
}

/// The fixpoint: sort candidates, subtract known pairs, merge runs.
fn sets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sets");
    let candidates = unsorted(MANY, 0);
    let mut by_key = candidates.clone();
    by_key.sort_by_key(|pair| pair.0);
    group.sample_size(20).throughput(Throughput::Elements(MANY));
    for (name, candidates) in [("sort", &candidates), ("sort what comes by key", &by_key)] {
        group.bench_function(name, |bencher| {
            let sort = |mut pairs: Vec<Pair>| {
                pairs::sort_distinct(&mut pairs);
                pairs
            };
            bencher.iter_batched(|| candidates.clone(), sort, BatchSize::LargeInput);
        });
    }
    // Every second candidate is known.
    let (candidates, unknown) = (sorted(MANY, 1), sorted(MANY, 2));
    let half: Vec<Pair> = candidates.iter().copied().step_by(2).collect();
    let known = pairs::merge(&half, &unknown);
    let few: Vec<Pair> = candidates.iter().copied().step_by((MANY / FEW) as usize).collect();
    group.throughput(Throughput::Elements(candidates.len() as u64));
    group.bench_function("anti-join", |bencher| bencher.iter(|| pairs::subtract(&candidates, &known)));
    group.throughput(Throughput::Elements(few.len() as u64));
    group.bench_function("anti-join few", |bencher| bencher.iter(|| pairs::subtract(&few, &known)));
    group.throughput(Throughput::Elements((candidates.len() + unknown.len()) as u64));
    group.bench_function("merge", |bencher| bencher.iter(|| pairs::merge(&candidates, &unknown)));
    group.finish();
}

/// A join: the pairs of a run for sorted keys, for many keys, or for a few with galloping search.
fn join(criterion: &mut Criterion) {
    let run = Run::resident(Mark::Derived, sorted(MANY, 3)).unwrap();
    let mut group = criterion.benchmark_group("join");
    for (name, step) in [("all keys", 1), ("gallop to few keys", MANY / FEW)] {
        let mut keys: Vec<TermId> = (0..TERMS).map(term).collect();
        keys.sort_unstable();
        let keys: Vec<TermId> = keys.into_iter().step_by(step as usize).collect();
        group.throughput(Throughput::Elements(keys.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut found = 0;
                run.for_each_match(&keys, |_, pairs| found += pairs.len()).unwrap();
                found
            });
        });
    }
    group.finish();
}

/// Bytes: chunks on disk, messages between nodes.
fn bytes(criterion: &mut Criterion) {
    let mut pairs = sorted(MANY, 4);
    pairs.truncate(CHUNK_PAIRS);
    let (chunk, count) = (codec::encode(&pairs), pairs.len() as u64);
    println!("a chunk of {count} pairs has {:.2} bytes a pair", chunk.len() as f64 / count as f64);
    let relation = Relation { graph: TermId::DEFAULT_GRAPH, predicate: term(1) };
    let payload = Payload::Heads { rule: 0, relation, pairs: pairs.clone() };
    let message = Message { round: Round(1), level: 1, sequence: 0, payload: Arc::new(payload) };
    let encoded = wire::encode(&message);
    println!("a message of {count} pairs has {:.2} bytes a pair", encoded.len() as f64 / count as f64);
    let mut group = criterion.benchmark_group("bytes");
    group.throughput(Throughput::Elements(count));
    group.bench_function("encode a chunk", |bencher| bencher.iter(|| codec::encode(&pairs)));
    group.bench_function("decode a chunk", |bencher| bencher.iter(|| codec::decode(&chunk).unwrap()));
    group.bench_function("encode a message", |bencher| bencher.iter(|| wire::encode(&message)));
    group.bench_function("decode a message", |bencher| bencher.iter(|| wire::decode(&encoded).unwrap()));
    group.finish();
}

criterion_group! {
    name = kernels;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = load, sets, join, bytes
}
criterion_main!(kernels);
