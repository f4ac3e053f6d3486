//! Overflow of inboxes: messages beyond the memory budget wait in an unnamed file, which the system frees when it is
//! closed.
//!
//! A peer has its receipt when the message is written, so a slow disk delays the sender, and long work does not: nodes
//! that all work and all send never wait for each other.

use entail_model::{Fault, Reason};
use std::fs::{self, File, OpenOptions};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes that stay free on the disk, or `FREE_SHARE` of it if that is less, for accepted data.
const FREE_MIN: u64 = 1 << 30;
const FREE_SHARE: u64 = 10;

/// The memory budget of all inboxes of a node.
#[derive(Debug)]
pub struct MemoryBudget {
    bytes_max: u64,
    bytes: AtomicU64,
    place: PathBuf,
    next_file: AtomicU64,
    /// Bytes that went to disk since the start.
    stored: AtomicU64,
}

impl MemoryBudget {
    /// A budget of `bytes_max` bytes in memory; other messages wait in files in `place`.
    pub fn new(bytes_max: u64, place: PathBuf) -> Self {
        Self { bytes_max, bytes: AtomicU64::new(0), place, next_file: AtomicU64::new(0), stored: AtomicU64::new(0) }
    }

    /// Takes `bytes` of the budget, if they are free.
    pub fn take(&self, bytes: u64) -> bool {
        let taken = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.bytes_max);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }

    /// Returns `bytes` to the budget.
    pub fn give(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The budget, its used bytes, and the bytes that went to disk since the start.
    pub fn use_of(&self) -> RoomUse {
        RoomUse {
            budget: self.bytes_max,
            used: self.bytes.load(Ordering::Relaxed),
            stored: self.stored.load(Ordering::Relaxed),
        }
    }

    fn check_disk(&self, bytes: u64) -> Result<(), Fault> {
        let disk = rustix::fs::statvfs(&self.place).map_err(|error| failed(&error.into()))?;
        let (free, total) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
        match free.saturating_sub(bytes) < FREE_MIN.min(total / FREE_SHARE) {
            true => Err(Fault::new(Reason::DiskFull, "not enough free disk space for queued messages")),
            false => Ok(()),
        }
    }
}

/// The use of a budget, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomUse {
    pub budget: u64,
    pub used: u64,
    pub stored: u64,
}

/// The position of a message in its file.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    offset: u64,
    len: usize,
}

/// A file of messages.
#[derive(Debug)]
pub struct Overflow {
    file: File,
    end: u64,
    waiting: usize,
}

impl Overflow {
    /// An empty file.
    pub fn new(room: &MemoryBudget) -> Result<Self, Fault> {
        let path = room.place.join(format!("overflow-{}", room.next_file.fetch_add(1, Ordering::Relaxed)));
        // A process that was killed at this point may have left a file.
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(|error| failed(&error))?;
        fs::remove_file(&path).map_err(|error| failed(&error))?;
        Ok(Self { file, end: 0, waiting: 0 })
    }

    /// Writes a message.
    ///
    /// # Errors
    /// `DiskFull`.
    pub fn put(&mut self, message: &[u8], room: &MemoryBudget) -> Result<Kept, Fault> {
        room.check_disk(message.len() as u64)?;
        self.file.write_all_at(message, self.end).map_err(|error| failed(&error))?;
        let kept = Kept { offset: self.end, len: message.len() };
        self.end += message.len() as u64;
        self.waiting += 1;
        room.stored.fetch_add(message.len() as u64, Ordering::Relaxed);
        Ok(kept)
    }

    /// Reads a message, once; the file is emptied after the last one.
    pub fn take(&mut self, kept: Kept) -> Result<Vec<u8>, Fault> {
        let mut message = vec![0; kept.len];
        self.file.read_exact_at(&mut message, kept.offset).map_err(|error| failed(&error))?;
        self.waiting -= 1;
        if self.waiting == 0 {
            self.file.set_len(0).map_err(|error| failed(&error))?;
            self.end = 0;
        }
        Ok(message)
    }
}

fn failed(error: &Error) -> Fault {
    let reason = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Reason::DiskFull,
        _ => Reason::Internal,
    };
    Fault::new(reason, format!("queued messages cannot be stored: {error}"))
}
