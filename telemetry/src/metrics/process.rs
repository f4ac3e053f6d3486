//! Metrics of the process itself.
//!
//! `process_*` are those of the `prometheus` crate, under the names that every client library of Prometheus uses, so
//! that stock dashboards work. `entail_*` adds the build, the peak memory, the async runtime and the dropped spans.

use super::{Family, Reading, Registry};
use prometheus::process_collector::ProcessCollector;
use std::fs;
use tokio::runtime::Handle;

const BUILD: Family =
    Family::gauge("entail_build_info", "Always 1; the labels have the version and the build profile.");
const PEAK: Family =
    Family::gauge("entail_resident_memory_peak_bytes", "The most resident memory since the process began.");
const WORKERS: Family = Family::gauge("entail_tokio_workers", "Threads of the async runtime.");
const BUSY: Family =
    Family::counter("entail_tokio_busy_seconds_total", "Busy time of the runtime's threads, summed over all of them.");
const TASKS: Family = Family::gauge("entail_tokio_tasks", "Tasks of the async runtime that have not ended.");
const QUEUED: Family = Family::gauge("entail_tokio_queued_tasks", "Tasks that wait in the runtime's common queue.");
const SPANS_DROPPED: Family =
    Family::counter("entail_trace_spans_dropped_total", "Spans that were lost on their way to the collector.");

/// A registry of the metrics of this process. Call it at the start of the process, inside its runtime.
pub fn process(version: &'static str) -> Registry {
    let registry = Registry::default();
    registry.collect(ProcessCollector::for_self());
    let runtime = Handle::current();
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    registry.at_scrape(move |reading| {
        reading.add(&BUILD, &[("version", version), ("profile", profile)], 1.0);
        if let Some(peak) = status("VmHWM") {
            reading.add(&PEAK, &[], peak as f64);
        }
        tokio(reading, &runtime);
        reading.add(&SPANS_DROPPED, &[], crate::spans_dropped() as f64);
    });
    registry
}

/// The resident memory of this process in bytes; 0 where /proc does not report it.
pub fn resident_bytes() -> u64 {
    status("VmRSS").unwrap_or(0)
}

/// A size from `/proc/self/status`, in bytes.
fn status(field: &str) -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/self/status").ok()?, field).map(|size| size << 10)
}

/// Parses a size from a text in the format of `/proc/self/status` (proc_pid_status(5)): `VmRSS:     4567 kB`.
fn kilobytes(text: &str, field: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    value.trim().strip_suffix(" kB")?.parse().ok()
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

#[cfg(test)]
mod tests {
    use super::super::text;
    use super::*;

    #[test]
    fn sizes_are_read_from_the_status_of_a_process() {
        let status = "Name:\tVmRSS: 1 kB\nVmPeak:\t  900 kB\nVmHWM:\t     300 kB\nVmRSS:\t     200 kB\nThreads:\t5\n";
        assert_eq!(kilobytes(status, "VmHWM"), Some(300));
        assert_eq!(kilobytes(status, "VmRSS"), Some(200));
        assert_eq!(kilobytes(status, "Threads"), None, "no size");
        assert_eq!(kilobytes(status, "Vm"), None, "the whole name");
    }

    #[tokio::test]
    async fn a_process_has_the_metrics_that_stock_dashboards_ask_for() {
        let page = text(&[process("1.2.3")]);
        let value = |name: &str| -> f64 {
            let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name} is not in\n{page}")).parse().unwrap()
        };
        for name in ["process_resident_memory_bytes", "process_virtual_memory_bytes", "process_start_time_seconds"] {
            assert!(value(name) > 0.0, "{name}");
        }
        assert!(value("process_open_fds") <= value("process_max_fds"));
        assert!(value("process_threads") >= 1.0 && value("process_cpu_seconds_total") >= 0.0);
        assert!(value("entail_resident_memory_peak_bytes") >= resident_bytes() as f64 / 2.0);
        assert!(page.contains("entail_build_info{version=\"1.2.3\""), "{page}");
    }
}
