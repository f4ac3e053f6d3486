//! The inventory of a data directory: what its files must still hold, kept beside them.
//!
//! ```text
//! INVENTORY   magic: 8 | record ...
//! record      payload length: u32 | crc32c of payload: u32 | crc32c of both: u32 | payload (the role's own)
//! ```
//!
//! The last whole record counts. It is a *lower bound*: the files held that much when it was written, durably, and have
//! only grown or been replaced by the role's own rules since. Records are appended without a sync, after what they speak
//! of is durable. So one costs a write to the page cache, and each crash leaves a bound that holds:
//!
//! | what happens | the last whole record |
//! |---|---|
//! | killed before the append | speaks of the state before: less than there is |
//! | killed in the append | is torn and does not count; the one before it does |
//! | power lost before the system wrote the append | the same; what the others of the cluster remember is the closer bound |
//! | killed or power lost while the file is replaced | the old file or the new one, whole (written, synced, renamed, synced) |
//! | a failed append (no room) | the one before; the file is cut back to it |
//!
//! A damaged record is like a torn one, which makes the bound weaker and never wrong. The first record of a file was synced
//! before the file got its name, so a file without a whole record is damaged.

use crate::{Directory, fault, publish, write_new};
use crc32c::crc32c;
use entail_model::{Fault, Reason};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file's name.
pub const INVENTORY: &str = "INVENTORY";
const NEW_INVENTORY: &str = "INVENTORY.new";

const MAGIC: [u8; 8] = *b"ENTAILIN";
const RECORD_HEADER: usize = 12;

/// A file of so many bytes is replaced by one that has the last record only.
const BYTES_MAX: u64 = 256 << 10;

/// The inventory of a directory, open for writing.
#[derive(Debug)]
pub struct Inventory {
    directory: PathBuf,
    file: File,
    length: u64,
}

impl Inventory {
    /// The last whole record; `None` if the directory has no inventory. Changes nothing.
    ///
    /// # Errors
    /// [`entail_model::Reason::Corrupt`] if there is none in the file.
    pub fn read(directory: &Directory) -> Result<Option<Vec<u8>>, Fault> {
        let Some(bytes) = directory.read(INVENTORY)? else { return Ok(None) };
        let last = bytes.strip_prefix(&MAGIC).and_then(last_record);
        let damaged = || Fault::corrupt(format!("{}/{INVENTORY} is damaged", directory.path().display()));
        last.map(|payload| Some(payload.to_vec())).ok_or_else(damaged)
    }

    /// Replaces the inventory, durably, by one with this record. What the directory holds must have been checked against
    /// the one that is there: on a full disk that one stays, as its bound holds, and is appended to.
    ///
    /// # Errors
    /// `DiskFull` where there is none yet.
    pub fn begin(directory: &Directory, payload: &[u8]) -> Result<Self, Fault> {
        match Self::begin_in(directory.path(), payload) {
            Err(fault) if fault.reason == Reason::DiskFull => Self::resume(directory)?.ok_or(fault),
            begun => begun,
        }
    }

    /// The inventory that is there, cut after its last whole record; `None` if there is none.
    fn resume(directory: &Directory) -> Result<Option<Self>, Fault> {
        let Some(bytes) = directory.read(INVENTORY)? else { return Ok(None) };
        let Some(mut rest) = bytes.strip_prefix(&MAGIC) else { return Ok(None) };
        while let Some((_, after)) = first_record(rest) {
            rest = after;
        }
        let length = (bytes.len() - rest.len()) as u64;
        let path = directory.path().to_owned();
        let opened = OpenOptions::new().append(true).open(path.join(INVENTORY));
        let file = opened.and_then(|file| file.set_len(length).map(|()| file));
        let file = file.map_err(|error| fault(&path, &error))?;
        Ok(Some(Self { directory: path, file, length }))
    }

    fn begin_in(directory: &Path, payload: &[u8]) -> Result<Self, Fault> {
        let bytes = [&MAGIC[..], &record(payload)].concat();
        let file = write_new(directory, NEW_INVENTORY, &bytes)?;
        publish(directory, NEW_INVENTORY, INVENTORY)?;
        Ok(Self { directory: directory.to_owned(), file, length: bytes.len() as u64 })
    }

    /// Appends a record, which is not durable yet.
    ///
    /// # Errors
    /// The record does not count, and the one before it does.
    pub fn append(&mut self, payload: &[u8]) -> Result<(), Fault> {
        let record = record(payload);
        if self.length + record.len() as u64 > BYTES_MAX {
            *self = Self::begin_in(&self.directory, payload)?;
            return Ok(());
        }
        match self.file.write_all(&record) {
            Ok(()) => {
                self.length += record.len() as u64;
                Ok(())
            }
            Err(error) => {
                // What follows a torn record is not read. If this fails, too, later records do not count: a weaker bound.
                _ = self.file.set_len(self.length);
                Err(fault(&self.directory, &error))
            }
        }
    }

    /// Returns once every record is durable.
    pub fn sync(&self) -> Result<(), Fault> {
        self.file.sync_data().map_err(|error| fault(&self.directory, &error))
    }
}

fn record(payload: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD_HEADER + payload.len());
    record.extend((payload.len() as u32).to_le_bytes());
    record.extend(crc32c(payload).to_le_bytes());
    record.extend(crc32c(&record).to_le_bytes());
    record.extend(payload);
    record
}

fn last_record(mut bytes: &[u8]) -> Option<&[u8]> {
    let mut last = None;
    while let Some((payload, rest)) = first_record(bytes) {
        (last, bytes) = (Some(payload), rest);
    }
    last
}

/// The payload of the record at the start, if it is whole, and what follows.
fn first_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, rest) = bytes.split_at_checked(RECORD_HEADER)?;
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if number(8) != crc32c(&header[..8]) {
        return None;
    }
    let (payload, rest) = rest.split_at_checked(number(0) as usize)?;
    (number(4) == crc32c(payload)).then_some((payload, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn opened() -> (tempfile::TempDir, Directory) {
        let place = tempfile::tempdir().expect("a temporary directory");
        let directory = Directory::open(place.path(), |_| false).expect("an empty directory");
        (place, directory)
    }

    #[test]
    fn the_last_record_counts_also_when_the_file_is_replaced() {
        let (place, directory) = opened();
        assert_eq!(Inventory::read(&directory).expect("readable"), None);
        let mut inventory = Inventory::begin(&directory, b"0").expect("room");
        for n in 1..30_000u32 {
            let payload = n.to_string();
            inventory.append(payload.as_bytes()).expect("room");
            if n % 1_000 == 1 {
                assert_eq!(Inventory::read(&directory).expect("readable"), Some(payload.into_bytes()));
            }
        }
        let length = fs::metadata(place.path().join(INVENTORY)).expect("it is there").len();
        assert!(length <= BYTES_MAX, "{length} bytes");
    }

    /// At every byte a crash may cut the file: a record counts once it is whole.
    #[test]
    fn a_torn_record_does_not_count() {
        let (place, directory) = opened();
        let mut inventory = Inventory::begin(&directory, b"first").expect("room");
        let mut ends = vec![inventory.length as usize];
        for payload in ["second", "", "fourth"] {
            inventory.append(payload.as_bytes()).expect("room");
            ends.push(inventory.length as usize);
        }
        let path = place.path().join(INVENTORY);
        let bytes = fs::read(&path).expect("it is there");
        for cut in 0..=bytes.len() {
            fs::write(&path, &bytes[..cut]).expect("room");
            match (Inventory::read(&directory), ends.iter().rposition(|end| *end <= cut)) {
                (Ok(found), Some(whole)) => {
                    let expected = [&b"first"[..], b"second", b"", b"fourth"][whole];
                    assert_eq!(found.as_deref(), Some(expected), "cut at {cut}");
                }
                (Err(fault), None) => assert_eq!(fault.reason, Reason::Corrupt),
                (found, whole) => panic!("cut at {cut}: {found:?}, {whole:?}"),
            }
        }
    }

    #[test]
    fn one_that_is_resumed_goes_on_after_its_last_whole_record() {
        let (place, directory) = opened();
        assert!(Inventory::resume(&directory).expect("readable").is_none());
        let mut inventory = Inventory::begin(&directory, b"first").expect("room");
        inventory.append(b"second").expect("room");
        let path = place.path().join(INVENTORY);
        let bytes = fs::read(&path).expect("it is there");
        fs::write(&path, &bytes[..bytes.len() - 1]).expect("room");
        let mut resumed = Inventory::resume(&directory).expect("readable").expect("it is there");
        assert_eq!(Inventory::read(&directory).expect("readable").as_deref(), Some(&b"first"[..]));
        resumed.append(b"third").expect("room");
        assert_eq!(Inventory::read(&directory).expect("readable").as_deref(), Some(&b"third"[..]));
    }

    #[test]
    fn a_flipped_bit_gives_an_earlier_record_or_none() {
        let (place, directory) = opened();
        let mut inventory = Inventory::begin(&directory, b"first").expect("room");
        inventory.append(b"second").expect("room");
        let path = place.path().join(INVENTORY);
        let bytes = fs::read(&path).expect("it is there");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).expect("room");
            match Inventory::read(&directory) {
                Ok(found) => assert_eq!(found.as_deref(), Some(&b"first"[..]), "bit {bit}"),
                Err(fault) => assert_eq!(fault.reason, Reason::Corrupt),
            }
        }
    }
}
