//! Terms and their ids, shard by shard.
//!
//! ```text
//! text ─hash─► home shard | index key: high 64 bits | tag: 24 bits ─index─► local index ─► TermId
//! TermId ─► slot of 128 local indexes ─► blocks of texts ─► text
//! ```
//!
//! The index of a shard is a set of sorted runs, as a relation is: (high 64 bits of the hash, tag << 40 | local index);
//! entries of the attempt are in a table, until it is sealed or the table is too large. The tag is bits 40 to 63 of the
//! low half, on which the home does not depend. A hit needs key and tag to match, so two of n terms in a shard are taken
//! for one with a probability below n² / 2⁸⁹: one in 600 million for a thousand million terms.
//!
//! New terms of a batch get consecutive local indexes: first IRIs, then blank nodes, then literals, each kind in the order
//! of the batch, in which neighbours share prefixes; so facts that arrive in the order of their subjects have ids nearly in
//! order.
//!
//! Invariant: a shard's local indexes are dense. Those of an attempt follow all committed ones and are reused after an
//! abort: ids of an aborted attempt are invalid.

use super::cache::{ChunkCache, Scratch};
use super::directory::Cluster;
use super::index::Index;
use super::schema::Key;
use super::table::{Batch, Durability, Table};
use super::text::{self, BLOCK_TERMS, Texts};
use entail_logic::columns::spine::Spill;
use entail_logic::columns::{ChunkStore, Cursor, Pair, Run, Spine};
use entail_model::term::{self, HashKey, TermHash};
use entail_model::{Fault, ShardCount, ShardId, TermId, TermKind};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An estimate of the bytes of one slot's texts.
const SLOT_BYTES: u64 = 4 << 10;

const LOCAL_BITS: u32 = 40;
const LOCAL_MASK: u64 = (1 << LOCAL_BITS) - 1;

/// The dictionary of the shards that this node holds.
#[derive(Debug)]
pub struct Dictionary {
    table: Arc<dyn Table>,
    chunks: Arc<ChunkCache>,
    hash_key: HashKey,
    shard_count: ShardCount,
    shards: Vec<Mutex<Shard>>,
    /// Keeps the large index runs of the attempt.
    scratch: Mutex<Arc<Scratch>>,
    /// The approximate limit of the pairs that a shard's index keeps in memory for one attempt.
    resident_pairs_max: u64,
    /// Decoded texts.
    slots: Cache<SlotKey, Arc<Texts>, InMemory>,
    /// Counts aborts: an aborted id may be reused, so texts cached before an abort are not used after it.
    generation: AtomicU64,
    /// The shard at which the next batch starts, so that concurrent batches do not queue for the same shards.
    start: AtomicUsize,
}

/// Generation, shard and number of a slot.
type SlotKey = (u64, ShardId, u64);

/// The weight of decoded texts in the cache.
#[derive(Clone, Debug)]
struct InMemory;

impl Weighter<SlotKey, Arc<Texts>> for InMemory {
    fn weight(&self, _: &SlotKey, texts: &Arc<Texts>) -> u64 {
        (texts.bytes() + 128) as u64
    }
}

/// The terms of one shard.
#[derive(Debug, Default)]
struct Shard {
    committed: Vec<Arc<Run>>,
    committed_terms: u64,
    /// The newest entries of the attempt; older ones are in the stored runs of `staged` if there were too many.
    index: Index,
    staged: Spine,
    /// The number of terms, those of the attempt included.
    terms: u64,
}

/// A shard's committed or staged terms.
#[derive(Clone, Debug)]
pub struct ShardTerms {
    pub shard: ShardId,
    pub runs: Vec<Arc<Run>>,
    pub terms: u64,
}

/// A term to look up, ordered by home and index entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    home: ShardId,
    high: u64,
    tag: u32,
    /// Its position in the request.
    position: u32,
}

impl Wanted {
    fn entry(&self, local: u64) -> Pair {
        (TermId(self.high), TermId(u64::from(self.tag) << LOCAL_BITS | local))
    }

    /// The local index in the entry, if it is this term's.
    fn local_of(&self, (high, value): Pair) -> Option<u64> {
        let is_this = high.0 == self.high && value.0 >> LOCAL_BITS == u64::from(self.tag);
        is_this.then_some(value.0 & LOCAL_MASK)
    }
}

impl Shard {
    /// The local indexes of known terms, committed or of the attempt.
    fn find(&self, wanted: &[Wanted]) -> Result<Vec<Option<u64>>, Fault> {
        let in_index = |one: &Wanted| self.index.find(one.entry(0)).and_then(|entry| one.local_of(entry));
        let mut locals: Vec<Option<u64>> = wanted.iter().map(in_index).collect();
        if self.committed.is_empty() && self.staged.is_empty() {
            return Ok(locals);
        }
        let others = wanted.iter().zip(0..).filter(|(_, at)| locals[*at as usize].is_none());
        let mut others: Vec<Wanted> = others.map(|(one, at)| Wanted { position: at, ..*one }).collect();
        others.sort_unstable();
        let found = find(self.committed.iter().chain(&self.staged.runs), &others)?;
        others.iter().zip(found).for_each(|(one, local)| locals[one.position as usize] = local);
        Ok(locals)
    }
}

impl Dictionary {
    /// An empty dictionary that keeps `memory` bytes of texts.
    pub fn new(cluster: &Cluster, table: Arc<dyn Table>, chunks: Arc<ChunkCache>, memory: u64) -> Self {
        let count = usize::from(cluster.shards.get());
        let slots = Cache::with_weighter((memory / 2 / SLOT_BYTES) as usize, memory / 2, InMemory);
        Self {
            table,
            hash_key: cluster.hash_key(),
            shard_count: cluster.shards,
            shards: (0..count).map(|_| Mutex::default()).collect(),
            scratch: Mutex::new(chunks.scratch()),
            chunks,
            resident_pairs_max: (memory / 2 / count as u64 / size_of::<Pair>() as u64).clamp(1 << 12, 1 << 20),
            slots,
            generation: AtomicU64::new(0),
            start: AtomicUsize::new(0),
        }
    }

    /// The hashes of terms, which determine their homes.
    pub fn hashes<T: AsRef<[u8]>>(&self, terms: &[T]) -> Vec<TermHash> {
        terms.iter().map(|term| self.hash_key.hash(term.as_ref())).collect()
    }

    /// The ids of terms with known hashes; terms without one get new ids, which the attempt stages.
    pub fn intern<T: AsRef<[u8]>>(&self, terms: &[T], hashes: &[TermHash]) -> Result<Vec<TermId>, Fault> {
        let kinds = terms.iter().map(|term| term::kind_of(term.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let mut homes: Vec<Vec<Wanted>> = vec![Vec::new(); self.shards.len()];
        let room = hashes.len() / homes.len();
        homes.iter_mut().for_each(|home| home.reserve(room + room / 4));
        for (hash, position) in hashes.iter().zip(0..) {
            let one = self.wanted(*hash, position);
            homes[usize::from(one.home.0)].push(one);
        }
        homes.retain(|home| !home.is_empty());
        let mut ids = vec![TermId::MAX; terms.len()];
        let start = self.start.fetch_add(1, Ordering::Relaxed) % homes.len().max(1);
        for group in homes[start..].iter().chain(&homes[..start]) {
            let locals = self.intern_at(group[0].home, group, terms, &kinds)?;
            for (one, local) in group.iter().zip(locals) {
                let position = one.position as usize;
                ids[position] = TermId::dictionary(one.home, local, kinds[position]);
            }
        }
        Ok(ids)
    }

    /// The ids of terms that are committed.
    pub fn lookup<T: AsRef<[u8]>>(&self, terms: &[T]) -> Result<Vec<Option<TermId>>, Fault> {
        let hashes = self.hashes(terms);
        let mut wanted: Vec<Wanted> =
            hashes.iter().zip(0..).map(|(hash, position)| self.wanted(*hash, position)).collect();
        wanted.sort_unstable();
        let mut ids = vec![None; terms.len()];
        for group in wanted.chunk_by(|a, b| a.home == b.home) {
            let runs = self.shard(group[0].home).committed.clone();
            for (one, local) in group.iter().zip(find(&runs, group)?) {
                let Some(local) = local else { continue };
                let position = one.position as usize;
                let kind = term::kind_of(terms[position].as_ref())?;
                ids[position] = Some(TermId::dictionary(one.home, local, kind));
            }
        }
        Ok(ids)
    }

    /// The texts of terms, committed or of the attempt.
    ///
    /// # Errors
    /// `Corrupt` for an id that this dictionary did not give.
    pub fn texts(&self, ids: &[TermId]) -> Result<Vec<Arc<[u8]>>, Fault> {
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_unstable_by_key(|index| ids[*index]);
        let mut texts: Vec<Arc<[u8]>> = vec![Arc::default(); ids.len()];
        let mut last: Option<(ShardId, u64, Arc<Texts>)> = None;
        for (step, index) in order.iter().copied().enumerate() {
            let id = ids[index];
            if step > 0 && ids[order[step - 1]] == id {
                texts[index] = Arc::clone(&texts[order[step - 1]]);
                continue;
            }
            let (shard, local) = id.home().zip(id.local()).ok_or_else(|| unknown(id))?;
            let slot = local / BLOCK_TERMS as u64;
            let block = match last.take() {
                Some((of, at, block)) if (of, at) == (shard, slot) && block.len() > index_in_slot(local) => block,
                _ => self.slot(shard, local)?,
            };
            texts[index] = self.text(id, shard, local, &block)?;
            last = Some((shard, slot, block));
        }
        Ok(texts)
    }

    /// Shows the texts of terms in the order of `ids`, from the blocks that hold them, up to the one with which they have more than
    /// `bytes_max` bytes.
    ///
    /// # Errors
    /// `Corrupt` for an id that this dictionary did not give.
    pub fn show_texts(&self, ids: &[TermId], bytes_max: u64, show: &mut dyn FnMut(&[u8])) -> Result<(), Fault> {
        let mut last: Option<(ShardId, u64, Arc<Texts>)> = None;
        let mut bytes = 0;
        let mut counted = |text: &[u8]| {
            bytes += text.len() as u64;
            show(text);
            bytes > bytes_max
        };
        for id in ids {
            let (shard, local) = id.home().zip(id.local()).ok_or_else(|| unknown(*id))?;
            let (slot, index) = (local / BLOCK_TERMS as u64, index_in_slot(local));
            let block = match last.take() {
                Some((of, at, block)) if (of, at) == (shard, slot) && block.len() > index => block,
                _ => self.slot(shard, local)?,
            };
            let is_enough = match block.get(index) {
                Some(text) if !text.is_empty() && term::kind_of(text)? == id.kind() => counted(text),
                _ => counted(&self.text(*id, shard, local, &block)?),
            };
            if is_enough {
                break;
            }
            last = Some((shard, slot, block));
        }
        Ok(())
    }

    fn text(&self, id: TermId, shard: ShardId, local: u64, block: &Texts) -> Result<Arc<[u8]>, Fault> {
        let text: Arc<[u8]> = match block.get(index_in_slot(local)) {
            None => return Err(unknown(id)),
            Some([]) => {
                let bytes = self.table.get(Key::LargeTerm { shard, local })?.ok_or_else(|| unknown(id))?;
                text::decode_large(&bytes)?.into()
            }
            Some(text) => text.into(),
        };
        if term::kind_of(&text)? == id.kind() { Ok(text) } else { Err(unknown(id)) }
    }

    /// The texts of the slot of `local`, from the cache if it has that one: the last slot of a shard grows.
    fn slot(&self, shard: ShardId, local: u64) -> Result<Arc<Texts>, Fault> {
        let slot = local / BLOCK_TERMS as u64;
        let key = (self.generation.load(Ordering::Acquire), shard, slot);
        if let Some(texts) = self.slots.get(&key)
            && texts.len() > index_in_slot(local)
        {
            return Ok(texts);
        }
        let texts = Arc::new(self.load_slot(shard, slot * BLOCK_TERMS as u64)?);
        self.slots.insert(key, Arc::clone(&texts));
        Ok(texts)
    }

    fn load_slot(&self, shard: ShardId, start: u64) -> Result<Texts, Fault> {
        let end = Key::TermBlock { shard, first: start + BLOCK_TERMS as u64 };
        let mut texts = Texts::default();
        let mut visit = |key: Key, bytes: &[u8]| {
            let expected = Key::TermBlock { shard, first: start + texts.len() as u64 };
            if key != expected {
                return Err(Fault::corrupt(format!("{key:?} where {expected:?} should be")));
            }
            texts.append(&text::decode(bytes)?);
            Ok(ControlFlow::Continue(()))
        };
        self.table.scan(&Key::TermBlock { shard, first: start }.to(&end), &mut visit)?;
        Ok(texts)
    }

    fn wanted(&self, hash: TermHash, position: u32) -> Wanted {
        let (high, tag) = ((hash.0 >> 64) as u64, (hash.0 as u64 >> LOCAL_BITS) as u32);
        Wanted { home: hash.home(self.shard_count), high, tag, position }
    }

    /// The local indexes of terms at home in `home`, in the order of `wanted`, which is that of their positions.
    fn intern_at<T: AsRef<[u8]>>(
        &self,
        home: ShardId,
        wanted: &[Wanted],
        terms: &[T],
        kinds: &[TermKind],
    ) -> Result<Vec<u64>, Fault> {
        let mut shard = self.shard(home);
        self.store_index(&mut shard)?;
        let mut locals = shard.find(wanted)?;
        let first = shard.terms;
        let missing = wanted.iter().enumerate().zip(&locals).filter(|(_, local)| local.is_none());
        let mut missing: Vec<(usize, &Wanted)> = missing.map(|(one, _)| one).collect();
        missing.sort_by_key(|(_, one)| kinds[one.position as usize]);
        let mut texts: Vec<&[u8]> = Vec::with_capacity(missing.len());
        if first + missing.len() as u64 > LOCAL_MASK {
            return Err(Fault::internal(format!("shard {home} has more terms than there are ids")));
        }
        for (at, one) in missing {
            // The request may have the term twice.
            locals[at] = shard.index.find(one.entry(0)).and_then(|entry| one.local_of(entry));
            if locals[at].is_none() {
                let local = first + texts.len() as u64;
                shard.index.insert(one.entry(local));
                locals[at] = Some(local);
                texts.push(terms[one.position as usize].as_ref());
            }
        }
        if let Err(fault) = self.write(home, first, &texts) {
            shard.index.retain(|entry| entry.1.0 & LOCAL_MASK < first);
            return Err(fault);
        }
        shard.terms = first + texts.len() as u64;
        Ok(locals.into_iter().flatten().collect())
    }

    /// Stores the entries of a shard's table if they exceed the memory limit. An error changes nothing.
    fn store_index(&self, shard: &mut Shard) -> Result<(), Fault> {
        if shard.index.bytes() <= self.resident_pairs_max * size_of::<Pair>() as u64 {
            return Ok(());
        }
        let spill = Spill { store: Some(self.scratch() as Arc<dyn ChunkStore>), above: 0 };
        let mut staged = shard.staged.clone();
        shard.index.run().map_or(Ok(()), |run| staged.push(run, &spill))?;
        shard.staged = staged;
        shard.index = Index::default();
        Ok(())
    }

    /// Writes the texts of new terms.
    fn write(&self, shard: ShardId, first: u64, texts: &[&[u8]]) -> Result<(), Fault> {
        let mut batch = Batch::default();
        let (mut first, mut rest) = (first, texts);
        for size in text::cut(first, texts.iter().map(|text| text.len())) {
            let (block, later) = rest.split_at(size);
            batch.put(Key::TermBlock { shard, first }, text::encode(block.iter().copied()));
            for (local, large) in (first..).zip(block).filter(|(_, text)| text::is_large(text.len())) {
                batch.put(Key::LargeTerm { shard, local }, text::encode_large(large));
            }
            first += size as u64;
            rest = later;
        }
        self.table.commit(batch, Durability::Later)
    }

    /// The terms that the attempt has added, if any.
    pub fn staged(&self) -> Vec<ShardTerms> {
        let staged = self.all().filter(|(_, shard)| shard.terms > shard.committed_terms);
        let staged = staged.map(|(id, mut shard)| {
            let rest = shard.index.take();
            shard.staged.runs.extend(rest);
            ShardTerms { shard: id, runs: shard.staged.runs.clone(), terms: shard.terms }
        });
        staged.collect()
    }

    /// Sets the committed terms of a shard.
    pub fn set_committed(&self, committed: ShardTerms) {
        let mut shard = self.shard(committed.shard);
        let terms = shard.terms.max(committed.terms);
        *shard = Shard { committed: committed.runs, committed_terms: committed.terms, terms, ..Shard::default() };
    }

    /// Sets the terms of a sealed attempt, after a restart.
    pub fn set_staged(&self, staged: ShardTerms) {
        let mut shard = self.shard(staged.shard);
        shard.index = Index::default();
        shard.staged = Spine { runs: staged.runs };
        shard.terms = staged.terms;
    }

    /// Replaces the runs of a shard's committed terms by others with equal content.
    pub fn set_runs(&self, shard: ShardId, runs: Vec<Arc<Run>>) {
        self.shard(shard).committed = runs;
    }

    /// Ends the attempt: its chunks that no run has adopted are deleted.
    pub fn end_attempt(&self) {
        *self.scratch.lock().unwrap_or_else(PoisonError::into_inner) = self.chunks.scratch();
    }

    /// Deletes all uncommitted terms: those of the attempt, also of one from before a restart.
    pub fn delete_staged(&self) -> Result<(), Fault> {
        let mut batch = Batch::default();
        for (shard, state) in self.all() {
            if state.terms > state.committed_terms {
                delete_terms(shard, state.committed_terms, &mut batch);
            }
        }
        self.table.commit(batch, Durability::Later)?;
        for (_, mut shard) in self.all() {
            shard.index = Index::default();
            shard.staged = Spine::default();
            shard.terms = shard.committed_terms;
        }
        self.generation.fetch_add(1, Ordering::Release);
        self.end_attempt();
        Ok(())
    }

    /// Deletes the texts of an unsealed attempt from before a crash.
    pub fn delete_leftovers(&self) -> Result<(), Fault> {
        let mut batch = Batch::default();
        for (shard, state) in self.all() {
            if self.table.last(&Key::terms_from(shard, state.terms))?.is_some() {
                delete_terms(shard, state.terms, &mut batch);
            }
        }
        self.table.commit(batch, Durability::Later)
    }

    /// Bytes of index and texts in memory.
    pub fn bytes(&self) -> u64 {
        let runs = |shard: &Shard| shard.staged.runs.iter().map(|run| run.resident_bytes()).sum::<u64>();
        let staged = |shard: &Shard| shard.index.bytes() + runs(shard);
        self.slots.weight() + self.all().map(|(_, shard)| staged(&shard)).sum::<u64>()
    }

    fn scratch(&self) -> Arc<Scratch> {
        Arc::clone(&self.scratch.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn all(&self) -> impl Iterator<Item = (ShardId, MutexGuard<'_, Shard>)> {
        self.shard_count.shards().map(|id| (id, self.shard(id)))
    }

    fn shard(&self, id: ShardId) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[usize::from(id.0)];
        shard.lock().unwrap_or_else(|poisoned| {
            // The count changes last. Entries of terms beyond it are those of a batch that was not written.
            let mut left = poisoned.into_inner();
            let terms = left.terms;
            left.index.retain(|entry| entry.1.0 & LOCAL_MASK < terms);
            shard.clear_poison();
            left
        })
    }
}

/// The local index of each wanted term in these runs.
fn find<'r>(runs: impl IntoIterator<Item = &'r Arc<Run>>, wanted: &[Wanted]) -> Result<Vec<Option<u64>>, Fault> {
    let mut locals = vec![None; wanted.len()];
    for run in runs {
        let mut cursor = Cursor::new(run);
        for (one, local) in wanted.iter().zip(&mut locals).filter(|(_, local)| local.is_none()) {
            let Some((high, value)) = cursor.seek_hash(one.entry(0))?.first() else { break };
            *local = one.local_of((*high, *value));
        }
    }
    Ok(locals)
}

fn delete_terms(shard: ShardId, from: u64, batch: &mut Batch) {
    batch.delete_range(Key::terms_from(shard, from));
    batch.delete_range(Key::LargeTerm { shard, local: from }.to(&Key::LargeTerm { shard, local: u64::MAX }));
}

fn index_in_slot(local: u64) -> usize {
    (local % BLOCK_TERMS as u64) as usize
}

fn unknown(id: TermId) -> Fault {
    Fault::corrupt(format!("no term at this node has the id {id:?}"))
}
