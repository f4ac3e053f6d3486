//! Processes and what they use, as Linux tells it in `/proc`.

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

/// What a process has used since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Of all its threads, in user and system mode; a hundredth of a second is the finest that there is.
    pub cpu_seconds: f64,
    /// The most memory that it had at any time.
    pub peak_rss_bytes: u64,
    /// The memory that it has now.
    pub rss_bytes: u64,
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

    /// What has been used since an earlier time: memory is that of now.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { cpu_seconds: self.cpu_seconds - earlier.cpu_seconds, ..self }
    }
}

/// Of processes that work together. Their peaks may be at different times, so that their sum is at least the true one.
impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(usages: I) -> Self {
        usages.fold(Self::default(), |sum, usage| Self {
            cpu_seconds: sum.cpu_seconds + usage.cpu_seconds,
            peak_rss_bytes: sum.peak_rss_bytes + usage.peak_rss_bytes,
            rss_bytes: sum.rss_bytes + usage.rss_bytes,
        })
    }
}

/// The name of the program, which is in brackets, may have spaces and brackets itself.
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

/// The program that is running.
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

    /// Starts a process that runs on one processor only. It is counted among those that this process may use, again
    /// from the first one when there are not so many.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn start_pinned(name: &'static str, command: &mut Command, processor: usize) -> Result<Self, Error> {
        // A child has the processors of the thread that starts it, from its first moment on: so this one is made for it.
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
