//! An append-only file, one synced record at a time, that is poisoned by the first doubtful write.
//!
//! Invariant: the file's first `length` bytes are durable, and no byte after them was ever acknowledged. A write that fails
//! for lack of space is undone; any other failure of a write, and every failure of a sync, *poisons* the journal: after a
//! failed fsync the kernel may drop what it could not write and let the next fsync succeed, so trying again proves
//! nothing (LWN 752063, "PostgreSQL's fsync surprise").

use entail_directory::is_full;
use entail_model::{Fault, Reason};
use std::fs::File;
use std::io::{self, Write};

/// The operations that a journal needs of a file; tests substitute one that fails.
pub trait Medium: Send {
    /// Writes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once all bytes are durable.
    fn sync(&mut self) -> io::Result<()>;
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// A file opened for appending.
impl Medium for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// The journal (see the module).
pub struct Journal {
    medium: Box<dyn Medium>,
    length: u64,
    poisoned: bool,
}

impl Journal {
    /// A journal of `found` bytes, of which the first `length` are valid; the others are cut off.
    pub fn open(mut medium: Box<dyn Medium>, length: u64, found: u64) -> io::Result<Self> {
        if found != length {
            medium.truncate(length)?;
        }
        // A process that was killed between write and sync has left bytes that only the cache may hold.
        medium.sync()?;
        Ok(Self { medium, length, poisoned: false })
    }

    /// The number of durable bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Is the journal poisoned, so that nothing is written any more?
    pub fn poison(&mut self) {
        self.poisoned = true;
    }

    /// Writes `bytes` and returns once they are durable.
    ///
    /// # Errors
    /// [`Reason::DiskFull`]: nothing changed. [`Reason::OutcomeUnknown`]: the journal is poisoned.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.poisoned {
            return Err(unknown("an earlier write failed"));
        }
        self.medium.append(bytes).map_err(|error| self.undo(&error))?;
        if let Err(error) = self.medium.sync() {
            self.poison();
            return Err(unknown(&format!("fsync: {error}")));
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn undo(&mut self, error: &io::Error) -> Fault {
        if is_full(error) && self.medium.truncate(self.length).and_then(|()| self.medium.sync()).is_ok() {
            return disk_full(error);
        }
        self.poison();
        unknown(&error.to_string())
    }
}

fn disk_full(error: &io::Error) -> Fault {
    Fault::new(Reason::DiskFull, format!("no free disk space for the metadata log: {error}"))
}

fn unknown(what: &str) -> Fault {
    Fault::new(Reason::OutcomeUnknown, format!("the metadata log cannot be written, the coordinator exits: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::sync::{Arc, Mutex, PoisonError};

    /// A disk in memory that fails on request, and whose bytes outlive the journal.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<Contents>>);

    #[derive(Default)]
    struct Contents {
        bytes: Vec<u8>,
        room: Option<usize>,
        append: Option<ErrorKind>,
        sync: Option<ErrorKind>,
        truncate: Option<ErrorKind>,
    }

    impl Disk {
        fn with<T>(&self, act: impl FnOnce(&mut Contents) -> T) -> T {
            act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }

        fn bytes(&self) -> Vec<u8> {
            self.with(|disk| disk.bytes.clone())
        }

        fn journal(&self) -> Journal {
            Journal::open(Box::new(self.clone()), 0, 0).expect("nothing to cut")
        }
    }

    fn result(error: Option<ErrorKind>) -> io::Result<()> {
        error.map_or(Ok(()), |kind| Err(kind.into()))
    }

    impl Medium for Disk {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.with(|disk| {
                result(disk.append)?;
                let room = disk.room.map_or(bytes.len(), |room| room.saturating_sub(disk.bytes.len()).min(bytes.len()));
                disk.bytes.extend(&bytes[..room]);
                result((room < bytes.len()).then_some(ErrorKind::StorageFull))
            })
        }

        fn sync(&mut self) -> io::Result<()> {
            self.with(|disk| result(disk.sync))
        }

        fn truncate(&mut self, length: u64) -> io::Result<()> {
            self.with(|disk| {
                result(disk.truncate)?;
                disk.bytes.truncate(length as usize);
                Ok(())
            })
        }
    }

    #[test]
    fn a_full_disk_is_refused_cleanly_and_passes() {
        let disk = Disk::default();
        let mut journal = disk.journal();
        journal.append(b"good").expect("room");
        disk.with(|disk| disk.room = Some(6));
        assert_eq!(journal.append(b"more").map_err(|fault| fault.reason), Err(Reason::DiskFull));
        assert_eq!((disk.bytes(), journal.length()), (b"good".to_vec(), 4));
        disk.with(|disk| disk.room = None);
        journal.append(b"more").expect("room again");
        assert_eq!(disk.bytes(), b"goodmore");
    }

    #[test]
    fn every_other_failure_poisons() {
        let failures: [fn(&mut Contents); 4] = [
            |disk| disk.append = Some(ErrorKind::Other),
            |disk| disk.sync = Some(ErrorKind::Other),
            |disk| disk.sync = Some(ErrorKind::StorageFull),
            |disk| (disk.room, disk.truncate) = (Some(6), Some(ErrorKind::Other)),
        ];
        for fail in failures {
            let disk = Disk::default();
            let mut journal = disk.journal();
            journal.append(b"good").expect("nothing fails yet");
            disk.with(fail);
            assert_eq!(journal.append(b"more").map_err(|fault| fault.reason), Err(Reason::OutcomeUnknown));
            assert!(journal.is_poisoned());
            // The disk works again, but its content is unknown.
            disk.with(|disk| *disk = Contents { bytes: std::mem::take(&mut disk.bytes), ..Contents::default() });
            let before = disk.bytes();
            assert_eq!(journal.append(b"more").map_err(|fault| fault.reason), Err(Reason::OutcomeUnknown));
            assert_eq!(disk.bytes(), before);
        }
    }

    #[test]
    fn what_follows_the_good_bytes_is_cut_off() {
        let disk = Disk::default();
        disk.with(|disk| disk.bytes = b"good, torn".to_vec());
        let mut journal = Journal::open(Box::new(disk.clone()), 4, 10).expect("the disk works");
        journal.append(b"more").expect("the disk works");
        assert_eq!(disk.bytes(), b"goodmore");
    }
}
