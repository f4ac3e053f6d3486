//! A table in memory, for tests. Clones share their contents, like processes that open one directory in turn.

use super::schema::{Family, Key, KeyRange};
use super::table::{Batch, Durability, DurableFiles, Table, TableGauges, Visit, Write};
use entail_model::Fault;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

type Contents = BTreeMap<(Family, Vec<u8>), Vec<u8>>;

/// Keys and values in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryTable(Arc<RwLock<Contents>>);

impl MemoryTable {
    fn read(&self) -> RwLockReadGuard<'_, Contents> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self, range: &KeyRange) -> Vec<(Vec<u8>, Vec<u8>)> {
        let bounds = (range.family, range.bytes.start.clone())..(range.family, range.bytes.end.clone());
        let contents = self.read();
        if bounds.is_empty() {
            return Vec::new();
        }
        contents.range(bounds).map(|((_, key), value)| (key.clone(), value.clone())).collect()
    }
}

impl Table for MemoryTable {
    fn get(&self, key: Key) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.read().get(&(key.family(), key.encode())).cloned())
    }

    fn scan(&self, range: &KeyRange, visit: Visit<'_>) -> Result<(), Fault> {
        for (key, value) in self.entries(range) {
            if visit(Key::decode(range.family, &key)?, &value)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, range: &KeyRange) -> Result<Option<Key>, Fault> {
        self.entries(range).last().map(|(key, _)| Key::decode(range.family, key)).transpose()
    }

    fn commit(&self, batch: Batch, _: Durability) -> Result<(), Fault> {
        let mut contents = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for write in batch.writes {
            match write {
                Write::Put(key, value) => {
                    contents.insert((key.family(), key.encode()), value);
                }
                Write::Delete(key) => {
                    contents.remove(&(key.family(), key.encode()));
                }
                Write::DeleteRange(range) => {
                    contents.retain(|(family, key), _| *family != range.family || !range.bytes.contains(key));
                }
            }
        }
        Ok(())
    }

    fn failure(&self) -> Option<Fault> {
        None
    }

    fn sync(&self) -> Result<(), Fault> {
        Ok(())
    }

    fn durable(&self) -> DurableFiles {
        DurableFiles::default()
    }

    fn release(&self) {}

    fn compact(&self, _: &KeyRange) {}

    fn gauges(&self) -> TableGauges {
        TableGauges::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_contract() {
        let table = MemoryTable::default();
        super::super::table::contract::check(64, &|| Box::new(table.clone()));
    }
}
