//! How much of the metadata log is durable, kept beside it.
//!
//! ```text
//! append:    record ──► fdatasync ──► inventory: the log is so long ──► applied, answered
//! compact:   metalog.new ──► fsync ──► inventory, synced: the old log or the new ──► rename ──► inventory: the new log
//! opening:   read ──► replayed ──► as long as the inventory says? │ refused, or: torn end cut off ──► new inventory
//! ```
//!
//! The log alone does not distinguish a last record that a crash has torn, and that was never acknowledged, from one that
//! was acknowledged and damaged since. The inventory is a lower bound (`entail_directory::Inventory`): its records follow what they speak
//! of, without a sync of their own. So every crash leaves one that the log keeps:
//!
//! | what happens | the log | the inventory |
//! |---|---|---|
//! | killed before or within the append, or before it is synced | ends before the record, or with a torn one | of the log before |
//! | killed between the sync and the inventory's record | has the record | of the log before: less than there is |
//! | killed within the inventory's record | has the record | the one before, as a torn one does not count |
//! | power lost before the system wrote the inventory's record | has the record | an older one: a weaker bound. Nodes remember the last epoch and refuse a log that lacks it |
//! | killed while compacting, before the rename or after | is the old file or the new one | names both, synced before the rename |

use super::directory::{self, Age};
use entail_directory::{Directory, Extent, INVENTORY, Inventory};
use entail_model::Fault;

/// The inventory of an open log.
pub struct Vouched {
    inventory: Inventory,
    extent: Extent,
    has_warned: bool,
}

impl Vouched {
    /// Begins the inventory of a log that is durable up to here.
    pub fn begin(directory: &Directory, extent: Extent) -> Result<Self, Fault> {
        Ok(Self { inventory: Inventory::begin(directory, &encode(&[extent]))?, extent, has_warned: false })
    }

    /// The log has grown by a record, which is durable.
    pub fn grow(&mut self, record: &[u8]) {
        self.is(self.extent.and(record));
    }

    /// The log is another file soon, or stays the one that it is.
    ///
    /// # Errors
    /// The log must stay the one that it is.
    pub fn may_become(&mut self, other: Extent) -> Result<(), Fault> {
        self.inventory.append(&encode(&[self.extent, other]))?;
        self.inventory.sync()
    }

    /// The log is durable up to here.
    pub fn is(&mut self, extent: Extent) {
        self.extent = extent;
        if let Err(fault) = self.inventory.append(&encode(&[extent]))
            && !self.has_warned
        {
            self.has_warned = true;
            tracing::warn!(%fault, "the inventory cannot be written: a loss in the metadata log may go unnoticed");
        }
    }
}

/// Checks that the log of this name has the bytes that its inventory names. Changes nothing.
///
/// # Errors
/// `Corrupt`, with what is missing.
pub fn check(directory: &Directory, age: Age, name: &str, log: Option<&[u8]>) -> Result<(), Fault> {
    let path = directory.path().display();
    let lost = |what: &str| Err(Fault::corrupt(format!("{path}/{what}")));
    let Some(record) = Inventory::read(directory)? else {
        return match (age, log) {
            (Age::Current, _) => lost(&format!("{INVENTORY} is missing")),
            (_, None) if directory::has_ballast(directory) => lost(&format!("{name} is missing")),
            _ => Ok(()),
        };
    };
    let Some(log) = log else { return lost(&format!("{name} is missing")) };
    let extents: Vec<Extent> = match postcard::from_bytes(&record) {
        Ok(extents) => extents,
        Err(_) => return lost(&format!("{INVENTORY} has a record that cannot be read")),
    };
    let is_kept = |extent: &Extent| log.get(..extent.length as usize).is_some_and(|first| Extent::of(first) == *extent);
    if extents.iter().any(is_kept) {
        return Ok(());
    }
    match extents.iter().map(|extent| extent.length).min() {
        Some(length) if (log.len() as u64) < length => {
            lost(&format!("{name} has {} bytes of at least {length}", log.len()))
        }
        _ => lost(&format!("{name} has other bytes than it had")),
    }
}

fn encode(extents: &[Extent]) -> Vec<u8> {
    postcard::to_stdvec(extents).expect("plain data that fits in memory")
}
