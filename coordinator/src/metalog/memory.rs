//! The log in memory, for tests and the simulator: with a disk that outlives the coordinator and crashes on command.

use super::MetaLog;
use super::entry::Entry;
use super::state::{Applied, State};
use entail_model::{Fault, Reason};

/// A log whose disk is a list.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    state: State,
    /// What is durable.
    entries: Vec<Entry>,
    crash: Option<Crash>,
    poisoned: bool,
}

/// The point at which the next append crashes. The caller sees the same fault for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The entry is lost.
    BeforeDurable,
    /// The entry is durable; only the answer is lost.
    AfterDurable,
}

impl MemoryLog {
    /// The log of a coordinator that starts on a disk with these entries.
    ///
    /// # Errors
    /// [`Reason::Corrupt`] if they could not have been appended one after the other.
    pub fn restart(entries: Vec<Entry>) -> Result<Self, Fault> {
        let mut log = Self::default();
        for entry in &entries {
            log.append(entry).map_err(|fault| Fault::corrupt(fault.to_string()))?;
        }
        Ok(log)
    }

    /// The durable entries, from which [`Self::restart`] begins after a crash. Any prefix is a possible disk.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The next append crashes.
    pub fn crash_next(&mut self, crash: Crash) {
        self.crash = Some(crash);
    }
}

impl MetaLog for MemoryLog {
    fn state(&self) -> &State {
        &self.state
    }

    fn append(&mut self, entry: &Entry) -> Result<(u64, Applied), Fault> {
        self.state.check(entry)?;
        let crash = self.crash.take();
        if self.poisoned || crash == Some(Crash::BeforeDurable) {
            return Err(self.poison());
        }
        self.entries.push(entry.clone());
        if crash == Some(Crash::AfterDurable) {
            return Err(self.poison());
        }
        let index = self.state.index() + 1;
        let applied = self.state.apply(index, entry)?;
        Ok((index, applied))
    }

    fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

impl MemoryLog {
    fn poison(&mut self) -> Fault {
        self.poisoned = true;
        Fault::new(Reason::OutcomeUnknown, "the metadata log crashed")
    }
}
