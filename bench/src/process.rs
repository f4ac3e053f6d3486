//! Processes and what they use, as Linux tells it in `/proc`.

use crate::Error;
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// What a process has used since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Of all its threads, in user and system mode; a hundredth of a second is the finest that there is.
    pub cpu_seconds: f64,
    /// The most memory that it had at any time.
    pub peak_rss_bytes: u64,
}

impl Usage {
    /// Of a process that is running.
    ///
    /// # Errors
    /// [`Error::Io`] if there is none, and where there is no `/proc`.
    pub fn of(pid: u32) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).map_err(|error| Error::io(&path, error))
        };
        let cpu_seconds = cpu_seconds(&read("stat")?);
        let peak_rss_bytes = peak_rss(&read("status")?);
        match (cpu_seconds, peak_rss_bytes) {
            (Some(cpu_seconds), Some(peak_rss_bytes)) => Ok(Self { cpu_seconds, peak_rss_bytes }),
            _ => Err(Error::Input(format!("/proc/{pid} does not look as it should"))),
        }
    }
}

/// The name of the program, which is in brackets, may have spaces and brackets itself.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / clock_ticks_per_second() as f64)
}

fn peak_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// The program that is running, to be run again in another role.
///
/// # Errors
/// [`Error::Io`].
pub fn this_program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|error| Error::io("this program", error))
}

/// A process that does not outlive its owner.
pub struct Owned {
    child: Child,
    name: &'static str,
}

impl Owned {
    /// Starts a process.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn start(name: &'static str, command: &mut Command) -> Result<Self, Error> {
        let child = command.spawn().map_err(|error| Error::io(name, error))?;
        Ok(Self { child, name })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().map_err(|error| Error::io(self.name, error))
    }

    /// Tells it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// [`Error::Child`] if it ends with an error, or not within the time.
    pub async fn stop(mut self, time_max: Duration) -> Result<(), Error> {
        let signalled = kill_process(Pid::from_child(&self.child), Signal::TERM);
        signalled.map_err(|error| Error::io(self.name, error))?;
        let failed = |why: String| Error::Child { name: self.name.to_owned(), why };
        let started = Instant::now();
        while started.elapsed() < time_max {
            match self.child.try_wait().map_err(|error| Error::io(self.name, error))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(failed(format!("when told to end: {status}"))),
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        Err(failed(format!("it still runs {} s after it was told to end", time_max.as_secs())))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Of a process that has ended already, neither does anything.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The room that a directory takes on disk, without what is only reserved: RocksDB allocates its logs ahead.
///
/// # Errors
/// [`Error::Io`]. Files that vanish meanwhile are left out.
pub fn disk_bytes(directory: &Path) -> Result<u64, Error> {
    let mut total = 0;
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = fs::read_dir(&directory).map_err(|error| Error::io(directory.display(), error))?;
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => open.push(entry.path()),
                // Blocks are counted in units of 512 bytes, whatever the file system's are. There are fewer of them
                // than bytes in a file with holes, and more where room is reserved.
                Ok(metadata) => total += metadata.len().min(metadata.blocks() * 512),
                Err(_) => {}
            }
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_proc_are_read() {
        let stat = "42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        assert_eq!(cpu_seconds(stat), Some(200.0 / clock_ticks_per_second() as f64));
        assert_eq!(peak_rss("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n"), Some(2 << 20));
        let own = Usage::of(std::process::id()).unwrap();
        assert!(own.peak_rss_bytes > 100_000, "{own:?}");
    }

    #[tokio::test]
    async fn processes_end_with_their_owners() {
        let process = Owned::start("sleep", Command::new("sleep").arg("100")).unwrap();
        let pid = process.id();
        drop(process);
        assert!(Usage::of(pid).is_err(), "it is gone");
        let process = Owned::start("sleep", Command::new("sleep").arg("100")).unwrap();
        let error = process.stop(Duration::from_secs(20)).await.unwrap_err().to_string();
        assert!(error.contains("signal: 15"), "{error}");
    }
}
