//! What every process tells of itself: what it is, processor, memory, files, and the runtime's threads.

use super::{Family, Reading, Registry};
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;

const BUILD: Family = Family::gauge("entail_build_info", "1; the labels say what is running.");
const STARTED: Family = Family::gauge("entail_process_start_time_seconds", "When the process began, in Unix time.");
const CPU: Family =
    Family::counter("entail_process_cpu_seconds_total", "Processor time of all threads, in user and system mode.");
const MEMORY: Family = Family::gauge("entail_process_resident_memory_bytes", "Resident memory.");
const FILES: Family = Family::gauge("entail_process_open_files", "Open file descriptors, connections included.");
const FILES_MAX: Family =
    Family::gauge("entail_process_open_files_limit", "Descriptors that the process may have open.");
const THREADS: Family = Family::gauge("entail_process_threads", "Threads.");
const WORKERS: Family = Family::gauge("entail_tokio_workers", "Threads of the async runtime.");
const BUSY: Family =
    Family::counter("entail_tokio_busy_seconds_total", "Time that the runtime's threads were at work, all together.");
const TASKS: Family = Family::gauge("entail_tokio_tasks", "Tasks of the async runtime that have not ended.");
const QUEUED: Family = Family::gauge("entail_tokio_queued_tasks", "Tasks that wait in the runtime's common queue.");
const SPANS_DROPPED: Family =
    Family::counter("entail_trace_spans_dropped_total", "Spans that were lost on their way to the collector.");

/// A registry of the process's own metrics; to be called inside its runtime, when it starts.
pub fn process(version: &'static str) -> Registry {
    let registry = Registry::default();
    let runtime = Handle::current();
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    registry.at_scrape(move |reading| {
        reading.add(&BUILD, &[("version", version), ("profile", profile)], 1.0);
        reading.add(&STARTED, &[], started);
        system(reading);
        tokio(reading, &runtime);
        reading.add(&SPANS_DROPPED, &[], crate::spans_dropped() as f64);
    });
    registry
}

/// This process's resident memory; 0 where /proc does not tell.
pub fn resident_bytes() -> u64 {
    Stat::read().map_or(0, |stat| stat.resident_bytes())
}

/// What /proc tells; nothing where there is none.
fn system(reading: &mut Reading) {
    if let Some(stat) = Stat::read() {
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        reading.add(&CPU, &[], stat.cpu_ticks as f64 / ticks);
        reading.add(&THREADS, &[], stat.threads as f64);
        reading.add(&MEMORY, &[], stat.resident_bytes() as f64);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // One of them is the directory itself.
        reading.add(&FILES, &[], files.count().saturating_sub(1) as f64);
    }
    if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        reading.add(&FILES_MAX, &[], most as f64);
    }
}

fn tokio(reading: &mut Reading, runtime: &Handle) {
    let metrics = runtime.metrics();
    let workers = metrics.num_workers();
    let busy: f64 = (0..workers).map(|worker| metrics.worker_total_busy_duration(worker).as_secs_f64()).sum();
    reading.add(&WORKERS, &[], workers as f64);
    reading.add(&BUSY, &[], busy);
    reading.add(&TASKS, &[], metrics.num_alive_tasks() as f64);
    reading.add(&QUEUED, &[], metrics.global_queue_depth() as f64);
}

/// Of `/proc/self/stat`, as proc_pid_stat(5) describes it.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    resident_pages: u64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// Pages have 4 KiB on most machines, not on all.
    fn resident_bytes(&self) -> u64 {
        self.resident_pages * rustix::param::page_size() as u64
    }

    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, and may hold anything.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self { cpu_ticks: field(14)? + field(15)?, threads: field(20)?, resident_pages: field(24)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 5 0 999 1000000 250 18446744073709551615 1";
        assert_eq!(Stat::parse(text), Some(Stat { cpu_ticks: 42, threads: 5, resident_pages: 250 }));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }
}
