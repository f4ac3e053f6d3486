//! Processes and their resource use, from Linux's `/proc`.

use crate::Error;
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};
use std::fs;
use std::iter::Sum;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// The resources that a process has used since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time of all its threads, in user and system mode, with a resolution of 10 ms.
    pub cpu_seconds: f64,
    /// The peak of its resident memory.
    pub peak_rss_bytes: u64,
    /// Its current resident memory.
    pub rss_bytes: u64,
}

impl Usage {
    /// The usage of a running process.
    ///
    /// # Errors
    /// [`Error::Io`] if there is no such process or no `/proc`.
    pub fn of(pid: u32) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).map_err(|error| Error::io(&path, error))
        };
        let (stat, status) = (read("stat")?, read("status")?);
        let usage = || {
            Some(Self {
                cpu_seconds: cpu_seconds(&stat)?,
                peak_rss_bytes: memory(&status, "VmHWM:")?,
                rss_bytes: memory(&status, "VmRSS:")?,
            })
        };
        usage().ok_or_else(|| Error::Input(format!("/proc/{pid} does not look as it should")))
    }

    /// The usage since an earlier reading; memory is the current one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { cpu_seconds: self.cpu_seconds - earlier.cpu_seconds, ..self }
    }
}

/// The usage of processes that work together. Their peaks may be at different times, so the sum is an upper bound.
impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(usages: I) -> Self {
        usages.fold(Self::default(), |sum, usage| Self {
            cpu_seconds: sum.cpu_seconds + usage.cpu_seconds,
            peak_rss_bytes: sum.peak_rss_bytes + usage.peak_rss_bytes,
            rss_bytes: sum.rss_bytes + usage.rss_bytes,
        })
    }
}

/// The program name is in brackets and may itself contain spaces and brackets.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / clock_ticks_per_second() as f64)
}

fn memory(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// The path of the running program.
///
/// # Errors
/// [`Error::Io`].
pub fn this_program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|error| Error::io("this program", error))
}

/// A child process that ends when this is dropped.
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

    /// Starts a process that is pinned to one processor, counted among those that this process may use and modulo their
    /// number.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn start_pinned(name: &'static str, command: &mut Command, processor: usize) -> Result<Self, Error> {
        // A child inherits the processors of the thread that starts it, so a pinned thread starts it.
        let start = || {
            let refused = |error| Error::io("the processors of a process", error);
            let allowed = sched_getaffinity(None).map_err(refused)?;
            let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
            let mut only = CpuSet::new();
            only.set(allowed[processor % allowed.len()]);
            sched_setaffinity(None, &only).map_err(refused)?;
            Self::start(name, command)
        };
        std::thread::scope(|scope| scope.spawn(start).join().expect("nothing in it panics"))
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The exit status, if the process has ended.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Error> {
        self.child.try_wait().map_err(|error| Error::io(self.name, error))
    }

    /// Sends SIGTERM and waits for the end of the process.
    ///
    /// # Errors
    /// [`Error::Child`] if it fails or does not end in time.
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
        // Both calls have no effect on a process that has ended.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The disk space of a directory, without preallocated space: RocksDB preallocates its logs.
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
                // Blocks are counted in units of 512 bytes, independent of the file system. Sparse files have fewer
                // blocks than their length, preallocated files more.
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
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n";
        assert_eq!((memory(status, "VmHWM:"), memory(status, "VmRSS:")), (Some(2 << 20), Some(1 << 10)));
        let own = Usage::of(std::process::id()).unwrap();
        assert!(own.rss_bytes > 100_000 && own.peak_rss_bytes >= own.rss_bytes, "{own:?}");
    }

    #[test]
    fn usage_adds_up() {
        let usage = |cpu_seconds, rss_bytes| Usage { cpu_seconds, peak_rss_bytes: 2 * rss_bytes, rss_bytes };
        let both: Usage = [usage(1.0, 10), usage(0.5, 1)].into_iter().sum();
        assert_eq!(both, usage(1.5, 11));
        assert_eq!(both.since(usage(0.25, 100)), usage(1.25, 11));
    }

    #[tokio::test]
    async fn a_pinned_process_has_one_processor() {
        for processor in 0..3 {
            let mut command = Command::new("sleep");
            let process = Owned::start_pinned("sleep", command.arg("100"), processor).unwrap();
            let allowed = sched_getaffinity(Some(Pid::from_child(&process.child))).unwrap();
            assert_eq!(allowed.count(), 1);
        }
        let own = sched_getaffinity(None).unwrap();
        assert_eq!(own.count() as usize, std::thread::available_parallelism().unwrap().get(), "we keep ours");
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
